"""Bots, their days, what their risk limits did, and the switches above them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot, Day, OrderDefaults, Sides, WhenClosed, Window
from dashtrade.domain.exits.exits import read_written
from dashtrade.domain.ledger import Position
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType
from dashtrade.tables.base import (
    BigId,
    Exact,
    Instrument,
    Json,
    added_id,
    exact,
    flag,
    metadata,
    moment,
    number,
    owner_column,
    whole,
    words,
)
from dashtrade.tables.compiled_sql import first, rows, run

_LEFT = sa.text("deleted_at IS NOT NULL AND status != 'READY'")  # deleted, and not flat yet

bots = sa.Table(
    "user_bot_configs",
    metadata,
    number(),
    owner_column(),
    sa.Column("account_id", BigId, sa.ForeignKey("user_api_keys.id"), nullable=False),
    words("name"),
    sa.Column("symbol", Instrument, nullable=False),
    words("written_symbol"),
    whole("timeframe"),
    words("size_kind"),
    exact("size_value"),
    flag("size_override"),
    exact("risk_limit_percent", nullable=True),
    exact("daily_loss_limit", nullable=True),
    exact("max_position_size", nullable=True),
    words("sides"),
    words("order_type"),
    exact("limit_offset_percent"),
    whole("cooldown_seconds"),
    sa.Column("windows", Json, nullable=False),
    words("time_zone"),
    whole("orders_per_day", nullable=True),
    sa.Column("when_closed", sa.Text, nullable=False, server_default="refuse"),
    flag("is_active"),
    words("paused_reason"),
    words("status"),
    exact("position_quantity"),
    exact("position_cost"),
    exact("realized_pnl"),
    exact("fees"),
    whole("total_trades"),
    sa.Column("day", sa.Date, nullable=False),
    exact("day_realized"),
    exact("day_fees"),
    exact("day_volume"),
    whole("day_entries"),
    whole("day_trades"),
    whole("day_wins"),
    whole("day_losses"),
    sa.Column("exits", Json, nullable=True),
    sa.Column("exit_plan", Json, nullable=True),
    sa.Column("ordering", Json, nullable=True),
    moment("last_entry_at", nullable=True),
    moment("last_signal_at", nullable=True),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at", nullable=True),
    sa.Index("ix_user_bot_configs_user_symbol", "user_id", "symbol"),
    sa.Index(
        "uq_user_bot_configs_account_symbol_timeframe",
        "account_id",
        "symbol",
        "timeframe",
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    ),
    sa.Index(
        "ix_user_bot_configs_holding",
        "id",
        sqlite_where=sa.text("status != 'READY'"),
        postgresql_where=sa.text("status != 'READY'"),
    ),
    sa.Index("ix_user_bot_configs_left", "account_id", "symbol", sqlite_where=_LEFT, postgresql_where=_LEFT),
)


SYSTEM = {
    "book",
    "holding",
    "is_alone",
    "load",
    "owned_on",
    "pause_scope",
    "split_position",
    "swap_exits",
    "touch",
}


def _bot(row: Any) -> Bot:
    return Bot(
        id=row.id,
        user_id=row.user_id,
        account_id=row.account_id,
        name=row.name,
        symbol=row.symbol,
        written_symbol=row.written_symbol,
        timeframe=Timeframe(row.timeframe),
        size=Size(kind=SizeKind(row.size_kind), value=row.size_value),
        allow_alert_size=row.size_override,
        risk_limit_percent=row.risk_limit_percent,
        daily_loss_limit=row.daily_loss_limit,
        max_position_size=row.max_position_size,
        sides=Sides(row.sides),
        order_type=OrderType(row.order_type),
        limit_offset_percent=row.limit_offset_percent,
        cooldown_seconds=row.cooldown_seconds,
        windows=tuple(Window.parse(w) for w in row.windows),
        time_zone=row.time_zone,
        orders_per_day=row.orders_per_day,
        when_closed=WhenClosed(row.when_closed),
        is_active=row.is_active,
        paused_reason=row.paused_reason,
        status=row.status,
        position=Position(quantity=row.position_quantity, cost=row.position_cost),
        realized_pnl=row.realized_pnl,
        fees=row.fees,
        total_trades=row.total_trades,
        exits=row.exits,
        exit_plan=read_written(row.exit_plan),
        order_defaults=OrderDefaults.read(row.ordering),
        last_day=Day(
            date=row.day,
            realized=row.day_realized,
            fees=row.day_fees,
            volume=row.day_volume,
            entries=row.day_entries,
            trades=row.day_trades,
            wins=row.day_wins,
            losses=row.day_losses,
        ),
        last_entry_at=row.last_entry_at,
        last_signal_at=row.last_signal_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def add(conn: sa.Connection, owner: int, **values: Any) -> int:
    zero = Decimal(0)
    start = {
        "is_active": True,
        "paused_reason": "",
        "status": "READY",
        "position_quantity": zero,
        "position_cost": zero,
        "realized_pnl": zero,
        "fees": zero,
        "total_trades": 0,
        "day": values["created_at"].date(),
        "day_realized": zero,
        "day_fees": zero,
        "day_volume": zero,
        "day_entries": 0,
        "day_trades": 0,
        "day_wins": 0,
        "day_losses": 0,
    }
    return added_id(conn, sa.insert(bots).values(user_id=owner, **(start | values)))


def get(conn: sa.Connection, owner: int, bot_id: int) -> Bot | None:
    row = conn.execute(
        sa.select(bots).where(bots.c.user_id == owner, bots.c.id == bot_id, bots.c.deleted_at.is_(None))
    ).first()
    return _bot(row) if row else None


def list_page(
    conn: sa.Connection, owner: int, *, after: int = 0, limit: int = 100, account_id: int | None = None
) -> list[Bot]:
    given = {"owner": owner, "after": after, "limit": limit}
    if account_id is not None:
        return [_bot(row) for row in rows(conn, _PAGE_OF_ACCOUNT, given | {"account_id": account_id})]
    return [_bot(row) for row in rows(conn, _PAGE, given)]


_PAGE = (
    sa.select(bots)
    .where(bots.c.user_id == p("owner"), bots.c.deleted_at.is_(None), bots.c.id > p("after"))
    .order_by(bots.c.id)
    .limit(p("limit", type_=sa.Integer))
)

_PAGE_OF_ACCOUNT = _PAGE.where(bots.c.account_id == p("account_id"))


def stopped(conn: sa.Connection, owner: int, *, limit: int) -> list[Bot]:
    """Bots that are paused, and not by their user; the latest first."""
    mine = (bots.c.user_id == owner) & ~bots.c.is_active & bots.c.deleted_at.is_(None)
    query = (
        sa.select(bots)
        .where(mine, bots.c.paused_reason.not_in(["", "paused by its user"]))
        .order_by(bots.c.updated_at.desc())
    )
    return [_bot(row) for row in conn.execute(query.limit(limit))]


def owning(conn: sa.Connection, owner: int) -> list[Bot]:
    return [bot for bot in engaged(conn, owner) if bot.position.quantity]


def engaged(conn: sa.Connection, owner: int) -> list[Bot]:
    """Those with a position, or with an order out for one."""
    return [_bot(row) for row in rows(conn, _ENGAGED, {"owner": owner})]


_ENGAGED = (
    sa.select(bots)
    .where(sa.text("status != 'READY'"), bots.c.user_id == p("owner"), bots.c.deleted_at.is_(None))
    .order_by(bots.c.id)
)

_HEARING = (
    sa.select(bots.c.id, bots.c.account_id, bots.c.symbol, bots.c.timeframe, bots.c.name)
    .where(
        bots.c.user_id == p("owner"),
        bots.c.symbol == p("symbol", type_=Instrument),
        bots.c.deleted_at.is_(None),
    )
    .order_by(bots.c.id)
)


def hearing(conn: sa.Connection, owner: int, symbol: Symbol) -> list[Any]:
    """The bots an alert for this symbol may be meant for."""
    return rows(conn, _HEARING, {"owner": owner, "symbol": symbol})


def named(conn: sa.Connection, owner: int) -> list[Any]:
    """Every bot's id, symbol, timeframe and name: to find the one an alert names, and to say which there
    are."""
    query = sa.select(bots.c.id, bots.c.account_id, bots.c.symbol, bots.c.timeframe, bots.c.name)
    return list(
        conn.execute(
            query.where(bots.c.user_id == owner, bots.c.deleted_at.is_(None)).order_by(bots.c.id).limit(10000)
        )
    )


def names(conn: sa.Connection, owner: int) -> dict[int, str]:
    """Of all bots there ever were."""
    return {
        row.id: row.name
        for row in conn.execute(sa.select(bots.c.id, bots.c.name).where(bots.c.user_id == owner))
    }


def change(conn: sa.Connection, owner: int, bot_id: int, **values: Any) -> bool:
    mine = (bots.c.user_id == owner) & (bots.c.id == bot_id) & bots.c.deleted_at.is_(None)
    return conn.execute(sa.update(bots).where(mine).values(**values)).rowcount == 1


def pause_all(
    conn: sa.Connection, owner: int, *, reason: str, now: datetime, account_id: int | None = None
) -> int:
    mine = (bots.c.user_id == owner) & bots.c.is_active & bots.c.deleted_at.is_(None)
    if account_id is not None:
        mine &= bots.c.account_id == account_id
    return conn.execute(
        sa.update(bots).where(mine).values(is_active=False, paused_reason=reason, updated_at=now)
    ).rowcount


def pause_scope(conn: sa.Connection, *, scope: str, scope_id: int, reason: str, now: datetime) -> int:
    """A halt: the bots stay stopped until each is resumed by hand. The caller has checked the scope."""
    column = {"user": bots.c.user_id, "account": bots.c.account_id, "bot": bots.c.id}.get(scope)
    wanted = bots.c.is_active if column is None else sa.and_(bots.c.is_active, column == scope_id)
    return conn.execute(
        sa.update(bots).where(wanted).values(is_active=False, paused_reason=reason, updated_at=now)
    ).rowcount


# --- for the worker -----------------------------------------------------------------------------------------

_LOAD = sa.select(bots).where(bots.c.id == p("bot_id"))

_HOLDING = (
    sa.select(bots).where(sa.text("status != 'READY'"), bots.c.id > p("after")).order_by(bots.c.id).limit(500)
)

_DAY_COLUMNS = ("realized", "fees", "volume", "entries", "trades", "wins", "losses")

_BOOK = (
    sa.update(bots)
    .where(bots.c.id == p("bot_id"))
    .values(
        status=p("new_status"),
        position_quantity=p("quantity", type_=Exact),
        position_cost=p("cost", type_=Exact),
        realized_pnl=p("realized", type_=Exact),
        fees=p("fees_", type_=Exact),
        total_trades=p("trades"),
        exits=p("exits_", type_=Json),
        updated_at=p("now"),
        last_signal_at=p("signal_at"),
        last_entry_at=p("entry_at"),
        day=p("date_", type_=sa.Date),
        **{f"day_{name}": p(f"d_{name}", type_=bots.c[f"day_{name}"].type) for name in _DAY_COLUMNS},
    )
)

_TOUCH = (
    sa.update(bots)
    .where(bots.c.id == p("bot_id"))
    .values(
        status=p("new_status"),
        last_signal_at=p("signal_at"),
        last_entry_at=p("entry_at"),
        day=p("date_", type_=sa.Date),
        **{f"day_{name}": p(f"d_{name}", type_=bots.c[f"day_{name}"].type) for name in _DAY_COLUMNS},
    )
)


def load(conn: sa.Connection, bot_id: int) -> Bot:
    """The bot, deleted or not."""
    row = first(conn, _LOAD, {"bot_id": bot_id})
    if row is None:
        raise LookupError(f"bot {bot_id} does not exist")
    return _bot(row)


_OTHERS = (
    sa.select(bots.c.id)
    .where(
        bots.c.account_id == p("account_id"),
        bots.c.symbol == p("symbol", type_=Instrument),
        bots.c.id != p("bot_id"),
        bots.c.deleted_at.is_(None),
    )
    .limit(1)
)


def is_alone(conn: sa.Connection, bot: Bot) -> bool:
    """No other bot of its account trades its symbol."""
    return (
        first(conn, _OTHERS, {"account_id": bot.account_id, "symbol": bot.symbol, "bot_id": bot.id}) is None
    )


_ON_SYMBOL = sa.select(bots.c.id, bots.c.position_quantity).where(
    bots.c.account_id == p("account_id"), bots.c.symbol == p("symbol", type_=Instrument)
)

_LIVING, _DELETED = _ON_SYMBOL.where(bots.c.deleted_at.is_(None)), _ON_SYMBOL.where(_LEFT)  # an index each


def owned_on(conn: sa.Connection, account_id: int, symbol: Symbol) -> dict[int, Decimal]:
    """What each bot of the account owns of the symbol, deleted ones that are not flat yet too."""
    given = {"account_id": account_id, "symbol": symbol}
    found = [*rows(conn, _LIVING, given), *rows(conn, _DELETED, given)]
    return {row.id: row.position_quantity for row in found if row.position_quantity}


def holding(conn: sa.Connection, *, after: int) -> list[Bot]:
    """Bots that own something or have an order out, 500 at a time."""
    return [_bot(row) for row in rows(conn, _HOLDING, {"after": after})]


def _day_values(day: Day) -> dict[str, Any]:
    return {"date_": day.date} | {f"d_{name}": getattr(day, name) for name in _DAY_COLUMNS}


def book(conn: sa.Connection, bot: Bot, *, now: datetime) -> None:
    """What fills have made of the bot: position, profit, counters, status, exits."""
    run(
        conn,
        _BOOK,
        _day_values(bot.last_day)
        | {
            "bot_id": bot.id,
            "new_status": bot.status,
            "quantity": bot.position.quantity,
            "cost": bot.position.cost,
            "realized": bot.realized_pnl,
            "fees_": bot.fees,
            "trades": bot.total_trades,
            "exits_": bot.exits,
            "now": now,
            "signal_at": bot.last_signal_at,
            "entry_at": bot.last_entry_at,
        },
    )


def swap_exits(conn: sa.Connection, bot_id: int, old: Any, new: Any) -> None:
    """A trailing stop moves on, unless the exits were changed meanwhile."""
    conn.execute(sa.update(bots).where(bots.c.id == bot_id, bots.c.exits == old).values(exits=new))


def split_position(conn: sa.Connection, bot_id: int, position: Position, exits: Any, now: datetime) -> None:
    values = {
        "position_quantity": position.quantity,
        "position_cost": position.cost,
        "exits": exits,
        "updated_at": now,
    }
    conn.execute(sa.update(bots).where(bots.c.id == bot_id).values(**values))


def touch(conn: sa.Connection, bot: Bot) -> None:
    """Its status, when it last heard and entered, and its day's counters."""
    run(
        conn,
        _TOUCH,
        _day_values(bot.last_day)
        | {
            "bot_id": bot.id,
            "new_status": bot.status,
            "signal_at": bot.last_signal_at,
            "entry_at": bot.last_entry_at,
        },
    )
