"""The process around an engine, as the engine uses it."""

from __future__ import annotations

from dashtrade.domain.kernel.accepting import Alert, IntakeResult
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.domain.symbols import Symbol


class Host:
    """A stand-alone process: stores alerts itself, may send at once, and notifies no other process."""

    def store(self, alert: Alert) -> IntakeResult | None:
        """Store in the process that holds the database's writer. None: not stored there."""
        return None

    def wake(self, lane: Lane, signal_id: str) -> None:
        """There is work in the lane. A worker finds it on its next pass; this makes it start at once."""

    def on_change(self, signal_id: str, outcome: SignalOutcome | None = None) -> None:
        """The outcome of a signal changed: to this, if it has ended and is known here."""

    def wait_reason(self, account_id: int, symbol: Symbol) -> Reason:
        """Why nothing new may be sent there yet; NO_REASON if it may."""
        return NO_REASON
