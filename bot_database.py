"""The database: transactions, migrations, backup. SQLite by default, PostgreSQL by URL; the same promises on
both.

What it is made of stands in `dashtrade/database/`: `engines`, `group_commit` (SQLite has one writer;
PostgreSQL groups its commits by itself), `sqlite_files` for backups, `errors`. A write within a write is part
of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from dashtrade.database import sqlite_files
from dashtrade.database.engines import driver, postgres_engine, sqlite_engine
from dashtrade.database.errors import AWAY, DatabaseUnavailable, away, is_bug
from dashtrade.database.group_commit import GroupWriter, Work
from dashtrade.locks import flock, lock_postgres
from dashtrade.tables.base import AFTER_COMMIT, take_after_commit

__all__ = [
    "ROOT",
    "Database",
    "DatabaseUnavailable",
    "PostgresHasItsOwnTools",
    "newest_migration",
    "savepoint",
]

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent
RETRIES = 5  # of a PostgreSQL transaction that lost against another
_LOST_RACE = {"40001", "40P01"}  # serialization failure, deadlock


@contextlib.contextmanager
def savepoint(conn: sa.Connection) -> Iterator[None]:
    """Within a transaction: what is done inside is undone alone when it raises."""
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
    """`write(fn)` runs fn(connection) in one durable transaction; `read()` gives a connection that only
    reads.

    `fn` must do nothing but use its connection: it may be run again."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        self.engine = (
            sqlite_engine(self.url, in_memory=self._in_memory)
            if self.is_sqlite
            else postgres_engine(self.url)
        )
        self._inside = threading.local()  # .conn: the transaction this thread is in
        self.group = GroupWriter(self.engine, self._inside, in_memory=self._in_memory)
        # may refuse, by raising: the dashboard's, for those who only look
        self.before_write: Callable[[], None] | None = None

    @property
    def file(self) -> Path | None:
        """Where it is on a disk of this machine."""
        return (
            Path(self.url.database) if self.is_sqlite and not self._in_memory and self.url.database else None
        )

    # --- reading and writing --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view. Whatever is read may be old by the time it is used: decide inside `write`."""
        outer = getattr(self._inside, "conn", None)
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
        except AWAY as error:
            if is_bug(error):
                raise
            self._forget_dead(error)
            raise away(error) from error

    def write(self, fn: Callable[[sa.Connection], T]) -> T:
        if getattr(self._inside, "conn", None) is None:
            self.may_write()
        return self.write_unasked(fn)

    def write_unasked(self, fn: Callable[[sa.Connection], T]) -> T:
        """As `write`, of what is no deed of anybody's: `before_write` has no say in it."""
        outer = getattr(self._inside, "conn", None)
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
        """Raises where `before_write` refuses: asked by `write`, and before work is handed to another process
        that writes it."""
        if self.before_write is not None:
            self.before_write()

    def _write_postgres(self, fn: Callable[[sa.Connection], T]) -> T:
        for attempt in range(RETRIES):
            try:
                with self.engine.begin() as conn:
                    take_after_commit(conn)  # of a try before this
                    self._inside.conn = conn
                    result = fn(conn)
                    after = take_after_commit(conn)
            except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
                if (
                    getattr(getattr(error, "orig", None), "pgcode", None) not in _LOST_RACE
                    or attempt == RETRIES - 1
                ):
                    self._forget_dead(error)
                    raise away(error) from error
                time.sleep(0.005 * 2**attempt)
            else:
                for one in after:
                    one()
                return result
            finally:
                self._inside.conn = None
        raise AssertionError("unreachable")

    def _forget_dead(self, error: Exception) -> None:
        """Where one connection to PostgreSQL is lost, all are: else each would be found out by a request of
        its own."""
        lost = isinstance(error, exc.DBAPIError) and (
            getattr(error.orig, "pgcode", None) or "57P01"
        ).startswith(("08", "57P"))
        if lost and not self.is_sqlite:
            self.engine.dispose()

    def write_all(self, fns: list[Callable[[sa.Connection], Any]]) -> list[Work]:
        """Several pieces of work in one group (SQLite): each is durable, or tells its error, when this
        returns."""
        return self.group.write_all(fns)

    # --- life -----------------------------------------------------------------------------------------------

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
        """Bring the tables to this version, under a lock: of two that start at once, one migrates. True if
        there was work."""
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
    def exclusive(self, name: str, *, patience: float | None = None) -> Iterator[None]:
        """One at a time among all processes on this database. No transaction is open meanwhile. NotMyTurn
        after so many seconds of `patience`, where that is given."""
        if self._in_memory:
            yield
        elif self.is_sqlite:
            with open(f"{self.url.database}.{name}", "w") as lock:
                flock(lock, patience)
                yield
        else:
            with self._advisory(f"dashtrade {name}", patience):
                yield

    @contextlib.contextmanager
    def _advisory(self, name: str, patience: float | None) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                conn = stack.enter_context(self.engine.connect())
                lock_postgres(conn.execution_options(isolation_level="AUTOCOMMIT"), name, patience)
            except (exc.OperationalError, exc.TimeoutError, exc.InterfaceError) as error:
                self._forget_dead(error)
                raise away(error) from error
            try:
                yield
            finally:
                unlock = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
                try:
                    conn.execute(unlock, {"name": name})
                except exc.DBAPIError:
                    conn.invalidate()  # with the connection the lock is gone; what was done meanwhile stands

    # --- backup ---------------------------------------------------------------------------------------------

    def backup(self, path: Path) -> None:
        """A complete, verified copy, made while everything runs."""
        if not self.is_sqlite:
            raise PostgresHasItsOwnTools
        sqlite_files.save(self.url.database or "", path)

    def restore(
        self, path: Path, prepare: sqlite_files.Prepare = lambda incoming, replaced: None
    ) -> Path | None:
        """Put a verified backup in the database's place; where what was there is kept beside it. Nothing may
        be running. `prepare` is given the copy, before it is the database, and what it replaces."""
        if not self.is_sqlite:
            raise PostgresHasItsOwnTools
        sqlite_files.check(path)
        self.close()
        return sqlite_files.put_back(path, Path(self.url.database or ""), prepare)


class PostgresHasItsOwnTools(Exception):
    """Backup and restore of PostgreSQL are not ours to do."""

    def __str__(self) -> str:
        return "This database is PostgreSQL: use its own tools, pg_dump to back up and pg_restore to restore."


def newest_migration() -> str:
    """The newest revision's id is its file's name, without asking Alembic (which costs a third of a
    second)."""
    return max(file.stem for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
