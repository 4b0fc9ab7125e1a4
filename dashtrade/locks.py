"""Locks between processes: on a file, or in PostgreSQL; with a time limit."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


class NotMyTurn(Exception):
    """Another process kept the lock for longer than the time limit."""


def flock(lock: IO[Any] | int, patience: float | None) -> None:
    """Until the file is closed. NotMyTurn after `patience` seconds, if given."""
    if patience is None:
        return fcntl.flock(lock, fcntl.LOCK_EX)

    def once() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _poll(once, patience)


def lock_postgres(conn: sa.Connection, name: str, patience: float | None) -> None:
    import sqlalchemy as sa  # imported here, as the supervising process does not load it

    if patience is None:
        conn.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": name})
    else:
        once = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        _poll(lambda: bool(conn.scalar(once, {"name": name})), patience)


def _poll(once: Callable[[], bool], patience: float) -> None:
    end = time.monotonic() + patience
    while not once():
        if time.monotonic() > end:
            raise NotMyTurn
        time.sleep(0.002)
