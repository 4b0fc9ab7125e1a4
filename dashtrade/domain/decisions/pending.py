"""A decision that is to be made, or made and not ended."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol


@record
class PendingDecision:
    id: int
    user_id: int
    signal_id: str
    bot_id: int
    account_id: int
    symbol: Symbol
    status: str
    reason: Reason
    sole_recipient: bool
    cancelled_count: int
    received_at: datetime
    due_at: datetime | None
    held_until: datetime | None
    expires_at: datetime | None

    @property
    def ready_at(self) -> datetime:
        """When it could be decided at the earliest: an alert with a delay, or for the next open, is not late
        before that."""
        return max(self.received_at, self.due_at or self.received_at)
