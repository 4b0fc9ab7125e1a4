"""What the database says of a user."""

from __future__ import annotations

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.tables import messages
from dashtrade.tables import people as people_table
from dashtrade.tables.base import metadata

PASSWORD = "correct horse battery"


def reread(app: App, user_id: int) -> User:
    with app.db.read() as conn:
        found = people_table.by_id(conn, user_id)
    assert found is not None
    return found


def row_counts(app: App, user_id: int) -> dict[str, int]:
    """How many rows of theirs each table holds."""
    with app.db.read() as conn:
        return {
            t.name: n
            for t in metadata.sorted_tables
            if "user_id" in t.c and t.name != "audit_log"
            if (n := conn.scalar(sa.select(sa.func.count()).select_from(t).where(t.c.user_id == user_id)))
        }


def audit_actions(app: App) -> list[str]:
    with app.db.read() as conn:
        return [row.action for row in messages.everything_recorded(conn, before=None, limit=200)]
