"""Actions of limits and protections (`bot_risk_events`)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.kernel.records import RiskEvent
from dashtrade.tables.base import (
    decimal_column,
    id_column,
    int_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import run

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


SYSTEM = {"add"}


_ADD = sa.insert(risk_events)


def add(conn: sa.Connection, event: RiskEvent) -> None:
    row = {field.name: getattr(event, field.name) for field in fields(event) if field.name != "bot"}
    bot = event.bot
    run(conn, _ADD, row | {"user_id": bot.user_id, "account_id": bot.account_id, "bot_id": bot.id})


def list_risk_events(
    conn: sa.Connection, owner: int, *, before: int | None, limit: int, bot_id: int | None = None
) -> list[Any]:
    query = sa.select(risk_events).where(risk_events.c.user_id == owner)
    if before is not None:
        query = query.where(risk_events.c.id < before)
    if bot_id is not None:
        query = query.where(risk_events.c.bot_id == bot_id)
    return list(conn.execute(query.order_by(risk_events.c.id.desc()).limit(limit)))
