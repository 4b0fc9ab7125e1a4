"""Users, and everything by which they are recognised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.domain.access import Role, TokenScope
from dashtrade.tables.base import (
    BigId,
    added_id,
    flag,
    is_postgres,
    metadata,
    moment,
    number,
    owner_column,
    whole,
    words,
)
from dashtrade.tables.compiled_sql import first

SIGN_IN = "sign-in"  # the name of an access token that signing in has made
EVERY_SCOPE = " ".join(TokenScope)  # of an API token that was made before there were scopes, or by signing in

users = sa.Table(
    "users",
    metadata,
    number(),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    words("name"),
    words("password_hash"),
    words("role"),
    flag("is_active"),
    words("time_zone"),
    flag("tradingview_only"),
    words("body_secret_hash", nullable=True),
    whole("max_alert_age", nullable=True),
    moment("created_at"),
    moment("last_login_at", nullable=True),
    # sealed; the last step whose code was used
    words("totp_secret", nullable=True),
    whole("totp_step", nullable=True),
    moment("demo_until", nullable=True),
    words("demo_address", nullable=True),
    moment("removed_at", nullable=True),
    sa.Column("wrong_codes", BigId, nullable=False, server_default="0"),  # of the second factor, in a row
    words("scope", nullable=True),  # whose figures the user looks at: live, paper, or an account's number
    sa.Index(
        "ix_users_demo",
        "demo_until",
        sqlite_where=sa.text("demo_until IS NOT NULL"),
        postgresql_where=sa.text("demo_until IS NOT NULL"),
    ),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    owner_column(index=True),
    moment("created_at"),
    moment("seen_at"),
    moment("expires_at"),
    words("device"),
    words("address"),
    flag("remember"),
    whole("viewing", nullable=True),  # an admin's: whose pages it shows, to look and not to act
)
api_tokens = sa.Table(
    "api_tokens",
    metadata,
    number(),
    owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    words("name"),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
    moment("revoked_at", nullable=True),
    sa.Column("scopes", sa.Text, nullable=False, server_default=EVERY_SCOPE),
)
webhook_tokens = sa.Table(
    "user_webhook_tokens",
    metadata,
    number(),
    owner_column(index=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    words("secret"),
    moment("created_at"),
    moment("used_at", nullable=True),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
)
invitations = sa.Table(
    "invitations",
    metadata,
    number(),
    owner_column(),
    sa.Column("code_hash", sa.Text, nullable=False, unique=True),
    words("email"),
    words("role"),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
)
system_settings = sa.Table(
    "system_settings", metadata, sa.Column("name", sa.Text, primary_key=True), words("value")
)

SYSTEM = {
    "add",
    "by_email",
    "by_id",
    "count",
    "everyone",
    "of_session",
    "of_api_token",
    "of_webhook_token",
    "setting",
    "put_setting",
    "drop_setting",
    "invitation",
    "use_invitation",
    "forget_expired",
    "webhook_secrets",
    "put_webhook_secret",
    "touch_session",
    "used_webhook_token",
    "used_api_token",
    "remove_session",
    "view_session",
    "end_access_token",
    "lock_superadmins",
    "removed",
    "admins",
    "demos_alive",
    "demos_from",
    "demos_over",
    "open_invitations",
    "drop_invitation",
    "put_webhook_end",
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
    second_factor: bool = False
    second_factor_due: bool = False  # the installation requires one of everybody, and this user has none yet
    demo_until: datetime | None = None
    scope: str | None = None  # whose figures they chose to see last
    viewer: str = ""  # the admin who looks at this user's pages, and may not act on them


# a setting of the installation, and its value while everybody needs one
SECOND_FACTOR, REQUIRED = "second_factor", "required"
_DUE = sa.and_(
    users.c.totp_secret.is_(None),
    users.c.demo_until.is_(None),
    sa.exists().where(system_settings.c.name == SECOND_FACTOR, system_settings.c.value == REQUIRED),
).label("second_factor_due")
_USER = [
    *(c for c in users.c if c.name not in ("password_hash", "demo_address", "removed_at", "wrong_codes")),
    _DUE,
]


def _user(row: Any) -> User | None:
    if row is None:
        return None
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        time_zone=row.time_zone,
        tradingview_only=row.tradingview_only,
        body_secret_hash=row.body_secret_hash,
        max_alert_age=row.max_alert_age,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        second_factor=row.totp_secret is not None,
        demo_until=row.demo_until,
        scope=row.scope,
        second_factor_due=bool(row.second_factor_due),
    )


# --- users --------------------------------------------------------------------------------------------------


def add(conn: sa.Connection, **values: Any) -> int:
    row = {
        "tradingview_only": False,
        "body_secret_hash": None,
        "max_alert_age": None,
        "is_active": True,
    } | values
    return added_id(conn, sa.insert(users).values(**row))


def count(conn: sa.Connection) -> int:
    return conn.scalar(sa.select(sa.func.count()).select_from(users).where(users.c.removed_at.is_(None))) or 0


def by_email(conn: sa.Connection, email: str) -> tuple[User, str] | None:
    """The user and the password's hash."""
    row = conn.execute(sa.select(users, _DUE).where(users.c.email == email)).first()
    return (_user(row), row.password_hash) if row else None  # type: ignore[return-value]


def by_id(conn: sa.Connection, user_id: int) -> User | None:
    return _user(conn.execute(sa.select(*_USER).where(users.c.id == user_id)).first())


def everyone(conn: sa.Connection, *, after: int = 0, limit: int = 100, named: str = "") -> list[User]:
    """In the order they came; `named`: those whose name or email holds this text."""
    query = sa.select(*_USER).where(users.c.id > after, users.c.removed_at.is_(None))
    if named:
        query = query.where(
            sa.or_(
                users.c.email.contains(named.lower(), autoescape=True),
                sa.func.lower(users.c.name).contains(named.lower(), autoescape=True),
            )
        )
    return [_user(row) for row in conn.execute(query.order_by(users.c.id).limit(limit))]  # type: ignore[misc]


def change(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.update(users).where(users.c.id == owner).values(**values))


def lock_superadmins(conn: sa.Connection) -> list[int]:
    """Who they are, and nobody changes it before this transaction ends."""
    query = sa.select(users.c.id).where(
        users.c.role == Role.SUPERADMIN, users.c.is_active, users.c.removed_at.is_(None)
    )
    return list(conn.scalars(query.order_by(users.c.id).with_for_update()))


def admins(conn: sa.Connection) -> list[int]:
    """Who is told of what concerns the whole installation."""
    query = sa.select(users.c.id).where(
        users.c.role.in_([Role.ADMIN, Role.SUPERADMIN]), users.c.is_active, users.c.removed_at.is_(None)
    )
    return list(conn.scalars(query.order_by(users.c.id)))


def removed(conn: sa.Connection) -> list[int]:
    """Users who are gone, and of whom something may still be there."""
    return list(conn.scalars(sa.select(users.c.id).where(users.c.removed_at.is_not(None)).limit(1000)))


# --- demos --------------------------------------------------------------------------------------------------


_DEMO = sa.text("demo_until IS NOT NULL")


def demos_alive(conn: sa.Connection) -> int:
    return (
        conn.scalar(sa.select(sa.func.count()).select_from(users).where(_DEMO, users.c.removed_at.is_(None)))
        or 0
    )


def demos_from(conn: sa.Connection, address: str, since: datetime) -> int:
    """How many were begun from this address since then."""
    query = (
        sa.select(sa.func.count())
        .select_from(users)
        .where(_DEMO, users.c.demo_address == address, users.c.created_at > since)
    )
    return conn.scalar(query) or 0


def demos_over(conn: sa.Connection, now: datetime) -> list[int]:
    return list(
        conn.scalars(
            sa.select(users.c.id)
            .where(_DEMO, users.c.demo_until < now, users.c.removed_at.is_(None))
            .limit(1000)
        )
    )


# --- sessions of the dashboard ------------------------------------------------------------------------------


def add_session(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.insert(sessions).values(user_id=owner, **values))


_OF_SESSION = (
    sa.select(
        *_USER,
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
    return (_user(row), row) if row else None  # type: ignore[return-value]


def touch_session(conn: sa.Connection, token_hash: str, now: datetime) -> None:
    conn.execute(sa.update(sessions).where(sessions.c.token_hash == token_hash).values(seen_at=now))


def remove_session(conn: sa.Connection, token_hash: str) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.token_hash == token_hash))


def view_session(conn: sa.Connection, token_hash: str, user_id: int | None) -> None:
    """Show this user's pages in the session from now on; None: its owner's own again."""
    conn.execute(sa.update(sessions).where(sessions.c.token_hash == token_hash).values(viewing=user_id))


def list_sessions(conn: sa.Connection, owner: int, now: datetime) -> list[Any]:
    """The latest used first."""
    query = sa.select(sessions).where(sessions.c.user_id == owner, sessions.c.expires_at > now)
    return list(conn.execute(query.order_by(sessions.c.seen_at.desc())))


def remove_sessions(conn: sa.Connection, owner: int, *, keep: str = "") -> int:
    """All of them, but the one with this hash."""
    return conn.execute(
        sa.delete(sessions).where(sessions.c.user_id == owner, sessions.c.token_hash != keep)
    ).rowcount


def remove_session_named(conn: sa.Connection, owner: int, name: str) -> bool:
    """By the beginning of its hash, under which it is listed."""
    mine = (sessions.c.user_id == owner) & (sa.func.substr(sessions.c.token_hash, 1, len(name)) == name)
    return conn.execute(sa.delete(sessions).where(mine)).rowcount == 1


def trim_sessions(conn: sa.Connection, owner: int, most: int) -> None:
    """Only the newest stay."""
    kept = (
        sa.select(sessions.c.token_hash)
        .where(sessions.c.user_id == owner)
        .order_by(sessions.c.seen_at.desc())
        .limit(most)
    )
    conn.execute(
        sa.delete(sessions).where(
            sessions.c.user_id == owner, sessions.c.token_hash.not_in(list(conn.scalars(kept)))
        )
    )


# --- access tokens of the REST API --------------------------------------------------------------------------


def add_api_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return added_id(conn, sa.insert(api_tokens).values(user_id=owner, **values))


_OF_API_TOKEN = (
    sa.select(
        *_USER,
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


def revoke_api_tokens(conn: sa.Connection, owner: int, now: datetime, *, name: str | None = None) -> int:
    """All of them, or those with this name."""
    mine = (api_tokens.c.user_id == owner) & api_tokens.c.revoked_at.is_(None)
    if name is not None:
        mine &= api_tokens.c.name == name
    return conn.execute(sa.update(api_tokens).where(mine).values(revoked_at=now)).rowcount


def trim_api_tokens(conn: sa.Connection, owner: int, name: str, most: int) -> None:
    """Of those with this name only those used last stay."""
    mine = (api_tokens.c.user_id == owner) & (api_tokens.c.name == name)
    used = sa.func.coalesce(api_tokens.c.used_at, api_tokens.c.created_at)
    kept = list(
        conn.scalars(
            sa.select(api_tokens.c.id).where(mine).order_by(used.desc(), api_tokens.c.id.desc()).limit(most)
        )
    )
    conn.execute(sa.delete(api_tokens).where(mine, api_tokens.c.id.not_in(kept)))


def end_access_token(conn: sa.Connection, token_hash: str, now: datetime) -> None:
    conn.execute(sa.update(api_tokens).where(api_tokens.c.token_hash == token_hash).values(revoked_at=now))


# --- webhook tokens -----------------------------------------------------------------------------------------


def add_webhook_token(conn: sa.Connection, owner: int, **values: Any) -> int:
    return added_id(conn, sa.insert(webhook_tokens).values(user_id=owner, **values))


_OF_WEBHOOK_TOKEN = (
    sa.select(*_USER, webhook_tokens.c.id.label("token_id"), webhook_tokens.c.used_at)
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
    return (_user(row), row) if row else None  # type: ignore[return-value]


def used_webhook_token(conn: sa.Connection, token_id: int, now: datetime) -> None:
    conn.execute(sa.update(webhook_tokens).where(webhook_tokens.c.id == token_id).values(used_at=now))


def current_webhook_token(conn: sa.Connection, owner: int) -> Any | None:
    """The newest one that is neither revoked nor running out."""
    t = webhook_tokens.c
    query = sa.select(webhook_tokens).where(
        t.user_id == owner, t.revoked_at.is_(None), t.expires_at.is_(None)
    )
    return conn.execute(query.order_by(t.id.desc()).limit(1)).first()


def end_webhook_tokens(conn: sa.Connection, owner: int, *, now: datetime, until: datetime | None) -> int:
    """Revoke the user's tokens now, or let them run out at `until` (never later than they already would)."""
    t = webhook_tokens.c
    mine = (t.user_id == owner) & t.revoked_at.is_(None)
    if until is None:
        return conn.execute(sa.update(webhook_tokens).where(mine).values(revoked_at=now)).rowcount
    longer = sa.or_(t.expires_at.is_(None), t.expires_at > until)
    return conn.execute(sa.update(webhook_tokens).where(mine & longer).values(expires_at=until)).rowcount


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


# --- invitations, settings of the whole installation --------------------------------------------------------


def add_invitation(conn: sa.Connection, owner: int, **values: Any) -> int:
    return added_id(conn, sa.insert(invitations).values(user_id=owner, **values))


def invitation(conn: sa.Connection, code_hash: str, now: datetime) -> Any | None:
    i = invitations.c
    return conn.execute(
        sa.select(invitations).where(i.code_hash == code_hash, i.used_at.is_(None), i.expires_at > now)
    ).first()


def open_invitations(conn: sa.Connection, now: datetime) -> list[Any]:
    """Those that still work, the newest first, each with its maker's email."""
    i = invitations.c
    query = sa.select(
        i.id, i.user_id, i.email, i.role, i.created_at, i.expires_at, users.c.email.label("made_by")
    )
    query = query.join(users, users.c.id == i.user_id).where(i.used_at.is_(None), i.expires_at > now)
    return list(conn.execute(query.order_by(i.id.desc()).limit(200)))


def drop_invitation(conn: sa.Connection, invitation_id: int) -> bool:
    i = invitations.c
    return (
        conn.execute(sa.delete(invitations).where(i.id == invitation_id, i.used_at.is_(None))).rowcount == 1
    )


def use_invitation(conn: sa.Connection, invitation_id: int, now: datetime) -> bool:
    i = invitations.c
    return (
        conn.execute(
            sa.update(invitations).where(i.id == invitation_id, i.used_at.is_(None)).values(used_at=now)
        ).rowcount
        == 1
    )


def setting(conn: sa.Connection, name: str) -> str | None:
    return conn.scalar(sa.select(system_settings.c.value).where(system_settings.c.name == name))


def put_setting(conn: sa.Connection, name: str, value: str) -> None:
    insert = postgresql.insert if is_postgres(conn) else sqlite.insert
    row = insert(system_settings).values(name=name, value=value)
    conn.execute(row.on_conflict_do_update(index_elements=[system_settings.c.name], set_={"value": value}))


def drop_setting(conn: sa.Connection, name: str) -> bool:
    return conn.execute(sa.delete(system_settings).where(system_settings.c.name == name)).rowcount == 1


def forget_expired(conn: sa.Connection, now: datetime) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
    conn.execute(sa.delete(api_tokens).where(api_tokens.c.expires_at < now))
