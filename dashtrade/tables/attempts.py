"""Counted sign-in attempts, and the devices on which users have signed in before."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.base import int_column, is_postgres, metadata, owner_column, time_column

attempts = sa.Table(
    "sign_in_attempts",
    metadata,
    # digest of an account, an address or a device, which the table does not reveal
    sa.Column("key_digest", sa.Text, primary_key=True),
    int_column("failed"),
    time_column("locked_until", nullable=True),
    time_column("forget_at"),
)
devices = sa.Table(
    "known_devices",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    owner_column(index=True),
    time_column("seen_at"),
)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=1)
# after the last attempt, and after the last lock
FORGET_AFTER, FORGET_LOCK_AFTER = timedelta(hours=1), timedelta(hours=24)
SYSTEM = {"locked_until", "reserve", "uncount", "forget", "delete_expired"}


def locked_until(conn: sa.Connection, keys: list[str], now: datetime) -> datetime | None:
    """Until when attempts under any of these keys are locked; None: not locked."""
    a = attempts.c
    return conn.scalar(
        sa.select(sa.func.max(a.locked_until)).where(a.key_digest.in_(keys), a.locked_until > now)
    )


def reserve(conn: sa.Connection, wanted: dict[str, int], now: datetime) -> datetime | None:
    """Count an attempt under each key before it is checked, so that of many at once only the allowed number
    pass. Returns until when to wait, if a key is locked; then nothing is counted. `wanted`: key -> failures
    after which it is locked."""
    a, insert = attempts.c, postgresql.insert if is_postgres(conn) else sqlite.insert
    for key in sorted(wanted):  # a fixed order prevents deadlocks
        fresh = insert(attempts).values(key_digest=key, failed=0, locked_until=None, forget_at=now)
        conn.execute(fresh.on_conflict_do_nothing())
    rows = list(
        conn.execute(
            sa.select(attempts).where(a.key_digest.in_(wanted)).order_by(a.key_digest).with_for_update()
        )
    )
    locked = [row.locked_until for row in rows if row.locked_until is not None and row.locked_until > now]
    if locked:
        return max(locked)
    for row in rows:
        failed = (row.failed if row.forget_at > now else 0) + 1
        over = failed - wanted[row.key_digest]
        until = now + min(FIRST_WAIT * 2 ** min(over, 8), LONGEST_WAIT) if over >= 0 else None
        forget_at = now + FORGET_AFTER if until is None else until + FORGET_LOCK_AFTER
        conn.execute(
            sa.update(attempts)
            .where(a.key_digest == row.key_digest)
            .values(failed=failed, locked_until=until, forget_at=forget_at)
        )
    return None


def uncount(conn: sa.Connection, key: str, most: int) -> None:
    """The reserved attempt succeeded: it does not count, and earlier ones still do."""
    a = attempts.c
    unlocked = sa.case((a.failed <= most, sa.null()), else_=a.locked_until)
    changed = sa.update(attempts).where(a.key_digest == key, a.failed > 0)
    conn.execute(changed.values(failed=a.failed - 1, locked_until=unlocked))


def forget(conn: sa.Connection, keys: list[str]) -> None:
    conn.execute(sa.delete(attempts).where(attempts.c.key_digest.in_(keys)))


def delete_expired(conn: sa.Connection, now: datetime, devices_since: datetime) -> None:
    conn.execute(sa.delete(attempts).where(attempts.c.forget_at < now))
    conn.execute(sa.delete(devices).where(devices.c.seen_at < devices_since))


# --- devices ------------------------------------------------------------------------------------------------


def put_device(conn: sa.Connection, owner: int, token_hash: str, now: datetime, most: int) -> None:
    """Remember the device; only the latest ones are kept."""
    of_owner = devices.c.user_id == owner
    if not conn.execute(
        sa.update(devices).where(of_owner, devices.c.token_hash == token_hash).values(seen_at=now)
    ).rowcount:
        conn.execute(sa.insert(devices).values(token_hash=token_hash, user_id=owner, seen_at=now))
    newest = list(
        conn.scalars(
            sa.select(devices.c.token_hash).where(of_owner).order_by(devices.c.seen_at.desc()).limit(most)
        )
    )
    conn.execute(sa.delete(devices).where(of_owner, devices.c.token_hash.not_in(newest)))


def is_known(conn: sa.Connection, owner: int, token_hash: str) -> bool:
    of_owner = (devices.c.user_id == owner) & (devices.c.token_hash == token_hash)
    return conn.scalar(sa.select(devices.c.user_id).where(of_owner)) is not None


def forget_devices(conn: sa.Connection, owner: int) -> int:
    return conn.execute(sa.delete(devices).where(devices.c.user_id == owner)).rowcount
