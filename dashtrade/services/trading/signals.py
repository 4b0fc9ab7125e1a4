"""Signals as their user reads them: what arrived, and which bots act on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.services.records import records
from dashtrade.tables import signals as table


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """A signal as stored, without its body."""

    id: str
    received_at: datetime
    ended_at: datetime | None
    repeated_at: datetime | None
    duplicate_count: int
    origin: str
    sender: str
    dialect: str
    action: str
    symbol: Symbol | None  # None: unreadable
    written_symbol: str
    timeframe: int | None
    status: str
    reason: Reason


def signals(
    app: App,
    user: User,
    *,
    limit: int,
    before: str | None = None,
    status: str | None = None,
    symbol: Symbol | None = None,
    bot_id: int | None = None,
) -> list[SignalRecord]:
    """Newest first, refused ones included."""
    with app.db.read() as conn:
        found = table.list_page(
            conn, user.id, before=before, limit=limit, status=status, symbol=symbol, bot_id=bot_id
        )
    return records(SignalRecord, found)
