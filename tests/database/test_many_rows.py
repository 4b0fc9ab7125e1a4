"""Many rows in one call of the driver: the same rows, counts and errors as one by one, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bot_database import Database
from dashtrade.tables.base import BigId, ExactDecimal, UtcTime
from dashtrade.tables.compiled_sql import rows, run, run_many
from tests.support.fakes import MORNING

THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("number", ExactDecimal),
    sa.Column("at", UtcTime),
)
_ADD, _ALL = sa.insert(THINGS), sa.select(THINGS).order_by(THINGS.c.id)
_PUT = (
    sa.update(THINGS)
    .where(THINGS.c.name.like(sa.bindparam("which")))
    .values(number=sa.bindparam("to", type_=ExactDecimal))
)
_ADD_NEW = {
    made.dialect.name: made.insert(THINGS).on_conflict_do_nothing(index_elements=["name"])
    for made in (sqlite, postgresql)
}
Many = Callable[[sa.Connection, Any, list[dict[str, Any]]], int]


def one_by_one(conn: sa.Connection, statement: Any, given: list[dict[str, Any]]) -> int:
    return sum(run(conn, statement, values) for values in given)


@pytest.fixture(params=[run_many, one_by_one], ids=lambda many: many.__name__)
def many(request: pytest.FixtureRequest) -> Many:
    return request.param


@pytest.fixture
def things(db: Database) -> Database:
    db.write(THINGS.create)
    return db


def thing(name: str, number: str | None = "1") -> dict[str, Any]:
    hours = timedelta(hours=len(name))
    return {"name": name, "number": number and Decimal(number), "at": MORNING + hours if number else None}


GIVEN = [thing("a", "1.50"), thing("b%s;", None), thing("it's", "1E-18"), thing("", "12345678901234567890.5")]


def held(database: Database) -> list[dict[str, Any]]:
    with database.read() as conn:
        return [row._asdict() for row in rows(conn, _ALL)]


def test_rows_are_as_given_and_in_their_order(things: Database, many: Many) -> None:
    assert things.write(lambda conn: many(conn, _ADD, GIVEN)) == 4
    assert held(things) == [{"id": number, **row} for number, row in enumerate(GIVEN, 1)]


def test_nothing_given_is_nothing_done(things: Database, many: Many) -> None:
    assert things.write(lambda conn: many(conn, _ADD, [])) == 0
    assert held(things) == []


def test_changed_rows_are_counted_over_all(things: Database, many: Many) -> None:
    things.write(lambda conn: run_many(conn, _ADD, [thing("a1"), thing("a2"), thing("b")]))
    changes = [{"which": which, "to": Decimal(to)} for which, to in (("a%", "2"), ("none", "3"), ("b", "4"))]
    assert things.write(lambda conn: many(conn, _PUT, changes)) == 3
    assert [row["number"] for row in held(things)] == [Decimal(2), Decimal(2), Decimal(4)]


def test_an_insert_that_may_add_nothing_is_counted(things: Database, many: Many) -> None:
    given = [thing("a"), thing("b"), thing("a", "7"), thing("c")]
    added = things.write(lambda conn: many(conn, _ADD_NEW[conn.dialect.name], given))
    assert added == 3 and [row["name"] for row in held(things)] == ["a", "b", "c"]


@pytest.mark.parametrize("place", range(3))
def test_an_error_is_sqlalchemys_and_nothing_is_left(things: Database, many: Many, place: int) -> None:
    given = [thing("a"), thing("b"), thing("c")]
    given[place] = thing("there")
    things.write(lambda conn: run(conn, _ADD, thing("there")))
    with pytest.raises(sa.exc.IntegrityError):
        things.write(lambda conn: many(conn, _ADD, given))
    assert [row["name"] for row in held(things)] == ["there"]
    assert things.write(lambda conn: many(conn, _ADD, [thing("next")])) == 1
