"""Several steps in one transaction, on books that are kept in memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.record import record
from dashtrade.engine.kept_books import KeptBooks

BATCH_SECONDS = 0.02  # how long a batch may hold SQLite's write lock before it commits

Job = Callable[[KeptBooks], Any]


@record
class Done:
    """What came of a job."""

    result: Any = None
    error: Exception | None = None


class Batches:
    """SQLite's writer, for one thread."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.kept = KeptBooks()

    def run(self, jobs: Sequence[Job]) -> list[Done]:
        """In turn, and durable on return: the first ones, as many as there is time for. A job that fails
        changes nothing."""
        [work] = self._db.write_all([partial(self._run, jobs)])
        if work.error is None:
            done: list[Done] = work.result
            return done
        self.kept.forget()
        if isinstance(work.error, DatabaseUnavailable):
            return [Done(error=work.error) for _ in jobs]
        if len(jobs) == 1:
            return [Done(error=work.error)]
        return [done for job in jobs for done in self.run([job])]  # one of them cannot be stored

    def _run(self, jobs: Sequence[Job], conn: sa.Connection) -> list[Done]:
        done: list[Done] = []
        end = time.perf_counter() + BATCH_SECONDS
        self.kept.begin(conn)
        for job in jobs:
            try:
                done.append(Done(result=job(self.kept)))
            except Exception as error:
                if self.kept.failure is not None:
                    raise self.kept.failure from error
                if isinstance(error, sa.exc.SQLAlchemyError | sqlite3.Error):
                    raise
                done.append(Done(error=error))
            if time.perf_counter() > end:
                break
        self.kept.finish()
        return done
