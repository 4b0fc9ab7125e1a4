"""Orders, as the worker reads and changes them. Their history is in `order_events`, the user's view in
`user_orders`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.record import field_names
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce
from dashtrade.tables.base import (
    BigId,
    ExactDecimal,
    Instrument,
    ReasonText,
    bool_column,
    decimal_column,
    int_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first, one, rows, run, run_many
from dashtrade.tables.exit_columns import OrderExitsJson

IS_OPEN = sa.text("status IN ('created', 'submitting', 'unknown', 'working', 'attention')")

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    owner_column(),
    int_column("account_id"),
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), nullable=False),
    sa.Column("signal_id", sa.Text, sa.ForeignKey("signals.id"), nullable=False),
    int_column("decision_id"),
    int_column("step"),
    bool_column("final"),
    bool_column("alone"),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("side"),
    text_column("effect"),
    text_column("type"),
    decimal_column("quantity"),
    decimal_column("limit_price", nullable=True),
    decimal_column("stop_price", nullable=True),
    decimal_column("trail_amount", nullable=True),
    decimal_column("trail_percent", nullable=True),
    text_column("time_in_force"),
    bool_column("extended_hours"),
    text_column("status"),
    reason_column("reason"),
    text_column("broker_order_id", nullable=True),
    text_column("parent_id", nullable=True),
    decimal_column("filled_quantity"),
    decimal_column("filled_notional"),
    decimal_column("reserve"),
    sa.Column("exits", OrderExitsJson, nullable=True),
    bool_column("cancel_requested"),
    int_column("sends"),
    time_column("due_at", nullable=True),
    time_column("sent_at", nullable=True),
    time_column("created_at"),
    time_column("updated_at"),
    text_column("crossed_with", nullable=True),
    sa.Column("on_paper", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_orders_open", "account_id", "symbol", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    sa.Index("ix_orders_signal", "signal_id"),
    sa.Index("ix_orders_user", "user_id", "created_at"),
    sqlite_with_rowid=False,
)

SYSTEM = {
    "cancel_entries",
    "reduce_quantity",
    "due_lanes",
    "find",
    "insert",
    "load",
    "of_signal",
    "open_in_account",
    "open_in_lane",
    "request_cancel",
    "update",
    "working_accounts",
}


def order_from_row(row: Any) -> Order:
    return Order(
        id=row.id,
        user_id=row.user_id,
        account_id=row.account_id,
        bot_id=row.bot_id,
        signal_id=row.signal_id,
        decision_id=row.decision_id,
        step=row.step,
        final=row.final,
        sole_recipient=row.alone,
        symbol=row.symbol,
        side=OrderSide(row.side),
        effect=Effect(row.effect),
        type=OrderType(row.type),
        quantity=row.quantity,
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        trail_amount=row.trail_amount,
        trail_percent=row.trail_percent,
        time_in_force=TimeInForce(row.time_in_force),
        extended_hours=row.extended_hours,
        status=OrderStatus(row.status),
        reason=row.reason,
        broker_order_id=row.broker_order_id,
        parent_id=row.parent_id,
        filled_quantity=row.filled_quantity,
        filled_notional=row.filled_notional,
        reserve=row.reserve,
        exits=row.exits,
        cancel_requested=row.cancel_requested,
        sends=row.sends,
        due_at=row.due_at,
        sent_at=row.sent_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        crossed_with=row.crossed_with,
        on_paper=row.on_paper,
    )


# each field of an order with its column, which has another name for one of them
_FIELD_COLUMNS = tuple((name, {"sole_recipient": "alone"}.get(name, name)) for name in field_names(Order))

_INSERT = sa.insert(orders)

_LOAD = sa.select(orders).where(orders.c.id == p("order_id"))

_LANE = (
    sa.select(orders)
    .where(orders.c.account_id == p("account_id"), orders.c.symbol == p("symbol", type_=Instrument), IS_OPEN)
    .order_by(orders.c.created_at, orders.c.step, orders.c.id)
)

_ACCOUNT = (
    sa.select(orders)
    .where(orders.c.account_id == p("account_id"), IS_OPEN)
    .order_by(orders.c.created_at, orders.c.step, orders.c.id)
)

_UPDATE = (
    sa.update(orders)
    .where(
        orders.c.id == p("order_id"),
        orders.c.status == p("old_status"),
        orders.c.filled_quantity == p("old_filled", type_=ExactDecimal),
    )
    .values(
        status=p("new_status"),
        reason=p("why", type_=ReasonText),
        broker_order_id=p("broker_id"),
        filled_quantity=p("filled", type_=ExactDecimal),
        filled_notional=p("notional", type_=ExactDecimal),
        reserve=p("reserve_", type_=ExactDecimal),
        sends=p("sends_"),
        due_at=p("due"),
        sent_at=p("sent"),
        updated_at=p("now"),
    )
)

_OF_SIGNAL = (
    sa.select(orders)
    .where(orders.c.signal_id == p("signal_id"), orders.c.bot_id == p("bot_id"))
    .order_by(orders.c.step)
)


def insert(conn: sa.Connection, new: Iterable[Order]) -> None:
    run_many(
        conn, _INSERT, [{column: getattr(order, name) for name, column in _FIELD_COLUMNS} for order in new]
    )


def load(conn: sa.Connection, order_id: str) -> Order:
    return order_from_row(one(conn, _LOAD, {"order_id": order_id}))


def find(conn: sa.Connection, account_id: int, order_id: str) -> Order | None:
    """By account too: the id comes from the broker, where others may place orders as well."""
    row = first(conn, _LOAD, {"order_id": order_id})
    return order_from_row(row) if row is not None and row.account_id == account_id else None


def update(conn: sa.Connection, changes: Sequence[tuple[Order, Order]]) -> bool:
    """Update orders, each from its previous state; False, and no change of that one, if one of them has
    another state by now."""
    values = [
        {
            "order_id": after.id,
            "new_status": after.status,
            "why": after.reason,
            "broker_id": after.broker_order_id,
            "filled": after.filled_quantity,
            "notional": after.filled_notional,
            "reserve_": after.reserve,
            "sends_": after.sends,
            "due": after.due_at,
            "sent": after.sent_at,
            "now": after.updated_at,
            "old_status": before.status,
            "old_filled": before.filled_quantity,
        }
        for before, after in changes
    ]
    return run_many(conn, _UPDATE, values, counted=True) == len(changes)


_REDUCE_QUANTITY = (
    sa.update(orders)
    .where(orders.c.id == p("order_id"))
    .values(
        quantity=p("size", type_=ExactDecimal),
        effect=p("does"),
        final=p("last"),
        exits=p("exits_", type_=OrderExitsJson),
        reserve=p("reserve_", type_=ExactDecimal),
    )
)


def reduce_quantity(conn: sa.Connection, order: Order) -> None:
    """Only a part of the decision is sent under this id; the rest is an order of its own."""
    run(
        conn,
        _REDUCE_QUANTITY,
        {
            "order_id": order.id,
            "size": order.quantity,
            "does": order.effect,
            "last": order.final,
            "exits_": order.exits,
            "reserve_": order.reserve,
        },
    )


def open_in_lane(conn: sa.Connection, account_id: int, symbol: Symbol) -> list[Order]:
    return [order_from_row(row) for row in rows(conn, _LANE, {"account_id": account_id, "symbol": symbol})]


def open_in_account(conn: sa.Connection, account_id: int) -> list[Order]:
    return [order_from_row(row) for row in rows(conn, _ACCOUNT, {"account_id": account_id})]


_REQUEST_CANCEL = sa.update(orders).where(orders.c.id == p("order_id"), IS_OPEN).values(cancel_requested=True)


def request_cancel(conn: sa.Connection, order_ids: Sequence[str]) -> int:
    return run_many(conn, _REQUEST_CANCEL, [{"order_id": order_id} for order_id in order_ids])


def of_signal(conn: sa.Connection, signal_id: str, bot_id: int) -> list[Order]:
    return [order_from_row(row) for row in rows(conn, _OF_SIGNAL, {"signal_id": signal_id, "bot_id": bot_id})]


_DUE = (
    sa.select(orders.c.account_id, orders.c.symbol)
    .where(
        IS_OPEN,
        sa.or_(
            sa.text("status IN ('created', 'submitting', 'unknown')"),
            sa.and_(sa.text("status = 'working'"), orders.c.cancel_requested),
        ),
        sa.or_(orders.c.due_at.is_(None), orders.c.due_at <= p("now")),
    )
    .distinct()
)


def due_lanes(conn: sa.Connection, now: datetime) -> list[Any]:
    """Lanes with an order to send, to look up or to cancel."""
    return rows(conn, _DUE, {"now": now})


_BUSY = (
    sa.select(orders.c.account_id, sa.func.max(orders.c.created_at).label("newest"))
    .where(IS_OPEN, sa.text("status IN ('working', 'attention')"))
    .group_by(orders.c.account_id)
)


def working_accounts(conn: sa.Connection) -> list[Any]:
    """Accounts with orders at the broker, and when the newest of them was created."""
    return rows(conn, _BUSY)


def cancel_entries(conn: sa.Connection, *, scope: str, scope_id: int) -> int:
    """Mark every entry order in the scope for cancellation; the worker cancels them."""
    column = {"user": orders.c.user_id, "account": orders.c.account_id, "bot": orders.c.bot_id}.get(scope)
    wanted = sa.and_(IS_OPEN, orders.c.effect.in_([Effect.OPEN, Effect.ADD]))
    if column is not None:
        wanted = sa.and_(wanted, column == scope_id)
    return conn.execute(sa.update(orders).where(wanted).values(cancel_requested=True)).rowcount
