"""Limits and exits that were triggered, as their user reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Reason
from dashtrade.services.records import records
from dashtrade.tables import risk_events as table


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEvent:
    id: int
    at: datetime
    account_id: int
    bot_id: int
    kind: str
    threshold: Decimal
    actual: Decimal
    action: Reason
    detail: Reason
    signal_id: str | None


def risk_events(
    app: App, user: User, *, limit: int, before: int | None = None, bot_id: int | None = None
) -> list[RiskEvent]:
    """Newest first."""
    with app.db.read() as conn:
        found = table.list_risk_events(conn, user.id, before=before, limit=limit, bot_id=bot_id)
    return records(RiskEvent, found)
