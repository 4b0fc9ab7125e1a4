"""Has anybody else written since our last transaction? Asked inside the transaction, and exact.

SQLite has one writer at a time: `data_version` counts the commits of all other connections, `total_changes`
the rows changed on our own by anything else.

PostgreSQL numbers each transaction that writes (its xid). A snapshot `xmin:xmax:` without a list says that
all before xmax have ended, and none from there on: after our own xid nobody has written as long as snapshots
say `xid+1:xid+1:`. Whoever got a number between our snapshot and our first write makes ours the wrong one,
and whoever writes meanwhile shows in the next snapshot."""

from __future__ import annotations

from typing import Protocol

import sqlalchemy as sa

from dashtrade.database.engines import driver


class LastWriter(Protocol):
    def begin(self, conn: sa.Connection) -> bool:
        """Were we the last to write?"""
        ...

    def still(self, conn: sa.Connection) -> bool:
        """Has nobody written since `begin`? Asked once more when a lock was taken."""
        ...

    def finish(self, conn: sa.Connection) -> None:
        """The end of our transaction, after its last write."""
        ...

    def forget(self) -> None:
        """Whatever the last transaction was: its changes do not count."""
        ...


class SqliteLastWriter:
    def __init__(self) -> None:
        self._seen: tuple[object, int, int] | None = None

    def begin(self, conn: sa.Connection) -> bool:
        return self._seen == _state(conn)

    def still(self, conn: sa.Connection) -> bool:
        return True  # the whole transaction is a lock

    def finish(self, conn: sa.Connection) -> None:
        self._seen = _state(conn)

    def forget(self) -> None:
        self._seen = None


def _state(conn: sa.Connection) -> tuple[object, int, int]:
    raw = driver(conn)
    (version,) = raw.execute("PRAGMA data_version").fetchone()
    return raw, version, raw.total_changes


_SNAPSHOT = "SELECT pg_current_snapshot()::text"
_OWN_NUMBER = "SELECT pg_current_xact_id_if_assigned()::text"


class PostgresLastWriter:
    def __init__(self) -> None:
        self._expected: str | None = None  # the snapshot, as long as nobody else writes
        self._at_begin = ""

    def begin(self, conn: sa.Connection) -> bool:
        self._at_begin = _ask(conn, _SNAPSHOT) or ""
        return self._at_begin == self._expected

    def still(self, conn: sa.Connection) -> bool:
        return _ask(conn, _SNAPSHOT) == self._at_begin

    def finish(self, conn: sa.Connection) -> None:
        number = _ask(conn, _OWN_NUMBER)
        if self._at_begin != _quiet(int(self._at_begin.split(":")[1])):
            self._expected = None
        elif number is None:
            self._expected = self._at_begin
        else:
            ours_is_next = self._at_begin == _quiet(int(number))
            self._expected = _quiet(int(number) + 1) if ours_is_next else None

    def forget(self) -> None:
        self._expected = None


def _quiet(number: int) -> str:
    return f"{number}:{number}:"


def _ask(conn: sa.Connection, query: str) -> str | None:
    with driver(conn).cursor() as cursor:
        cursor.execute(query)
        (answer,) = cursor.fetchone()
    return answer


def last_writer(*, is_sqlite: bool) -> LastWriter:
    return SqliteLastWriter() if is_sqlite else PostgresLastWriter()
