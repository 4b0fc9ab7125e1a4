"""Where an engine reads what there is to do, and where its steps are carried out: the database, or memory
alone (a simulation)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.kernel.accepting import Alert, IntakeResult
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.source import Source, WorkSource
from dashtrade.domain.reasons import Reason
from dashtrade.engine.intake import accept
from dashtrade.engine.refused_keys import disabling
from dashtrade.engine.steps import Step
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.engine.workflow import Write
from dashtrade.tables import lanes as lane_table

Errors = tuple[type[Exception], ...]


class Look(Source, WorkSource, Protocol):
    """What is read outside of a step: it may be outdated by the time it is used."""


class Store(Protocol):
    # what a step raises if nothing can be stored now; and whatever else is the store's own error
    unavailable: Errors
    errors: Errors

    def look(self) -> AbstractContextManager[Look]: ...
    def accept(self, alert: Alert) -> IntakeResult:
        """Durable on return."""
        ...

    def run(self, effect: Step | Write) -> Any: ...
    def claim(self, lane: Lane, owner: str, ttl: float) -> Write:
        """The lane's new token, or None."""
        ...

    def renew(self, owner: str, ttl: float | None) -> None:
        """The worker lives, and keeps its lanes; None: it has none."""
        ...

    def release(self, owner: str) -> None: ...
    def disable(self, account_id: int, user_id: int, why: Reason, now: datetime) -> Write: ...


class DatabaseStore:
    def __init__(self, db: Database) -> None:
        self._db = db
        driver = db.engine.dialect.loaded_dbapi
        self.unavailable: Errors = (DatabaseUnavailable, sa.exc.OperationalError, driver.OperationalError)
        self.errors: Errors = (DatabaseUnavailable, sa.exc.DBAPIError, driver.Error)

    @contextlib.contextmanager
    def look(self) -> Iterator[Look]:
        with self._db.read() as conn:
            yield StoredBooks(conn)

    def accept(self, alert: Alert) -> IntakeResult:
        return self._db.write(lambda conn: accept(conn, alert))

    def run(self, effect: Step | Write) -> Any:
        return self._db.write(effect.run)

    def claim(self, lane: Lane, owner: str, ttl: float) -> Write:
        return Write(lambda conn: lane_table.claim(conn, lane, owner, ttl))

    def renew(self, owner: str, ttl: float | None) -> None:
        def work(conn: sa.Connection) -> None:
            lane_table.record_heartbeat(conn, owner)
            if ttl is not None:
                lane_table.renew(conn, owner, ttl)

        self._db.write(work)

    def release(self, owner: str) -> None:
        self._db.write(lambda conn: lane_table.release(conn, owner))

    def disable(self, account_id: int, user_id: int, why: Reason, now: datetime) -> Write:
        return disabling(account_id, user_id, why, now)
