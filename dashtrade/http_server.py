"""The receiver's HTTP server: uvicorn, and Flask in threads behind it.

One event loop reads requests and sends answers, so a slow client holds no thread; `http_connection` limits
what a client may take of it. A request that has arrived waits for its turn: alerts have turns of their own,
and senders take turns, so that a flood only delays itself."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import uvicorn

from dashtrade.http_connection import ConnectionLimits, HttpConnection
from dashtrade.http_headers import DATA
from dashtrade.limits import room_for_connections
from dashtrade.wsgi_threads import Scope, Send, Wsgi, WsgiThreads

T = TypeVar("T")
# scope, body and the end of its turn, where it only waits from then on -> status, headers, body
Direct = Callable[[Scope, bytes, Callable[[], None]], Awaitable[tuple[int, list[tuple[bytes, bytes]], bytes]]]
log = logging.getLogger("dashtrade.http")

ARRIVAL_SECONDS = 8.0  # for a request to arrive in full, from its first byte
IDLE_SECONDS = 10.0  # for a connection without a request
UNREAD_SECONDS = 20.0  # for an answer that the client does not read
STOP_SECONDS = 5  # for requests in progress when the process is to end
MAX_CONNECTIONS = 1000
ACCEPTS_PER_PASS = 100  # connections accepted in one pass of the loop
BACKLOG = 4096  # connections beyond it are retried by the client after a second
OTHER_DESCRIPTORS = 200  # of the database, the logs and the worker
ALERTS_AT_ONCE = ALERT_THREADS = 16  # beyond them senders take turns
TURNS_PER_PASS = 4  # begun in one pass of the loop, each some tenths of a millisecond
OTHER_THREADS = 24
ALERTS = "/webhook"
_TOKEN = re.compile(rb"(?:^|&)token=([^&]*)")

_REFUSALS = {
    400: (
        "Bad Request",
        "bad_request",
        "The request is not valid HTTP.",
        "Send it with an ordinary HTTP client.",
    ),
    431: (
        "Request Header Fields Too Large",
        "headers_too_large",
        "The request's headers are too large.",
        "Send fewer or shorter headers.",
    ),
}


def refusal(status: int) -> bytes:
    """The whole answer to a request that does not reach Flask, as JSON like every other error."""
    phrase, error, message, hint = _REFUSALS[status]
    body = json.dumps({"error": error, "message": message, "hint": hint}).encode()
    headers = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *DATA,
    )
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def connection_limit() -> int:
    return room_for_connections(MAX_CONNECTIONS, OTHER_DESCRIPTORS)


class FairQueue(Generic[T]):
    """Each sender's things in order, and the senders in turn, so that a flood only delays itself."""

    def __init__(self) -> None:
        self._by_sender: OrderedDict[object, deque[T]] = OrderedDict()

    def append(self, sender: object, thing: T) -> None:
        self._by_sender.setdefault(sender, deque()).append(thing)

    def popleft(self) -> T:
        sender, things = self._by_sender.popitem(last=False)
        thing = things.popleft()
        if things:
            self._by_sender[sender] = things
        return thing

    def __bool__(self) -> bool:
        return bool(self._by_sender)


class Turn:
    """One of the requests handled at a time; `end` may come before the answer."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._ended = turns, False

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._turns.give_back()


class Turns:
    """So many requests at a time; the others wait, and their senders take turns. Few begin in one pass of the
    event loop, so that between them it looks who else is there."""

    def __init__(self, at_once: int) -> None:
        self._free, self._left = at_once, TURNS_PER_PASS
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def take(self, sender: object) -> Turn:
        if self._free and self._left and not self._waiting:
            self._use()
        else:
            await self._wait(sender)
        return Turn(self)

    async def _wait(self, sender: object) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(sender, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given the turn in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        self._free += 1
        self._give()

    def _give(self) -> None:
        while self._waiting and self._free and self._left:
            place = self._waiting.popleft()
            if not place.done():
                self._use()
                place.set_result(None)

    def _use(self) -> None:
        if self._left == TURNS_PER_PASS:
            asyncio.get_running_loop().call_soon(self._next_pass)
        self._free -= 1
        self._left -= 1

    def _next_pass(self) -> None:
        self._left = TURNS_PER_PASS
        self._give()


def sender_of(scope: Scope) -> object:
    """The token, if visible in the request; else the address."""
    token = _TOKEN.search(scope["query_string"])
    if token is not None:
        return token[1]
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value
    return scope["client"][0] if scope["client"] else ""


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """One for each address that the name has."""
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            made.append(socket.socket(family, kind, protocol))
            made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made[-1].bind(address)
    except OSError:
        for one in made:
            one.close()
        raise
    return made


class AcceptingServer(uvicorn.Server):
    """uvicorn's server, which accepts many connections in one pass of the loop. uvloop accepts one: behind a
    crowd an alert waits for a pass with each of it."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self.loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[Any]] = set()
        for listening in sockets or []:
            listening.listen(BACKLOG)
            listening.setblocking(False)
            self.loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_PASS):
            try:
                line = listening.accept()[0]
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # too many open files, of which connections alone make no more than fit
                log.warning("no connections are accepted for a second: %s", error)
                self.loop.remove_reader(listening)
                self.loop.call_later(1, self._resume, listening)
                return
            line.setblocking(False)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self.loop.create_task(self._enter(line))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    def _resume(self, listening: socket.socket) -> None:
        if not self.should_exit:
            self.loop.add_reader(listening, self._accept, listening)

    async def _enter(self, line: socket.socket) -> None:
        factory: Any = self.config.http_protocol_class

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = factory(
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=self.loop,
            )
            return made

        try:
            await self.loop.connect_accepted_socket(protocol, line)
        except OSError:  # it has gone already
            line.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or []:
            self.loop.remove_reader(listening)
        await super().shutdown(sockets)


class HttpServer:
    """All listening sockets, one event loop, and Flask's threads."""

    def __init__(
        self, application: Wsgi, *, host: str, port: int, max_body_bytes: int, direct: Direct | None = None
    ) -> None:
        """`direct` handles alerts on the event loop; without it they go to Flask, too."""
        self._max_body_bytes, self._direct = max_body_bytes, direct
        self._alert_turns, self._other_turns = Turns(ALERTS_AT_ONCE), Turns(OTHER_THREADS)
        self._alerts = WsgiThreads(application, ALERT_THREADS, "alert")
        self._others = WsgiThreads(application, OTHER_THREADS, "request")
        limits = ConnectionLimits(
            log=log,
            refusal=refusal,
            max_connections=connection_limit(),
            arrival_seconds=ARRIVAL_SECONDS,
            idle_seconds=IDLE_SECONDS,
            unread_seconds=UNREAD_SECONDS,
        )
        config: dict[str, Any] = {
            "http": partial(HttpConnection, limits),
            "ws": "none",
            "interface": "asgi3",
            "lifespan": "off",
            "log_config": None,
            "log_level": "error",
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_keep_alive": IDLE_SECONDS,
            "timeout_graceful_shutdown": STOP_SECONDS,
        }
        self.uvicorn = AcceptingServer(uvicorn.Config(self._handle, **config))
        self._sockets = listening_sockets(host, port)

    @property
    def port(self) -> int:
        return int(self._sockets[0].getsockname()[1])

    def run(self) -> None:
        """Until SIGTERM or SIGINT, or `stop`: then no new requests; running ones finish."""
        self.uvicorn.run(sockets=self._sockets)

    def stop(self) -> None:
        self.uvicorn.should_exit = True

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        for threads in (self._alerts, self._others):
            threads.close()

    async def _handle(self, scope: Scope, receive: Callable[[], Any], send: Send) -> None:
        body = await self._body(scope, receive)
        if body is None:
            return
        is_alert = scope["path"].rstrip("/") == ALERTS
        turns, threads = (self._alert_turns, self._alerts) if is_alert else (self._other_turns, self._others)
        turn = await turns.take(sender_of(scope))
        try:
            if is_alert and self._direct is not None and self._is_plain(scope, body):
                status, headers, answer = await self._direct(scope, body, turn.end)
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": answer})
            else:
                await threads(scope, body, receive, send)
        finally:
            turn.end()

    def _is_plain(self, scope: Scope, body: bytes) -> bool:
        """All of it is there. What is more, or no POST, Flask refuses."""
        return (
            scope["method"] == "POST"
            and len(body) <= self._max_body_bytes
            and (bool(body) or not _content_length(scope))
        )

    async def _body(self, scope: Scope, receive: Callable[[], Any]) -> bytes | None:
        """The whole of it; of one that is too large, nothing or the beginning: Flask refuses it by its
        length. None: the client has gone."""
        if _content_length(scope) > self._max_body_bytes:
            return b""
        body = b""
        while len(body) <= self._max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body = body + message["body"] if body else message["body"]
            if not message["more_body"]:
                break
        return body


def _content_length(scope: Scope) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
