"""SQLite's single writer, shared: the first thread to get it executes all waiting work, and commits it
together.

A commit costs one wait for the disk however much it holds. Each piece of work has its own savepoint: a
failing one is rolled back alone."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from dashtrade.database.engines import BUSY_SECONDS, driver
from dashtrade.database.errors import as_unavailable, is_bug
from dashtrade.tables.base import take_after_commit

BRIEF_BUSY_SECONDS = 0.05
_NOT_LOCKED = (float("-inf"), float("-inf"))
# SQLite's own waiting backs off to 100 ms, longer than most locks last
BUSY_POLL_SECONDS = 0.00003
MAX_GROUP = 64  # maximum pieces of work in one commit
GROUP_SECONDS = 0.006  # how long a group may hold the lock before it commits
WRITER_CACHE_KB = 16000  # for the single writer, which touches every index


class QueuedWrite:
    """One piece of work waiting for the writer."""

    __slots__ = ("after", "done", "error", "fn", "result", "turn_lock")

    def __init__(self, fn: Callable[[sa.Connection], Any]) -> None:
        self.fn, self.done = fn, False
        self.result: Any = None
        self.error: Exception | None = None
        self.after: list[Callable[[], None]] = []  # callbacks after the commit
        self.turn_lock = threading.Lock()
        self.turn_lock.acquire()


class GroupWriter:
    """Safe to use from several threads. `local.conn` is the thread's current transaction."""

    def __init__(self, engine: sa.Engine, local: threading.local, *, in_memory: bool) -> None:
        self._engine, self._local, self._in_memory = engine, local, in_memory
        self._waiting: deque[QueuedWrite] = deque()
        self._leader_lock = threading.Lock()
        self._writer: sa.Connection | None = None
        # since when another process has held the write lock, and when that was last seen
        self._locked = _NOT_LOCKED

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The writer's turn, for a reader: an in-memory database has one connection for all."""
        self._leader_lock.acquire()
        try:
            yield
        finally:
            self._hand_over()

    def write_all(self, fns: Sequence[Callable[[sa.Connection], Any]]) -> list[QueuedWrite]:
        """Several pieces of work in one group (SQLite): on return each is durable, or has its error."""
        works = [QueuedWrite(fn) for fn in fns]
        self._waiting.extend(works)
        if self._leader_lock.acquire(blocking=False):
            self._lead(works[-1])
            return works
        for work in works:
            work.turn_lock.acquire()  # until a leader has done the work, or makes this thread the leader
            if not work.done:
                self._lead(works[-1])
                break
        return works

    def _lead(self, own_write: QueuedWrite) -> None:
        """Execute groups until our own work is done, then hand over to a waiting thread."""
        try:
            while not own_write.done:
                self._commit_group()
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        while True:
            if self._waiting:
                # its work is still pending: it leads now, without a gap
                self._waiting[0].turn_lock.release()
                return
            self._leader_lock.release()
            if not self._waiting or not self._leader_lock.acquire(blocking=False):
                return  # nothing is waiting, or another thread leads already

    def _commit_group(self) -> None:
        group: list[QueuedWrite] = []
        try:
            conn = self.connection()
            raw = driver(conn)
            self._begin(raw)
            self._local.conn = conn
            try:
                self._run_group(conn, raw, group)
            finally:
                self._local.conn = None
            self.commit(raw)
        # the disk, the lock, the file, or the process ending: nothing of the group is durable
        except BaseException as error:
            self.drop()
            group += [self._waiting.popleft() for _ in range(len(self._waiting))] if not group else []
            unavailable = as_unavailable(error)
            unavailable.__cause__ = error
            for work in group:
                work.error, work.result, work.after = unavailable, None, []
            if not isinstance(error, Exception):
                raise
        finally:
            for work in group:
                work.done = True
                work.turn_lock.release()
        for work in group:
            for one in work.after:
                one()

    @staticmethod
    def commit(raw: sqlite3.Connection) -> None:
        raw.execute("COMMIT")

    def _begin(self, raw: sqlite3.Connection) -> None:
        """Take SQLite's write lock, which another process may hold for a moment. After a long wait, it is
        tried only briefly until it is free again: otherwise waiting threads would add up their waits."""
        now = time.monotonic()
        since, last = self._locked
        since = since if now - last < BUSY_SECONDS else now
        end = max(since + BUSY_SECONDS, now + BRIEF_BUSY_SECONDS)
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                self._locked = _NOT_LOCKED
                return
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                self._locked = since, now
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or now > end:
                    raise
            time.sleep(BUSY_POLL_SECONDS)

    def _run_group(self, conn: sa.Connection, raw: Any, group: list[QueuedWrite]) -> None:
        """Execute waiting work, without keeping other processes from the lock for too long."""
        end = time.perf_counter() + GROUP_SECONDS
        while self._waiting and len(group) < MAX_GROUP and (not group or time.perf_counter() < end):
            group.append(self._waiting.popleft())
            self._run_one(conn, raw, group[-1])

    @staticmethod
    def _run_one(conn: sa.Connection, raw: Any, work: QueuedWrite) -> None:
        raw.execute("SAVEPOINT work")
        try:
            work.result = work.fn(conn)
        except Exception as error:
            if not raw.in_transaction:  # SQLite rolled back the whole transaction (disk full, I/O error)
                raise
            raw.execute("ROLLBACK TO work")
            take_after_commit(conn)
            lost = isinstance(error, exc.OperationalError) and not is_bug(error)
            work.error = as_unavailable(error) if lost else error
        raw.execute("RELEASE work")
        work.after = take_after_commit(conn)

    def connection(self) -> sa.Connection:
        if self._writer is None:
            # with our own BEGIN
            self._writer = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            for pragma in ("busy_timeout=0", f"cache_size=-{WRITER_CACHE_KB}"):
                driver(self._writer).execute(f"PRAGMA {pragma}")
        return self._writer

    def drop(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with contextlib.suppress(Exception):
            driver(writer).rollback()
        if self._in_memory:
            self._writer = writer
            return
        with contextlib.suppress(Exception):
            writer.invalidate()
            writer.close()

    def close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.close()
        self._writer = None
