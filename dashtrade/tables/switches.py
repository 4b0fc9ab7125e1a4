"""The switches above the bots: all trading, a user's, an account's, a bot's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.bots import Stop
from dashtrade.tables.base import BigId, int_column, metadata, text_column, time_column

switches = sa.Table(
    "switches",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("scope_id", BigId, primary_key=True, autoincrement=False),
    int_column("user_id"),
    text_column("stop"),
    text_column("reason"),
    int_column("set_by"),
    time_column("at"),
)

SYSTEM: set[str] = set()


def list_switches(conn: sa.Connection, owner: int) -> list[Any]:
    """The user's own, and the global one."""
    query = sa.select(switches).where(sa.or_(switches.c.user_id == owner, switches.c.scope == "all"))
    return list(conn.execute(query.order_by(switches.c.scope, switches.c.scope_id)))


def put_switch(
    conn: sa.Connection,
    owner: int,
    *,
    scope: str,
    scope_id: int,
    stop: Stop,
    reason: str,
    set_by: int,
    at: datetime,
) -> None:
    """The caller has checked that the scope is the owner's (or that they may switch all)."""
    key = (switches.c.scope == scope) & (switches.c.scope_id == scope_id)
    conn.execute(sa.delete(switches).where(key))
    if stop is not Stop.NONE:
        row = {
            "scope": scope,
            "scope_id": scope_id,
            "user_id": owner,
            "stop": str(stop),
            "reason": reason,
            "set_by": set_by,
            "at": at,
        }
        conn.execute(sa.insert(switches).values(**row))
