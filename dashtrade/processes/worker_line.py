"""The connection of an event loop to the worker: alerts handed over, outcomes heard, without a thread.

What it speaks, and why nothing depends on it, is in `worker_ipc`; that one's client is for threads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import OrderedDict
from pathlib import Path
from typing import Any

from dashtrade.processes.frames import (
    ANSWER_SECONDS,
    MAX_FRAME_BYTES,
    MAX_REMEMBERED,
    RECONNECT_SECONDS,
    SIZE,
    UNRESPONSIVE_SECONDS,
    frame,
    socket_file,
)


class WorkerLine:
    """Of one event loop; connects when it is first used, and again when the worker was gone."""

    def __init__(self, home: Path) -> None:
        self._file = socket_file(home)
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._next_attempt = float("-inf")
        self._last_request_id = 0
        self._outcomes: OrderedDict[str, Any] = OrderedDict()  # by signal: the last that was told
        self._changes: dict[str, asyncio.Event] = {}

    async def hand_over(self, alert: Any) -> Any | None:
        """The worker's reply once the alert is durable; None without a reply, when the alert may or may
        not be stored."""
        connection = self._connection or await self._connect()
        if connection is None:
            return None
        self._last_request_id += 1
        return await connection.ask(self._last_request_id, alert)

    async def _connect(self) -> _Connection | None:
        async with self._connecting:
            loop = asyncio.get_running_loop()
            if self._connection is not None or loop.time() < self._next_attempt:
                return self._connection
            self._next_attempt = loop.time() + RECONNECT_SECONDS
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.setblocking(False)
                sock.connect(os.path.realpath(self._file))
                made = _Connection(self)
                await loop.create_unix_connection(lambda: made, sock=sock)
            except OSError:  # no worker, or one that takes in nobody
                sock.close()
                return None
            self._connection = made
            return made

    def disconnected(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None

    def unresponsive(self) -> None:
        """Leave the worker alone for a while."""
        self._next_attempt = asyncio.get_running_loop().time() + UNRESPONSIVE_SECONDS
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- outcomes -------------------------------------------------------------------------------------------

    def heard(self, signal_id: str, outcome: Any) -> None:
        self._outcomes[signal_id] = outcome  # for one that waits later
        while len(self._outcomes) > MAX_REMEMBERED:
            self._outcomes.popitem(last=False)
        change = self._changes.get(signal_id)
        if change is not None:
            change.set()

    async def change(self, signal_id: str, seconds: float) -> Any | None:
        """Wait until the signal changes, or the time is over; returns its outcome, if that was told."""
        event = self._changes.setdefault(signal_id, asyncio.Event())
        try:
            if signal_id not in self._outcomes:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await event.wait()
        finally:
            self._changes.pop(signal_id, None)
        return self._outcomes.pop(signal_id, None)

    def close(self) -> None:
        self._next_attempt = float("inf")
        if self._connection is not None:
            self._connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, line: WorkerLine) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, asyncio.Future[Any | None]] = {}
        self._out: list[bytes] = []
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    async def ask(self, request_id: int, alert: Any) -> Any | None:
        reply = self._pending[request_id] = self._loop.create_future()
        if not self._out:  # alerts that came together go out together
            self._loop.call_soon(self._flush)
        self._out.append(frame(["accept", request_id, alert]))
        too_late = self._loop.call_later(ANSWER_SECONDS, self._line.unresponsive)
        try:
            return await reply
        finally:
            too_late.cancel()
            self._pending.pop(request_id, None)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))
        else:
            self._let_go()

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        at = 0
        while len(data) - at >= SIZE.size:
            size = SIZE.unpack_from(data, at)[0]
            if size > MAX_FRAME_BYTES:
                self.close()
                return
            end = at + SIZE.size + size
            if len(data) < end:
                break
            self._dispatch(json.loads(data[at + SIZE.size : end]))
            at = end
        self._received = data[at:]

    def _dispatch(self, message: Any) -> None:
        match message:
            case ["accepted", request_id, value]:
                reply = self._pending.get(request_id)
                if reply is not None and not reply.done():
                    reply.set_result(value)
            case ["change", signal_id, outcome]:
                self._line.heard(signal_id, outcome)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.disconnected(self)
        self._let_go()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._let_go()

    def _let_go(self) -> None:
        for reply in self._pending.values():
            if not reply.done():
                reply.set_result(None)
