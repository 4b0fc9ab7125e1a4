"""Received signals, one decision per signal and bot, and the lanes in which decisions are made.

A lane is (account, symbol): everything in it happens in sequence. A worker owns a lane by a lease; its number
(`token`) increases with every change of owner, and every write of a worker carries its token: the writes of a
worker that stalled past its lease are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.as_json import to_json
from dashtrade.domain.kernel.records import NewSignal, Repeat, SignalChange
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import sha256
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

_INSERT_SIGNAL = sa.insert(signals)

_REPEAT_OF = (
    sa.select(signals.c.id, signals.c.body_hash, signals.c.received_at, signals.c.status, signals.c.reason)
    .where(signals.c.user_id == p("owner"), signals.c.dedupe_key == p("key"))
    .order_by(signals.c.id.desc())
    .limit(1)
)


SYSTEM = {
    "add",
    "count_repeats",
    "end_signals",
    "lock_key",
    "lock_signal",
    "stored",
    "try_lock_key",
    "try_lock_signal",
}


def lock_key(conn: sa.Connection, key: str) -> None:
    """Serialise requests with this key; SQLite has one writer anyway."""
    if is_postgres(conn):
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def try_lock_key(conn: sa.Connection, key: str) -> bool:
    """The same, if nobody else has it."""
    if not is_postgres(conn):
        return True
    query = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
    return bool(conn.scalar(query, {"key": key}))


def repeat_of(conn: sa.Connection, owner: int, key: str) -> Any | None:
    """The newest signal with this key."""
    return first(conn, _REPEAT_OF, {"owner": owner, "key": key})


def room_for(conn: sa.Connection, owner: int, most: int) -> bool:
    """Does the user have fewer than this many?"""
    return (
        len(conn.execute(sa.select(signals.c.id).where(signals.c.user_id == owner).limit(most)).all()) < most
    )


_COUNT_REPEAT = (
    sa.update(signals)
    .where(signals.c.id == p("signal_id"), signals.c.user_id == p("owner"))
    .values(duplicate_count=signals.c.duplicate_count + 1, repeated_at=p("now"))
)


def count_repeats(conn: sa.Connection, repeats: Iterable[Repeat]) -> None:
    run_many(
        conn, _COUNT_REPEAT, [{"signal_id": r.signal_id, "owner": r.user_id, "now": r.at} for r in repeats]
    )


_NEW = {"duplicate_count": 0, "repeated_at": None}


def add(conn: sa.Connection, new: Iterable[NewSignal], ended: Mapping[str, SignalChange]) -> None:
    """Those that changed in the same transaction in their last form."""
    run_many(conn, _INSERT_SIGNAL, [_new_values(one, ended.get(one.id)) for one in new])


def _new_values(new: NewSignal, change: SignalChange | None) -> dict[str, Any]:
    signal = new.signal
    return _NEW | {
        "id": new.id,
        "user_id": new.user_id,
        "received_at": new.received_at,
        "origin": new.origin,
        "dialect": signal.dialect,
        "symbol": signal.symbol,
        "written_symbol": signal.written_symbol,
        "timeframe": signal.timeframe.seconds if signal.timeframe else None,
        "action": signal.action,
        "status": change.status if change is not None else "accepted",
        "reason": change.reason if change is not None else NO_REASON,
        "dedupe_key": new.dedupe_key,
        "body_hash": new.body_hash,
        "reading": to_json(signal),
        "raw": new.raw,
        "sender": new.sender,
        "ended_at": change.ended_at if change is not None else None,
        "exit_cause": new.exit_cause,
    }


def add_unreadable(
    conn: sa.Connection, owner: int, *, signal_id: str, raw: str, why: Reason, sender: str, now: datetime
) -> None:
    row = {
        "id": signal_id,
        "user_id": owner,
        "received_at": now,
        "origin": Origin.WEBHOOK,
        "dialect": "unreadable",
        "symbol": None,
        "written_symbol": "",
        "timeframe": None,
        "action": "",
        "status": "refused",
        "reason": why,
        "dedupe_key": None,
        "body_hash": sha256(raw),
        "reading": None,
        "raw": raw,
        "sender": sender,
        "ended_at": now,
        "exit_cause": None,
    }
    run(conn, _INSERT_SIGNAL, _NEW | row)


_LOCK_SIGNAL = sa.select(signals.c.id).where(signals.c.id == p("signal_id")).with_for_update()


def lock_signal(conn: sa.Connection, signal_id: str) -> None:
    """Only the lock; a no-op in SQLite, which has one writer."""
    if is_postgres(conn):
        run(conn, _LOCK_SIGNAL, {"signal_id": signal_id})


_TRY_LOCK_SIGNAL = (
    sa.select(signals.c.id).where(signals.c.id == p("signal_id")).with_for_update(skip_locked=True)
)


def try_lock_signal(conn: sa.Connection, signal_id: str) -> bool:
    """The lock, if nobody else has it."""
    return not is_postgres(conn) or first(conn, _TRY_LOCK_SIGNAL, {"signal_id": signal_id}) is not None


_SIGNAL_END = (
    sa.update(signals)
    .where(signals.c.id == p("signal_id"))
    .values(status=p("new_status"), reason=p("why", type_=ReasonText), ended_at=p("ended"))
)


def end_signals(conn: sa.Connection, ended: Mapping[str, SignalChange]) -> None:
    values = [
        {"signal_id": signal_id, "new_status": one.status, "why": one.reason, "ended": one.ended_at}
        for signal_id, one in ended.items()
    ]
    run_many(conn, _SIGNAL_END, values)


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
