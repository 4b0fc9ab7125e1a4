"""Whether the installation is well: its worker, and what waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashtrade.context import App
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import people as people_table

WORKER_MISSING_SECONDS = 10  # after which a worker that beats every two is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Signals that could be decided by now."""

    waiting: int
    oldest: datetime | None  # since when the oldest of them could


def worker_silence(app: App) -> float | None:
    """Seconds since any worker was seen alive; None: never yet."""
    with app.db.read() as conn:
        return lane_table.heartbeat_age(conn)


def queue(app: App) -> Queue:
    with app.db.read() as conn:
        waiting, oldest = decision_table.waiting(conn, app.clock.now())
    return Queue(waiting=waiting, oldest=oldest)


def user_count(app: App) -> int:
    with app.db.read() as conn:
        return people_table.count(conn)
