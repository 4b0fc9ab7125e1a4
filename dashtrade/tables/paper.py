"""The paper broker's own books: a broker's records, separate from DashTrade's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill, VenueStatus
from dashtrade.domain.record import field_names
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce
from dashtrade.tables.base import (
    BigId,
    ExactDecimal,
    Instrument,
    bool_column,
    decimal_column,
    id_column,
    int_column,
    is_postgres,
    metadata,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first, rows, run, run_many, scalar

accounts = sa.Table(
    "paper_accounts",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("user_api_keys.id"), primary_key=True),
    decimal_column("cash"),
)
positions = sa.Table(
    "paper_positions",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("symbol", Instrument, primary_key=True),
    decimal_column("quantity"),
    decimal_column("average_price"),
)
orders = sa.Table(
    "paper_orders",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("client_order_id", sa.Text, primary_key=True),
    text_column("broker_order_id"),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("side"),
    text_column("type"),
    decimal_column("quantity"),
    decimal_column("limit_price", nullable=True),
    decimal_column("stop_price", nullable=True),
    decimal_column("trail_amount", nullable=True),
    decimal_column("trail_percent", nullable=True),
    decimal_column("high_water", nullable=True),
    text_column("time_in_force"),
    bool_column("extended_hours"),
    bool_column("reduces"),
    text_column("status"),
    decimal_column("filled_quantity"),
    decimal_column("average_price", nullable=True),
    text_column("reason"),
    time_column("created_at"),
    time_column("updated_at"),
    sa.Index(
        "ix_paper_orders_working",
        "account_id",
        "created_at",
        sqlite_where=sa.text("status = 'working'"),
        postgresql_where=sa.text("status = 'working'"),
    ),
    sqlite_with_rowid=False,
)
fills = sa.Table(
    "paper_fills",
    metadata,
    id_column(),
    int_column("account_id"),
    text_column("client_order_id"),
    text_column("fill_id"),
    decimal_column("quantity"),
    decimal_column("price"),
    decimal_column("fee"),
    time_column("at"),
    sa.Index("ix_paper_fills_order", "account_id", "client_order_id"),
)


# --- the books of one account -------------------------------------------------------------------------------

SYSTEM = {
    "TableBook",
    "add_fills",
    "open_account",
    "open_for_live",
    "put_cash",
    "put_orders",
    "put_positions",
}

_CASH = sa.select(accounts.c.cash).where(accounts.c.account_id == p("account"))
_LOCK = _CASH.with_for_update()
_PUT_CASH = (
    sa.update(accounts)
    .where(accounts.c.account_id == p("account"))
    .values(cash=p("money", type_=ExactDecimal))
)
_ORDER = sa.select(orders).where(orders.c.account_id == p("account"), orders.c.client_order_id == p("client"))
_WORKING = (
    sa.select(orders)
    .where(orders.c.account_id == p("account"), sa.text("status = 'working'"))
    .order_by(orders.c.created_at, orders.c.client_order_id)
)
_ADD_ORDER, _ADD_FILL = sa.insert(orders), sa.insert(fills)
_CHANGING = (
    "type",
    "high_water",
    "status",
    "filled_quantity",
    "average_price",
    "reason",
    "updated_at",
    "stop_price",
    "limit_price",
)
_PUT_ORDER = (
    sa.update(orders)
    .where(orders.c.account_id == p("account"), orders.c.client_order_id == p("client"))
    .values({name: p(f"new_{name}", type_=orders.c[name].type) for name in _CHANGING})
)
_FILLS = (
    sa.select(fills)
    .where(fills.c.account_id == p("account"), fills.c.client_order_id == p("client"))
    .order_by(fills.c.id)
)
_POSITION = sa.select(positions).where(
    positions.c.account_id == p("account"), positions.c.symbol == p("sym", type_=Instrument)
)
_POSITIONS = sa.select(positions).where(positions.c.account_id == p("account")).order_by(positions.c.symbol)


def _hold(insert: Any) -> Any:
    made = insert(positions)
    return made.on_conflict_do_update(
        index_elements=["account_id", "symbol"],
        set_={name: made.excluded[name] for name in ("quantity", "average_price")},
    )


_HOLD_POSITION = {"sqlite": _hold(sqlite.insert), "postgresql": _hold(postgresql.insert)}
_DROP_POSITION = sa.delete(positions).where(
    positions.c.account_id == p("account"), positions.c.symbol == p("sym", type_=Instrument)
)


def open_account(conn: sa.Connection, account_id: int, cash: Decimal) -> None:
    conn.execute(sa.insert(accounts).values(account_id=account_id, cash=cash))


def open_for_live(conn: sa.Connection, cash: Decimal) -> None:
    """Open books for every live account that has none yet, as simulation mode trades on them."""
    live = metadata.tables["user_api_keys"]
    without = sa.select(live.c.id).where(
        live.c.mode == "live", live.c.id.not_in(sa.select(accounts.c.account_id))
    )
    for account_id in conn.scalars(without).all():
        open_account(conn, account_id, cash)


class TableBook:
    """`PaperBook` on the tables, within one transaction. In PostgreSQL reading the cash locks the account's
    row."""

    def __init__(self, conn: sa.Connection, account_id: int, *, writes: bool) -> None:
        self._conn, self._account = conn, account_id
        if writes and is_postgres(conn):
            first(conn, _LOCK, {"account": account_id})

    def cash(self) -> Decimal:
        found = scalar(self._conn, _CASH, {"account": self._account})
        if found is None:
            raise LookupError(f"paper account {self._account} does not exist")
        return found

    def set_cash(self, cash: Decimal) -> None:
        run(self._conn, _PUT_CASH, {"account": self._account, "money": cash})

    def order(self, client_order_id: str) -> PaperOrder | None:
        row = first(self._conn, _ORDER, {"account": self._account, "client": client_order_id})
        return _paper_order(row) if row else None

    def add_order(self, order: PaperOrder) -> None:
        run(self._conn, _ADD_ORDER, _order_values(self._account, order))

    def update_order(self, order: PaperOrder) -> None:
        run(self._conn, _PUT_ORDER, _order_changes(self._account, order))

    def working(self) -> list[PaperOrder]:
        return [_paper_order(row) for row in rows(self._conn, _WORKING, {"account": self._account})]

    def fills(self, client_order_id: str) -> list[BrokerFill]:
        found = rows(self._conn, _FILLS, {"account": self._account, "client": client_order_id})
        return [
            BrokerFill(
                id=r.fill_id,
                client_order_id=r.client_order_id,
                quantity=r.quantity,
                price=r.price,
                at=r.at,
                fee=r.fee,
            )
            for r in found
        ]

    def add_fill(self, fill: BrokerFill) -> None:
        run(self._conn, _ADD_FILL, _fill_values(self._account, fill))

    def position(self, symbol: Symbol) -> PaperPosition | None:
        row = first(self._conn, _POSITION, {"account": self._account, "sym": symbol})
        return (
            PaperPosition(symbol=row.symbol, quantity=row.quantity, average_price=row.average_price)
            if row
            else None
        )

    def positions(self) -> list[PaperPosition]:
        found = rows(self._conn, _POSITIONS, {"account": self._account})
        return [
            PaperPosition(symbol=r.symbol, quantity=r.quantity, average_price=r.average_price) for r in found
        ]

    def set_position(self, position: PaperPosition) -> None:
        put_positions(self._conn, {(self._account, position.symbol): position})


def _order_values(account_id: int, order: PaperOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in field_names(PaperOrder)} | {"account_id": account_id}


def _order_changes(account_id: int, order: PaperOrder) -> dict[str, Any]:
    changes = {f"new_{name}": getattr(order, name) for name in _CHANGING}
    return changes | {"account": account_id, "client": order.client_order_id}


def _fill_values(account_id: int, fill: BrokerFill) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "client_order_id": fill.client_order_id,
        "fill_id": fill.id,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "at": fill.at,
    }


def _paper_order(row: Any) -> PaperOrder:
    values = {name: getattr(row, name) for name in field_names(PaperOrder)}
    return PaperOrder(
        **values
        | {
            "side": OrderSide(row.side),
            "type": OrderType(row.type),
            "time_in_force": TimeInForce(row.time_in_force),
            "status": VenueStatus(row.status),
        }
    )


# --- what a step of the kernel changed ----------------------------------------------------------------------


def put_cash(conn: sa.Connection, cash: Mapping[int, Decimal]) -> None:
    run_many(conn, _PUT_CASH, [{"account": number, "money": money} for number, money in cash.items()])


def put_orders(
    conn: sa.Connection, changed: Mapping[tuple[int, str], PaperOrder], new: Collection[tuple[int, str]]
) -> None:
    run_many(conn, _ADD_ORDER, [_order_values(key[0], order) for key, order in changed.items() if key in new])
    changes = [_order_changes(key[0], order) for key, order in changed.items() if key not in new]
    run_many(conn, _PUT_ORDER, changes)


def add_fills(conn: sa.Connection, new: Iterable[tuple[int, BrokerFill]]) -> None:
    run_many(conn, _ADD_FILL, [_fill_values(account_id, fill) for account_id, fill in new])


def put_positions(conn: sa.Connection, changed: Mapping[tuple[int, Symbol], PaperPosition]) -> None:
    keys = [
        {"account": account_id, "sym": symbol}
        for (account_id, symbol), position in changed.items()
        if not position.quantity
    ]
    run_many(conn, _DROP_POSITION, keys)
    held = [
        {
            "account_id": account_id,
            "symbol": symbol,
            "quantity": position.quantity,
            "average_price": position.average_price,
        }
        for (account_id, symbol), position in changed.items()
        if position.quantity
    ]
    run_many(conn, _HOLD_POSITION[conn.dialect.name], held)
