"""How much each source of market data was used, and whether it rests: for all processes on this database.

The rows stand among the counted sign-in attempts, which have the same columns: a digest, a count, until
when it is locked, and when to forget it. What has no owner here is a source under one key, which several
users may have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.attempts import attempts
from dashtrade.tables.base import is_postgres

SYSTEM = {"lock", "used", "count", "rest", "clear"}
_a = attempts.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    failed: int  # requests in a row
    rests_until: datetime | None


def lock(conn: sa.Connection, digest: str, now: datetime) -> Circuit:
    """The source's circuit; nobody else counts or changes it until this transaction ends."""
    fresh = _insert(conn).values(key_digest=digest, failed=0, locked_until=None, forget_at=now)
    conn.execute(fresh.on_conflict_do_nothing())
    row = conn.execute(sa.select(attempts).where(_a.key_digest == digest).with_for_update()).one()
    return Circuit(failed=row.failed, rests_until=row.locked_until)


def used(conn: sa.Connection, digests: Collection[str], now: datetime) -> int:
    """Requests counted under these digests and not forgotten."""
    counted = sa.select(sa.func.sum(_a.failed)).where(_a.key_digest.in_(digests), _a.forget_at > now)
    return int(conn.scalar(counted) or 0)


def count(conn: sa.Connection, digest: str, now: datetime, forget_at: datetime) -> None:
    """One more request; what was to be forgotten begins again."""
    added = _insert(conn).values(key_digest=digest, failed=1, locked_until=None, forget_at=forget_at)
    number = sa.case((_a.forget_at > now, _a.failed + 1), else_=1)
    again = {"failed": number, "forget_at": forget_at}
    conn.execute(added.on_conflict_do_update(index_elements=[_a.key_digest], set_=again))


def rest(conn: sa.Connection, digest: str, failed: int, until: datetime | None, forget_at: datetime) -> None:
    changed = sa.update(attempts).where(_a.key_digest == digest)
    conn.execute(changed.values(failed=failed, locked_until=until, forget_at=forget_at))


def clear(conn: sa.Connection, digest: str) -> None:
    """It answers: earlier failures do not count."""
    conn.execute(sa.delete(attempts).where(_a.key_digest == digest))


def _insert(conn: sa.Connection) -> Any:
    return (postgresql.insert if is_postgres(conn) else sqlite.insert)(attempts)
