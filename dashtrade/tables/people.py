"""Users, and everything by which they are recognised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.access import Role
from dashtrade.tables.base import flag, metadata, moment, number, owner_column, whole, words
from dashtrade.tables.quick import first

users = sa.Table(
    "users", metadata, number(),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    words("name"), words("password_hash"), words("role"), flag("is_active"), words("time_zone"),
    flag("tradingview_only"), words("body_secret_hash", nullable=True), whole("max_alert_age", nullable=True),
    moment("created_at"), moment("last_login_at", nullable=True),
)
sessions = sa.Table(
    "sessions", metadata,
    sa.Column("token_hash", sa.Text, primary_key=True), owner_column(index=True),
    moment("created_at"), moment("seen_at"), moment("expires_at"), words("device"), words("address"), flag("remember"),
)
api_tokens = sa.Table(
    "api_tokens", metadata, number(), owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True), words("name"),
    moment("created_at"), moment("expires_at"), moment("used_at", nullable=True), moment("revoked_at", nullable=True),
)
webhook_tokens = sa.Table(
    "user_webhook_tokens", metadata, number(), owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True), words("secret"),
    moment("created_at"), moment("used_at", nullable=True), moment("expires_at", nullable=True), moment("revoked_at", nullable=True),
)
invitations = sa.Table(
    "invitations", metadata, number(), owner_column(),
    sa.Column("code_hash", sa.Text, nullable=False, unique=True), words("email"), words("role"),
    moment("created_at"), moment("expires_at"), moment("used_at", nullable=True),
)
system_settings = sa.Table(
    "system_settings", metadata, sa.Column("name", sa.Text, primary_key=True), words("value"),
)

SYSTEM = {
    "add", "by_email", "by_id", "count", "everyone", "of_session", "of_api_token", "of_webhook_token", "setting", "put_setting",
    "drop_setting", "invitation", "use_invitation", "forget_expired", "webhook_secrets", "put_webhook_secret", "touch_session",
    "used_webhook_token", "used_api_token", "remove_session",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: int
    email: str
    name: str
    role: Role
    is_active: bool
    time_zone: str
    tradingview_only: bool
    body_secret_hash: str | None
    max_alert_age: int | None
    created_at: datetime
    last_login_at: datetime | None


_USER = [c for c in users.c if c.name != "password_hash"]


def _user(row: Any) -> User | None:
    if row is None:
        return None
    return User(
        id=row.id, email=row.email, name=row.name, role=Role(row.role), is_active=row.is_active, time_zone=row.time_zone,
        tradingview_only=row.tradingview_only, body_secret_hash=row.body_secret_hash, max_alert_age=row.max_alert_age,
        created_at=row.created_at, last_login_at=row.last_login_at,
    )


# --- users -------------------------------------------------------------------------------------------------------------


def add(conn: sa.Connection, **values: Any) -> int:
    row = {"tradingview_only": False, "body_secret_hash": None, "max_alert_age": None, "is_active": True} | values
    return conn.execute(sa.insert(users).values(**row)).inserted_primary_key[0]


def count(conn: sa.Connection) -> int:
    return conn.scalar(sa.select(sa.func.count()).select_from(users)) or 0


def by_email(conn: sa.Connection, email: str) -> tuple[User, str] | None:
    """The user and the password's hash."""
    row = conn.execute(sa.select(users).where(users.c.email == email)).first()
    return (_user(row), row.password_hash) if row else None  # type: ignore[return-value]


def by_id(conn: sa.Connection, user_id: int) -> User | None:
    return _user(conn.execute(sa.select(*_USER).where(users.c.id == user_id)).first())


def everyone(conn: sa.Connection, *, after: int = 0, limit: int = 100) -> list[User]:
    query = sa.select(*_USER).where(users.c.id > after).order_by(users.c.id).limit(limit)
    return [_user(row) for row in conn.execute(query)]  # type: ignore[misc]


def change(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.update(users).where(users.c.id == owner).values(**values))


# --- sessions of the dashboard -----------------------------------------------------------------------------------------


def add_session(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.insert(sessions).values(user_id=owner, **values))


def of_session(conn: sa.Connection, token_hash: str) -> tuple[User, Any] | None:
    query = sa.select(*_USER, sessions.c.seen_at, sessions.c.expires_at, sessions.c.remember, sessions.c.token_hash)
    row = conn.execute(query.join(users, users.c.id == sessions.c.user_id).where(sessions.c.token_hash == token_hash)).first()
    return (_user(row), row) if row else None  # type: ignore[return-value]


def touch_session(conn: sa.Connection, token_hash: str, now: datetime) -> None:
    conn.execute(sa.update(sessions).where(sessions.c.token_hash == token_hash).values(seen_at=now))


def remove_session(conn: sa.Connection, token_hash: str) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.token_hash == token_hash))


def remove_sessions(conn: sa.Connection, owner: int) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.user_id == owner))


# --- access tokens of the REST API -------------------------------------------------------------------------------------


def add_api_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return conn.execute(sa.insert(api_tokens).values(user_id=owner, **values)).inserted_primary_key[0]


_OF_API_TOKEN = (
    sa.select(*_USER, api_tokens.c.id.label("token_id"), api_tokens.c.used_at)
    .join(users, users.c.id == api_tokens.c.user_id)
    .where(
        api_tokens.c.token_hash == p("token_hash"), api_tokens.c.revoked_at.is_(None), api_tokens.c.expires_at > p("now"),
        users.c.is_active,
    )
)


def of_api_token(conn: sa.Connection, token_hash: str, now: datetime) -> tuple[User, Any] | None:
    row = first(conn, _OF_API_TOKEN, {"token_hash": token_hash, "now": now})
    return (_user(row), row) if row else None  # type: ignore[return-value]


def used_api_token(conn: sa.Connection, token_id: int, now: datetime) -> None:
    conn.execute(sa.update(api_tokens).where(api_tokens.c.id == token_id).values(used_at=now))


def list_api_tokens(conn: sa.Connection, owner: int) -> list[Any]:
    wanted = [c for c in api_tokens.c if c.name not in ("token_hash", "user_id")]
    query = sa.select(*wanted).where(api_tokens.c.user_id == owner, api_tokens.c.revoked_at.is_(None))
    return list(conn.execute(query.order_by(api_tokens.c.id.desc())))


def revoke_api_token(conn: sa.Connection, owner: int, token_id: int, now: datetime) -> bool:
    mine = (api_tokens.c.user_id == owner) & (api_tokens.c.id == token_id) & api_tokens.c.revoked_at.is_(None)
    return conn.execute(sa.update(api_tokens).where(mine).values(revoked_at=now)).rowcount == 1


# --- webhook tokens ----------------------------------------------------------------------------------------------------


def add_webhook_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return conn.execute(sa.insert(webhook_tokens).values(user_id=owner, **values)).inserted_primary_key[0]


_OF_WEBHOOK_TOKEN = (
    sa.select(*_USER, webhook_tokens.c.id.label("token_id"), webhook_tokens.c.used_at)
    .join(users, users.c.id == webhook_tokens.c.user_id)
    .where(
        webhook_tokens.c.token_hash == p("token_hash"), webhook_tokens.c.revoked_at.is_(None), users.c.is_active,
        sa.or_(webhook_tokens.c.expires_at.is_(None), webhook_tokens.c.expires_at > p("now")),
    )
)


def of_webhook_token(conn: sa.Connection, token_hash: str, now: datetime) -> tuple[User, Any] | None:
    row = first(conn, _OF_WEBHOOK_TOKEN, {"token_hash": token_hash, "now": now})
    return (_user(row), row) if row else None  # type: ignore[return-value]


def used_webhook_token(conn: sa.Connection, token_id: int, now: datetime) -> None:
    conn.execute(sa.update(webhook_tokens).where(webhook_tokens.c.id == token_id).values(used_at=now))


def current_webhook_token(conn: sa.Connection, owner: int) -> Any | None:
    """The newest one that is neither revoked nor running out."""
    t = webhook_tokens.c
    query = sa.select(webhook_tokens).where(t.user_id == owner, t.revoked_at.is_(None), t.expires_at.is_(None))
    return conn.execute(query.order_by(t.id.desc()).limit(1)).first()


def end_webhook_tokens(conn: sa.Connection, owner: int, *, now: datetime, until: datetime | None) -> int:
    """Revoke the user's tokens now, or let them run out at `until` (never later than they already would)."""
    t = webhook_tokens.c
    mine = (t.user_id == owner) & t.revoked_at.is_(None)
    if until is None:
        return conn.execute(sa.update(webhook_tokens).where(mine).values(revoked_at=now)).rowcount
    longer = sa.or_(t.expires_at.is_(None), t.expires_at > until)
    return conn.execute(sa.update(webhook_tokens).where(mine & longer).values(expires_at=until)).rowcount


def webhook_secrets(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    t = webhook_tokens.c
    return list(conn.execute(sa.select(t.id, t.secret).where(t.id > after).order_by(t.id).limit(limit)))


def put_webhook_secret(conn: sa.Connection, token_id: int, old: str, new: str) -> bool:
    t = webhook_tokens.c
    return conn.execute(sa.update(webhook_tokens).where(t.id == token_id, t.secret == old).values(secret=new)).rowcount == 1


# --- invitations, settings of the whole installation ---------------------------------------------------------------------


def add_invitation(conn: sa.Connection, owner: int, **values: Any) -> int:
    return conn.execute(sa.insert(invitations).values(user_id=owner, **values)).inserted_primary_key[0]


def invitation(conn: sa.Connection, code_hash: str, now: datetime) -> Any | None:
    i = invitations.c
    return conn.execute(sa.select(invitations).where(i.code_hash == code_hash, i.used_at.is_(None), i.expires_at > now)).first()


def use_invitation(conn: sa.Connection, invitation_id: int, now: datetime) -> bool:
    i = invitations.c
    return conn.execute(sa.update(invitations).where(i.id == invitation_id, i.used_at.is_(None)).values(used_at=now)).rowcount == 1


def setting(conn: sa.Connection, name: str) -> str | None:
    return conn.scalar(sa.select(system_settings.c.value).where(system_settings.c.name == name))


def put_setting(conn: sa.Connection, name: str, value: str) -> None:
    changed = conn.execute(sa.update(system_settings).where(system_settings.c.name == name).values(value=value))
    if not changed.rowcount:
        conn.execute(sa.insert(system_settings).values(name=name, value=value))


def drop_setting(conn: sa.Connection, name: str) -> bool:
    return conn.execute(sa.delete(system_settings).where(system_settings.c.name == name)).rowcount == 1


def forget_expired(conn: sa.Connection, now: datetime) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
    conn.execute(sa.delete(api_tokens).where(api_tokens.c.expires_at < now))
