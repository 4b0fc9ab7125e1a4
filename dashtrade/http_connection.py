"""One HTTP connection of uvicorn, with limits on clients that take room without using it.

uvicorn limits neither how slowly a request arrives, nor the size of its headers, nor how slowly an answer is
read, and refuses everybody when connections run out. Here a request must arrive in full within seconds, its
headers have a size, clients that do not read an answer are disconnected, and when connections run out, idle
ones are closed, of the busiest address first."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MIN_READ_BYTES = 32 * 1024  # of a pending answer, to be read within `unread_seconds`
MAX_HEAD_BYTES = 32 * 1024  # of a request's address and headers
MAX_PIPELINED = 20  # requests sent ahead on a connection
WARN_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Of one port."""

    log: logging.Logger
    refusal: Callable[[int], bytes]  # the whole answer to what is no request, or has too large headers
    max_connections: int
    arrival_seconds: float  # for a request to arrive in full, from its first byte
    idle_seconds: float  # for a connection without a request
    unread_seconds: float  # for an answer, or MIN_READ_BYTES of it, to be read


class HeadTooLarge(Exception):
    """The headers of a request are larger than MAX_HEAD_BYTES."""


class ReadTimeout:
    """A mixin that disconnects clients which do not read their answer."""

    limits: ConnectionLimits
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
        self._unread_timer = self.loop.call_later(self.limits.unread_seconds, self._check_progress, left)

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


class HttpConnection(ReadTimeout, HttpToolsProtocol):
    """One connection, with a time limit for its request."""

    warned_at = float("-inf")

    def __init__(self, limits: ConnectionLimits, **given: Any) -> None:
        super().__init__(**given)
        self.limits = limits
        self.since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None  # for a request to begin, or to arrive in full
        self._arriving = False  # a request has begun, and is incomplete
        self._begun = False  # a request began in this piece of data
        self._unanswered: list[RequestResponseCycle] = []
        self._ends = False  # nothing more is read; closed once the answer being made is sent
        self._head_bytes = 0  # of address and headers, as far as they are parsed
        self._unparsed_bytes = 0  # received since the parser last had something to tell

    @property
    def waits(self) -> bool:
        """No request is being handled, and no answer is pending."""
        return not self._busy and not self.transport.get_write_buffer_size()

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _busy(self) -> bool:
        cycle = self.cycle
        return (
            cycle is not None and not cycle.response_complete and (not cycle.more_body or bool(self.pipeline))
        )

    # --- arriving -------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect(self.limits.idle_seconds)
        if len(self.connections) > self.limits.max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._ends or self.transport.is_closing():
            return
        was_arriving, self._begun = self._arriving, False
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._ends:
            return
        if self.transport.get_protocol() is not self:  # a WebSocket now
            self._stop_timer()
        elif self._head_bytes + self._unparsed_bytes > MAX_HEAD_BYTES:
            self._refuse(431)
        elif len(self.pipeline) > MAX_PIPELINED:
            self._refuse(400)
        else:
            self._set_timer(was_arriving)

    def _set_timer(self, was_arriving: bool) -> None:
        if self.pipeline or (self._busy and not self._arriving):
            self._stop_timer()
        elif self._arriving:
            if self._begun or self._timer is None:
                self._expect(self.limits.arrival_seconds)
        elif self._timer is None or was_arriving or self._begun:
            self._expect(self.limits.idle_seconds)  # the end of a request that was answered before it came

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving = self._begun = True
        self._head_bytes = self._unparsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._parsed(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._parsed(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge  # ends the parsing, and comes back as `send_400_response`
        super().on_headers_complete()
        self._unanswered = [each for each in self._unanswered if not each.response_complete]
        if self.cycle is not None:
            self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._unparsed_bytes = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._arriving, self._unparsed_bytes = False, 0

    def _parsed(self, size: int) -> None:
        self._head_bytes += size
        self._unparsed_bytes = 0

    # --- answering and ending -------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        self._refuse(431 if self._head_bytes > MAX_HEAD_BYTES else 400)

    def _refuse(self, status: int) -> None:
        """A request being handled is answered first; then no second answer fits."""
        self._stop_timer()
        if self._busy:
            self._ends = True
            self.pipeline.clear()
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:  # the body of a request turned out to be none
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self.transport.write(self.limits.refusal(status))
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._ends:
            self.transport.close()
        elif self._arriving and self._timer is None and not self.pipeline:  # the next one, sent ahead
            self._expect(self.limits.arrival_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        for cycle in self._unanswered:  # uvicorn tells the last one alone, and the others write to nobody
            cycle.disconnected = True
            cycle.message_event.set()

    def _expect(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- too many -------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Close the oldest idle connections of the busiest address: requests answered at once are never
        affected."""
        most, log = self.limits.max_connections, self.limits.log
        waiting = [
            line
            for line in self.connections
            if isinstance(line, HttpConnection) and line is not self and line.waits
        ]
        by_address = Counter(line.address for line in waiting)
        waiting.sort(key=lambda line: (-by_address[line.address], line.since))
        for line in waiting[: max(most // 10, 1)] or [self]:
            line.transport.abort()
            self.connections.discard(line)  # or each of a crowd would look for the same ones again
        if time.monotonic() - HttpConnection.warned_at > WARN_EVERY_SECONDS:
            HttpConnection.warned_at = time.monotonic()
            words = "all %s connections are taken, %s of them only wait: %s"
            log.warning(words, most, len(waiting), "the oldest of the busiest address are closed")
