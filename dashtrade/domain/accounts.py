"""A broker account, as everything above the database knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason

PAPER = "paper"  # the built-in broker: its books are in our own database, and there is always one


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: int
    user_id: int
    broker: str
    mode: str
    label: str
    credentials: str = field(repr=False)  # sealed by the vault
    # sealed too: what the venue renews by itself, such as a token that ages
    session: str | None = field(repr=False)
    options: dict[str, Any]
    is_active: bool
    disabled_reason: Reason
    created_at: datetime
    checked_at: datetime | None
    check_result: dict[str, Any] | None
    deleted_at: datetime | None
    acknowledged_at: datetime | None  # when a person said that it may trade with real money
    # when they said so without a second factor; empty once they have one
    second_factor_declined_at: datetime | None
    simulated: bool = False  # live, and traded on the built-in paper broker now: as true as the row was read

    @property
    def built_in(self) -> bool:
        """Its books and its prices are at hand, so that nothing of it waits for a network."""
        return self.broker == PAPER

    @property
    def confirmed_live(self) -> bool:
        """It may trade with real money, as far as its owner is asked."""
        return self.mode == "live" and self.acknowledged_at is not None

    @property
    def problem(self) -> Reason:
        return problem_of(self)


def problem_of(row: Any) -> Reason:
    """Why it may not trade; no reason when it may."""
    if row.deleted_at:
        return Reason(Code.ACCOUNT_REMOVED)
    if not row.is_active:
        return reason(Code.ACCOUNT_DISABLED, because=row.disabled_reason)
    if row.mode == "live" and row.acknowledged_at is None:
        return Reason(Code.ACCOUNT_UNCONFIRMED)
    return NO_REASON
