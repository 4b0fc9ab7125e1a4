"""Health of the installation: its worker, and the signals waiting for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashtrade.context import App
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import people as people_table

WORKER_MISSING_SECONDS = 10  # the worker's heartbeat comes every two


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Signals due for a decision."""

    waiting: int
    oldest: datetime | None  # when the oldest of them became due


def worker_silence(app: App) -> float | None:
    """Seconds since the last heartbeat of any worker; None: never."""
    with app.db.read() as conn:
        return lane_table.heartbeat_age(conn)


def queue(app: App) -> Queue:
    with app.db.read() as conn:
        waiting, oldest = decision_table.queue_state(conn, app.clock.now())
    return Queue(waiting=waiting, oldest=oldest)


def user_count(app: App) -> int:
    with app.db.read() as conn:
        return people_table.count(conn)
