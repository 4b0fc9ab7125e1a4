"""Sessions of the dashboard: user, origin, expiry."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.people import User
from dashtrade.tables.base import bool_column, int_column, metadata, owner_column, text_column, time_column
from dashtrade.tables.compiled_sql import first
from dashtrade.tables.people import USER_COLUMNS, user_of, users
from dashtrade.tables.tokens import api_tokens

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    owner_column(index=True),
    time_column("created_at"),
    time_column("seen_at"),
    time_column("expires_at"),
    text_column("device"),
    text_column("address"),
    bool_column("remember"),
    int_column("viewing", nullable=True),  # the user whose pages an admin's session shows read-only
)

# --- sessions of the dashboard ------------------------------------------------------------------------------


SYSTEM = {"forget_expired", "of_session", "remove_session", "touch_session", "view_session"}


def add_session(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.insert(sessions).values(user_id=owner, **values))


_OF_SESSION = (
    sa.select(
        *USER_COLUMNS,
        sessions.c.seen_at,
        sessions.c.expires_at,
        sessions.c.remember,
        sessions.c.token_hash,
        sessions.c.viewing,
    )
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.token_hash == p("token_hash"))
)


def of_session(conn: sa.Connection, token_hash: str) -> tuple[User, Any] | None:
    row = first(conn, _OF_SESSION, {"token_hash": token_hash})
    return (user_of(row), row) if row else None  # type: ignore[return-value]


def touch_session(conn: sa.Connection, token_hash: str, now: datetime) -> None:
    conn.execute(sa.update(sessions).where(sessions.c.token_hash == token_hash).values(seen_at=now))


def remove_session(conn: sa.Connection, token_hash: str) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.token_hash == token_hash))


def view_session(conn: sa.Connection, token_hash: str, user_id: int | None) -> None:
    """Show this user's pages in the session from now on; None: its owner's own again."""
    conn.execute(sa.update(sessions).where(sessions.c.token_hash == token_hash).values(viewing=user_id))


def list_sessions(conn: sa.Connection, owner: int, now: datetime) -> list[Any]:
    """Most recently used first."""
    query = sa.select(sessions).where(sessions.c.user_id == owner, sessions.c.expires_at > now)
    return list(conn.execute(query.order_by(sessions.c.seen_at.desc())))


def remove_sessions(conn: sa.Connection, owner: int, *, keep: str = "") -> int:
    """All except the one with this hash."""
    return conn.execute(
        sa.delete(sessions).where(sessions.c.user_id == owner, sessions.c.token_hash != keep)
    ).rowcount


def remove_session_named(conn: sa.Connection, owner: int, name: str) -> bool:
    """By the prefix of its hash, as shown in the list."""
    of_owner = (sessions.c.user_id == owner) & (sa.func.substr(sessions.c.token_hash, 1, len(name)) == name)
    return conn.execute(sa.delete(sessions).where(of_owner)).rowcount == 1


def trim_sessions(conn: sa.Connection, owner: int, most: int) -> None:
    """Keep only the newest."""
    newest = (
        sa.select(sessions.c.token_hash)
        .where(sessions.c.user_id == owner)
        .order_by(sessions.c.seen_at.desc())
        .limit(most)
    )
    conn.execute(
        sa.delete(sessions).where(
            sessions.c.user_id == owner, sessions.c.token_hash.not_in(list(conn.scalars(newest)))
        )
    )


def forget_expired(conn: sa.Connection, now: datetime) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
    conn.execute(sa.delete(api_tokens).where(api_tokens.c.expires_at < now))
