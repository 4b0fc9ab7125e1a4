"""Received signals, one decision per signal and bot, and the lanes in which decisions are made.

A lane is (account, symbol): everything in it happens in sequence. A worker owns a lane by a lease; its number
(`token`) increases with every change of owner, and every write of a worker carries its token: the writes of a
worker that stalled past its lease are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.tables.base import (
    BigId,
    Instrument,
    Json,
    ReasonText,
    bool_column,
    id_column,
    int_column,
    is_postgres,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first, one, run, run_many, scalar

_RARE = sa.text("status IN ('working', 'attention', 'failed', 'refused')")  # few, and often queried

RARE = frozenset({"working", "attention", "failed", "refused"})

signals = sa.Table(
    "signals",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    owner_column(),
    time_column("received_at"),
    text_column("origin"),
    text_column("dialect"),
    sa.Column("symbol", Instrument, nullable=True),
    text_column("written_symbol"),
    int_column("timeframe", nullable=True),
    text_column("action"),
    text_column("status"),
    reason_column("reason"),
    text_column("dedupe_key", nullable=True),
    text_column("body_hash"),
    int_column("duplicate_count"),
    time_column("repeated_at", nullable=True),
    sa.Column("reading", Json, nullable=True),  # the signal as parsed on arrival
    text_column("raw", nullable=True),
    text_column("sender"),
    time_column("ended_at", nullable=True),
    text_column("exit_cause", nullable=True),  # why DashTrade itself closes; NULL: an alert, a button
    sa.Index("ix_signals_user_id", "user_id", "id"),
    sa.Index("ix_signals_dedupe", "user_id", "dedupe_key", "id"),
    sa.Index("ix_signals_rare", "user_id", "status", "id", sqlite_where=_RARE, postgresql_where=_RARE),
    sqlite_with_rowid=False,
)

# spelled out: a partial index serves only a condition that plainly implies its own
IS_WAITING = sa.text("decisions.status = 'waiting'")

decisions = sa.Table(
    "decisions",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("signal_id", sa.Text, sa.ForeignKey("signals.id"), nullable=False),
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), nullable=False),
    int_column("account_id"),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("status"),
    reason_column("reason"),
    reason_column("would"),
    bool_column("alone"),
    sa.Column("checks", Json, nullable=True),
    sa.Column("numbers", Json, nullable=True),
    int_column("taken_back"),
    time_column("received_at"),
    time_column("due_at", nullable=True),
    time_column("held_until", nullable=True),
    time_column("expires_at", nullable=True),
    time_column("decided_at", nullable=True),
    time_column("ended_at", nullable=True),
    sa.UniqueConstraint("signal_id", "bot_id"),
    sa.Index(
        "ix_decisions_waiting",
        "account_id",
        "symbol",
        "id",
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    ),
    sa.Index("ix_decisions_bot", "bot_id", "id"),
)


# --- receiving ----------------------------------------------------------------------------------------------

_INSERT_SIGNAL, _INSERT_DECISION = sa.insert(signals), sa.insert(decisions)

_REPEAT_OF = (
    sa.select(signals.c.id, signals.c.body_hash, signals.c.received_at, signals.c.status, signals.c.reason)
    .where(signals.c.user_id == p("owner"), signals.c.dedupe_key == p("key"))
    .order_by(signals.c.id.desc())
    .limit(1)
)


SYSTEM = {"end_signal", "lock_signal", "lock_key", "stored"}


def lock_key(conn: sa.Connection, key: str) -> None:
    """Serialise requests with this key; SQLite has one writer anyway."""
    if is_postgres(conn):
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def repeat_of(conn: sa.Connection, owner: int, key: str) -> Any | None:
    """The newest signal with this key."""
    return first(conn, _REPEAT_OF, {"owner": owner, "key": key})


def room_for(conn: sa.Connection, owner: int, most: int) -> bool:
    """Does the user have fewer than this many?"""
    return (
        len(conn.execute(sa.select(signals.c.id).where(signals.c.user_id == owner).limit(most)).all()) < most
    )


def count_repeat(conn: sa.Connection, owner: int, signal_id: str, now: datetime) -> None:
    of_owner = (signals.c.id == signal_id) & (signals.c.user_id == owner)
    conn.execute(
        sa.update(signals)
        .where(of_owner)
        .values(duplicate_count=signals.c.duplicate_count + 1, repeated_at=now)
    )


def add(
    conn: sa.Connection,
    owner: int,
    row: dict[str, Any],
    bots: list[Any],
    *,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> None:
    """The signal and one pending decision for each bot, durable with this commit."""
    run(
        conn,
        _INSERT_SIGNAL,
        {
            "user_id": owner,
            "duplicate_count": 0,
            "repeated_at": None,
            "ended_at": None,
            "reading": None,
            "exit_cause": None,
        }
        | row,
    )
    if bots:
        run_many(
            conn,
            _INSERT_DECISION,
            [
                {
                    "user_id": owner,
                    "signal_id": row["id"],
                    "bot_id": bot.id,
                    "account_id": bot.account_id,
                    "symbol": bot.symbol,
                    "status": "waiting",
                    "reason": NO_REASON,
                    "would": NO_REASON,
                    "alone": len(bots) == 1,
                    "checks": None,
                    "numbers": None,
                    "taken_back": 0,
                    "received_at": row["received_at"],
                    "due_at": due_at,
                    "held_until": None,
                    "expires_at": expires_at,
                    "decided_at": None,
                    "ended_at": None,
                }
                for bot in bots
            ],
        )


_LOCK_SIGNAL = sa.select(signals.c.id).where(signals.c.id == p("signal_id")).with_for_update()


def lock_signal(conn: sa.Connection, signal_id: str) -> None:
    """Only the lock; a no-op in SQLite, which has one writer."""
    if is_postgres(conn):
        run(conn, _LOCK_SIGNAL, {"signal_id": signal_id})


_SIGNAL_END = (
    sa.update(signals)
    .where(signals.c.id == p("signal_id"))
    .values(status=p("new_status"), reason=p("why", type_=ReasonText), ended_at=p("ended"))
)


def end_signal(
    conn: sa.Connection, signal_id: str, *, status: str, reason: Reason, ended: datetime | None
) -> None:
    run(conn, _SIGNAL_END, {"signal_id": signal_id, "new_status": status, "why": reason, "ended": ended})


_STORED = sa.select(signals.c.reading, signals.c.raw).where(signals.c.id == p("signal_id"))


def stored(conn: sa.Connection, signal_id: str) -> Any:
    """Its `reading`, and its `raw` text; records older than `reading` lack it."""
    return one(conn, _STORED, {"signal_id": signal_id})


# --- reading ------------------------------------------------------------------------------------------------


def get(conn: sa.Connection, owner: int, signal_id: str) -> Any | None:
    return first(conn, _GET, {"owner": owner, "signal_id": signal_id})


_STATUS = sa.select(signals.c.status).where(signals.c.user_id == p("owner"), signals.c.id == p("signal_id"))


def status_of(conn: sa.Connection, owner: int, signal_id: str) -> str | None:
    return scalar(conn, _STATUS, {"owner": owner, "signal_id": signal_id})


_GET = sa.select(signals).where(signals.c.user_id == p("owner"), signals.c.id == p("signal_id"))


def list_page(
    conn: sa.Connection,
    owner: int,
    *,
    before: str | None,
    limit: int,
    status: str | None = None,
    symbol: Symbol | None = None,
    bot_id: int | None = None,
) -> list[Any]:
    query = sa.select(*[c for c in signals.c if c.name not in ("raw", "reading")]).where(
        signals.c.user_id == owner
    )
    if before:
        query = query.where(signals.c.id < before)
    if status:
        query = query.where(signals.c.status == status, *([_RARE] if status in RARE else []))
    if symbol:
        query = query.where(signals.c.symbol == symbol)
    if bot_id is not None:
        of_bot = sa.select(decisions.c.signal_id).where(
            decisions.c.bot_id == bot_id, decisions.c.user_id == owner
        )
        query = query.where(signals.c.id.in_(of_bot))
    return list(conn.execute(query.order_by(signals.c.id.desc()).limit(limit)))
