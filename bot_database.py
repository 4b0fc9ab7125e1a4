"""The database: transactions, migrations, backup. SQLite by default, PostgreSQL by URL; the same promises on
both.

SQLite has one writer. A commit costs one wait for the disk however much it holds, so whoever finds the writer
free carries out everything that waits behind it and commits it together (each piece in its own savepoint: one
that fails undoes itself alone). PostgreSQL groups its commits by itself. A write within a write is part of
it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from dashtrade.locks import flock, lock_postgres
from dashtrade.tables.base import AFTER_COMMIT, take_after_commit

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent
BUSY_SECONDS = 1.0  # how long another process may keep SQLite's write lock before we say "try again"
BUSY_BRIEFLY = 0.05
_NEVER_LOCKED = (float("-inf"), float("-inf"))
# SQLite's own waiting backs off to 100 ms, which is longer than most of what it waits for
BUSY_POLL = 0.00003
GROUP = 64  # pieces of work in one commit
GROUP_SECONDS = 0.006  # that a group may hold the lock before it commits
READER_CACHE_KB = 2000  # of each of many connections, few, as the system keeps the file for all
WRITER_CACHE_KB = 16000  # of the one that writes, which touches every index
RETRIES = 5  # of a PostgreSQL transaction that lost against another
_LOST_RACE = {"40001", "40P01"}  # serialization failure, deadlock


def _do(after: list[Callable[[], None]]) -> None:
    for one in after:
        one()


class DatabaseUnavailable(Exception):
    """The database cannot be used now: locked, full or gone. Nothing was half done; the same call may be made
    again."""


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


def _driver(conn: sa.Connection) -> Any:
    """The library's own connection, for what SQLAlchemy has no words for."""
    return conn.connection.driver_connection


class _Work:
    """One piece of work waiting for the writer."""

    __slots__ = ("after", "done", "error", "fn", "gate", "result")

    def __init__(self, fn: Callable[[sa.Connection], Any]) -> None:
        self.fn, self.done = fn, False
        self.result: Any = None
        self.error: Exception | None = None
        self.after: list[Callable[[], None]] = []  # to be done when it is durable
        self.gate = threading.Lock()
        self.gate.acquire()


class Database:
    """`write(fn)` runs fn(connection) in one durable transaction; `read()` gives a connection that only
    reads.

    `fn` must do nothing but use its connection: it may be run again."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgres_engine()
        self._waiting: deque[_Work] = deque()
        self._leading = threading.Lock()
        self._writer: sa.Connection | None = None
        # since when the write lock is held by another process, and when that was last seen
        self._locked = _NEVER_LOCKED
        self._inside = threading.local()  # .conn: the transaction this thread is in
        # may refuse, by raising: the dashboard's, for those who only look
        self.before_write: Callable[[], None] | None = None

    @property
    def file(self) -> Path | None:
        """Where it is on a disk of this machine."""
        return (
            Path(self.url.database) if self.is_sqlite and not self._in_memory and self.url.database else None
        )

    # --- engines --------------------------------------------------------------------------------------------

    def _sqlite_engine(self) -> sa.Engine:
        if not self._in_memory and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        pool = sa.StaticPool if self._in_memory else sa.QueuePool
        options: dict[str, Any] = (
            {}
            if self._in_memory
            else {"pool_size": 32, "max_overflow": 64, "pool_timeout": 5, "pool_use_lifo": True}
        )
        engine = sa.create_engine(
            self.url,
            poolclass=pool,
            connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
            **options,
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine

    def _postgres_engine(self) -> sa.Engine:
        return sa.create_engine(
            self.url,
            pool_size=24,
            max_overflow=24,
            pool_timeout=5,
            pool_pre_ping=False,
            pool_use_lifo=True,
            connect_args={
                "connect_timeout": 3,
                "application_name": "dashtrade",
                "options": "-c timezone=utc -c lock_timeout=5000",
            },
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
            if self._in_memory:  # one connection for all: readers take the writer's turn
                self._leading.acquire()
                try:
                    with self.engine.connect() as conn:
                        yield conn
                finally:
                    self._hand_over()
                return
            with self.engine.connect() as conn:
                if self.is_sqlite:
                    _driver(conn).execute("BEGIN")
                try:
                    yield conn
                finally:
                    if self.is_sqlite:
                        _driver(conn).rollback()
        except (
            exc.OperationalError,
            exc.TimeoutError,
            exc.InterfaceError,
            sqlite3.OperationalError,
        ) as error:
            if _is_bug(error):
                raise
            self._forget_dead(error)
            raise DatabaseUnavailable(_words(error)) from error

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
                    raise DatabaseUnavailable(_words(error)) from error
                time.sleep(0.005 * 2**attempt)
            else:
                _do(after)
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

    # --- SQLite's group-committing writer -------------------------------------------------------------------

    def write_all(self, fns: list[Callable[[sa.Connection], Any]]) -> list[_Work]:
        """Several pieces of work in one group (SQLite): each is durable, or tells its error, when this
        returns."""
        works = [_Work(fn) for fn in fns]
        self._waiting.extend(works)
        if self._leading.acquire(blocking=False):
            self._lead(works[-1])
            return works
        for work in works:
            work.gate.acquire()  # until a leader has done it, or hands the lead to us
            if not work.done:
                self._lead(works[-1])
                break
        return works

    def _lead(self, mine: _Work) -> None:
        """Carry out groups until our own work is done, then hand over to whoever waits."""
        try:
            while not mine.done:
                self._commit_group()
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        while True:
            if self._waiting:
                # still not done: it leads now, and the lead was never free in between
                self._waiting[0].gate.release()
                return
            self._leading.release()
            if not self._waiting or not self._leading.acquire(blocking=False):
                return  # nobody came in that moment, or who came leads already

    def _commit_group(self) -> None:
        group: list[_Work] = []
        try:
            conn = self._writing_connection()
            raw = _driver(conn)
            self._begin(raw)
            self._inside.conn = conn
            try:
                self._run_group(conn, raw, group)
            finally:
                self._inside.conn = None
            self._commit(raw)
        # the disk, the lock, the file, an end of the process: nothing of the group is durable
        except BaseException as error:
            self._drop_writer()
            group += [self._waiting.popleft() for _ in range(len(self._waiting))] if not group else []
            away = DatabaseUnavailable(_words(error))
            away.__cause__ = error
            for work in group:
                work.error, work.result, work.after = away, None, []
            if not isinstance(error, Exception):
                raise
        finally:
            for work in group:
                work.done = True
                work.gate.release()
        for work in group:
            _do(work.after)

    @staticmethod
    def _commit(raw: sqlite3.Connection) -> None:
        raw.execute("COMMIT")

    def _begin(self, raw: sqlite3.Connection) -> None:
        """Take SQLite's write lock, which another process may hold for a moment. Once it is held for longer,
        it is tried only briefly until it is free again: else those who come meanwhile would wait for each
        other's waiting."""
        now = time.monotonic()
        since, last = self._locked
        since = since if now - last < BUSY_SECONDS else now
        end = max(since + BUSY_SECONDS, now + BUSY_BRIEFLY)
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                self._locked = _NEVER_LOCKED
                return
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                self._locked = since, now
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or now > end:
                    raise
            time.sleep(BUSY_POLL)

    def _run_group(self, conn: sa.Connection, raw: Any, group: list[_Work]) -> None:
        """What waits, as long as it does not keep another process from the lock for too long."""
        end = time.perf_counter() + GROUP_SECONDS
        while self._waiting and len(group) < GROUP and (not group or time.perf_counter() < end):
            group.append(self._waiting.popleft())
            self._run_one(conn, raw, group[-1])

    @staticmethod
    def _run_one(conn: sa.Connection, raw: Any, work: _Work) -> None:
        raw.execute("SAVEPOINT work")
        try:
            work.result = work.fn(conn)
        except Exception as error:
            if not raw.in_transaction:  # SQLite itself gave up the whole transaction (disk full, I/O error)
                raise
            raw.execute("ROLLBACK TO work")
            take_after_commit(conn)
            away = isinstance(error, exc.OperationalError) and not _is_bug(error)
            work.error = DatabaseUnavailable(_words(error)) if away else error
        raw.execute("RELEASE work")
        work.after = take_after_commit(conn)

    def _writing_connection(self) -> sa.Connection:
        if self._writer is None:
            # we say BEGIN ourselves
            self._writer = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            for pragma in ("busy_timeout=0", f"cache_size=-{WRITER_CACHE_KB}"):
                _driver(self._writer).execute(f"PRAGMA {pragma}")
        return self._writer

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with contextlib.suppress(Exception):
            _driver(writer).rollback()
        if self._in_memory:
            self._writer = writer
            return
        with contextlib.suppress(Exception):
            writer.invalidate()
            writer.close()

    # --- life -----------------------------------------------------------------------------------------------

    def ping(self) -> None:
        with self.read() as conn:
            conn.execute(sa.text("SELECT 1"))

    def close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.close()
        self._writer = None
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
                raise DatabaseUnavailable(_words(error)) from error
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
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        source = sqlite3.connect(f"file:{self.url.database}?mode=ro", uri=True)
        target = sqlite3.connect(partial)
        with contextlib.closing(source), contextlib.closing(target):
            source.backup(target, pages=2000)
        check_sqlite_file(partial)
        with open(partial, "rb") as done:
            os.fsync(done.fileno())
        os.chmod(partial, 0o600)
        os.replace(partial, path)

    def restore(
        self, path: Path, prepare: Callable[[Path, Path | None], None] = lambda incoming, replaced: None
    ) -> Path | None:
        """Put a verified backup in the database's place; where what was there is kept beside it. Nothing may
        be running. `prepare` is given the copy, before it is the database, and what it replaces."""
        if not self.is_sqlite:
            raise PostgresHasItsOwnTools
        check_sqlite_file(path)
        current = Path(self.url.database or "")
        self.close()
        kept = current.with_name(
            f"{current.name}.before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        )
        incoming = current.with_name(current.name + ".incoming")
        shutil.copyfile(path, incoming)
        os.chmod(incoming, 0o600)
        replaced = current.exists()
        if replaced:
            # it may be damaged
            with (
                contextlib.suppress(sqlite3.DatabaseError),
                contextlib.closing(sqlite3.connect(current)) as old,
            ):
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            prepare(incoming, current if replaced else None)
        except BaseException:
            for tail in ("", "-wal", "-shm"):
                Path(f"{incoming}{tail}").unlink(missing_ok=True)
            raise
        if replaced:
            os.replace(current, kept)
        for tail in ("-wal", "-shm"):
            Path(f"{current}{tail}").unlink(missing_ok=True)
        os.replace(incoming, current)
        return kept if replaced else None


class PostgresHasItsOwnTools(Exception):
    """Backup and restore of PostgreSQL are not ours to do."""

    def __str__(self) -> str:
        return "This database is PostgreSQL: use its own tools, pg_dump to back up and pg_restore to restore."


def check_sqlite_file(path: Path) -> None:
    """Whole, undamaged, and one of ours; raises ValueError otherwise."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path.name} is not a whole DashTrade database: {error}") from error
    if verdict != "ok":
        raise ValueError(f"{path.name} is damaged: {verdict}")


def newest_migration() -> str:
    """The newest revision's id is its file's name, without asking Alembic (which costs a third of a
    second)."""
    return max(file.stem for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cache = f"cache_size=-{READER_CACHE_KB}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", cache, "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _is_bug(error: Exception) -> bool:
    """SQLite's general error is a statement that cannot be, not a database that is away."""
    return getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _words(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return (
        "the database cannot be used now "
        f"({str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__})"
    )
