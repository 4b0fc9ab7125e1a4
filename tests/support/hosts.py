"""Hosts of an engine for tests: one thing of a process, the rest as in a process on its own."""

from __future__ import annotations

from collections.abc import Callable

from dashtrade.domain.kernel.accepting import Alert, IntakeResult
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.reasons import Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.host import Host


class GatedHost(Host):
    """Nothing new is sent while the gate gives a reason."""

    def __init__(self, gate: Callable[[int, Symbol], Reason]) -> None:
        self._gate = gate

    def wait_reason(self, account_id: int, symbol: Symbol) -> Reason:
        return self._gate(account_id, symbol)


class StoringHost(Host):
    """Alerts go to another process, which may store them."""

    def __init__(self, store: Callable[[Alert], IntakeResult | None]) -> None:
        self._store = store

    def store(self, alert: Alert) -> IntakeResult | None:
        return self._store(alert)


class WakeHost(Host):
    """There is somebody to wake."""

    def __init__(self, wake: Callable[[Lane], None]) -> None:
        self._wake = wake

    def wake(self, lane: Lane, signal_id: str) -> None:
        self._wake(lane)
