"""Named statements, executed on the driver itself.

Measured on the signal's path (some forty statements an order): SQLAlchemy's own execution costs 15 to 50 µs a
statement, most of it for generality that a fixed statement does not need; compiled once and passed to the
driver it costs 3 to 10. The statements stay SQLAlchemy's, one source for both databases; only module-level
constants may be executed in this way, as each is compiled once and cached."""

from __future__ import annotations

import contextlib
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.base import ConvertedType, is_postgres

Converter = Callable[[Any], Any] | None


def _to_store(kind: Any, dialect: sa.Dialect) -> Converter:
    """Our own types have a plain conversion; others use SQLAlchemy's processor."""
    return (
        kind.to_store(dialect.name)
        if isinstance(kind, ConvertedType)
        else kind.dialect_impl(dialect).bind_processor(dialect)
    )


def _from_store(kind: Any, dialect: sa.Dialect, type_code: Any) -> Converter:
    return (
        kind.from_store(dialect.name)
        if isinstance(kind, ConvertedType)
        else kind.dialect_impl(dialect).result_processor(dialect, type_code)
    )


class _Plan:
    """A statement compiled for one database, with the conversions of its values."""

    __slots__ = ("binds", "defaults", "make", "names", "positional", "results", "text")

    def __init__(self, conn: sa.Connection, statement: Any, given: Mapping[str, Any]) -> None:
        dialect = conn.dialect
        compiled: Any = (
            # inline: without its own RETURNING of the new row's id, which nothing here reads
            statement.inline().compile(dialect=dialect, column_keys=list(given))
            if isinstance(statement, sa.Insert)
            else statement.compile(dialect=dialect)
        )
        self.text = str(compiled)
        self.positional: bool = compiled.positional
        self.names: list[str] = list(compiled.positiontup if compiled.positional else compiled.params)
        types = {name: compiled.binds[name].type for name in self.names}
        self.binds: list[tuple[str, Converter]] = [
            (name, _to_store(types[name], dialect)) for name in self.names
        ]
        self.defaults = {
            name: value for name, value in compiled.params.items() if value is not None and name not in given
        }
        self.make: Any = None
        self.results: list[tuple[int, Callable[[Any], Any]]] = []

    def values(self, given: Mapping[str, Any]) -> Any:
        if self.defaults:
            given = {**self.defaults, **given}
        if self.positional:
            return [
                value if (value := given[name]) is None or convert is None else convert(value)
                for name, convert in self.binds
            ]
        return {
            name: value if (value := given[name]) is None or convert is None else convert(value)
            for name, convert in self.binds
        }

    def learn_results(self, conn: sa.Connection, statement: Any, cursor: Any) -> None:
        """Learn how to convert its columns, once the driver has described them."""
        columns = (
            statement.selected_columns if isinstance(statement, sa.Select) else statement.exported_columns
        )
        found = [(column.key, column.type) for column in columns]
        read = [
            _from_store(kind, conn.dialect, described[1])
            for (_, kind), described in zip(found, cursor.description, strict=True)
        ]
        self.results = [(place, convert) for place, convert in enumerate(read) if convert is not None]
        row: Any = namedtuple("Row", [str(name) for name, _ in found])  # type: ignore[misc]
        self.make = row._make

    def row(self, raw: Sequence[Any]) -> Any:
        if self.results:
            raw = list(raw)
            for place, convert in self.results:
                if raw[place] is not None:
                    raw[place] = convert(raw[place])
        return self.make(raw)


_plans: dict[tuple[Any, str], _Plan] = {}


def _plan_of(conn: sa.Connection, statement: Any, given: Mapping[str, Any]) -> _Plan:
    plan = _plans.get((statement, conn.dialect.name))
    if plan is None:
        plan = _plans[(statement, conn.dialect.name)] = _Plan(conn, statement, given)
    return plan


_GATHERED = "gathered statements"


@contextlib.contextmanager
def one_message(conn: sa.Connection) -> Iterator[None]:
    """What is run meanwhile goes to PostgreSQL in one message, at the end or before the next question. It is
    for changes that are certain: their rows are not counted."""
    if not is_postgres(conn):
        yield
        return
    conn.info[_GATHERED] = []
    try:
        yield
        send_gathered(conn)
    finally:
        del conn.info[_GATHERED]


def send_gathered(conn: sa.Connection) -> None:
    gathered = conn.info.get(_GATHERED)
    if not gathered:
        return
    message = b";".join(gathered)
    gathered.clear()
    cursor: Any = conn.connection.cursor()
    try:
        cursor.execute(message)
    except conn.dialect.loaded_dbapi.Error as error:
        text = message[:2000].decode(errors="replace")
        raise _as_sqlalchemy(conn, text, error) from error
    cursor.close()


def _gather(conn: sa.Connection, plan: _Plan, given: Sequence[Mapping[str, Any]]) -> int:
    cursor: Any = conn.connection.cursor()
    conn.info[_GATHERED] += [cursor.mogrify(plan.text, plan.values(values)) for values in given]
    cursor.close()
    return len(given)


def _execute(conn: sa.Connection, statement: Any, given: Mapping[str, Any]) -> tuple[_Plan, Any]:
    plan = _plan_of(conn, statement, given)
    send_gathered(conn)
    cursor = conn.connection.cursor()
    try:
        cursor.execute(plan.text, plan.values(given))
    except conn.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(conn, plan.text, error) from error
    return plan, cursor


def _as_sqlalchemy(conn: sa.Connection, text: str, error: Exception) -> Exception:
    """Raise the same errors as SQLAlchemy's own execution."""
    family = conn.dialect.loaded_dbapi.Error
    return sa.exc.DBAPIError.instance(text, None, error, family, dialect=conn.dialect)


def rows(conn: sa.Connection, statement: Any, given: Mapping[str, Any] | None = None) -> list[Any]:
    plan, cursor = _execute(conn, statement, given or {})
    if plan.make is None:
        plan.learn_results(conn, statement, cursor)
    return [plan.row(raw) for raw in cursor.fetchall()]


def first(conn: sa.Connection, statement: Any, given: Mapping[str, Any] | None = None) -> Any | None:
    plan, cursor = _execute(conn, statement, given or {})
    if plan.make is None:
        plan.learn_results(conn, statement, cursor)
    raw = cursor.fetchone()
    cursor.close()
    return plan.row(raw) if raw is not None else None


def one(conn: sa.Connection, statement: Any, given: Mapping[str, Any] | None = None) -> Any:
    row = first(conn, statement, given)
    if row is None:
        raise LookupError(f"no row: {given}")
    return row


def scalar(conn: sa.Connection, statement: Any, given: Mapping[str, Any] | None = None) -> Any:
    row = first(conn, statement, given)
    return row[0] if row is not None else None


def run(conn: sa.Connection, statement: Any, given: Mapping[str, Any] | None = None) -> int:
    """Execute; returns the number of changed rows."""
    if _GATHERED in conn.info:
        return _gather(conn, _plan_of(conn, statement, given or {}), [given or {}])
    cursor = _execute(conn, statement, given or {})[1]
    count = cursor.rowcount
    cursor.close()
    return count


def run_many(
    conn: sa.Connection, statement: Any, given: Sequence[Mapping[str, Any]], *, counted: bool = False
) -> int:
    """Execute once for each, in one call of the driver; returns the number of changed rows. `counted`: it
    matters."""
    if not given:
        return 0
    plan = _plan_of(conn, statement, given[0])
    if _GATHERED in conn.info:
        if not counted:
            return _gather(conn, plan, given)
        send_gathered(conn)
    cursor = conn.connection.cursor()
    try:
        if plan.positional:
            cursor.executemany(plan.text, [plan.values(values) for values in given])
            count: int = cursor.rowcount
        else:
            count = _execute_batch(cursor, plan, given, counted=type(statement) is not sa.Insert)
    except conn.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(conn, plan.text, error) from error
    cursor.close()
    return count


def _execute_batch(cursor: Any, plan: _Plan, given: Sequence[Mapping[str, Any]], *, counted: bool) -> int:
    """psycopg2's own `executemany` sends each by itself, and counts the rows of the last alone.

    Plain inserts, of which each adds a row, are sent in one message, which cannot tell the rows of each."""
    if not counted:
        from psycopg2.extras import execute_batch

        execute_batch(cursor, plan.text, [plan.values(values) for values in given], page_size=len(given))
        return len(given)
    count = 0
    for values in given:
        cursor.execute(plan.text, plan.values(values))
        count += cursor.rowcount
    return count
