"""Hints between the processes of one machine: "there is work in this lane", "something came of that signal".

Datagrams on the loopback. They only save the waiting: whoever is not told, or told wrongly, finds everything in the database
a moment later. The worker leaves its port in the home folder; who has told it of a signal is told when something comes of it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from dashtrade.domain.values import Malformed
from dashtrade.tables.base import symbol_of
from dashtrade.tables.signals import Lane

log = logging.getLogger("dashtrade.nudge")
REMEMBERED = 5000


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


class WorkerEnd:
    """The worker's: hears of work, tells of outcomes."""

    def __init__(self, home: Path, wake: Callable[[Lane], None]) -> None:
        self._wake, self._sock = wake, _socket()
        self._askers: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._file = home / "worker.port"
        self._file.write_text(str(self._sock.getsockname()[1]))
        threading.Thread(target=self._listen, name="nudges", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                data, sender = self._sock.recvfrom(1024)
            except OSError:  # closed: the worker is ending
                return
            try:
                account_id, symbol, signal_id = json.loads(data)
                lane = Lane(int(account_id), symbol_of(str(symbol)))
            except (ValueError, TypeError, Malformed):
                log.warning("a nudge that cannot be read came from %s", sender)
                continue
            self._askers[str(signal_id)] = sender
            while len(self._askers) > REMEMBERED:
                self._askers.popitem(last=False)
            self._wake(lane)

    def tell(self, signal_id: str) -> None:
        asker = self._askers.get(signal_id)
        if asker is not None:
            with contextlib.suppress(OSError):
                self._sock.sendto(signal_id.encode(), asker)

    def close(self) -> None:
        self._sock.close()


class AskerEnd:
    """The receiver's and the dashboard's: tells the worker of work, and waits for what comes of it."""

    def __init__(self, home: Path) -> None:
        self._file, self._sock = home / "worker.port", _socket()
        self._waiters: dict[str, threading.Event] = {}
        self._early: OrderedDict[str, None] = OrderedDict()
        self._port, self._asked = 0, float("-inf")
        threading.Thread(target=self._listen, name="nudges", daemon=True).start()

    def work(self, lane: Lane, signal_id: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if time.monotonic() - self._asked > 1:  # the worker may have been started anew
                self._asked = time.monotonic()
                self._port = int(self._file.read_text())
            self._sock.sendto(f'[{lane.account_id},"{lane.symbol.text}","{signal_id}"]'.encode(), ("127.0.0.1", self._port))

    def watch(self, signal_id: str) -> threading.Event:
        event = self._waiters.setdefault(signal_id, threading.Event())
        if signal_id in self._early:
            event.set()
        return event

    def forget(self, signal_id: str) -> None:
        self._waiters.pop(signal_id, None)

    def heard(self, signal_id: str) -> None:
        self._early[signal_id] = None  # nobody may be waiting yet
        while len(self._early) > REMEMBERED:
            self._early.popitem(last=False)
        event = self._waiters.get(signal_id)
        if event is not None:
            event.set()

    def _listen(self) -> None:
        while True:
            try:
                data, _ = self._sock.recvfrom(256)
            except OSError:
                return
            self.heard(data.decode("ascii", "replace"))

    def close(self) -> None:
        self._sock.close()
