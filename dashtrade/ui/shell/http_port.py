"""The dashboard's port under strangers: uvicorn's protocols, with an end for what only takes up room.

A request has to have arrived in full after some seconds, and an answer to be read; where connections run out,
those that only wait make room, of the busiest address first."""

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
ARRIVAL_SECONDS = 10.0  # for a request to arrive in full, from the connection or its first byte on
UNREAD_SECONDS = 30.0  # in which so many bytes of an answer that waits have to be read:
LEAST_READ = 32 * 1024
MOST_CONNECTIONS = 1000
OTHER_DESCRIPTORS = 600  # those of Streamlit's sessions, the database's, the logs'
BACKLOG = 128  # also how many are accepted before the first of them is looked at
_ARRIVING = (h11.IDLE, h11.SEND_BODY)


def connection_limit() -> int:
    return room_for_connections(MOST_CONNECTIONS, OTHER_DESCRIPTORS)


class _Reader:
    """Mixed in: whoever does not read what is sent to them loses the connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        line = transport.get_extra_info("socket")
        # else a kernel's large buffer hides what is read slowly
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
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._look, left)

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left > before - LEAST_READ:
            self.transport.abort()
        else:
            self._watch(left)

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class Socket(_Reader, WebSocketsSansIOProtocol):
    """A WebSocket. (Whether its browser is still there, uvicorn asks it by itself.)"""


class Line(_Reader, H11Protocol):
    """One connection, and how long its request may be on its way."""

    most: int
    told_at = float("-inf")

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._arrival: asyncio.TimerHandle | None = None
        self.since = self.loop.time()

    @property
    def waits(self) -> bool:
        """Nothing of it is being worked on, and no answer is on its way."""
        idle = self.cycle is None or self.cycle.response_complete
        return (idle or self._arrival is not None) and not self.transport.get_write_buffer_size()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._arrival is None and self.conn.their_state in _ARRIVING:
            self._expect()
        super().data_received(data)
        if self.conn.their_state not in _ARRIVING or self.transport.get_protocol() is not self:
            self._arrived()

    def send_400_response(self, msg: str) -> None:
        """The request before the bad bytes may be about to be answered, or be answered: there is room for one
        answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # of the next request, which came along with the last
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._arrived()
        self._arrival = self.loop.call_later(ARRIVAL_SECONDS, self.transport.abort)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _make_room(self) -> None:
        waiting = [
            line for line in self.connections if isinstance(line, Line) and line is not self and line.waits
        ]
        crowd = Counter(line.address for line in waiting)
        waiting.sort(key=lambda line: (-crowd[line.address], line.since))
        for line in waiting[: max(self.most // 20, 1)] or [self]:
            line.transport.abort()
        if time.monotonic() - Line.told_at > 60:
            Line.told_at = time.monotonic()
            log.warning(
                (
                    "all %s connections are taken, %s of them only wait: the oldest of the busiest address "
                    "are closed"
                ),
                self.most,
                len(waiting),
            )

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""


def protocols() -> dict[str, Any]:
    """What uvicorn is to be told."""
    Line.most = connection_limit()
    return {"http": Line, "ws": Socket, "backlog": BACKLOG}
