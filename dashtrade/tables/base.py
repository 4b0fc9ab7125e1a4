"""What all tables share: exact numbers and aware times on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from dashtrade.domain.values import Symbol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_MICROSECOND = timedelta(microseconds=1)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


class Exact(sa.TypeDecorator[Decimal]):
    """A Decimal, digit for digit: text in SQLite (which has no exact number), NUMERIC in PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return dialect.type_descriptor(sa.Numeric() if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        text = str(value)
        return format(value, "f") if "E" in text else text

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        return value if value is None or isinstance(value, Decimal) else Decimal(value)


class Moment(sa.TypeDecorator[datetime]):
    """An aware UTC time: microseconds since 1970 in SQLite, TIMESTAMPTZ in PostgreSQL."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value.astimezone(UTC) if value is not None else None
        return EPOCH + timedelta(microseconds=value)


class Instrument(sa.TypeDecorator[Symbol]):
    """A symbol in its universal form."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Symbol | None, dialect: sa.Dialect) -> str | None:
        return value.text if value is not None else None

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Symbol | None:
        return symbol_of(value) if value is not None else None


class Json(sa.TypeDecorator[Any]):
    """Small documents that are shown and never searched: text on both, numbers in them as strings."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else _ENCODE(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers rows by itself only for INTEGER

_symbols: dict[str, Symbol] = {}


def symbol_of(text: str) -> Symbol:
    """The symbol of a stored universal form; there are few, and they are read often."""
    found = _symbols.get(text)
    if found is None:
        found = _symbols[text] = Symbol.parse(text)
    return found


def number() -> sa.Column[int]:
    return sa.Column("id", BigId, primary_key=True, autoincrement=True)


def owner_column(**options: Any) -> sa.Column[int]:
    return sa.Column("user_id", BigId, sa.ForeignKey("users.id"), nullable=False, **options)


def exact(name: str, *, nullable: bool = False) -> sa.Column[Decimal]:
    return sa.Column(name, Exact, nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Moment, nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def whole(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, BigId, nullable=nullable)


def is_postgres(conn: sa.Connection) -> bool:
    return conn.dialect.name == "postgresql"
