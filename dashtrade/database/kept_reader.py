"""One SQLite connection for the short reads of one thread: past the pool, and without a transaction around
them, so that each statement sees what was committed before it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from dashtrade.database.engines import driver
from dashtrade.database.errors import UNAVAILABLE_ERRORS, as_unavailable, is_bug

BUSY_MS = 50  # that a read may wait, as its thread serves others


class KeptReader:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._conn: sa.Connection | None = None

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        try:
            yield self._connection()
        except UNAVAILABLE_ERRORS as error:
            if is_bug(error):
                raise
            self.close()
            raise as_unavailable(error) from error

    def _connection(self) -> sa.Connection:
        if self._conn is None:
            self._conn = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            driver(self._conn).execute(f"PRAGMA busy_timeout={BUSY_MS}")
        return self._conn

    def close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(Exception):
                conn.invalidate()  # its settings are not those of the pool
                conn.close()
