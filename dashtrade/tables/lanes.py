"""Lanes: which worker may trade a symbol on an account.

One worker at a time, by a lease with an increasing token."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.kernel.lane import Lane
from dashtrade.tables.base import BigId, Instrument, int_column, is_postgres, metadata, text_column
from dashtrade.tables.compiled_sql import run, scalar

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("symbol", Instrument, primary_key=True),
    text_column("owner"),
    int_column("token"),
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
    "free_lanes",
    "heartbeat_age",
    "record_heartbeat",
    "release",
    "renew",
    "token_now",
    "token_of",
}


# --- lanes --------------------------------------------------------------------------------------------------


def _seconds(text: str) -> Any:
    return sa.literal_column(text, sa.Float)


# seconds by the database's clock, which all workers share
_POSTGRES_NOW = _seconds("extract(epoch from clock_timestamp())")
_SQLITE_NOW = _seconds("((julianday('now') - 2440587.5) * 86400.0)")


def _db_now(conn: sa.Connection) -> Any:
    return _POSTGRES_NOW if is_postgres(conn) else _SQLITE_NOW


_MINE = (lanes.c.account_id == p("its_account")) & (lanes.c.symbol == p("its_symbol", type_=Instrument))


def _statements(now: Any) -> dict[str, Any]:
    """Those that need the database's time; the lane is given as its_account and its_symbol."""
    who: Any = p("who")
    until = now + p("ttl", type_=sa.Float)
    place = {"account_id": p("its_account"), "symbol": p("its_symbol", type_=Instrument)}
    take = sa.update(lanes).where(_MINE, sa.or_(lanes.c.owner == who, lanes.c.expires < now))
    held = sa.update(lanes).where(lanes.c.owner == who, lanes.c.expires >= now)
    return {
        "take": take.values(owner=who, token=lanes.c.token + 1, expires=until).returning(lanes.c.token),
        "add": sa.insert(lanes).values(**place, owner=who, token=1, expires=until),
        "renew": held.values(expires=until),
        "beat": sa.update(workers).where(workers.c.owner == who).values(seen=now),
    }


_POSTGRES, _SQLITE = _statements(_POSTGRES_NOW), _statements(_SQLITE_NOW)


def _timed(conn: sa.Connection, name: str) -> Any:
    return (_POSTGRES if is_postgres(conn) else _SQLITE)[name]


_TOKEN = sa.select(lanes.c.token).where(_MINE)


def claim(conn: sa.Connection, lane: Lane, owner: str, ttl: float) -> int | None:
    """Claim the lane if it is free: the new token, or None."""
    place = {"its_account": lane.account_id, "its_symbol": lane.symbol}
    given = place | {"who": owner, "ttl": ttl}
    token: int | None = scalar(conn, _timed(conn, "take"), given)
    if token is not None:
        return token
    if scalar(conn, _TOKEN, place) is not None:
        return None
    # of two at once the key lets one pass; the other tries again later
    run(conn, _timed(conn, "add"), given)
    return 1


def free_lanes(conn: sa.Connection) -> None:
    """At the start of the only possible worker (SQLite): earlier holders are gone."""
    conn.execute(sa.update(lanes).values(expires=0.0))


def renew(conn: sa.Connection, owner: str, ttl: float) -> None:
    run(conn, _timed(conn, "renew"), {"who": owner, "ttl": ttl})


def release(conn: sa.Connection, owner: str) -> None:
    conn.execute(sa.update(lanes).where(lanes.c.owner == owner).values(expires=0.0))


def record_heartbeat(conn: sa.Connection, owner: str) -> None:
    """Record that a worker is alive; delete those long gone."""
    now = _db_now(conn)
    if not run(conn, _timed(conn, "beat"), {"who": owner}):
        conn.execute(sa.delete(workers).where(workers.c.seen < now - 3600))
        conn.execute(sa.insert(workers).values(owner=owner, seen=now))


def heartbeat_age(conn: sa.Connection) -> float | None:
    """Seconds since any worker was seen alive."""
    return conn.scalar(sa.select(_db_now(conn) - sa.func.max(workers.c.seen)))


def token_now(conn: sa.Connection, lane: Lane) -> int | None:
    """Without the lock."""
    token: int | None = scalar(conn, _TOKEN, {"its_account": lane.account_id, "its_symbol": lane.symbol})
    return token


_TOKEN_LOCKED = _TOKEN.with_for_update()


def token_of(conn: sa.Connection, lane: Lane) -> int | None:
    """Locks the row, so that no worker claims the lane before this transaction ends."""
    query = _TOKEN_LOCKED if is_postgres(conn) else _TOKEN
    token: int | None = scalar(conn, query, {"its_account": lane.account_id, "its_symbol": lane.symbol})
    return token
