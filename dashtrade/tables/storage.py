"""Storage used by each user's alerts and their results: a running total, updated in the transactions that
store.

Counted are the texts, byte by byte, and an alert's other rows: its own, and for each bot a decision with, at
most, an order, its events, fills and trades. Their sizes are measured and rounded up. Making room deletes
texts, oldest first; history stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.base import BigId, int_column, is_postgres, metadata, text_column, time_column
from dashtrade.tables.compiled_sql import run_many, scalar
from dashtrade.tables.people import users
from dashtrade.tables.signals import signals

stored = sa.Table(
    "stored_bytes",
    metadata,
    sa.Column("user_id", BigId, sa.ForeignKey("users.id"), primary_key=True, autoincrement=False),
    int_column("bytes"),
    text_column("forgotten_to"),  # the signal up to which texts were deleted to make room
    time_column("told_at", nullable=True),
)
SYSTEM = {"add_to_all", "nearly_full", "forget_old"}


def _add(insert: Any) -> Any:
    made = insert(stored).values(user_id=p("owner"), bytes=p("more"), forgotten_to="", told_at=None)
    grown = made.on_conflict_do_update(
        index_elements=["user_id"], set_={"bytes": stored.c.bytes + made.excluded.bytes}
    )
    return grown


_ADD = {"sqlite": _add(sqlite.insert), "postgresql": _add(postgresql.insert)}
_ADD_AND_TELL = {name: statement.returning(stored.c.bytes) for name, statement in _ADD.items()}
_USED = sa.select(stored.c.bytes).where(stored.c.user_id == p("owner"))


def add(conn: sa.Connection, owner: int, more: int) -> int:
    """Add to the total and return it. Serialised per user until the transaction ends."""
    return scalar(conn, _ADD_AND_TELL[conn.dialect.name], _more(owner, more))


def add_to_all(conn: sa.Connection, more: Mapping[int, int]) -> None:
    """By user; in a fixed order, which prevents deadlocks."""
    run_many(conn, _ADD[conn.dialect.name], [_more(owner, more[owner]) for owner in sorted(more)])


def _more(owner: int, more: int) -> dict[str, Any]:
    return {"owner": owner, "more": more, "forgotten_to": "", "told_at": None}


def used(conn: sa.Connection, owner: int) -> int:
    return scalar(conn, _USED, {"owner": owner}) or 0


_USED_LOCKED = _USED.with_for_update()


def used_locked(conn: sa.Connection, owner: int) -> int:
    """Serialised per user until the transaction ends."""
    return scalar(conn, _USED_LOCKED if is_postgres(conn) else _USED, {"owner": owner}) or 0


def _bytes_of(conn: sa.Connection) -> Any:
    raw = signals.c.raw
    return sa.func.octet_length(raw) if is_postgres(conn) else sa.func.length(sa.cast(raw, sa.LargeBinary))


# --- making room --------------------------------------------------------------------------------------------


def nearly_full(conn: sa.Connection, *, most: int, most_of_demo: int) -> list[Any]:
    """Users above that total, with the time of their last notice."""
    limit = sa.case((users.c.demo_until.is_not(None), most_of_demo), else_=most)
    query = sa.select(stored.c.user_id, stored.c.bytes, stored.c.told_at, users.c.demo_until).join(
        users, users.c.id == stored.c.user_id
    )
    return list(
        conn.execute(
            query.where(stored.c.bytes > limit, users.c.removed_at.is_(None)).order_by(stored.c.user_id)
        )
    )


def oldest_texts(conn: sa.Connection, owner: int, limit: int) -> list[str]:
    """Signals that have ended and still have their text."""
    s = signals.c
    after = sa.select(stored.c.forgotten_to).where(stored.c.user_id == owner).scalar_subquery()
    query = sa.select(s.id).where(
        s.user_id == owner, s.id > after, s.raw.is_not(None), s.ended_at.is_not(None)
    )
    return list(conn.scalars(query.order_by(s.id).limit(limit)))


def forget_texts(conn: sa.Connection, owner: int, ids: list[str]) -> int:
    """Delete these texts, keeping the outcomes. Returns the bytes freed."""
    of_owner = (signals.c.user_id == owner) & signals.c.id.in_(ids)
    freed = conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(_bytes_of(conn)), 0)).where(of_owner)) or 0
    conn.execute(sa.update(signals).where(of_owner).values(raw=None))
    changed = sa.update(stored).where(stored.c.user_id == owner)
    conn.execute(changed.values(bytes=stored.c.bytes - freed, forgotten_to=max(ids)))
    return int(freed)


def mark_notified(conn: sa.Connection, owner: int, now: datetime) -> None:
    conn.execute(sa.update(stored).where(stored.c.user_id == owner).values(told_at=now))


def forget_old(conn: sa.Connection, older_than: datetime) -> int:
    """Retention: delete old alert texts, keep the outcomes. Pending signals keep their body."""
    old = (signals.c.received_at < older_than) & signals.c.raw.is_not(None) & signals.c.ended_at.is_not(None)
    freed = list(
        conn.execute(
            sa.select(signals.c.user_id, sa.func.sum(_bytes_of(conn)).label("bytes"))
            .where(old)
            .group_by(signals.c.user_id)
        )
    )
    forgotten = conn.execute(sa.update(signals).where(old).values(raw=None)).rowcount
    for row in sorted(freed, key=lambda row: row.user_id):  # a fixed lock order prevents deadlocks
        add(conn, row.user_id, -int(row.bytes))
    return forgotten
