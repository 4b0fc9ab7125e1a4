"""The database: transactions, migrations, backup. SQLite by default, PostgreSQL by URL; the same guarantees
on both.

Its parts are in `dashtrade/database/`: `engines`, `group_commit` (SQLite has one writer; PostgreSQL groups
its commits itself), `sqlite_files` for backups, `errors`. A nested write joins the outer one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from dashtrade.database import sqlite_files
from dashtrade.database.engines import driver, postgres_engine, sqlite_engine
from dashtrade.database.errors import UNAVAILABLE_ERRORS, DatabaseUnavailable, as_unavailable, is_bug
from dashtrade.database.group_commit import GroupWriter, QueuedWrite
from dashtrade.locks import flock, lock_postgres
from dashtrade.tables.base import AFTER_COMMIT, take_after_commit

__all__ = [
    "ROOT",
    "Database",
    "DatabaseUnavailable",
    "PostgresBackupUnsupported",
    "newest_migration",
    "savepoint",
]

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent
RETRIES = 5  # of a PostgreSQL transaction that lost against another
_LOST_RACE = {"40001", "40P01"}  # serialization failure, deadlock


@contextlib.contextmanager
def savepoint(conn: sa.Connection) -> Iterator[None]:
    """Within a transaction: an error rolls back only the block."""
    cursor, before = conn.connection.cursor(), len(conn.info.get(AFTER_COMMIT, ()))
    cursor.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK TO SAVEPOINT part")
        take_after_commit(conn, before)
        raise
    finally:
        cursor.execute("RELEASE SAVEPOINT part")
        cursor.close()


class Database:
    """`write(fn)` runs fn(connection) in one durable transaction; `read()` gives a read-only connection.

    `fn` may be run again, so it must only use its connection."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        self.engine = (
            sqlite_engine(self.url, in_memory=self._in_memory)
            if self.is_sqlite
            else postgres_engine(self.url)
        )
        self._local = threading.local()  # .conn: this thread's transaction
        self.group = GroupWriter(self.engine, self._local, in_memory=self._in_memory)
        # may refuse by raising: used by the dashboard for read-only sessions
        self.before_write: Callable[[], None] | None = None

    @property
    def file(self) -> Path | None:
        """The database file on this machine, if any."""
        return (
            Path(self.url.database) if self.is_sqlite and not self._in_memory and self.url.database else None
        )

    # --- reading and writing --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view. It may be outdated by the time it is used: decide inside `write`."""
        outer = getattr(self._local, "conn", None)
        if outer is not None:
            yield outer
            return
        try:
            if self._in_memory:
                with self.group.turn(), self.engine.connect() as conn:
                    yield conn
                return
            with self.engine.connect() as conn:
                if self.is_sqlite:
                    driver(conn).execute("BEGIN")
                try:
                    yield conn
                finally:
                    if self.is_sqlite:
                        driver(conn).rollback()
        except UNAVAILABLE_ERRORS as error:
            if is_bug(error):
                raise
            self._forget_dead(error)
            raise as_unavailable(error) from error

    def write(self, fn: Callable[[sa.Connection], T]) -> T:
        if getattr(self._local, "conn", None) is None:
            self.may_write()
        return self.write_unchecked(fn)

    def write_unchecked(self, fn: Callable[[sa.Connection], T]) -> T:
        """`write` without `before_write`, for changes that no user makes."""
        outer = getattr(self._local, "conn", None)
        if outer is not None:
            return fn(outer)
        if not self.is_sqlite:
            return self._write_postgres(fn)
        work = self.write_all([fn])[0]
        if work.error is not None:
            raise work.error
        result: T = work.result
        return result

    def may_write(self) -> None:
        """Raises if `before_write` refuses: called by `write`, and before work is sent to another process
        that writes it."""
        if self.before_write is not None:
            self.before_write()

    def _write_postgres(self, fn: Callable[[sa.Connection], T]) -> T:
        for attempt in range(RETRIES):
            try:
                with self.engine.begin() as conn:
                    take_after_commit(conn)  # of an earlier attempt
                    self._local.conn = conn
                    result = fn(conn)
                    callbacks = take_after_commit(conn)
            except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
                if (
                    getattr(getattr(error, "orig", None), "pgcode", None) not in _LOST_RACE
                    or attempt == RETRIES - 1
                ):
                    self._forget_dead(error)
                    raise as_unavailable(error) from error
                time.sleep(0.005 * 2**attempt)
            else:
                for callback in callbacks:
                    callback()
                return result
            finally:
                self._local.conn = None
        raise AssertionError("unreachable")

    def _forget_dead(self, error: Exception) -> None:
        """If one connection to PostgreSQL is lost, all are: drop them, or each would fail a request of its
        own."""
        lost = isinstance(error, exc.DBAPIError) and (
            getattr(error.orig, "pgcode", None) or "57P01"
        ).startswith(("08", "57P"))
        if lost and not self.is_sqlite:
            self.engine.dispose()

    def write_all(self, fns: Sequence[Callable[[sa.Connection], Any]]) -> list[QueuedWrite]:
        """Several pieces of work in one group (SQLite): on return each is durable, or has its error."""
        return self.group.write_all(fns)

    # --- lifecycle ------------------------------------------------------------------------------------------

    def ping(self) -> None:
        with self.read() as conn:
            conn.execute(sa.text("SELECT 1"))

    def close(self) -> None:
        self.group.close()
        self.engine.dispose()

    # --- migrations -----------------------------------------------------------------------------------------

    def version(self) -> str | None:
        with self.read() as conn:
            if not sa.inspect(conn).has_table("alembic_version"):
                return None
            return conn.scalar(sa.text("SELECT version_num FROM alembic_version"))

    def migrate(self) -> bool:
        """Migrate the tables to this version, under a lock: of two processes starting at once, one migrates.
        True if there was work."""
        if self.version() == newest_migration():
            return False
        with self.exclusive("migrating"):
            if self.version() == newest_migration():
                return False
            self._upgrade("head")
        return True

    def _upgrade(self, revision: str) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(ROOT / "migrations"))
        config.attributes["engine"] = self.engine
        command.upgrade(config, revision)

    @contextlib.contextmanager
    def exclusive(self, name: str, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Exclusive among all processes on this database. No transaction is open meanwhile. LockTimeout after
        `timeout_seconds`, if given."""
        if self._in_memory:
            yield
        elif self.is_sqlite:
            with open(f"{self.url.database}.{name}", "w") as lock:
                flock(lock, timeout_seconds)
                yield
        else:
            with self._advisory(f"dashtrade {name}", timeout_seconds):
                yield

    @contextlib.contextmanager
    def _advisory(self, name: str, timeout_seconds: float | None) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                conn = stack.enter_context(self.engine.connect())
                lock_postgres(conn.execution_options(isolation_level="AUTOCOMMIT"), name, timeout_seconds)
            except (exc.OperationalError, exc.TimeoutError, exc.InterfaceError) as error:
                self._forget_dead(error)
                raise as_unavailable(error) from error
            try:
                yield
            finally:
                unlock = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
                try:
                    conn.execute(unlock, {"name": name})
                except exc.DBAPIError:
                    conn.invalidate()  # the lock ends with the connection; completed work stays

    # --- backup ---------------------------------------------------------------------------------------------

    def backup(self, path: Path) -> None:
        """A complete, verified copy, made while everything runs."""
        if not self.is_sqlite:
            raise PostgresBackupUnsupported
        sqlite_files.save(self.url.database or "", path)

    def restore(
        self, path: Path, prepare: sqlite_files.Prepare = lambda incoming, replaced: None
    ) -> Path | None:
        """Replace the database with a verified backup; the replaced files are kept beside it. Nothing may be
        running. `prepare` receives the copy, before it becomes the database, and the path it replaces."""
        if not self.is_sqlite:
            raise PostgresBackupUnsupported
        sqlite_files.check(path)
        self.close()
        return sqlite_files.put_back(path, Path(self.url.database or ""), prepare)


class PostgresBackupUnsupported(Exception):
    """DashTrade does not back up or restore PostgreSQL."""

    def __str__(self) -> str:
        return "This database is PostgreSQL: use its own tools, pg_dump to back up and pg_restore to restore."


def newest_migration() -> str:
    """The newest revision's id is its file name; Alembic is not loaded (which costs a third of a second)."""
    return max(file.stem for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
