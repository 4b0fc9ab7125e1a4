"""Queries over all users, for admins and for deleting a user; none takes an owner."""

from __future__ import annotations

from collections.abc import Collection, Generator
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.tables import candles  # noqa: F401  (imported candles go with their user)
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import escape_formula_column, is_postgres, metadata
from dashtrade.tables.bot_days import performance
from dashtrade.tables.bots import bots
from dashtrade.tables.fills import fills
from dashtrade.tables.messages import audit
from dashtrade.tables.orders import orders
from dashtrade.tables.people import users
from dashtrade.tables.risk_events import risk_events
from dashtrade.tables.sessions import sessions
from dashtrade.tables.signals import decisions, signals
from dashtrade.tables.trades import (
    CSV_COLUMNS,
    SIMULATED_ON_LIVE,
    WITH_LIVE_MONEY,
    csv_cells,
    newest_first,
    trades,
)

SYSTEM = {
    "busy_on_live",
    "busy_for_real",
    "figures",
    "by_day",
    "by_symbol",
    "all_trades",
    "stream_all_trades",
    "latencies",
    "remove_some",
    "remove_user",
    "live_without_factor",
    "factors",
    "people_by_factor",
}

_OPEN = sa.text("orders.status IN ('created', 'submitting', 'unknown', 'working', 'attention')")
_HOLDING = sa.text("user_bot_configs.status != 'READY'")


# --- live money ---------------------------------------------------------------------------------------------


def _busy(wanted: Any) -> sa.Select[Any]:
    """Bots on live accounts with a position or an open order, with their owner's email."""
    b = bots.c
    query = sa.select(b.id, b.name, b.symbol, b.position_quantity.label("quantity"), users.c.email)
    query = query.join(accounts, accounts.c.id == b.account_id).join(users, users.c.id == b.user_id)
    return (
        query.where(
            accounts.c.mode == "live",
            sa.or_(_HOLDING, sa.exists().where(orders.c.bot_id == b.id, _OPEN)),
            wanted,
        )
        .order_by(b.id)
        .limit(100)
    )


def busy_on_live(conn: sa.Connection) -> list[Any]:
    return list(conn.execute(_busy(sa.true())))


def busy_for_real(conn: sa.Connection, user_id: int) -> list[Any]:
    """For one user."""
    return list(conn.execute(_busy(bots.c.user_id == user_id)))


# --- second factors -----------------------------------------------------------------------------------------


def live_without_factor(conn: sa.Connection, user_ids: Collection[int]) -> dict[int, Any]:
    """Of these users, those without a second factor whose accounts may trade real money: number of accounts,
    for how many they declined a second factor, and since when."""
    a = accounts.c
    found = sa.select(
        a.user_id,
        sa.func.count().label("accounts"),
        sa.func.count(a.second_factor_declined_at).label("declined"),
        sa.func.min(a.second_factor_declined_at).label("since"),
    ).join(users, users.c.id == a.user_id)
    live = (a.mode == "live") & a.acknowledged_at.is_not(None) & a.deleted_at.is_(None)
    found = found.where(a.user_id.in_(user_ids), live, users.c.totp_secret.is_(None)).group_by(a.user_id)
    return {row.user_id: row for row in conn.execute(found)}


_PEOPLE = sa.and_(users.c.demo_until.is_(None), users.c.removed_at.is_(None))


def factors(conn: sa.Connection) -> Any:
    """(users, users with a second factor), demos excluded."""
    query = sa.select(
        sa.func.count().label("people"), sa.func.count(users.c.totp_secret).label("with_factor")
    )
    return conn.execute(query.where(_PEOPLE)).one()


def people_by_factor(conn: sa.Connection, *, second_factor: bool) -> list[int]:
    """Users with a second factor, or those without; demos excluded."""
    has = users.c.totp_secret.is_not(None) if second_factor else users.c.totp_secret.is_(None)
    return list(conn.scalars(sa.select(users.c.id).where(_PEOPLE, has)))


# --- figures ------------------------------------------------------------------------------------------------


def figures(conn: sa.Connection, *, since_active: datetime, since_error: datetime) -> dict[str, int]:
    """Current counts: users, recently active users, demos, active bots, and errors of the last day."""
    here = sa.select(sa.func.count(sa.distinct(sessions.c.user_id))).where(sessions.c.seen_at > since_active)
    there = users.c.removed_at.is_(None)
    counts = {
        "users": _count(users, there),
        "active_users": here.scalar_subquery(),
        "demos": _count(users, sa.text("demo_until IS NOT NULL"), there),
        "bots": _count(bots, bots.c.deleted_at.is_(None)),
        "running_bots": _count(bots, bots.c.deleted_at.is_(None), bots.c.is_active),
        "holding_bots": _count(bots, _HOLDING),
        "attention_orders": _count(orders, _OPEN, orders.c.status == "attention"),
        "disabled_accounts": _count(
            accounts, accounts.c.is_active.is_(False), accounts.c.deleted_at.is_(None)
        ),
        "risk_events": _count(risk_events, risk_events.c.at > since_error),
        "refused_signals": _count(
            signals, signals.c.received_at > since_error, signals.c.status == "refused"
        ),
    }
    row = conn.execute(sa.select(*(query.label(name) for name, query in counts.items()))).one()
    return dict(row._asdict())


def _count(table: sa.Table, *wanted: Any) -> Any:
    return sa.select(sa.func.count()).select_from(table).where(*wanted).scalar_subquery()


def by_day(conn: sa.Connection, since: date) -> list[Any]:
    """(day, trades, volume) of all bots; the volume as an approximate number, for a chart."""
    p = performance.c
    query = sa.select(
        p.day, sa.func.sum(p.trades).label("trades"), sa.func.sum(sa.cast(p.volume, sa.Float)).label("volume")
    )
    return list(conn.execute(query.where(p.day >= since).group_by(p.day).order_by(p.day)))


def by_symbol(conn: sa.Connection, since: date, limit: int) -> list[Any]:
    """The most traded symbols: (symbol, trades, volume)."""
    p = performance.c
    traded = sa.func.sum(p.trades).label("trades")
    query = sa.select(bots.c.symbol, traded, sa.func.sum(sa.cast(p.volume, sa.Float)).label("volume"))
    query = query.join(bots, bots.c.id == p.bot_id).where(p.day >= since).group_by(bots.c.symbol)
    return list(conn.execute(query.order_by(traded.desc(), bots.c.symbol).limit(limit)))


_SENT = ("webhook", "api", "user", "replay")
# the sender of a demo's generated past alerts, which say nothing about latency
HISTORY = "the demo's history"


def latencies(conn: sa.Connection, limit: int) -> list[Any]:
    """Of the newest decisions without delay: when the alert arrived, was decided, and its first fill was
    booked."""
    d = decisions.c
    newest = sa.select(d.id, d.signal_id, d.bot_id, d.received_at, d.decided_at).join(
        signals, signals.c.id == d.signal_id
    )
    newest = newest.where(
        d.decided_at.is_not(None),
        d.due_at.is_(None),
        signals.c.origin.in_(_SENT),
        signals.c.sender != HISTORY,
    )
    found = newest.order_by(d.id.desc()).limit(limit).subquery()
    first = (
        sa.select(sa.func.min(fills.c.booked_at))
        .join(orders, orders.c.id == fills.c.order_id)
        .where(orders.c.signal_id == found.c.signal_id, orders.c.bot_id == found.c.bot_id)
        .scalar_subquery()
    )
    return list(conn.execute(sa.select(found.c.received_at, found.c.decided_at, first.label("booked_at"))))


# --- everybody's trades -------------------------------------------------------------------------------------


def _wanted(query: sa.Select[Any], wanted: dict[str, Any]) -> sa.Select[Any]:
    t = trades.c
    plain = {"user_id": t.user_id, "bot_id": t.bot_id, "symbol": t.symbol, "action": t.action}
    for name, column in plain.items():
        if wanted.get(name) is not None:
            query = query.where(column == wanted[name])
    if wanted.get("since") is not None:
        query = query.where(t.at >= wanted["since"])
    if wanted.get("until") is not None:
        query = query.where(t.at < wanted["until"])
    return query


def all_trades(conn: sa.Connection, *, before: int | None, limit: int, **wanted: Any) -> list[Any]:
    """Newest first, each with its user's email."""
    money_labels = (SIMULATED_ON_LIVE.label("simulated"), WITH_LIVE_MONEY.label("live"))
    query = _wanted(
        sa.select(trades, *money_labels, users.c.email).join(users, users.c.id == trades.c.user_id), wanted
    )
    if before is not None:
        query = query.where(trades.c.id < before)
    return list(conn.execute(query.order_by(trades.c.id.desc()).limit(limit)))


ALL_CSV_COLUMNS = ("user_id", "email", *CSV_COLUMNS)


def stream_all_trades(
    conn: sa.Connection, *, before: int | None = None, **wanted: Any
) -> Generator[tuple[Any, ...], None, None]:
    """All trades (below the id `before`) as text, newest first, a few in memory at a time."""
    cells = [
        sa.cast(trades.c.user_id, sa.Text),
        escape_formula_column(users.c.email),
        *csv_cells(postgres=is_postgres(conn)),
    ]
    query = _wanted(sa.select(*cells).join(users, users.c.id == trades.c.user_id), wanted)
    return newest_first(conn, query, before)


# --- deleting a user ----------------------------------------------------------------------------------------


def remove_some(conn: sa.Connection, user_id: int, most: int) -> int:
    """Delete at most this many of the user's rows that nothing else refers to. 0: only the user is left.

    The audit log stays, with a number in place of the user."""
    own = sa.select(accounts.c.id).where(accounts.c.user_id == user_id)
    of_accounts = [
        table for table in metadata.sorted_tables if "account_id" in table.c and "user_id" not in table.c
    ]
    of_users = [
        table for table in reversed(metadata.sorted_tables) if "user_id" in table.c and table is not audit
    ]
    for table in (*of_accounts, *of_users):
        of_owner = table.c.user_id == user_id if "user_id" in table.c else table.c.account_id.in_(own)
        key = list(table.primary_key.columns)
        rows = sa.select(*key).where(of_owner).limit(most)
        gone = conn.execute(
            sa.delete(table).where(sa.tuple_(*key).in_(rows) if len(key) > 1 else key[0].in_(rows))
        ).rowcount
        if gone:
            return gone
    return 0


def remove_user(conn: sa.Connection, user_id: int) -> None:
    conn.execute(sa.delete(users).where(users.c.id == user_id))
