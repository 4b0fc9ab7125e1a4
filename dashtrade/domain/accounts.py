"""A broker account, as the layers above the database use it."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any

from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record

PAPER = "paper"  # the built-in broker: its books are in our own database, and it is always available


@record
class Account:
    id: int
    user_id: int
    broker: str
    mode: str
    label: str
    credentials: str = field(repr=False)  # sealed by the vault
    # sealed too: what the adapter renews, such as an expiring token
    session: str | None = field(repr=False)
    options: dict[str, Any]
    is_active: bool
    disabled_reason: Reason
    created_at: datetime
    checked_at: datetime | None
    check_result: dict[str, Any] | None
    deleted_at: datetime | None
    acknowledged_at: datetime | None  # when its user confirmed trading with real money
    # when they confirmed without a second factor; empty once they have one
    second_factor_declined_at: datetime | None
    simulated: bool = False  # live, traded on the built-in paper broker when the row was read

    @property
    def built_in(self) -> bool:
        """Books and prices are local, so nothing waits for a network."""
        return self.broker == PAPER

    @property
    def confirmed_live(self) -> bool:
        """Live, and its owner has confirmed trading with real money."""
        return self.mode == "live" and self.acknowledged_at is not None

    @property
    def problem(self) -> Reason:
        """Why the account may not trade; no reason if it may."""
        if self.deleted_at:
            return Reason(Code.ACCOUNT_REMOVED)
        if not self.is_active:
            return reason(Code.ACCOUNT_DISABLED, because=self.disabled_reason)
        if self.mode == "live" and self.acknowledged_at is None:
            return Reason(Code.ACCOUNT_UNCONFIRMED)
        return NO_REASON
