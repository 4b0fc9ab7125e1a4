"""Each order's history: a line for every change of its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Reason
from dashtrade.tables.base import (
    id_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
    without_index,
)
from dashtrade.tables.compiled_sql import run_many
from dashtrade.tables.orders import orders

events = sa.Table(
    "order_events",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), nullable=False, index=True),
    time_column("at"),
    text_column("status"),
    reason_column("detail"),
)

SYSTEM = {"log"}

_LOG = sa.insert(events)


def log(conn: sa.Connection, lines: list[tuple[Order, datetime, str, Reason]]) -> None:
    """(order, when, status, detail): one line per change of state."""
    run_many(
        conn,
        _LOG,
        [
            {"user_id": o.user_id, "order_id": o.id, "at": at, "status": status, "detail": detail}
            for o, at, status, detail in lines
        ],
    )


def events_for_signal(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    query = sa.select(events).join(orders, orders.c.id == events.c.order_id)
    return list(
        conn.execute(
            query.where(without_index(orders.c.user_id) == owner, orders.c.signal_id == signal_id).order_by(
                events.c.id
            )
        )
    )
