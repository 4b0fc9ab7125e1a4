"""Bots' positions, as the engine reads and books them: quantities, exits, profit and the day's counters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot, Day
from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.ledger import Position
from dashtrade.domain.symbols import Symbol
from dashtrade.tables.base import ExactDecimal, Instrument
from dashtrade.tables.bots import DELETED_NOT_FLAT, bot_from_row, bots
from dashtrade.tables.compiled_sql import first, rows, run_many
from dashtrade.tables.exit_columns import ExitsJson

SYSTEM = {"book", "page_of_holding", "load", "on_symbol", "split_position", "save_status"}

_LOAD = sa.select(bots).where(bots.c.id == p("bot_id"))

_HOLDING = (
    sa.select(bots).where(sa.text("status != 'READY'"), bots.c.id > p("after")).order_by(bots.c.id).limit(500)
)

_DAY_COLUMNS = ("realized", "fees", "volume", "entries", "trades", "wins", "losses")

_TOUCHED = {
    "status": p("new_status"),
    "last_signal_at": p("signal_at"),
    "last_entry_at": p("entry_at"),
    "day": p("date_", type_=sa.Date),
    **{f"day_{name}": p(f"d_{name}", type_=bots.c[f"day_{name}"].type) for name in _DAY_COLUMNS},
}

_BOOK = (
    sa.update(bots)
    .where(bots.c.id == p("bot_id"))
    .values(
        **_TOUCHED,
        position_quantity=p("quantity", type_=ExactDecimal),
        position_cost=p("cost", type_=ExactDecimal),
        realized_pnl=p("realized", type_=ExactDecimal),
        fees=p("fees_", type_=ExactDecimal),
        total_trades=p("trades"),
        exits=p("exits_", type_=ExitsJson),
        updated_at=p("now"),
    )
)

_SAVE_STATUS = sa.update(bots).where(bots.c.id == p("bot_id")).values(**_TOUCHED)


def load(conn: sa.Connection, bot_id: int) -> Bot:
    """The bot, even if deleted."""
    row = first(conn, _LOAD, {"bot_id": bot_id})
    if row is None:
        raise LookupError(f"bot {bot_id} does not exist")
    return bot_from_row(row)


_ON_SYMBOL = sa.select(bots).where(
    bots.c.account_id == p("account_id"), bots.c.symbol == p("symbol", type_=Instrument)
)

_LIVING, _DELETED = (
    _ON_SYMBOL.where(bots.c.deleted_at.is_(None)),
    _ON_SYMBOL.where(DELETED_NOT_FLAT),
)  # one index each


def on_symbol(conn: sa.Connection, account_id: int, symbol: Symbol) -> list[Bot]:
    """The account's bots for the symbol, including deleted bots that are not flat yet."""
    given = {"account_id": account_id, "symbol": symbol}
    return [bot_from_row(row) for row in [*rows(conn, _LIVING, given), *rows(conn, _DELETED, given)]]


def page_of_holding(conn: sa.Connection, *, after: int) -> list[Bot]:
    """Bots with a position or an open order, 500 at a time."""
    return [bot_from_row(row) for row in rows(conn, _HOLDING, {"after": after})]


def _day_values(day: Day) -> dict[str, Any]:
    return {"date_": day.date} | {f"d_{name}": getattr(day, name) for name in _DAY_COLUMNS}


def book(conn: sa.Connection, booked: Iterable[Bot]) -> None:
    """Store bots after a booking: position, profit, counters, status, exits."""
    values = [
        _status_values(bot)
        | {
            "quantity": bot.position.quantity,
            "cost": bot.position.cost,
            "realized": bot.realized_pnl,
            "fees_": bot.fees,
            "trades": bot.total_trades,
            "exits_": bot.exits,
            "now": bot.updated_at,
        }
        for bot in booked
    ]
    run_many(conn, _BOOK, values)


def split_position(
    conn: sa.Connection, bot_id: int, position: Position, exits: ExitState | None, now: datetime
) -> None:
    values = {
        "position_quantity": position.quantity,
        "position_cost": position.cost,
        "exits": exits,
        "updated_at": now,
    }
    conn.execute(sa.update(bots).where(bots.c.id == bot_id).values(**values))


def save_status(conn: sa.Connection, changed: Iterable[Bot]) -> None:
    """Store the status, the times of the last signal and entry, and the day's counters."""
    run_many(conn, _SAVE_STATUS, [_status_values(bot) for bot in changed])


def _status_values(bot: Bot) -> dict[str, Any]:
    return _day_values(bot.last_day) | {
        "bot_id": bot.id,
        "new_status": bot.status,
        "signal_at": bot.last_signal_at,
        "entry_at": bot.last_entry_at,
    }
