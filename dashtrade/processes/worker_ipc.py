"""The worker's socket for the other processes on this machine: they pass alerts to the worker, notify it of
work, and are notified of outcomes.

SQLite has one writer at a time, mostly the worker. An alert passed to the worker is committed together with
others, and is answered in a fraction of the time that two processes need to alternate on the database lock.
Nothing depends on the socket: a process without a timely reply stores the alert itself under the same id,
and a process that misses a notification finds the outcome in the database.

The Unix socket is in the home folder, which only DashTrade's own user can open: no one else can reach the
worker through the socket, or pose as the worker. Messages are JSON, and only the expected records are read
from them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
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

log = logging.getLogger("dashtrade.processes.worker_ipc")
MAX_ADDRESS_BYTES = 100  # limit for a Unix socket's path, with a reserve


def _frames(sock: socket.socket) -> Iterator[bytes]:
    """Yields messages until the connection ends."""
    with contextlib.suppress(OSError), sock.makefile("rb", 65536) as file:
        while len(head := file.read(SIZE.size)) == SIZE.size:
            size = SIZE.unpack(head)[0]
            if size > MAX_FRAME_BYTES or len(body := file.read(size)) < size:
                return
            yield body


def _listen_at(file: Path) -> socket.socket:
    """Listen at `file`. If the path is too long for a socket, or the file system has none, the socket is
    in a private folder (0700) and the home contains a link."""
    _remove(file)
    listening = socket.socket(socket.AF_UNIX)
    try:
        if len(os.fsencode(file)) > MAX_ADDRESS_BYTES:
            raise OSError("the name is too long")
        listening.bind(str(file))
    except OSError:
        elsewhere = Path(tempfile.mkdtemp(prefix="dashtrade-")) / file.name
        listening.bind(str(elsewhere))
        file.symlink_to(elsewhere)
    file.chmod(0o600)
    listening.listen(64)
    return listening


def _remove(file: Path) -> None:
    if file.is_symlink():
        elsewhere = file.readlink()
        elsewhere.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            elsewhere.parent.rmdir()
    file.unlink(missing_ok=True)


class ClientConnection:
    """The worker's end of one connection. Never blocks: a client that does not read is disconnected."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._lock = sock, threading.Lock()

    def tell(self, *message: Any) -> None:
        data = frame(message)
        with self._lock, contextlib.suppress(OSError):
            if self._sock.send(data, socket.MSG_DONTWAIT) < len(data):
                self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class WorkerServer:
    """The worker's end. The server's threads call `accept(connection, request_id, alert)` and
    `wake(lane)`; `outcome(owner, signal_id)` returns the outcome of a signal whose sender waits, None
    while in progress."""

    def __init__(
        self,
        home: Path,
        accept: Callable[[ClientConnection, int, Any], None],
        wake: Callable[[Any], None],
        outcome: Callable[[int, str], dict[str, Any] | None],
    ) -> None:
        self._accept, self._wake, self._outcome = accept, wake, outcome
        self._file = socket_file(home)
        self._listening = _listen_at(self._file)
        self._connections: set[ClientConnection] = set()
        self._by_signal: OrderedDict[str, tuple[ClientConnection, int | None]] = OrderedDict()
        threading.Thread(target=self._accept_connections, name="worker-server", daemon=True).start()

    def _accept_connections(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:  # closed: the worker is exiting
                return
            threading.Thread(target=self._serve, args=(sock,), name="worker-client", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        connection = ClientConnection(sock)
        self._connections.add(connection)
        try:
            for body in _frames(sock):
                self._dispatch(connection, *json.loads(body))
        except Exception:
            log.exception("a client's message could not be read")
        finally:
            self._connections.discard(connection)
            sock.close()

    def _dispatch(self, connection: ClientConnection, what: str, *fields: Any) -> None:
        if what == "accept":
            self._accept(connection, *fields)
        else:
            lane, signal_id = fields
            self._subscribe(connection, signal_id, None)
            self._wake(lane)

    def subscribe(self, connection: ClientConnection, signal_id: str, owner: int | None = None) -> None:
        """Notify this connection of the signal's outcome, where its sender waits: `owner` is whose signal it
        is, None where nobody waits."""
        if owner is not None:
            self._subscribe(connection, signal_id, owner)

    def _subscribe(self, connection: ClientConnection, signal_id: str, owner: int | None) -> None:
        """Notify this connection when the signal changes; with `owner`, of the outcome too."""
        self._by_signal[signal_id] = connection, owner
        while len(self._by_signal) > MAX_REMEMBERED:
            self._by_signal.popitem(last=False)

    def tell(self, signal_id: str, outcome: dict[str, Any] | None = None) -> None:
        """`outcome`, if it is known already."""
        connection, owner = self._by_signal.get(signal_id, (None, None))
        if connection is None:
            return
        if owner is not None and outcome is None:
            outcome = self._outcome(owner, signal_id)
        if outcome is not None:  # delivered; a later question is answered from the database
            self._by_signal.pop(signal_id, None)
        connection.tell("change", signal_id, outcome)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        _remove(self._file)
        for connection in list(self._connections):
            connection.close()


class _PendingReply:
    """The reply to an alert that was passed to the worker."""

    __slots__ = ("done", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.done = threading.Lock()
        self.done.acquire()


class WorkerClient:
    """The end of the receiver and the dashboard: passes alerts, notifies of work, waits for outcomes."""

    def __init__(self, home: Path) -> None:
        self._file = socket_file(home)
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._last_attempt = float("-inf")
        self._last_request_id = 0
        self._pending: dict[int, _PendingReply] = {}
        self._waiters: dict[str, threading.Event] = {}
        self._outcomes: OrderedDict[str, dict[str, Any] | None] = OrderedDict()

    # --- calling --------------------------------------------------------------------------------------------

    def hand_over(self, alert: Any) -> Any | None:
        """The worker's reply once the alert is durable; None without a reply, when the alert may or may
        not be stored."""
        answer = _PendingReply()
        with self._lock:
            self._last_request_id += 1
            request_id = self._last_request_id
            self._pending[request_id] = answer
            sent = self._send(["accept", request_id, alert])
        if sent and not answer.done.acquire(timeout=ANSWER_SECONDS):
            self._last_attempt = time.monotonic() + UNRESPONSIVE_SECONDS
            with self._lock:
                self._disconnect()
        self._pending.pop(request_id, None)
        return answer.value

    def work(self, lane: Any, signal_id: str) -> None:
        with self._lock:
            self._send(["work", lane, signal_id])

    def _send(self, message: Any) -> bool:
        try:
            sock = self._sock or self._connect()
            if sock is None:
                return False
            sock.sendall(frame(message))
        except (OSError, ValueError):  # no worker, or one that is exiting
            self._disconnect()
            return False
        return True

    def _connect(self) -> socket.socket | None:
        """A connection to the running worker, if there is one."""
        if time.monotonic() - self._last_attempt < RECONNECT_SECONDS:
            return None
        self._last_attempt = time.monotonic()
        sock = socket.socket(socket.AF_UNIX)
        # For connecting and sending; reading blocks without a timeout.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
        try:
            sock.connect(os.path.realpath(self._file))
        except OSError:
            sock.close()
            raise
        self._sock = sock
        threading.Thread(target=self._listen, args=(sock,), name="from-worker", daemon=True).start()
        return sock

    def _disconnect(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for answer in list(self._pending.values()):  # release the callers that wait for a reply
            with contextlib.suppress(RuntimeError):
                answer.done.release()

    # --- receiving ------------------------------------------------------------------------------------------

    def _listen(self, sock: socket.socket) -> None:
        for body in _frames(sock):
            match json.loads(body):
                case ["accepted", request_id, value]:
                    answer = self._pending.get(request_id)
                    if answer is not None:
                        answer.value = value
                        with contextlib.suppress(RuntimeError):  # the waiter has just given up
                            answer.done.release()
                case ["change", signal_id, outcome]:
                    self.on_change(signal_id, outcome)
        with self._lock:
            if self._sock is sock:
                self._disconnect()
        sock.close()

    def on_change(self, signal_id: str, outcome: dict[str, Any] | None = None) -> None:
        self._outcomes[signal_id] = outcome  # for a waiter that comes later
        while len(self._outcomes) > MAX_REMEMBERED:
            self._outcomes.popitem(last=False)
        event = self._waiters.get(signal_id)
        if event is not None:
            event.set()

    def watch(self, signal_id: str) -> threading.Event:
        event = self._waiters.setdefault(signal_id, threading.Event())
        if signal_id in self._outcomes:
            event.set()
        return event

    def outcome_of(self, signal_id: str) -> dict[str, Any] | None:
        return self._outcomes.get(signal_id)

    def forget(self, signal_id: str) -> None:
        self._waiters.pop(signal_id, None)

    def close(self) -> None:
        with self._lock:
            self._last_attempt = float("inf")
            self._disconnect()
