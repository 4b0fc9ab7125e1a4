"""Users' protections, and the locks they have set."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot, Stop, Switch
from dashtrade.domain.kernel.records import NewLock
from dashtrade.domain.orders import Effect
from dashtrade.domain.protections import (
    ActiveLock,
    ActiveProtection,
    BotRestrictions,
    OtherHolding,
    PastExit,
    Scope,
    SentEntry,
)
from dashtrade.domain.reasons import read_stored
from dashtrade.domain.record import field_names
from dashtrade.domain.signals import ExitCause, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderType
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import (
    BigId,
    Instrument,
    Json,
    UtcTime,
    bool_column,
    id_column,
    insert_returning_id,
    int_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import rows, run
from dashtrade.tables.orders import orders
from dashtrade.tables.signals import signals
from dashtrade.tables.switches import switches
from dashtrade.tables.trades import trades

protections = sa.Table(
    "protections",
    metadata,
    id_column(),
    owner_column(index=True),
    text_column("scope"),
    int_column("scope_id"),
    text_column("kind"),
    sa.Column("settings", Json, nullable=False),
    bool_column("is_active"),
    time_column("created_at"),
    time_column("updated_at"),
    time_column("deleted_at", nullable=True),
)
_IS_LOCKED = sa.text("unlocked_at IS NULL")
locks = sa.Table(
    "protection_locks",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("protection_id", BigId, sa.ForeignKey("protections.id"), nullable=False, index=True),
    text_column("kind"),
    text_column("scope"),
    int_column("scope_id"),
    sa.Column("symbol", Instrument, nullable=True),
    int_column("bot_id"),
    text_column("signal_id"),
    reason_column("reason"),
    sa.Column("numbers", Json, nullable=False),
    time_column("since"),
    time_column("until", nullable=True),
    time_column("unlocked_at", nullable=True),
    int_column("unlocked_by", nullable=True),
    sa.Index("ix_protection_locks_user", "user_id", "id"),
    sa.Index(
        "ix_protection_locks_standing",
        "user_id",
        "until",
        sqlite_where=_IS_LOCKED,
        postgresql_where=_IS_LOCKED,
    ),
)

SYSTEM = {"restrictions_on", "add_lock", "resets", "past_exits", "sent_entries", "holdings"}
MAX_ROWS = 5000  # number of newest exits or orders considered


# --- for the worker -----------------------------------------------------------------------------------------


def _covers(table: sa.Table) -> Any:
    return sa.or_(
        sa.and_(table.c.scope == "user", table.c.scope_id == p("owner_id")),
        sa.and_(table.c.scope == "account", table.c.scope_id == p("account_id")),
        sa.and_(table.c.scope == "bot", table.c.scope_id == p("bot_id")),
    )


def _null(kind: Any) -> Any:
    return sa.cast(sa.null(), kind)


_RESTRICTIONS = sa.union_all(
    sa.select(
        sa.literal_column("'switch'", sa.Text).label("what"),
        sa.literal_column("0", BigId).label("id"),
        sa.literal_column("0", BigId).label("protection_id"),
        switches.c.stop.label("kind"),
        switches.c.scope,
        switches.c.scope_id,
        _null(Instrument).label("symbol"),
        switches.c.reason,
        _null(UtcTime).label("until"),
        _null(Json).label("settings"),
    ).where(sa.or_(switches.c.scope == "all", _covers(switches))),
    sa.select(
        sa.literal_column("'lock'", sa.Text),
        locks.c.id,
        locks.c.protection_id,
        locks.c.kind,
        locks.c.scope,
        locks.c.scope_id,
        locks.c.symbol,
        locks.c.reason,
        locks.c.until,
        _null(Json),
    ).where(
        locks.c.user_id == p("owner_id"),
        sa.text("unlocked_at IS NULL"),
        sa.or_(locks.c.until.is_(None), locks.c.until > p("now", type_=UtcTime)),
        sa.or_(locks.c.symbol.is_(None), locks.c.symbol == p("symbol", type_=Instrument)),
        _covers(locks),
    ),
    sa.select(
        sa.literal_column("'watching'", sa.Text),
        protections.c.id,
        protections.c.id,
        protections.c.kind,
        protections.c.scope,
        protections.c.scope_id,
        _null(Instrument),
        sa.literal_column("''", sa.Text),
        _null(UtcTime),
        protections.c.settings,
    ).where(
        protections.c.user_id == p("owner_id"),
        protections.c.is_active,
        protections.c.deleted_at.is_(None),
        _covers(protections),
    ),
)


def restrictions_on(conn: sa.Connection, bot: Bot, now: datetime) -> BotRestrictions:
    """The switches, locks and protections over the bot, in one statement, as it runs at every decision."""
    given = {
        "owner_id": bot.user_id,
        "account_id": bot.account_id,
        "bot_id": bot.id,
        "symbol": bot.symbol,
        "now": now,
    }
    found = rows(conn, _RESTRICTIONS, given)
    return BotRestrictions(
        switches=tuple(
            Switch(scope=r.scope, scope_id=r.scope_id, stop=Stop(r.kind), reason=r.reason)
            for r in found
            if r.what == "switch"
        ),
        locks=tuple(
            ActiveLock(
                id=r.id,
                protection_id=r.protection_id,
                kind=r.kind,
                scope=Scope(r.scope),
                symbol=r.symbol,
                reason=read_stored(r.reason),
                until=r.until,
            )
            for r in found
            if r.what == "lock"
        ),
        protections=tuple(
            ActiveProtection(
                id=r.id, kind=r.kind, scope=Scope(r.scope), scope_id=r.scope_id, settings=r.settings
            )
            for r in found
            if r.what == "watching"
        ),
    )


_ADD_LOCK = sa.insert(locks)


def add_lock(conn: sa.Connection, lock: NewLock) -> None:
    row = {name: getattr(lock, name) for name in field_names(NewLock)}
    run(conn, _ADD_LOCK, row | {"unlocked_at": None, "unlocked_by": None})


def resets(
    conn: sa.Connection, protection_ids: list[int]
) -> dict[tuple[int, str, int, Symbol | None], datetime]:
    """When each protection was last unlocked, for each locked target: earlier events no longer count."""
    what = (locks.c.protection_id, locks.c.scope, locks.c.scope_id, locks.c.symbol)
    query = sa.select(*what, sa.func.max(locks.c.unlocked_at).label("at")).where(
        locks.c.protection_id.in_(protection_ids), locks.c.unlocked_at.is_not(None)
    )
    return {
        (r.protection_id, r.scope, r.scope_id, r.symbol): r.at for r in conn.execute(query.group_by(*what))
    }


def _in_scope(table: sa.Table, bot: Bot, scope: Scope) -> Any:
    """The rows within that scope of the bot."""
    of_owner = table.c.user_id == bot.user_id
    if scope is Scope.ACCOUNT:
        return sa.and_(of_owner, table.c.account_id == bot.account_id)
    return sa.and_(of_owner, table.c.bot_id == bot.id) if scope is Scope.BOT else of_owner


_STOPPED = sa.or_(
    orders.c.type.in_([OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP]),
    signals.c.origin == Origin.RISK,
    signals.c.exit_cause == ExitCause.STOP_LOSS,
)


def past_exits(conn: sa.Connection, bot: Bot, scope: Scope, since: datetime) -> list[PastExit]:
    """Exits, oldest first; of many the newest."""
    query = (
        sa.select(
            trades.c.bot_id,
            trades.c.account_id,
            trades.c.symbol,
            trades.c.at,
            trades.c.realized_pnl,
            trades.c.fee,
            _STOPPED.label("stopped"),
        )
        .join(orders, orders.c.id == trades.c.order_id)
        .join(signals, signals.c.id == trades.c.signal_id)
        .where(
            _in_scope(trades, bot, scope),
            trades.c.at > since,
            trades.c.effect.in_([Effect.REDUCE, Effect.CLOSE]),
        )
        .order_by(trades.c.at.desc(), trades.c.id.desc())
        .limit(MAX_ROWS)
    )
    return [
        PastExit(
            bot_id=r.bot_id,
            account_id=r.account_id,
            symbol=r.symbol,
            at=r.at,
            profit=r.realized_pnl - r.fee,
            stopped=bool(r.stopped),
        )
        for r in reversed(list(conn.execute(query)))
    ]


def sent_entries(conn: sa.Connection, bot: Bot, scope: Scope, since: datetime) -> list[SentEntry]:
    query = sa.select(orders.c.bot_id, orders.c.account_id, orders.c.created_at).where(
        # exits held with an entry count as one order with it
        _in_scope(orders, bot, scope),
        orders.c.created_at > since,
        orders.c.parent_id.is_(None),
    )
    found = conn.execute(query.order_by(orders.c.created_at.desc()).limit(MAX_ROWS))
    return [SentEntry(bot_id=r.bot_id, account_id=r.account_id, at=r.created_at) for r in found]


def holdings(conn: sa.Connection, bot: Bot, scope: Scope) -> list[OtherHolding]:
    """Positions and pending entries of other bots: one for each bot, quantities unsigned."""
    others = sa.select(bots.c.id, bots.c.account_id, bots.c.symbol, bots.c.position_quantity).where(
        bots.c.user_id == bot.user_id, bots.c.id != bot.id, sa.text("user_bot_configs.status != 'READY'")
    )
    entering = sa.select(orders.c.bot_id, orders.c.quantity, orders.c.filled_quantity).where(
        orders.c.account_id.in_(sa.select(accounts.c.id).where(accounts.c.user_id == bot.user_id)),
        orders.c.user_id == bot.user_id,
        sa.text("orders.status IN ('created', 'submitting', 'unknown', 'working', 'attention')"),
        orders.c.effect.in_([Effect.OPEN, Effect.ADD]),
    )
    if scope is not Scope.USER:
        others, entering = (
            others.where(bots.c.account_id == bot.account_id),
            entering.where(orders.c.account_id == bot.account_id),
        )
    entering_quantities: dict[int, Decimal] = {}
    for row in conn.execute(entering):
        entering_quantities[row.bot_id] = (
            entering_quantities.get(row.bot_id, ZERO) + row.quantity - row.filled_quantity
        )
    found = (
        (r, abs(r.position_quantity) + entering_quantities.get(r.id, ZERO)) for r in conn.execute(others)
    )
    return [
        OtherHolding(bot_id=r.id, account_id=r.account_id, symbol=r.symbol, quantity=quantity)
        for r, quantity in found
        if quantity
    ]


# --- for its owner ------------------------------------------------------------------------------------------


def _mine(owner: int) -> Any:
    return (protections.c.user_id == owner) & protections.c.deleted_at.is_(None)


def add(conn: sa.Connection, owner: int, **values: Any) -> int:
    return insert_returning_id(conn, sa.insert(protections).values(user_id=owner, is_active=True, **values))


def get(conn: sa.Connection, owner: int, protection_id: int) -> Any | None:
    one = _mine(owner) & (protections.c.id == protection_id)
    return conn.execute(sa.select(protections).where(one)).first()


def list_all(conn: sa.Connection, owner: int) -> list[Any]:
    return list(conn.execute(sa.select(protections).where(_mine(owner)).order_by(protections.c.id)))


def change(conn: sa.Connection, owner: int, protection_id: int, **values: Any) -> bool:
    one = _mine(owner) & (protections.c.id == protection_id)
    return conn.execute(sa.update(protections).where(one).values(**values)).rowcount == 1


def get_lock(conn: sa.Connection, owner: int, lock_id: int) -> Any | None:
    return conn.execute(sa.select(locks).where(locks.c.user_id == owner, locks.c.id == lock_id)).first()


def list_locks(
    conn: sa.Connection, owner: int, *, before: int | None, limit: int, active_at: datetime | None = None
) -> list[Any]:
    """Newest first; with `active_at` only those active then."""
    query = sa.select(locks).where(locks.c.user_id == owner)
    if before is not None:
        query = query.where(locks.c.id < before)
    if active_at is not None:
        query = query.where(
            sa.text("unlocked_at IS NULL"), sa.or_(locks.c.until.is_(None), locks.c.until > active_at)
        )
    return list(conn.execute(query.order_by(locks.c.id.desc()).limit(limit)))


def unlock(
    conn: sa.Connection,
    owner: int,
    *,
    by: int,
    now: datetime,
    lock_id: int | None = None,
    protection_id: int | None = None,
) -> int:
    """Remove one lock, or all of a protection; returns how many were active."""
    of_owner = (
        (locks.c.user_id == owner)
        & locks.c.unlocked_at.is_(None)
        & sa.or_(locks.c.until.is_(None), locks.c.until > now)
    )
    of_owner &= locks.c.id == lock_id if protection_id is None else locks.c.protection_id == protection_id
    return conn.execute(sa.update(locks).where(of_owner).values(unlocked_at=now, unlocked_by=by)).rowcount
