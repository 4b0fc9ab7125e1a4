"""Trades (`bot_trades`): one for each order that filled, read by page, in totals and as a file."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.kernel.records import TradeChange
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import (
    Instrument,
    decimal_column,
    escape_formula_column,
    id_column,
    int_column,
    is_postgres,
    metadata,
    owner_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import one, run, run_many
from dashtrade.tables.fills import fills

trades = sa.Table(
    "bot_trades",
    metadata,
    id_column(),
    owner_column(),
    int_column("account_id"),
    int_column("bot_id"),
    text_column("signal_id"),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), nullable=False, unique=True),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("action"),
    text_column("effect"),
    decimal_column("quantity"),
    decimal_column("price"),
    decimal_column("notional"),
    decimal_column("fee"),
    decimal_column("realized_pnl"),
    text_column("status"),
    text_column("broker_order_id", nullable=True),
    time_column("at"),
    sa.Column("crossed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("on_paper", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_bot_trades_user", "user_id", "id"),
    sa.Index("ix_bot_trades_bot", "bot_id", "id"),
    sa.Index("ix_bot_trades_symbol", "user_id", "symbol", "id"),
    sa.Index("ix_bot_trades_at", "user_id", "at"),
    sa.Index(
        "ix_bot_trades_partial",
        "user_id",
        "id",
        sqlite_where=sa.text("status = 'partial'"),
        postgresql_where=sa.text("status = 'partial'"),
    ),
)

_ADD_TRADE = sa.insert(trades)

_PUT_TRADE = (
    sa.update(trades)
    .where(trades.c.order_id == p("order"))
    .values(
        {
            name: p(name, type_=trades.c[name].type)
            for name in ("quantity", "price", "notional", "fee", "realized_pnl", "status", "at")
        }
    )
)


SYSTEM = {"ever_traded", "newest_first", "put_trades"}

_TRADE = sa.select(trades.c.fee, trades.c.realized_pnl).where(trades.c.order_id == p("order"))


def ever_traded(conn: sa.Connection, account_id: int) -> bool:
    return conn.scalar(sa.select(fills.c.id).where(fills.c.account_id == account_id).limit(1)) is not None


def put_trades(conn: sa.Connection, changes: Sequence[TradeChange]) -> None:
    """One row per filled order, updated with each fill."""
    run_many(conn, _ADD_TRADE, [_new_values(change) for change in changes if change.first])
    for change in changes:
        if not change.first:
            old = one(conn, _TRADE, {"order": change.order.id})
            values = _values(change) | {
                "order": change.order.id,
                "fee": old.fee + change.fee,
                "realized_pnl": old.realized_pnl + change.realized,
            }
            run(conn, _PUT_TRADE, values)


def _values(change: TradeChange) -> dict[str, Any]:
    order = change.order
    return {
        "quantity": order.filled_quantity,
        "price": order.average_price,
        "notional": order.filled_notional,
        "status": "filled" if order.status is OrderStatus.FILLED else "partial",
        "at": change.at,
    }


def _new_values(change: TradeChange) -> dict[str, Any]:
    order = change.order
    return _values(change) | {
        "user_id": order.user_id,
        "account_id": order.account_id,
        "bot_id": order.bot_id,
        "signal_id": order.signal_id,
        "order_id": order.id,
        "symbol": order.symbol,
        "action": order.side,
        "effect": order.effect,
        "fee": change.fee,
        "realized_pnl": change.realized,
        "broker_order_id": order.broker_order_id,
        "crossed": order.crossed_with is not None,
        "on_paper": order.on_paper,
    }


def _filtered(query: sa.Select[Any], owner: int, wanted: dict[str, Any]) -> sa.Select[Any]:
    query = query.where(trades.c.user_id == owner)
    for name in ("bot_id", "symbol", "action"):
        if wanted.get(name) is not None:
            query = query.where(trades.c[name] == wanted[name])
    if wanted.get("symbols"):
        query = query.where(trades.c.symbol.in_(wanted["symbols"]))
    if wanted.get("status") == "partial":
        # spelled out, to use the partial index
        query = query.where(sa.text("bot_trades.status = 'partial'"))
    elif wanted.get("status"):
        query = query.where(trades.c.status == wanted["status"])
    if wanted.get("since") is not None:
        query = query.where(trades.c.at >= wanted["since"])
    if wanted.get("until") is not None:
        query = query.where(trades.c.at < wanted["until"])
    if wanted.get("scope") is not None:
        query = query.where(in_scope(wanted["scope"]))
    return query


_ON_LIVE = trades.c.account_id.in_(sa.select(accounts.c.id).where(accounts.c.mode == "live"))

# on a live account in simulation mode
SIMULATED_ON_LIVE = sa.and_(trades.c.on_paper, _ON_LIVE)

WITH_LIVE_MONEY = sa.and_(_ON_LIVE, ~trades.c.on_paper)


def in_scope(scope: MoneyScope) -> sa.ColumnElement[bool]:
    """The trades made with this kind of money. Simulated trades of a live account count as paper."""
    money = WITH_LIVE_MONEY if scope.money is MoneyKind.LIVE else ~WITH_LIVE_MONEY
    return money if scope.account_id is None else sa.and_(trades.c.account_id == scope.account_id, money)


def simulated_days(
    conn: sa.Connection,
    owner: int,
    *,
    bot_id: int | None,
    since: datetime | None,
    account_id: int | None = None,
) -> list[Any]:
    """Simulated trades of live accounts. Searches only accounts with paper books, of which there are usually
    none."""
    books = metadata.tables["paper_accounts"]
    of_owner = (
        (accounts.c.user_id == owner)
        & (accounts.c.mode == "live")
        & accounts.c.id.in_(sa.select(books.c.account_id))
    )
    ids = [
        found
        for found in conn.scalars(sa.select(accounts.c.id).where(of_owner))
        if account_id in (None, found)
    ]
    if not ids:
        return []
    query = _filtered(sa.select(trades), owner, {"bot_id": bot_id, "since": since})
    return list(conn.execute(query.where(trades.c.account_id.in_(ids), trades.c.on_paper)))


def list_trades(
    conn: sa.Connection, owner: int, *, before: int | None, limit: int, **wanted: Any
) -> list[Any]:
    query = _filtered(
        sa.select(trades, SIMULATED_ON_LIVE.label("simulated"), WITH_LIVE_MONEY.label("live")), owner, wanted
    )
    if before is not None:
        query = query.where(trades.c.id < before)
    return list(conn.execute(query.order_by(trades.c.id.desc()).limit(limit)))


CSV_COLUMNS = (
    "id",
    "at",
    "bot_id",
    "account_id",
    "symbol",
    "action",
    "effect",
    "quantity",
    "price",
    "notional",
    "fee",
    "realized_pnl",
    "status",
    "signal_id",
    "order_id",
    "broker_order_id",
    "crossed",
    "currency",
    "money",
    "simulated",
)


def _currency(*, postgres: bool) -> Any:
    """As `Symbol.currency`, from the symbol's universal form."""
    symbol = sa.type_coerce(trades.c.symbol, sa.Text)
    place = sa.func.strpos if postgres else sa.func.instr
    behind, before = (
        sa.func.substr(symbol, place(symbol, "/") + 1),
        sa.func.substr(symbol, 1, place(symbol, ":") - 1),
    )
    return sa.case((symbol.like("CRYPTO:%"), behind), (symbol.like("NYSE:%"), "USD"), else_=before)


def csv_cells(*, postgres: bool) -> list[Any]:
    """Each of CSV_COLUMNS as text, safe in a spreadsheet. Formatted in the database, as that is fastest."""
    if postgres:
        at: Any = sa.func.to_char(sa.func.timezone("UTC", trades.c.at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    else:
        at = sa.func.strftime(
            "%Y-%m-%dT%H:%M:%fZ", sa.type_coerce(trades.c.at, sa.BigInteger) / 1000000.0, "unixepoch"
        )
    # stored as text already in SQLite
    as_text = sa.cast if postgres else sa.type_coerce
    cells: dict[str, Any] = {column.name: as_text(column, sa.Text) for column in trades.c}
    cells |= {
        "at": at,
        "broker_order_id": escape_formula_column(trades.c.broker_order_id),
        "simulated": sa.case((SIMULATED_ON_LIVE, "yes"), else_=""),
        "money": sa.case((WITH_LIVE_MONEY, "live"), else_="paper"),
        "currency": _currency(postgres=postgres),
        "crossed": sa.case((trades.c.crossed, "yes"), else_=""),
    }
    return [cells[name] for name in CSV_COLUMNS]


def stream_trades(
    conn: sa.Connection, owner: int, *, before: int | None = None, **wanted: Any
) -> Generator[tuple[Any, ...], None, None]:
    """All trades (below the id `before`) as text, newest first, a few in memory at a time."""
    query = _filtered(sa.select(*csv_cells(postgres=is_postgres(conn))), owner, wanted)
    return newest_first(conn, query, before)


def newest_first(
    conn: sa.Connection, query: sa.Select[Any], before: int | None
) -> Generator[tuple[Any, ...], None, None]:
    """A few rows in memory at a time."""
    query = query.order_by(trades.c.id.desc())
    if before is not None:
        query = query.where(trades.c.id < before)
    with conn.execute(query.execution_options(yield_per=500)) as found:
        yield from found
