"""The highest nonce used under each exchange key: a row for each, for all processes on this database.

Several users may enter the same key, so its row has no owner; it holds only a digest of the key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.base import is_postgres, metadata

nonces = sa.Table(
    "nonces",
    metadata,
    sa.Column("key_digest", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

SYSTEM = {"take"}


def take(conn: sa.Connection, key_digest: str, least: int) -> int:
    """A number above all previous ones, `least` or more."""
    insert: Any = postgresql.insert if is_postgres(conn) else sqlite.insert
    following = nonces.c.number + 1
    higher = sa.case((following > least, following), else_=least)
    added = insert(nonces).values(key_digest=key_digest, number=least)
    taken = added.on_conflict_do_update(index_elements=[nonces.c.key_digest], set_={"number": higher})
    return int(conn.execute(taken.returning(nonces.c.number)).scalar_one())
