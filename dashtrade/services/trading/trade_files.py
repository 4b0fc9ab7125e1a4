"""A user's trades as CSV files for people: names instead of ids, readable symbols, times marked as UTC."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import plain
from dashtrade.services.operations.export import Pieces, csv_pieces
from dashtrade.services.trading.round_trips import RoundTripRecord, csv, rounded
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.base import escape_formula, symbol_of

_FILL_HEADS = {
    "id": "Number",
    "at": "Time (UTC)",
    "bot_id": "Bot",
    "account_id": "Account",
    "symbol": "Symbol",
    "action": "Side",
    "effect": "Effect",
    "quantity": "Quantity",
    "price": "Price",
    "notional": "Amount",
    "fee": "Fee",
    "realized_pnl": "Realised before fees",
    "status": "Status",
    "signal_id": "Signal",
    "order_id": "Order",
    "broker_order_id": "Broker's id",
    "simulated": "Simulated",
    "crossed": "Crossed",
    "currency": "Currency",
    "money": "Money",
}
_TRIP_HEADS = (
    "Opened (UTC)",
    "Closed (UTC)",
    "Bot",
    "Account",
    "Live",
    "Symbol",
    "Side",
    "Quantity",
    "Average entry",
    "Average exit",
    "P&L before fees",
    "Fees",
    "P&L after fees",
    "P&L %",
    "Held, seconds",
    "Currency",
    "Exit by",
    "Entry signal",
    "Exit signal",
    "Simulated",
)


def fills(app: App, user: User, wanted: dict[str, Any]) -> Pieces[str]:
    with app.db.read() as conn:
        bots, accounts = _names(conn, user)
    place = {name: number for number, name in enumerate(trade_table.CSV_COLUMNS)}

    def readable(row: tuple[Any, ...]) -> list[Any]:
        cells = list(row)
        cells[place["at"]] = cells[place["at"]].replace("T", " ").rstrip("Z")
        cells[place["bot_id"]] = bots.get(int(row[place["bot_id"]]), row[place["bot_id"]])
        cells[place["account_id"]] = accounts.get(int(row[place["account_id"]]), row[place["account_id"]])
        cells[place["symbol"]] = symbol_of(row[place["symbol"]]).short
        return cells

    def rows(conn: sa.Connection, before: Any) -> Pieces[tuple[Any, Any]]:
        with closing(trade_table.stream_trades(conn, user.id, before=before, **wanted)) as found:
            for row in found:
                yield int(row[place["id"]]), readable(row)

    return csv_pieces(app, tuple(_FILL_HEADS[name] for name in trade_table.CSV_COLUMNS), rows)


def round_trips(app: App, user: User, wanted: dict[str, Any], reason_texts: dict[str, str]) -> Pieces[str]:
    """`reason_texts`: the text of each exit reason."""
    with app.db.read() as conn:
        bots, accounts = _names(conn, user)
    return csv(app, user, wanted, _TRIP_HEADS, lambda one: _trip_cells(one, bots, accounts, reason_texts))


def _trip_cells(
    row: RoundTripRecord, bots: dict[int, str], accounts: dict[int, str], reason_texts: dict[str, str]
) -> list[Any]:
    trip = row.trip
    shown = [rounded(price) for price in (trip.entry_price, trip.exit_price)]
    prices = ["" if price is None else plain(price) for price in shown]
    percent = "" if trip.percent is None else f"{trip.percent:.4f}"
    return [
        _time(trip.opened_at),
        _time(trip.closed_at),
        bots.get(trip.bot_id, trip.bot_id),
        accounts.get(trip.account_id, trip.account_id),
        "yes" if row.live else "",
        trip.symbol.short,
        trip.side,
        plain(trip.entry_quantity),
        *prices,
        plain(trip.realized),
        plain(trip.fees),
        plain(trip.net),
        percent,
        row.held_seconds,
        row.currency,
        reason_texts.get(trip.exit_reason, trip.exit_reason),
        trip.entry_signal_id,
        trip.exit_signal_id,
        "yes" if row.simulated else "",
    ]


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _names(conn: Any, user: User) -> tuple[dict[int, str], dict[int, str]]:
    """Names of bots and accounts, deleted ones included."""
    bots = {number: escape_formula(name) for number, name in bot_table.names(conn, user.id).items()}
    return bots, {
        number: escape_formula(label) for number, label in account_table.labels(conn, user.id).items()
    }


def symbols_of(written: str) -> list[Symbol]:
    return [Symbol.parse(one) for one in written.split(",") if one.strip()]
