"""Shared by all tables: exact numbers and aware times on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from dashtrade.domain.reasons import read_stored, stored
from dashtrade.domain.symbols import Symbol

Convert = Callable[[Any], Any]
# full-width forms too
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
to_json_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_MICROSECOND = timedelta(microseconds=1)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)
AFTER_COMMIT = "after commit"


def after_commit(conn: sa.Connection, work: Callable[[], None]) -> None:
    """Run once this transaction is committed, and not if it is rolled back. Must not raise."""
    conn.info.setdefault(AFTER_COMMIT, []).append(work)


def take_after_commit(conn: sa.Connection, since: int = 0) -> list[Callable[[], None]]:
    """Take the callbacks of this transaction; `since`: only those after that many."""
    waiting: list[Callable[[], None]] = conn.info.get(AFTER_COMMIT, [])
    conn.info[AFTER_COMMIT], taken = waiting[:since], waiting[since:]
    return taken


def _decimal_text(number: Decimal) -> str:
    text = str(number)
    return format(number, "f") if "E" in text else text


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND


def _time_from_microseconds(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


class ConvertedType(sa.TypeDecorator[Any]):
    """A value stored in another form: `to_store` and `from_store` convert it, per database; None stays
    None."""

    impl = sa.Text
    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return None

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return None

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        convert = self.to_store(dialect.name)
        return value if value is None or convert is None else convert(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        convert = self.from_store(dialect.name)
        return value if value is None or convert is None else convert(value)


class ExactDecimal(ConvertedType):
    """A Decimal, digit for digit: text in SQLite (which has no exact number), NUMERIC in PostgreSQL."""

    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return dialect.type_descriptor(sa.Numeric() if dialect.name == "postgresql" else sa.Text())

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return None if dialect_name == "postgresql" else _decimal_text

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return None if dialect_name == "postgresql" else Decimal


class ReasonText(ConvertedType):
    """A reason as JSON text; a record older than the codes holds a sentence, which stays text."""

    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return stored

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return read_stored


class UtcTime(ConvertedType):
    """An aware UTC time: microseconds since 1970 in SQLite, TIMESTAMPTZ in PostgreSQL."""

    impl: Any = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.BigInteger())

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return None if dialect_name == "postgresql" else _microseconds

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return _utc if dialect_name == "postgresql" else _time_from_microseconds


class Instrument(ConvertedType):
    """A symbol in its universal form."""

    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return attrgetter("text")

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return symbol_of


class Json(ConvertedType):
    """Small documents for display, never searched: text on both, numbers in them as strings."""

    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return to_json_text

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return json.loads


BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite assigns ids only to an INTEGER key


@lru_cache(maxsize=4096)
def symbol_of(text: str) -> Symbol:
    """The symbol of a stored universal form; cached, as there are few and they are read often."""
    return Symbol.parse(text)


def id_column() -> sa.Column[int]:
    return sa.Column("id", BigId, primary_key=True, autoincrement=True)


def owner_column(**options: Any) -> sa.Column[int]:
    return sa.Column("user_id", BigId, sa.ForeignKey("users.id"), nullable=False, **options)


def decimal_column(name: str, *, nullable: bool = False) -> sa.Column[Decimal]:
    return sa.Column(name, ExactDecimal, nullable=nullable)


def time_column(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcTime, nullable=nullable)


def text_column(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def reason_column(name: str) -> sa.Column[Any]:
    """A reason; `NO_REASON` where there is none."""
    return sa.Column(name, ReasonText, nullable=False)


def bool_column(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def int_column(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, BigId, nullable=nullable)


def without_index(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """`+column`: compared without using its index. With an index on the owner and one on the wanted value,
    SQLite may choose the owner's, and scan all of the owner's rows."""
    return sa.UnaryExpression(column, operator=sa.sql.operators.custom_op("+"), type_=column.type)


def is_postgres(conn: sa.Connection) -> bool:
    return conn.dialect.name == "postgresql"


def insert_returning_id(conn: sa.Connection, statement: sa.Insert) -> int:
    """Execute it and return the new row's id."""
    key = conn.execute(statement).inserted_primary_key
    assert key is not None
    number: int = key[0]
    return number


# --- cells of CSV files -------------------------------------------------------------------------------------


def escape_formula(text: str) -> str:
    """Prefix a cell that a spreadsheet would take for a formula with an apostrophe."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def escape_formula_column(column: sa.Column[str]) -> Any:
    """The same, in SQL."""
    return sa.case((sa.func.substr(column, 1, 1).in_(FORMULA_STARTS), sa.literal("'") + column), else_=column)
