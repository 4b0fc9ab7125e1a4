"""Ids of rows that are known before the rows are stored."""

from __future__ import annotations

import sqlalchemy as sa

from dashtrade.domain.kernel.source import NewRow
from dashtrade.tables.base import BigId, is_postgres, metadata
from dashtrade.tables.compiled_sql import rows, scalar

SYSTEM = {"last_id", "next_id", "next_ids"}

_NEXT = {
    row: sa.select(sa.literal_column(f"nextval(pg_get_serial_sequence('{row}', 'id'))", BigId).label("id"))
    for row in NewRow
}


IDS_AT_ONCE = 16
_BLOCK = {
    row: sa.select(
        sa.literal_column(f"nextval(pg_get_serial_sequence('{row}', 'id'))", BigId).label("id")
    ).select_from(sa.func.generate_series(1, IDS_AT_ONCE))
    for row in NewRow
}


def last_id(conn: sa.Connection, row: NewRow) -> int:
    """SQLite alone, where nobody else writes meanwhile: the highest so far."""
    return conn.scalar(sa.select(sa.func.max(metadata.tables[row].c.id))) or 0


def next_id(conn: sa.Connection, row: NewRow) -> int:
    """PostgreSQL alone: given to nobody else."""
    number: int = scalar(conn, _NEXT[row])
    return number


def next_ids(conn: sa.Connection, row: NewRow, *, last: int | None) -> list[int]:
    """Several, in order. `last`: the highest so far, if it is known."""
    if is_postgres(conn):
        return [found.id for found in rows(conn, _BLOCK[row])]
    first = (last_id(conn, row) if last is None else last) + 1
    return list(range(first, first + IDS_AT_ONCE))
