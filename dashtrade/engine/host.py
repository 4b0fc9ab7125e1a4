"""The process around an engine, as the engine sees it."""

from __future__ import annotations

from dashtrade.domain.symbols import Symbol
from dashtrade.engine.intake import Accepted, Alert
from dashtrade.tables.lanes import Lane


class Host:
    """A process on its own: it stores alerts itself, may send at once, and has nobody to tell."""

    def store(self, alert: Alert) -> Accepted | None:
        """In another process, which holds the database's writer. None: not stored there."""
        return None

    def wake(self, lane: Lane, signal_id: str) -> None:
        """There is work in the lane. A worker finds it anyway; told, it begins at once."""

    def changed(self, signal_id: str) -> None:
        """Something came of a signal."""

    def wait_reason(self, account_id: int, symbol: Symbol) -> str:
        """Why nothing new may be sent there yet; empty: it may be sent."""
        return ""
