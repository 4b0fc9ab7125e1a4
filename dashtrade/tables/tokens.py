"""Tokens for programs: of the REST API, and of the webhook."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.access import TokenScope
from dashtrade.domain.people import User
from dashtrade.tables.base import (
    id_column,
    insert_returning_id,
    metadata,
    owner_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first
from dashtrade.tables.people import USER_COLUMNS, user_of, users

SIGN_IN = "sign-in"  # name of an access token created by signing in

EVERY_SCOPE = " ".join(TokenScope)  # of an API token from before there were scopes, or from signing in

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    id_column(),
    owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    text_column("name"),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("used_at", nullable=True),
    time_column("revoked_at", nullable=True),
    sa.Column("scopes", sa.Text, nullable=False, server_default=EVERY_SCOPE),
)

webhook_tokens = sa.Table(
    "user_webhook_tokens",
    metadata,
    id_column(),
    owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    text_column("secret"),
    time_column("created_at"),
    time_column("used_at", nullable=True),
    time_column("expires_at", nullable=True),
    time_column("revoked_at", nullable=True),
)

# --- access tokens of the REST API --------------------------------------------------------------------------


SYSTEM = {
    "end_access_token",
    "of_api_token",
    "of_webhook_token",
    "put_webhook_end",
    "put_webhook_secret",
    "touch_api_token",
    "touch_webhook_token",
    "webhook_secrets",
}


def add_api_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return insert_returning_id(conn, sa.insert(api_tokens).values(user_id=owner, **values))


_OF_API_TOKEN = (
    sa.select(
        *USER_COLUMNS,
        api_tokens.c.id.label("token_id"),
        api_tokens.c.name.label("token_name"),
        api_tokens.c.used_at,
        api_tokens.c.scopes,
    )
    .join(users, users.c.id == api_tokens.c.user_id)
    .where(
        api_tokens.c.token_hash == p("token_hash"),
        api_tokens.c.revoked_at.is_(None),
        api_tokens.c.expires_at > p("now"),
        users.c.is_active,
    )
)


def of_api_token(conn: sa.Connection, token_hash: str, now: datetime) -> tuple[User, Any] | None:
    row = first(conn, _OF_API_TOKEN, {"token_hash": token_hash, "now": now})
    return (user_of(row), row) if row else None  # type: ignore[return-value]


def touch_api_token(conn: sa.Connection, token_id: int, now: datetime) -> None:
    conn.execute(sa.update(api_tokens).where(api_tokens.c.id == token_id).values(used_at=now))


def list_api_tokens(conn: sa.Connection, owner: int) -> list[Any]:
    wanted = [c for c in api_tokens.c if c.name not in ("token_hash", "user_id")]
    query = sa.select(*wanted).where(api_tokens.c.user_id == owner, api_tokens.c.revoked_at.is_(None))
    return list(conn.execute(query.order_by(api_tokens.c.id.desc())))


def revoke_api_token(conn: sa.Connection, owner: int, token_id: int, now: datetime) -> bool:
    of_owner = (
        (api_tokens.c.user_id == owner) & (api_tokens.c.id == token_id) & api_tokens.c.revoked_at.is_(None)
    )
    return conn.execute(sa.update(api_tokens).where(of_owner).values(revoked_at=now)).rowcount == 1


def revoke_api_tokens(conn: sa.Connection, owner: int, now: datetime, *, name: str | None = None) -> int:
    """All of them, or those with this name."""
    of_owner = (api_tokens.c.user_id == owner) & api_tokens.c.revoked_at.is_(None)
    if name is not None:
        of_owner &= api_tokens.c.name == name
    return conn.execute(sa.update(api_tokens).where(of_owner).values(revoked_at=now)).rowcount


def trim_api_tokens(conn: sa.Connection, owner: int, name: str, most: int) -> None:
    """Of those with this name only the most recently used stay."""
    of_owner = (api_tokens.c.user_id == owner) & (api_tokens.c.name == name)
    used = sa.func.coalesce(api_tokens.c.used_at, api_tokens.c.created_at)
    newest = list(
        conn.scalars(
            sa.select(api_tokens.c.id)
            .where(of_owner)
            .order_by(used.desc(), api_tokens.c.id.desc())
            .limit(most)
        )
    )
    conn.execute(sa.delete(api_tokens).where(of_owner, api_tokens.c.id.not_in(newest)))


def end_access_token(conn: sa.Connection, token_hash: str, now: datetime) -> None:
    conn.execute(sa.update(api_tokens).where(api_tokens.c.token_hash == token_hash).values(revoked_at=now))


# --- webhook tokens -----------------------------------------------------------------------------------------


def add_webhook_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return insert_returning_id(conn, sa.insert(webhook_tokens).values(user_id=owner, **values))


_OF_WEBHOOK_TOKEN = (
    sa.select(*USER_COLUMNS, webhook_tokens.c.id.label("token_id"), webhook_tokens.c.used_at)
    .join(users, users.c.id == webhook_tokens.c.user_id)
    .where(
        webhook_tokens.c.token_hash == p("token_hash"),
        webhook_tokens.c.revoked_at.is_(None),
        users.c.is_active,
        sa.or_(webhook_tokens.c.expires_at.is_(None), webhook_tokens.c.expires_at > p("now")),
    )
)


def of_webhook_token(conn: sa.Connection, token_hash: str, now: datetime) -> tuple[User, Any] | None:
    row = first(conn, _OF_WEBHOOK_TOKEN, {"token_hash": token_hash, "now": now})
    return (user_of(row), row) if row else None  # type: ignore[return-value]


def touch_webhook_token(conn: sa.Connection, token_id: int, now: datetime) -> None:
    conn.execute(sa.update(webhook_tokens).where(webhook_tokens.c.id == token_id).values(used_at=now))


def current_webhook_token(conn: sa.Connection, owner: int) -> Any | None:
    """The newest one that is neither revoked nor expiring."""
    t = webhook_tokens.c
    query = sa.select(webhook_tokens).where(
        t.user_id == owner, t.revoked_at.is_(None), t.expires_at.is_(None)
    )
    return conn.execute(query.order_by(t.id.desc()).limit(1)).first()


def end_webhook_tokens(conn: sa.Connection, owner: int, *, now: datetime, until: datetime | None) -> int:
    """Revoke the user's tokens now, or let them expire at `until` (never later than before)."""
    t = webhook_tokens.c
    of_owner = (t.user_id == owner) & t.revoked_at.is_(None)
    if until is None:
        return conn.execute(sa.update(webhook_tokens).where(of_owner).values(revoked_at=now)).rowcount
    longer = sa.or_(t.expires_at.is_(None), t.expires_at > until)
    return conn.execute(sa.update(webhook_tokens).where(of_owner & longer).values(expires_at=until)).rowcount


def put_webhook_end(
    conn: sa.Connection, token_id: int, *, revoked_at: datetime | None, expires_at: datetime | None
) -> None:
    t = webhook_tokens.c
    conn.execute(
        sa.update(webhook_tokens).where(t.id == token_id).values(revoked_at=revoked_at, expires_at=expires_at)
    )


def webhook_secrets(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    t = webhook_tokens.c
    return list(conn.execute(sa.select(t.id, t.secret).where(t.id > after).order_by(t.id).limit(limit)))


def put_webhook_secret(conn: sa.Connection, token_id: int, old: str, new: str) -> bool:
    t = webhook_tokens.c
    return (
        conn.execute(
            sa.update(webhook_tokens).where(t.id == token_id, t.secret == old).values(secret=new)
        ).rowcount
        == 1
    )
