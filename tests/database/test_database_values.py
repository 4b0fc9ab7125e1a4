"""Numbers and times come back as they were written, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot_database import Database
from dashtrade.tables import compiled_sql
from dashtrade.tables.base import BigId, ExactDecimal, UtcTime

# --- exact numbers and times --------------------------------------------------------------------------------

VALUES = sa.Table(
    "measures",
    sa.MetaData(),
    sa.Column("n", BigId, primary_key=True, autoincrement=False),
    sa.Column("number", ExactDecimal),
    sa.Column("at", UtcTime),
)

_PUT, _GET = sa.insert(VALUES), sa.select(VALUES).where(VALUES.c.n == sa.bindparam("which"))

NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**20)), max_value=Decimal(10**20), places=10
) | st.sampled_from(
    [
        Decimal(text)
        for text in (
            "0",
            "-0.00000001",
            "1E+3",
            "1E-18",
            "0.1",
            "123456789012345678.123456789012",
            "99999999999999999999",
        )
    ]
)

MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2199, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@pytest.fixture
def measures(db: Database) -> Database:
    db.write(lambda conn: VALUES.create(conn))
    return db


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=NUMBERS | st.none(), at=MOMENTS | st.none(), hours=st.integers(-12, 12))
def check_round_trip(database: Database, number: Decimal | None, at: datetime | None, hours: int) -> None:
    elsewhere = at and (at + timedelta(hours=hours)).replace(tzinfo=None).replace(tzinfo=_zone(hours))
    row = {"n": 1, "number": number, "at": elsewhere}
    for put in (lambda conn: conn.execute(_PUT, row), lambda conn: compiled_sql.run(conn, _PUT, row)):
        database.write(lambda conn, put=put: (conn.execute(sa.delete(VALUES)), put(conn)))
        with database.read() as conn:
            plain, fast = conn.execute(_GET, {"which": 1}).one(), compiled_sql.one(conn, _GET, {"which": 1})
        for found in (plain, fast):
            assert found.number == number and (number is None or isinstance(found.number, Decimal))
            assert found.at == at and (at is None or found.at.utcoffset() == timedelta(0))


def _zone(hours: int) -> Any:
    from datetime import timezone

    return timezone(timedelta(hours=hours))


def test_decimals_and_times_come_back_to_the_last_digit(measures: Database):
    check_round_trip(measures)


def test_what_a_number_is_does_not_depend_on_the_database(measures: Database):
    thirty = Decimal("123456789012345678.123456789012")
    measures.write(lambda conn: conn.execute(_PUT, {"n": 1, "number": thirty, "at": None}))
    with measures.read() as conn:
        assert str(conn.execute(_GET, {"which": 1}).one().number) == str(thirty)
