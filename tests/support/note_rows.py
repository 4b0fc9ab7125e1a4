"""A table to write to, for tests of the database itself."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from bot_database import Database
from dashtrade.tables.base import BigId

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("n", BigId, primary_key=True, autoincrement=False))


def note(*numbers: int, fail: Exception | None = None) -> Callable[[sa.Connection], int]:
    def work(conn: sa.Connection) -> int:
        for number in numbers:
            conn.execute(sa.insert(NOTES).values(n=number))
        if fail is not None:
            raise fail
        return sum(numbers)

    return work


def noted(database: Database) -> list[int]:
    with database.read() as conn:
        return list(conn.scalars(sa.select(NOTES.c.n).order_by(NOTES.c.n)))
