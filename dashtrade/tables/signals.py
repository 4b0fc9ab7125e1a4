"""Signals as they came in, one decision per signal and bot, and the lanes in which decisions are made.

A lane is (account, symbol): everything in it happens one after another. A worker owns a lane by a lease; its
number (`token`) grows with every change of hands, and every write of a worker names the number it holds: the
writes of one that was stopped past its lease are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.values import Symbol
from dashtrade.tables.base import (
    BigId,
    Instrument,
    Json,
    flag,
    is_postgres,
    metadata,
    moment,
    number,
    owner_column,
    whole,
    words,
)
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import first, one, rows, run, run_many, scalar

_RARE = sa.text("status IN ('working', 'attention', 'failed', 'refused')")  # few among many, and looked for
RARE = frozenset({"working", "attention", "failed", "refused"})
signals = sa.Table(
    "signals",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    owner_column(),
    moment("received_at"),
    words("origin"),
    words("dialect"),
    sa.Column("symbol", Instrument, nullable=True),
    words("written_symbol"),
    whole("timeframe", nullable=True),
    words("action"),
    words("status"),
    words("reason"),
    words("dedupe_key", nullable=True),
    words("body_hash"),
    whole("duplicate_count"),
    moment("repeated_at", nullable=True),
    words("raw", nullable=True),
    words("sender"),
    moment("ended_at", nullable=True),
    sa.Index("ix_signals_user_id", "user_id", "id"),
    sa.Index("ix_signals_dedupe", "user_id", "dedupe_key", "id"),
    sa.Index("ix_signals_rare", "user_id", "status", "id", sqlite_where=_RARE, postgresql_where=_RARE),
    sqlite_with_rowid=False,
)
# spelled out: a partial index serves only what plainly implies it
_WAITING = sa.text("decisions.status = 'waiting'")
decisions = sa.Table(
    "decisions",
    metadata,
    number(),
    owner_column(),
    sa.Column("signal_id", sa.Text, sa.ForeignKey("signals.id"), nullable=False),
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), nullable=False),
    whole("account_id"),
    sa.Column("symbol", Instrument, nullable=False),
    words("status"),
    words("reason"),
    words("would"),
    flag("alone"),
    sa.Column("checks", Json, nullable=True),
    sa.Column("numbers", Json, nullable=True),
    whole("taken_back"),
    moment("received_at"),
    moment("due_at", nullable=True),
    moment("held_until", nullable=True),
    moment("expires_at", nullable=True),
    moment("decided_at", nullable=True),
    moment("ended_at", nullable=True),
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
lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("symbol", Instrument, primary_key=True),
    words("owner"),
    whole("token"),
    sa.Column("expires", sa.Float, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
)

SYSTEM = {
    "claim",
    "due_in_lane",
    "free_lanes",
    "renew",
    "release",
    "holds",
    "open_lanes",
    "next_waiting",
    "decided",
    "end_decision",
    "decisions_of",
    "hold",
    "end_signal",
    "raw_of",
    "hold_back",
    "waiting_for_open",
    "wait_for_open",
    "waiting",
    "waiting_in_account",
    "lock_key",
    "beat",
    "last_beat",
}


@dataclass(frozen=True, slots=True)
class Lane:
    account_id: int
    symbol: Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A decision to be made, or made and not ended."""

    id: int
    user_id: int
    signal_id: str
    bot_id: int
    account_id: int
    symbol: Symbol
    status: str
    reason: str
    alone: bool
    taken_back: int
    received_at: datetime
    due_at: datetime | None
    held_until: datetime | None
    expires_at: datetime | None

    @property
    def ready_at(self) -> datetime:
        """From when on it could be decided: an alert sent with a delay, or for the next open, is not late
        before that."""
        return max(self.received_at, self.due_at or self.received_at)


# --- receiving ----------------------------------------------------------------------------------------------

_INSERT_SIGNAL, _INSERT_DECISION = sa.insert(signals), sa.insert(decisions)
_REPEAT_OF = (
    sa.select(signals.c.id, signals.c.body_hash, signals.c.received_at, signals.c.status, signals.c.reason)
    .where(signals.c.user_id == p("owner"), signals.c.dedupe_key == p("key"))
    .order_by(signals.c.id.desc())
    .limit(1)
)


def lock_key(conn: sa.Connection, key: str) -> None:
    """Whoever asks about this key first is answered first; SQLite's one writer does that by itself."""
    if is_postgres(conn):
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def repeat_of(conn: sa.Connection, owner: int, key: str) -> Any | None:
    """The newest signal with this key."""
    return first(conn, _REPEAT_OF, {"owner": owner, "key": key})


def room_for(conn: sa.Connection, owner: int, most: int) -> bool:
    """Has the user fewer than so many?"""
    return (
        len(conn.execute(sa.select(signals.c.id).where(signals.c.user_id == owner).limit(most)).all()) < most
    )


def count_repeat(conn: sa.Connection, owner: int, signal_id: str, now: datetime) -> None:
    mine = (signals.c.id == signal_id) & (signals.c.user_id == owner)
    conn.execute(
        sa.update(signals).where(mine).values(duplicate_count=signals.c.duplicate_count + 1, repeated_at=now)
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
    """The signal and one undecided decision for each bot: from here on it cannot be lost."""
    run(
        conn,
        _INSERT_SIGNAL,
        {"user_id": owner, "duplicate_count": 0, "repeated_at": None, "ended_at": None} | row,
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
                    "reason": "",
                    "would": "",
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


# --- lanes --------------------------------------------------------------------------------------------------


def _db_now(conn: sa.Connection) -> Any:
    """Seconds by the database's clock, which all workers share."""
    text = (
        "extract(epoch from clock_timestamp())"
        if is_postgres(conn)
        else "((julianday('now') - 2440587.5) * 86400.0)"
    )
    return sa.literal_column(text, sa.Float)


def claim(conn: sa.Connection, lane: Lane, owner: str, ttl: float) -> int | None:
    """Take the lane if nobody holds it: the new token, or None."""
    now = _db_now(conn)
    mine = (lanes.c.account_id == lane.account_id) & (lanes.c.symbol == lane.symbol)
    free = sa.or_(lanes.c.owner == owner, lanes.c.expires < now)
    taken = (
        sa.update(lanes)
        .where(mine, free)
        .values(owner=owner, token=lanes.c.token + 1, expires=now + ttl)
        .returning(lanes.c.token)
    )
    token = conn.scalar(taken)
    if token is not None:
        return token
    if conn.scalar(sa.select(sa.func.count()).select_from(lanes).where(mine)):
        return None
    new = {
        "account_id": lane.account_id,
        "symbol": lane.symbol,
        "owner": owner,
        "token": 1,
        "expires": now + ttl,
    }
    # two at once: the key lets one pass, the other tries again later
    conn.execute(sa.insert(lanes).values(**new))
    return 1


def free_lanes(conn: sa.Connection) -> None:
    """At the start of the only worker there can be (SQLite): whoever held lanes is gone."""
    conn.execute(sa.update(lanes).values(expires=0.0))


def renew(conn: sa.Connection, owner: str, ttl: float) -> None:
    now = _db_now(conn)
    conn.execute(
        sa.update(lanes).where(lanes.c.owner == owner, lanes.c.expires >= now).values(expires=now + ttl)
    )


def release(conn: sa.Connection, owner: str) -> None:
    conn.execute(sa.update(lanes).where(lanes.c.owner == owner).values(expires=0.0))


def beat(conn: sa.Connection, owner: str) -> None:
    """A worker is alive; those long gone are forgotten."""
    now = _db_now(conn)
    if not conn.execute(sa.update(workers).where(workers.c.owner == owner).values(seen=now)).rowcount:
        conn.execute(sa.delete(workers).where(workers.c.seen < now - 3600))
        conn.execute(sa.insert(workers).values(owner=owner, seen=now))


def last_beat(conn: sa.Connection) -> float | None:
    """Seconds since any worker was seen alive."""
    return conn.scalar(sa.select(_db_now(conn) - sa.func.max(workers.c.seen)))


_HOLDS = sa.select(lanes.c.token).where(
    lanes.c.account_id == p("account_id"), lanes.c.symbol == p("symbol", type_=Instrument)
)
_HOLDS_LOCKED = _HOLDS.with_for_update()


def holds(conn: sa.Connection, lane: Lane, token: int) -> bool:
    """Is this still the lane's token? Locks the row, so that nobody takes the lane before this transaction
    ends."""
    query = _HOLDS_LOCKED if is_postgres(conn) else _HOLDS
    return scalar(conn, query, {"account_id": lane.account_id, "symbol": lane.symbol}) == token


_LANES_WAITING = (
    sa.select(decisions.c.account_id, decisions.c.symbol)
    .where(
        _WAITING,
        sa.or_(decisions.c.due_at.is_(None), decisions.c.due_at <= p("now")),
        sa.or_(decisions.c.held_until.is_(None), decisions.c.held_until <= p("now")),
    )
    .distinct()
)


def open_lanes(conn: sa.Connection, now: datetime) -> list[Lane]:
    """Lanes with a decision to make."""
    return [Lane(row.account_id, row.symbol) for row in rows(conn, _LANES_WAITING, {"now": now})]


# --- deciding -----------------------------------------------------------------------------------------------

_TASK = [decisions.c[name] for name in Waiting.__slots__]
_FIRST = (
    sa.select(*_TASK)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        _WAITING,
        sa.or_(decisions.c.due_at.is_(None), decisions.c.due_at <= p("now")),
    )
    .order_by(decisions.c.id)
    .limit(2)
)


def next_waiting(conn: sa.Connection, lane: Lane, now: datetime) -> list[Waiting]:
    """The next two in turn. One that is held (`held_until`) keeps its turn; one that was sent with a delay
    has none until it is due."""
    found = rows(conn, _FIRST, {"account_id": lane.account_id, "symbol": lane.symbol, "now": now})
    return [Waiting(**row._asdict()) for row in found]


_DUE = (
    sa.select(*_TASK)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        _WAITING,
        sa.or_(decisions.c.due_at.is_(None), decisions.c.due_at <= p("now")),
        sa.or_(decisions.c.held_until.is_(None), decisions.c.held_until <= p("now")),
    )
    .order_by(decisions.c.id)
    .limit(50)
)


def due_in_lane(conn: sa.Connection, lane: Lane, now: datetime) -> list[Waiting]:
    """Those that could be decided now, in turn."""
    found = rows(conn, _DUE, {"account_id": lane.account_id, "symbol": lane.symbol, "now": now})
    return [Waiting(**row._asdict()) for row in found]


def waiting_in_account(conn: sa.Connection, account_id: int) -> list[Waiting]:
    query = sa.select(*_TASK).where(decisions.c.account_id == account_id, _WAITING).order_by(decisions.c.id)
    return [Waiting(**row._asdict()) for row in conn.execute(query)]


_WAITING_FOR_OPEN = (
    sa.select(decisions.c.id, decisions.c.signal_id, decisions.c.alone, signals.c.action)
    .join(signals, signals.c.id == decisions.c.signal_id)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        _WAITING,
        decisions.c.bot_id == p("bot_id"),
        decisions.c.due_at > p("now"),
        decisions.c.held_until == decisions.c.due_at,
        decisions.c.id != p("decision_id"),
    )
    .order_by(decisions.c.id)
)


def waiting_for_open(conn: sa.Connection, task: Waiting, now: datetime) -> list[Any]:
    """Other entries of the task's bot that wait for the market to open: they are due when it does
    (`wait_for_open`)."""
    given = {
        "account_id": task.account_id,
        "symbol": task.symbol,
        "bot_id": task.bot_id,
        "now": now,
        "decision_id": task.id,
    }
    return rows(conn, _WAITING_FOR_OPEN, given)


def wait_for_open(conn: sa.Connection, decision_id: int, *, until: datetime, reason: str) -> None:
    """It gives up its turn until then, and is known by the two times being one."""
    hold_back(conn, decision_id, due_at=until, held_until=until, reason=reason)


_BY_SIGNAL = sa.select(*_TASK).where(decisions.c.signal_id == p("signal_id")).order_by(decisions.c.id)


_HOLD = sa.select(signals.c.id).where(signals.c.id == p("signal_id")).with_for_update()


def hold(conn: sa.Connection, signal_id: str) -> None:
    """Only the lock, where there is more than one writer."""
    if is_postgres(conn):
        run(conn, _HOLD, {"signal_id": signal_id})


def decisions_of(conn: sa.Connection, signal_id: str) -> list[Waiting]:
    return [Waiting(**row._asdict()) for row in rows(conn, _BY_SIGNAL, {"signal_id": signal_id})]


_DECIDED = (
    sa.update(decisions)
    .where(decisions.c.id == p("decision_id"), _WAITING)
    .values(
        status=p("new_status"),
        reason=p("why"),
        would=p("would_"),
        checks=p("checks_", type_=Json),
        numbers=p("numbers_", type_=Json),
        decided_at=p("now"),
        ended_at=p("ended"),
    )
)


def decided(
    conn: sa.Connection,
    decision_id: int,
    *,
    status: str,
    reason: str,
    would: str,
    checks: Any,
    numbers: Any,
    now: datetime,
    ended: bool,
) -> bool:
    """False, and nothing done, if it was decided already."""
    return (
        run(
            conn,
            _DECIDED,
            {
                "decision_id": decision_id,
                "new_status": status,
                "why": reason,
                "would_": would,
                "checks_": checks,
                "numbers_": numbers,
                "now": now,
                "ended": now if ended else None,
            },
        )
        == 1
    )


def hold_back(conn: sa.Connection, decision_id: int, **values: Any) -> None:
    """It waits: for the orders it takes back, or for a venue that cannot be asked now."""
    conn.execute(sa.update(decisions).where(decisions.c.id == decision_id).values(**values))


_END = (
    sa.update(decisions)
    .where(decisions.c.id == p("decision_id"))
    .values(status=p("new_status"), reason=p("why"), ended_at=p("ended"))
)


def end_decision(
    conn: sa.Connection, decision_id: int, *, status: str, reason: str, ended: datetime | None
) -> None:
    run(conn, _END, {"decision_id": decision_id, "new_status": status, "why": reason, "ended": ended})


_SIGNAL_END = (
    sa.update(signals)
    .where(signals.c.id == p("signal_id"))
    .values(status=p("new_status"), reason=p("why"), ended_at=p("ended"))
)


def end_signal(
    conn: sa.Connection, signal_id: str, *, status: str, reason: str, ended: datetime | None
) -> None:
    run(conn, _SIGNAL_END, {"signal_id": signal_id, "new_status": status, "why": reason, "ended": ended})


_RAW = sa.select(signals.c.raw, signals.c.origin).where(signals.c.id == p("signal_id"))


def raw_of(conn: sa.Connection, signal_id: str) -> tuple[str, str]:
    """(the stored body, who asked)."""
    row = one(conn, _RAW, {"signal_id": signal_id})
    return row.raw, row.origin


def waiting(conn: sa.Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many could be decided by now, and since when the oldest of them could: one that its user delays
    does not wait before it is due."""
    ready_at = sa.func.coalesce(
        decisions.c.due_at, decisions.c.received_at, type_=decisions.c.received_at.type
    )
    query = sa.select(sa.func.count(), sa.func.min(ready_at, type_=decisions.c.received_at.type)).where(
        _WAITING, ready_at <= now
    )
    count, oldest = conn.execute(query).one()
    return count, oldest


_ENGAGED = sa.select(bots.c.id, bots.c.position_quantity).where(
    bots.c.user_id == p("owner"),
    bots.c.id.in_(p("bot_ids", expanding=True)),
    sa.or_(
        bots.c.status != "READY",
        sa.exists().where(
            _WAITING,
            decisions.c.account_id == bots.c.account_id,
            decisions.c.symbol == bots.c.symbol,
            decisions.c.bot_id == bots.c.id,
        ),
    ),
)


def engaged(conn: sa.Connection, owner: int, bot_ids: list[int]) -> list[Any]:
    """Of these bots those that hold something, have an order out, or have an alert that waits to be
    decided."""
    return list(conn.execute(_ENGAGED, {"owner": owner, "bot_ids": bot_ids}))


# --- reading ------------------------------------------------------------------------------------------------


def get(conn: sa.Connection, owner: int, signal_id: str) -> Any | None:
    return first(conn, _GET, {"owner": owner, "signal_id": signal_id})


_STATUS = sa.select(signals.c.status).where(signals.c.user_id == p("owner"), signals.c.id == p("signal_id"))


def status_of(conn: sa.Connection, owner: int, signal_id: str) -> str | None:
    return scalar(conn, _STATUS, {"owner": owner, "signal_id": signal_id})


_GET = sa.select(signals).where(signals.c.user_id == p("owner"), signals.c.id == p("signal_id"))
_OUTCOMES = (
    sa.select(decisions)
    .where(decisions.c.user_id == p("owner"), decisions.c.signal_id == p("signal_id"))
    .order_by(decisions.c.id)
)


def bot_outcomes(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    return rows(conn, _OUTCOMES, {"owner": owner, "signal_id": signal_id})


_STATUSES = (
    sa.select(decisions.c.bot_id, decisions.c.status, decisions.c.reason)
    .where(decisions.c.user_id == p("owner"), decisions.c.signal_id == p("signal_id"))
    .order_by(decisions.c.id)
)


def bot_statuses(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    """What came of it for each bot, in short."""
    return rows(conn, _STATUSES, {"owner": owner, "signal_id": signal_id})


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
    query = sa.select(*[c for c in signals.c if c.name != "raw"]).where(signals.c.user_id == owner)
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


def last_outcomes(conn: sa.Connection, owner: int, bot_ids: list[int]) -> dict[int, str]:
    """What each bot's newest signal came to: one look into the index for each."""
    found = {}
    for bot_id in bot_ids:
        row = first(conn, _LAST_OUTCOME, {"owner": owner, "bot_id": bot_id})
        if row is not None:
            found[bot_id] = row.status
    return found


def recently_refused(conn: sa.Connection, owner: int, *, since: datetime, among: int = 2000) -> list[Any]:
    """Of the owner's newest signals alone: a year of them is not walked through for a glance."""
    first_id = f"{int(since.timestamp() * 1000):012x}"  # an id begins with its moment
    newest = (
        sa.select(signals.c.id)
        .where(signals.c.user_id == owner, signals.c.id > first_id)
        .order_by(signals.c.id.desc())
        .limit(among)
        .subquery()
    )
    query = sa.select(*[c for c in signals.c if c.name != "raw"]).where(
        signals.c.id.in_(sa.select(newest.c.id)), signals.c.user_id == owner, signals.c.status == "refused"
    )
    return list(conn.execute(query.order_by(signals.c.id.desc()).limit(30)))


_LAST_OUTCOME = (
    sa.select(decisions.c.status)
    .where(decisions.c.bot_id == p("bot_id"), decisions.c.user_id == p("owner"))
    .order_by(decisions.c.id.desc())
    .limit(1)
)
