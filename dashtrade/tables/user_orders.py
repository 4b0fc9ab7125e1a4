"""A user's orders, as pages and REST list them; the worker's queries are in `orders`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.orders import Order
from dashtrade.domain.symbols import Symbol
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import without_index
from dashtrade.tables.compiled_sql import rows
from dashtrade.tables.orders import IS_OPEN, order_from_row, orders

SYSTEM: set[str] = set()

_FOR_SIGNAL = (
    sa.select(orders)
    .where(without_index(orders.c.user_id) == p("owner"), orders.c.signal_id == p("signal_id"))
    .order_by(orders.c.bot_id, orders.c.step)
)


def get(conn: sa.Connection, owner: int, order_id: str) -> Order | None:
    row = conn.execute(sa.select(orders).where(orders.c.user_id == owner, orders.c.id == order_id)).first()
    return order_from_row(row) if row else None


def list_page(
    conn: sa.Connection,
    owner: int,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
    status: str | None = None,
    bot_id: int | None = None,
    symbol: Symbol | None = None,
) -> list[Order]:
    query = sa.select(orders).where(orders.c.user_id == owner)
    if before:
        at, last = before
        query = query.where(
            sa.or_(orders.c.created_at < at, sa.and_(orders.c.created_at == at, orders.c.id < last))
        )
    if status == "open":
        query = query.where(
            IS_OPEN, orders.c.account_id.in_(sa.select(accounts.c.id).where(accounts.c.user_id == owner))
        )
    elif status:
        query = query.where(orders.c.status == status)
    if bot_id is not None:
        query = query.where(orders.c.bot_id == bot_id)
    if symbol:
        query = query.where(orders.c.symbol == symbol)
    return [
        order_from_row(row)
        for row in conn.execute(query.order_by(orders.c.created_at.desc(), orders.c.id.desc()).limit(limit))
    ]


_OPEN_ORDERS = (
    sa.select(orders)
    .where(
        IS_OPEN,
        without_index(orders.c.user_id) == p("owner"),
        orders.c.account_id.in_(sa.select(accounts.c.id).where(accounts.c.user_id == p("owner"))),
    )
    .order_by(orders.c.created_at.desc(), orders.c.id.desc())
)


def list_open(conn: sa.Connection, owner: int) -> list[Order]:
    """Every order that has not ended, newest first. By account, as open orders have an index, however long
    the history is."""
    return [order_from_row(row) for row in rows(conn, _OPEN_ORDERS, {"owner": owner})]


def by_venue_number(
    conn: sa.Connection, owner: int, account_id: int, broker_order_id: str, *, since: datetime
) -> str | None:
    """Our order with this broker number, among the newer ones."""
    of_owner = (
        (orders.c.user_id == owner) & (orders.c.created_at >= since) & (orders.c.account_id == account_id)
    )
    return conn.scalar(
        sa.select(orders.c.id).where(of_owner, orders.c.broker_order_id == broker_order_id).limit(1)
    )


def for_signal(conn: sa.Connection, owner: int, signal_id: str) -> list[Order]:
    return [order_from_row(row) for row in rows(conn, _FOR_SIGNAL, {"owner": owner, "signal_id": signal_id})]
