"""Flattening a bot, an account or a user: the requests, and each bot's progress."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.reasons import NO_REASON
from dashtrade.tables.base import (
    BigId,
    Instrument,
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

flattens = sa.Table(
    "flattens",
    metadata,
    id_column(),
    owner_column(),
    text_column("scope"),
    int_column("scope_id"),
    text_column("status"),
    text_column("asked_by"),
    time_column("created_at"),
    time_column("ended_at", nullable=True),
    sa.Index("ix_flattens_user", "user_id", "id"),
    sa.Index(
        "ix_flattens_running",
        "id",
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    ),
)
items = sa.Table(
    "flatten_items",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("flatten_id", BigId, sa.ForeignKey("flattens.id"), nullable=False, index=True),
    int_column("account_id"),
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), nullable=False),
    sa.Column("symbol", Instrument, nullable=False),
    decimal_column("quantity"),
    text_column("status"),
    reason_column("reason"),
    int_column("tries"),
    time_column("next_at", nullable=True),
    text_column("signal_id", nullable=True),
)

SYSTEM = {"running", "items_of", "put_item", "end"}


def add(
    conn: sa.Connection,
    owner: int,
    *,
    scope: str,
    scope_id: int,
    asked_by: str,
    now: datetime,
    bots: list[Any],
) -> int:
    """One row for each bot, in the order in which they are closed."""
    row = {
        "user_id": owner,
        "scope": scope,
        "scope_id": scope_id,
        "status": "running",
        "asked_by": asked_by,
        "created_at": now,
        "ended_at": None,
    }
    flatten_id = insert_returning_id(conn, sa.insert(flattens).values(**row))
    for bot in bots:
        conn.execute(
            sa.insert(items).values(
                user_id=owner,
                flatten_id=flatten_id,
                account_id=bot.account_id,
                bot_id=bot.id,
                symbol=bot.symbol,
                quantity=bot.position.quantity,
                status="waiting",
                reason=NO_REASON,
                tries=0,
                next_at=None,
                signal_id=None,
            )
        )
    return flatten_id


def get(conn: sa.Connection, owner: int, flatten_id: int) -> Any | None:
    return conn.execute(
        sa.select(flattens).where(flattens.c.user_id == owner, flattens.c.id == flatten_id)
    ).first()


def items_of_owner(conn: sa.Connection, owner: int, flatten_id: int) -> list[Any]:
    of_owner = (items.c.user_id == owner) & (items.c.flatten_id == flatten_id)
    return list(conn.execute(sa.select(items).where(of_owner).order_by(items.c.id)))


def latest(conn: sa.Connection, owner: int, *, limit: int) -> list[Any]:
    return list(
        conn.execute(
            sa.select(flattens).where(flattens.c.user_id == owner).order_by(flattens.c.id.desc()).limit(limit)
        )
    )


def under_way(conn: sa.Connection, owner: int) -> dict[int, int]:
    """The bots that are being closed, and by which flatten."""
    open_ = (
        (items.c.user_id == owner)
        & (flattens.c.status == "running")
        & items.c.status.not_in(("done", "stuck"))
    )
    query = (
        sa.select(items.c.bot_id, items.c.flatten_id)
        .join(flattens, flattens.c.id == items.c.flatten_id)
        .where(open_)
    )
    return {row.bot_id: row.flatten_id for row in conn.execute(query.order_by(items.c.id))}


# --- for the worker -----------------------------------------------------------------------------------------


def running(conn: sa.Connection) -> list[Any]:
    return list(
        conn.execute(sa.select(flattens).where(sa.text("status = 'running'")).order_by(flattens.c.id))
    )


def items_of(conn: sa.Connection, flatten_id: int) -> list[Any]:
    return list(conn.execute(sa.select(items).where(items.c.flatten_id == flatten_id).order_by(items.c.id)))


def put_item(conn: sa.Connection, seen: Any, **values: Any) -> bool:
    """Unless another worker has advanced it meanwhile."""
    same = (items.c.id == seen.id) & (items.c.status == seen.status) & (items.c.tries == seen.tries)
    return conn.execute(sa.update(items).where(same).values(**values)).rowcount == 1


def end(conn: sa.Connection, flatten_id: int, *, status: str, now: datetime) -> bool:
    wanted = (flattens.c.id == flatten_id) & (flattens.c.status == "running")
    return conn.execute(sa.update(flattens).where(wanted).values(status=status, ended_at=now)).rowcount == 1
