"""Actions of limits and protections (`bot_risk_events`)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.tables.base import (
    decimal_column,
    id_column,
    insert_returning_id,
    int_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)

risk_events = sa.Table(
    "bot_risk_events",
    metadata,
    id_column(),
    owner_column(),
    int_column("account_id"),
    int_column("bot_id"),
    time_column("at"),
    text_column("kind"),
    decimal_column("threshold"),
    decimal_column("actual"),
    reason_column("action"),
    reason_column("detail"),
    text_column("signal_id", nullable=True),
    sa.Index("ix_bot_risk_events_user_id", "user_id", "id"),
)


SYSTEM = {"add_risk_event"}


def add_risk_event(conn: sa.Connection, bot: Bot, **values: Any) -> int:
    row = {"user_id": bot.user_id, "account_id": bot.account_id, "bot_id": bot.id} | values
    return insert_returning_id(conn, sa.insert(risk_events).values(**row))


def list_risk_events(
    conn: sa.Connection, owner: int, *, before: int | None, limit: int, bot_id: int | None = None
) -> list[Any]:
    query = sa.select(risk_events).where(risk_events.c.user_id == owner)
    if before is not None:
        query = query.where(risk_events.c.id < before)
    if bot_id is not None:
        query = query.where(risk_events.c.bot_id == bot_id)
    return list(conn.execute(query.order_by(risk_events.c.id.desc()).limit(limit)))
