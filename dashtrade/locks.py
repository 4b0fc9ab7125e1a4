"""Locks between processes: on a file, or in PostgreSQL; with a time limit."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


class LockTimeout(Exception):
    """Another process kept the lock for longer than the time limit."""


def flock(lock: IO[Any] | int, timeout_seconds: float | None) -> None:
    """Until the file is closed. LockTimeout after `timeout_seconds`, if given."""
    if timeout_seconds is None:
        return fcntl.flock(lock, fcntl.LOCK_EX)

    def try_lock() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _poll(try_lock, timeout_seconds)


def lock_postgres(conn: sa.Connection, name: str, timeout_seconds: float | None) -> None:
    import sqlalchemy as sa  # imported here, as the supervising process does not load it

    if timeout_seconds is None:
        conn.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": name})
    else:
        try_lock = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        _poll(lambda: bool(conn.scalar(try_lock, {"name": name})), timeout_seconds)


def _poll(try_lock: Callable[[], bool], timeout_seconds: float) -> None:
    end = time.monotonic() + timeout_seconds
    while not try_lock():
        if time.monotonic() > end:
            raise LockTimeout
        time.sleep(0.002)
