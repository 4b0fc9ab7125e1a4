"""Booked fills, and the lots that positions are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.kernel.records import BookedFill
from dashtrade.domain.ledger import Lot
from dashtrade.domain.position_mismatch import scaled
from dashtrade.tables.base import (
    ExactDecimal,
    decimal_column,
    id_column,
    int_column,
    metadata,
    owner_column,
    text_column,
    time_column,
    without_index,
)
from dashtrade.tables.compiled_sql import rows, run_many
from dashtrade.tables.orders import orders

fills = sa.Table(
    "fills",
    metadata,
    id_column(),
    owner_column(),
    int_column("account_id"),
    int_column("bot_id"),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), nullable=False, index=True),
    text_column("broker_fill_id"),
    text_column("side"),
    decimal_column("quantity"),
    decimal_column("price"),
    decimal_column("fee"),
    decimal_column("fee_base"),
    decimal_column("realized"),
    time_column("at"),
    time_column("booked_at"),
    sa.UniqueConstraint("account_id", "broker_fill_id"),
)

_LOT_IS_OPEN = sa.text("closed_at IS NULL")

lots = sa.Table(
    "lots",
    metadata,
    id_column(),
    owner_column(),
    int_column("bot_id"),
    int_column("fill_id"),
    decimal_column("quantity"),
    decimal_column("remaining"),
    decimal_column("price"),
    time_column("opened_at"),
    time_column("closed_at", nullable=True),
    sa.Index("ix_lots_held", "bot_id", "id", sqlite_where=_LOT_IS_OPEN, postgresql_where=_LOT_IS_OPEN),
)

# --- booking ------------------------------------------------------------------------------------------------

_KNOWN_FILLS = sa.select(fills.c.broker_fill_id, fills.c.fee, fills.c.fee_base).where(
    fills.c.order_id == p("order_id")
)

_OPEN_LOTS = (
    sa.select(lots.c.id, lots.c.remaining, lots.c.price, lots.c.opened_at)
    .where(lots.c.bot_id == p("bot_id"), _LOT_IS_OPEN)
    .order_by(lots.c.id)
)

_PUT_LOT = (
    sa.update(lots)
    .where(lots.c.id == p("lot_id"))
    .values(remaining=p("left", type_=ExactDecimal), closed_at=p("closed"))
)

_ADD_FILL = sa.insert(fills)

_ADD_LOT = sa.insert(lots)


SYSTEM = {"add_fills", "add_lots", "open_lots", "known_fills", "put_lots", "split_lot"}


def known_fills(conn: sa.Connection, order_id: str) -> dict[str, tuple[Decimal, Decimal]]:
    """The booked executions, each with its fees in the quote currency and in the bought coin."""
    return {row[0]: (row[1], row[2]) for row in rows(conn, _KNOWN_FILLS, {"order_id": order_id})}


def add_fills(conn: sa.Connection, booked: Sequence[BookedFill]) -> None:
    run_many(conn, _ADD_FILL, [_fill_values(one) for one in booked])


def _fill_values(booked: BookedFill) -> dict[str, Any]:
    fill, order = booked.fill, booked.order
    return {
        "id": booked.id,
        "user_id": order.user_id,
        "account_id": order.account_id,
        "bot_id": order.bot_id,
        "order_id": order.id,
        "broker_fill_id": fill.id,
        "side": order.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "fee_base": fill.fee_base,
        "realized": booked.realized,
        "at": fill.at,
        "booked_at": booked.booked_at,
    }


def open_lots(conn: sa.Connection, bot_id: int) -> list[Lot]:
    return [
        Lot(id=r.id, remaining=r.remaining, price=r.price, opened_at=r.opened_at)
        for r in rows(conn, _OPEN_LOTS, {"bot_id": bot_id})
    ]


def add_lots(conn: sa.Connection, opened: Sequence[BookedFill], lots_now: Mapping[int, Lot]) -> None:
    """Those that were reduced in the same transaction in their last form."""
    run_many(conn, _ADD_LOT, [_lot_values(one, lots_now[one.lot_id].remaining) for one in opened])


def _lot_values(opened: BookedFill, left: Decimal) -> dict[str, Any]:
    return {
        "id": opened.lot_id,
        "user_id": opened.order.user_id,
        "bot_id": opened.order.bot_id,
        "fill_id": opened.id,
        "quantity": opened.opened,
        "remaining": left,
        "price": opened.fill.price,
        "opened_at": opened.fill.at,
        "closed_at": None if left else opened.booked_at,
    }


def put_lots(conn: sa.Connection, changed: Sequence[Lot], at: datetime) -> None:
    values = [
        {"lot_id": lot.id, "left": lot.remaining, "closed": None if lot.remaining else at} for lot in changed
    ]
    run_many(conn, _PUT_LOT, values)


def split_lot(conn: sa.Connection, lot: Lot, remaining: Decimal, ratio: Decimal) -> None:
    """The same cost for another number of shares. The original quantity is adjusted too."""
    row = conn.execute(sa.select(lots.c.quantity).where(lots.c.id == lot.id)).one()
    values = {
        "remaining": remaining,
        "quantity": scaled(row.quantity, ratio),
        "price": lot.price * lot.remaining / remaining,
    }
    conn.execute(sa.update(lots).where(lots.c.id == lot.id).values(**values))


def hand_over_lots(conn: sa.Connection, owner: int, bot_id: int, heir_id: int) -> None:
    of_owner = sa.and_(lots.c.user_id == owner, lots.c.bot_id == bot_id, _LOT_IS_OPEN)
    conn.execute(sa.update(lots).where(of_owner).values(bot_id=heir_id))


def fills_for_signal(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    query = sa.select(fills).join(orders, orders.c.id == fills.c.order_id)
    return list(
        conn.execute(
            query.where(without_index(orders.c.user_id) == owner, orders.c.signal_id == signal_id).order_by(
                fills.c.id
            )
        )
    )
