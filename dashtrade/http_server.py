"""The receiver's HTTP server: waitress, hardened against resource exhaustion.

Waitress limits silence, not slowness, and refuses new connections when all are in use. Here a request must
arrive in full within seconds; when connections run out, idle ones are closed, of the busiest address first;
clients that do not read an answer are disconnected; and alerts have reserved threads."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from dashtrade.http_headers import DATA
from dashtrade.limits import room_for_connections

log = logging.getLogger("dashtrade.http")

ARRIVAL_SECONDS = 8.0  # for a request to arrive in full, from its first byte
IDLE_SECONDS = 10.0  # for a connection without a request
UNREAD_SECONDS = 20.0  # for an answer that the client does not read
MAX_CONNECTIONS = 1000
ACCEPTS_PER_LOOP = 100  # connections accepted per turn of the loop
BACKLOG = 4096  # backlog; connections beyond it are retried by the client after a second
NO_LIMIT = 10**9  # disables waitress's own limit, which refuses everybody
OTHER_DESCRIPTORS = 200  # of the database, the logs and the worker
ALERT_THREADS, OTHER_THREADS = 32, 24
ALERTS = "/webhook"
_TOKEN = re.compile(r"(?:^|&)token=([^&]*)")


def connection_limit() -> int:
    return room_for_connections(MAX_CONNECTIONS, OTHER_DESCRIPTORS)


class Request(HTTPRequestParser):
    path = ""  # of malformed requests too: waitress reads it for logging


class MalformedRequest(ErrorTask):
    """The answer to a malformed request, which never reaches the application."""

    def execute(self) -> None:
        self.response_headers.extend(DATA)
        super().execute()


class LimitedChannel(HTTPChannel):
    """One connection, with the time since when a request has been arriving."""

    error_task_class, parser_class = MalformedRequest, Request
    arriving_since: float | None = None

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.arriving_since = time.monotonic()
        more: bool = super().received(data)
        if self.request is None:
            self.arriving_since = None
        return more

    @property
    def waits(self) -> bool:
        """Nothing of it is being processed, and no answer is being sent."""
        return not self.requests and not self.total_outbufs_len


class LimitedServer(TcpWSGIServer):
    """One listening socket."""

    channel_class = LimitedChannel

    def __init__(self, *given: Any, alerts: ThreadedTaskDispatcher, most: int, **more: Any) -> None:
        self._alerts, self._max_connections, self._logged_at = alerts, most, float("-inf")
        self.accepted = 0
        super().__init__(*given, **more)

    def add_task(self, task: LimitedChannel) -> None:
        path = task.requests[0].path.rstrip("/") if task.requests else ""
        (self._alerts if path == ALERTS else self.task_dispatcher).add_task(task)

    def handle_accept(self) -> None:
        """Accept all waiting connections, up to a number: one per turn of the loop would let a flood delay
        everybody else."""
        for _ in range(ACCEPTS_PER_LOOP):
            if len(self.active_channels) >= self._max_connections:
                self._make_room()
            before = self.accepted
            super().handle_accept()
            if self.accepted == before:
                return

    def accept(self) -> tuple[Any, Any] | None:
        accepted: tuple[Any, Any] | None = super().accept()
        self.accepted += accepted is not None
        return accepted

    def maintenance(self, now: float) -> None:
        late = time.monotonic() - ARRIVAL_SECONDS
        for channel in list(self.active_channels.values()):
            silent = channel.waits and channel.last_activity < now - IDLE_SECONDS
            slow = (
                channel.arriving_since is not None and not channel.requests and channel.arriving_since < late
            )
            unread = channel.total_outbufs_len and channel.last_activity < now - UNREAD_SECONDS
            if silent or slow or unread:
                channel.handle_close()

    def _make_room(self) -> None:
        """Close the oldest idle connection of the busiest address: requests answered at once are never
        affected."""
        waiting = [channel for channel in self.active_channels.values() if channel.waits]
        if not waiting:
            return
        connections_by_address = Counter(channel.addr[0] for channel in waiting)
        waiting.sort(key=lambda channel: (-connections_by_address[channel.addr[0]], channel.creation_time))
        for channel in waiting[: max(self._max_connections // 20, 1)]:
            channel.handle_close()
        if time.monotonic() - self._logged_at > 60:
            self._logged_at = time.monotonic()
            address, count = connections_by_address.most_common(1)[0]
            log.warning(
                "all %s connections are taken, %s of those that wait by %s: the oldest are closed",
                self._max_connections,
                count,
                address,
            )


class HttpServer:
    """All listening sockets, one loop, and its threads."""

    def __init__(self, application: Callable[..., Any], *, host: str, port: int, **adjustments: Any) -> None:
        self._adj = Adjustments(
            host=host,
            port=port,
            threads=OTHER_THREADS,
            asyncore_use_poll=True,
            cleanup_interval=1,
            ident=None,
            connection_limit=NO_LIMIT,
            backlog=BACKLOG,
            clear_untrusted_proxy_headers=False,
            **adjustments,
        )
        self._map: dict[int, Any] = {}
        self._alerts, self._others = _threads(ALERT_THREADS), _threads(OTHER_THREADS)
        most = connection_limit()
        self._servers = [
            LimitedServer(
                application,
                self._map,
                True,
                None,
                dispatcher=self._others,
                adj=self._adj,
                sockinfo=info,
                alerts=self._alerts,
                most=most,
            )
            for info in self._adj.listen
        ]

    @property
    def port(self) -> int:
        return int(self._servers[0].effective_port)

    def run(self) -> None:
        """Until SystemExit is raised in this thread."""
        wasyncore.loop(timeout=self._adj.asyncore_loop_timeout, map=self._map, use_poll=True)

    def close(self) -> None:
        """Accept no new requests; running ones finish."""
        for server in self._servers:
            server.accepting = False
        for threads in (self._alerts, self._others):
            threads.shutdown()
        wasyncore.close_all(self._map)


class FairQueue:
    """The queue for threads: each sender's requests in order, and the senders in turn, so that a flood only
    delays itself."""

    def __init__(self) -> None:
        self._tasks_by_sender: OrderedDict[str, deque[LimitedChannel]] = OrderedDict()

    def append(self, task: LimitedChannel) -> None:
        self._tasks_by_sender.setdefault(_sender(task), deque()).append(task)

    def popleft(self) -> LimitedChannel:
        sender, tasks = self._tasks_by_sender.popitem(last=False)
        task = tasks.popleft()
        if tasks:
            self._tasks_by_sender[sender] = tasks
        return task

    def __len__(self) -> int:
        return sum(map(len, self._tasks_by_sender.values()))


def _sender(task: LimitedChannel) -> str:
    """The token, if visible in the request; else the address."""
    address = str(task.addr[0])
    if not task.requests or task.requests[0].error:  # nothing else is known of a malformed request
        return address
    request = task.requests[0]
    token = _TOKEN.search(request.query)
    return token[1] if token is not None else request.headers.get("AUTHORIZATION", address)


def _threads(count: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.queue = FairQueue()
    dispatcher.set_thread_count(count)
    return dispatcher
