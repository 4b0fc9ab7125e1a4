"""Bots and their settings, as their users read and change them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot, BotSettings, Day, OrderDefaults, Sides, WhenClosed, Window
from dashtrade.domain.exits.stored import read_plan, write_plan
from dashtrade.domain.kernel.source import Listener
from dashtrade.domain.ledger import Position
from dashtrade.domain.reasons import NO_REASON, Code, Reason, stored
from dashtrade.domain.record import field_names
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType
from dashtrade.tables.base import (
    BigId,
    Instrument,
    Json,
    bool_column,
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
from dashtrade.tables.compiled_sql import rows
from dashtrade.tables.exit_columns import ExitsJson

DELETED_NOT_FLAT = sa.text("deleted_at IS NOT NULL AND status != 'READY'")  # not flat yet

bots = sa.Table(
    "user_bot_configs",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("account_id", BigId, sa.ForeignKey("user_api_keys.id"), nullable=False),
    text_column("name"),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("written_symbol"),
    int_column("timeframe"),
    text_column("size_kind"),
    decimal_column("size_value"),
    bool_column("size_override"),
    decimal_column("risk_limit_percent", nullable=True),
    decimal_column("daily_loss_limit", nullable=True),
    decimal_column("max_position_size", nullable=True),
    text_column("sides"),
    text_column("order_type"),
    decimal_column("limit_offset_percent"),
    int_column("cooldown_seconds"),
    sa.Column("windows", Json, nullable=False),
    text_column("time_zone"),
    int_column("orders_per_day", nullable=True),
    sa.Column("when_closed", sa.Text, nullable=False, server_default="refuse"),
    bool_column("is_active"),
    reason_column("paused_reason"),
    text_column("status"),
    decimal_column("position_quantity"),
    decimal_column("position_cost"),
    decimal_column("realized_pnl"),
    decimal_column("fees"),
    int_column("total_trades"),
    sa.Column("day", sa.Date, nullable=False),
    decimal_column("day_realized"),
    decimal_column("day_fees"),
    decimal_column("day_volume"),
    int_column("day_entries"),
    int_column("day_trades"),
    int_column("day_wins"),
    int_column("day_losses"),
    sa.Column("exits", ExitsJson, nullable=True),
    sa.Column("exit_plan", Json, nullable=True),
    sa.Column("ordering", Json, nullable=True),
    time_column("last_entry_at", nullable=True),
    time_column("last_signal_at", nullable=True),
    time_column("created_at"),
    time_column("updated_at"),
    time_column("deleted_at", nullable=True),
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
    sa.Index(
        "ix_user_bot_configs_left",
        "account_id",
        "symbol",
        sqlite_where=DELETED_NOT_FLAT,
        postgresql_where=DELETED_NOT_FLAT,
    ),
)

SYSTEM = {"pause_scope"}


def bot_from_row(row: Any) -> Bot:
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
        exit_plan=read_plan(row.exit_plan),
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


def settings_columns(settings: BotSettings) -> dict[str, Any]:
    return {
        "name": settings.name,
        "size_kind": settings.size.kind,
        "size_value": settings.size.value,
        "size_override": settings.allow_alert_size,
        "risk_limit_percent": settings.risk_limit_percent,
        "daily_loss_limit": settings.daily_loss_limit,
        "max_position_size": settings.max_position_size,
        "sides": settings.sides,
        "order_type": settings.order_type,
        "limit_offset_percent": settings.limit_offset_percent,
        "cooldown_seconds": settings.cooldown_seconds,
        "windows": [window.written() for window in settings.windows],
        "time_zone": settings.time_zone,
        "orders_per_day": settings.orders_per_day,
        "when_closed": settings.when_closed,
        "exit_plan": write_plan(settings.exit_plan),
        "ordering": settings.order_defaults.written(),
    }


def add(
    conn: sa.Connection,
    owner: int,
    account_id: int,
    *,
    symbol: Symbol,
    written_symbol: str,
    timeframe: Timeframe,
    settings: BotSettings,
    now: datetime,
) -> int:
    zero = Decimal(0)
    start = {
        "account_id": account_id,
        "symbol": symbol,
        "written_symbol": written_symbol,
        "timeframe": timeframe.seconds,
        "created_at": now,
        "updated_at": now,
        "is_active": True,
        "paused_reason": NO_REASON,
        "status": "READY",
        "position_quantity": zero,
        "position_cost": zero,
        "realized_pnl": zero,
        "fees": zero,
        "total_trades": 0,
        "day": now.date(),
        "day_realized": zero,
        "day_fees": zero,
        "day_volume": zero,
        "day_entries": 0,
        "day_trades": 0,
        "day_wins": 0,
        "day_losses": 0,
    }
    return insert_returning_id(
        conn, sa.insert(bots).values(user_id=owner, **start, **settings_columns(settings))
    )


def get(conn: sa.Connection, owner: int, bot_id: int) -> Bot | None:
    row = conn.execute(
        sa.select(bots).where(bots.c.user_id == owner, bots.c.id == bot_id, bots.c.deleted_at.is_(None))
    ).first()
    return bot_from_row(row) if row else None


def list_page(
    conn: sa.Connection, owner: int, *, after: int = 0, limit: int = 100, account_id: int | None = None
) -> list[Bot]:
    given = {"owner": owner, "after": after, "limit": limit}
    if account_id is not None:
        return [bot_from_row(row) for row in rows(conn, _PAGE_OF_ACCOUNT, given | {"account_id": account_id})]
    return [bot_from_row(row) for row in rows(conn, _PAGE, given)]


_PAGE = (
    sa.select(bots)
    .where(bots.c.user_id == p("owner"), bots.c.deleted_at.is_(None), bots.c.id > p("after"))
    .order_by(bots.c.id)
    .limit(p("limit", type_=sa.Integer))
)

_PAGE_OF_ACCOUNT = _PAGE.where(bots.c.account_id == p("account_id"))


# paused by its user, as stored now and before there were codes
_PAUSES_WITHOUT_ALARM = ("", stored(Reason(Code.PAUSED_BY_USER)), "paused by its user")


def stopped(conn: sa.Connection, owner: int, *, limit: int) -> list[Bot]:
    """Bots that were paused, but not by their user; latest first."""
    of_owner = (bots.c.user_id == owner) & ~bots.c.is_active & bots.c.deleted_at.is_(None)
    query = (
        sa.select(bots)
        .where(of_owner, sa.type_coerce(bots.c.paused_reason, sa.Text).not_in(_PAUSES_WITHOUT_ALARM))
        .order_by(bots.c.updated_at.desc())
    )
    return [bot_from_row(row) for row in conn.execute(query.limit(limit))]


def owning(conn: sa.Connection, owner: int) -> list[Bot]:
    return [bot for bot in engaged(conn, owner) if bot.position.quantity]


def engaged(conn: sa.Connection, owner: int) -> list[Bot]:
    """Bots with a position, or with an open order for one."""
    return [bot_from_row(row) for row in rows(conn, _ENGAGED, {"owner": owner})]


_ENGAGED = (
    sa.select(bots)
    .where(sa.text("status != 'READY'"), bots.c.user_id == p("owner"), bots.c.deleted_at.is_(None))
    .order_by(bots.c.id)
)

_LISTENER = [bots.c[name] for name in field_names(Listener)]
_LISTENING = (
    sa.select(*_LISTENER)
    .where(
        bots.c.user_id == p("owner"),
        bots.c.symbol == p("symbol", type_=Instrument),
        bots.c.deleted_at.is_(None),
    )
    .order_by(bots.c.id)
)


def listening_on(conn: sa.Connection, owner: int, symbol: Symbol) -> list[Listener]:
    """The bots that an alert for this symbol may address."""
    return [Listener(**row._asdict()) for row in rows(conn, _LISTENING, {"owner": owner, "symbol": symbol})]


def all_with_names(conn: sa.Connection, owner: int) -> list[Listener]:
    """Every bot's id, symbol, timeframe and name: to find the one an alert names, and to list them in an
    error."""
    query = sa.select(*_LISTENER)
    found = query.where(bots.c.user_id == owner, bots.c.deleted_at.is_(None)).order_by(bots.c.id)
    return [Listener(**row._asdict()) for row in conn.execute(found.limit(10000))]


def names(conn: sa.Connection, owner: int) -> dict[int, str]:
    """Of all bots, deleted ones too."""
    return {
        row.id: row.name
        for row in conn.execute(sa.select(bots.c.id, bots.c.name).where(bots.c.user_id == owner))
    }


def change(conn: sa.Connection, owner: int, bot_id: int, **values: Any) -> bool:
    of_owner = (bots.c.user_id == owner) & (bots.c.id == bot_id) & bots.c.deleted_at.is_(None)
    return conn.execute(sa.update(bots).where(of_owner).values(**values)).rowcount == 1


def change_settings(
    conn: sa.Connection, owner: int, bot_id: int, before: BotSettings, after: BotSettings, *, now: datetime
) -> bool:
    """Writes only what differs, so that two concurrent changes of different settings both succeed."""
    old = settings_columns(before)
    changed = {name: value for name, value in settings_columns(after).items() if value != old[name]}
    return change(conn, owner, bot_id, **changed, updated_at=now)


def pause_all(
    conn: sa.Connection, owner: int, *, reason: Reason, now: datetime, account_id: int | None = None
) -> int:
    of_owner = (bots.c.user_id == owner) & bots.c.is_active & bots.c.deleted_at.is_(None)
    if account_id is not None:
        of_owner &= bots.c.account_id == account_id
    return conn.execute(
        sa.update(bots).where(of_owner).values(is_active=False, paused_reason=reason, updated_at=now)
    ).rowcount


def pause_scope(conn: sa.Connection, *, scope: str, scope_id: int, reason: Reason, now: datetime) -> int:
    """A halt: the bots stay paused until each is resumed by hand. The caller has checked the scope."""
    column = {"user": bots.c.user_id, "account": bots.c.account_id, "bot": bots.c.id}.get(scope)
    wanted = bots.c.is_active if column is None else sa.and_(bots.c.is_active, column == scope_id)
    return conn.execute(
        sa.update(bots).where(wanted).values(is_active=False, paused_reason=reason, updated_at=now)
    ).rowcount
