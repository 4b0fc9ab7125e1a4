"""Ids of rows that are known before the rows are stored."""

from __future__ import annotations

import sqlalchemy as sa

from dashtrade.domain.kernel.source import NewRow
from dashtrade.tables.base import BigId, metadata
from dashtrade.tables.compiled_sql import scalar

SYSTEM = {"last_id", "next_id"}

_NEXT = {
    row: sa.select(sa.literal_column(f"nextval(pg_get_serial_sequence('{row}', 'id'))", BigId).label("id"))
    for row in NewRow
}


def last_id(conn: sa.Connection, row: NewRow) -> int:
    """SQLite alone: the highest so far."""
    return conn.scalar(sa.select(sa.func.max(metadata.tables[row].c.id))) or 0


def next_id(conn: sa.Connection, row: NewRow) -> int:
    """PostgreSQL alone: given to nobody else."""
    number: int = scalar(conn, _NEXT[row])
    return number
