"""Several steps in one transaction, on books that are kept in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.record import record
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.last_writer import last_writer

BATCH_SECONDS = 0.02  # how long a batch may hold its locks before it commits

Job = Callable[[KeptBooks], Any]


@record
class Done:
    """What came of a job."""

    result: Any = None
    error: Exception | None = None


class Batches:
    """For one thread, which shares nothing of it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._driver_error: type[Exception] = db.engine.dialect.loaded_dbapi.Error
        self._attempts = 0
        self.kept = KeptBooks(last_writer(is_sqlite=db.is_sqlite))

    def run(self, jobs: Sequence[Job]) -> list[Done]:
        """In turn, and durable on return: the first ones, as many as there is time for. A job that fails
        changes nothing."""
        self._attempts = 0
        try:
            return self._db.write_unchecked(partial(self._run, jobs))
        except DatabaseUnavailable as error:
            self.kept.forget()
            return [Done(error=error) for _ in jobs]
        except Exception as error:  # one of them cannot be stored
            self.kept.forget()
            if len(jobs) == 1:
                return [Done(error=error)]
        return [done for job in jobs for done in self.run([job])]

    def _run(self, jobs: Sequence[Job], conn: sa.Connection) -> list[Done]:
        if self._attempts:
            self.kept.forget()  # what the last attempt changed was rolled back
        self._attempts += 1
        done: list[Done] = []
        end = time.perf_counter() + BATCH_SECONDS
        self.kept.begin(conn)
        for job in jobs:
            done.append(self._one(job))
            if time.perf_counter() > end:
                break
        self.kept.finish()
        return done

    def _one(self, job: Job) -> Done:
        """Raises what concerns the whole transaction."""
        self.kept.look_again()
        steps_before = len(self.kept.done)
        try:
            done = Done(result=job(self.kept))
        except Exception as error:
            part_is_kept = len(self.kept.done) > steps_before
            if part_is_kept or isinstance(error, sa.exc.SQLAlchemyError | self._driver_error):
                raise
            done = Done(error=error)
        if self.kept.failure is not None:
            raise self.kept.failure
        return done
