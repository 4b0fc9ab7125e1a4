"""Users' own keys of sources of market data (`source_keys`), sealed: one for each user and source."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.base import id_column, is_postgres, metadata, owner_column, text_column, time_column

source_keys = sa.Table(
    "source_keys",
    metadata,
    id_column(),
    owner_column(),
    text_column("source"),
    text_column("plan"),
    text_column("credentials"),
    time_column("created_at"),
    sa.UniqueConstraint("user_id", "source"),
)

SYSTEM = {"sealed", "put_sealed"}
_k = source_keys.c


def put(conn: sa.Connection, owner: int, source: str, plan: str, credentials: str, now: datetime) -> None:
    insert: Any = postgresql.insert if is_postgres(conn) else sqlite.insert
    given = {"plan": plan, "credentials": credentials, "created_at": now}
    row = insert(source_keys).values(user_id=owner, source=source, **given)
    conn.execute(row.on_conflict_do_update(index_elements=[_k.user_id, _k.source], set_=given))


def drop(conn: sa.Connection, owner: int, source: str) -> bool:
    of_owner = (_k.user_id == owner) & (_k.source == source)
    return conn.execute(sa.delete(source_keys).where(of_owner)).rowcount == 1


def list_all(conn: sa.Connection, owner: int) -> list[Any]:
    return list(conn.execute(sa.select(source_keys).where(_k.user_id == owner).order_by(_k.source)))


def sealed(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    found = sa.select(_k.id, _k.credentials).where(_k.id > after)
    return list(conn.execute(found.order_by(_k.id).limit(limit)))


def put_sealed(conn: sa.Connection, key_id: int, old: str, new: str) -> bool:
    unchanged = (_k.id == key_id) & (_k.credentials == old)
    return conn.execute(sa.update(source_keys).where(unchanged).values(credentials=new)).rowcount == 1
