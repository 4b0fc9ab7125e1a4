"""The dashboard's port against hostile clients: uvicorn's protocols, with limits on idle and slow
connections.

A request has to arrive in full within some seconds, and its response has to be read. When connections run
out, waiting ones are closed, those of the busiest address first."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dashtrade.limits import room_for_connections

log = logging.getLogger("dashtrade.ui")
ARRIVAL_SECONDS = 10.0  # for a whole request, from the connection or its first byte
UNREAD_SECONDS = 30.0  # in which at least this much of a pending response must be read:
MIN_READ_BYTES = 32 * 1024
MAX_CONNECTIONS = 1000
OTHER_DESCRIPTORS = 600  # for Streamlit's sessions, the database, the logs
BACKLOG = 128  # also the number accepted in one go, before any is checked
_ARRIVING = (h11.IDLE, h11.SEND_BODY)


def connection_limit() -> int:
    return room_for_connections(MAX_CONNECTIONS, OTHER_DESCRIPTORS)


class _ReadTimeout:
    """A mixin that disconnects clients which do not read their response."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        line = transport.get_extra_info("socket")
        # otherwise a large kernel buffer hides slow reading
        if line is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 64 * 1024)

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()  # type: ignore[misc]

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)  # type: ignore[misc]

    def _watch(self, left: int) -> None:
        self._stop_watching()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._check_progress, left)

    def _check_progress(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left > before - MIN_READ_BYTES:
            self.transport.abort()
        else:
            self._watch(left)

    def _stop_watching(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None


class WebSocketConnection(_ReadTimeout, WebSocketsSansIOProtocol):
    """A WebSocket. uvicorn itself pings the browser."""


class HttpConnection(_ReadTimeout, H11Protocol):
    """One connection, with a time limit for its request."""

    max_connections: int
    warned_at = float("-inf")

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._arrival_timer: asyncio.TimerHandle | None = None
        self.since = self.loop.time()

    @property
    def waits(self) -> bool:
        """No request is being handled, and no response is pending."""
        idle = self.cycle is None or self.cycle.response_complete
        return (idle or self._arrival_timer is not None) and not self.transport.get_write_buffer_size()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_request()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._arrival_timer is None and self.conn.their_state in _ARRIVING:
            self._expect_request()
        super().data_received(data)
        if self.conn.their_state not in _ARRIVING or self.transport.get_protocol() is not self:
            self._request_arrived()

    def send_400_response(self, msg: str) -> None:
        """The request before the invalid bytes may have its response pending or in progress: only one
        response fits."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # the next request, pipelined behind the last
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_arrived()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._request_arrived()
        self._arrival_timer = self.loop.call_later(ARRIVAL_SECONDS, self.transport.abort)

    def _request_arrived(self) -> None:
        if self._arrival_timer is not None:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _make_room(self) -> None:
        waiting = [
            line
            for line in self.connections
            if isinstance(line, HttpConnection) and line is not self and line.waits
        ]
        by_address = Counter(line.address for line in waiting)
        waiting.sort(key=lambda line: (-by_address[line.address], line.since))
        for line in waiting[: max(self.max_connections // 20, 1)] or [self]:
            line.transport.abort()
        if time.monotonic() - HttpConnection.warned_at > 60:
            HttpConnection.warned_at = time.monotonic()
            log.warning(
                (
                    "all %s connections are taken, %s of them only wait: the oldest of the busiest address "
                    "are closed"
                ),
                self.max_connections,
                len(waiting),
            )

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""


def protocols() -> dict[str, Any]:
    """Arguments for uvicorn."""
    HttpConnection.max_connections = connection_limit()
    # uvicorn would take uvloop, which the receiver brings: what Streamlit does beside it was not tried there
    return {"http": HttpConnection, "ws": WebSocketConnection, "backlog": BACKLOG, "loop": "asyncio"}
