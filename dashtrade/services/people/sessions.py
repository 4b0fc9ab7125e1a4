"""Dashboard sessions.

The browser holds a random token, the database its SHA-256, so read access to the database does not allow
signing in. A session ends at its maximum age; one that is not remembered also ends when idle."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission, TokenScope, may_manage
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.operations import quotas
from dashtrade.services.people import users
from dashtrade.services.people.permission import managed_user, require
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import quotas as quota_table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import tokens as token_table

SESSION_LIFE, REMEMBERED_LIFE = timedelta(hours=24), timedelta(days=30)
IDLE_LIMIT = timedelta(hours=12)
# precision of "last seen": a page that refreshes must not write all the time
SEEN_EVERY = timedelta(seconds=60)
DEMO_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A line in the user's list of sessions. `name` identifies it and grants nothing."""

    name: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    device: str
    address: str
    remember: bool
    current: bool


def begin(
    app: App, user_id: int, *, device: str, address: str, remember: bool, replaces: str | None = None
) -> str:
    """A new session's token. Ends the browser's previous session, so that a token planted before sign-in
    is worthless."""
    token, now = secrets.token_urlsafe(32), app.clock.now()

    def work(conn: sa.Connection) -> None:
        if replaces:
            session_table.remove_session(conn, sha256(replaces))
        session_table.forget_expired(conn, now)
        quota_table.lock(conn, user_id)
        session_table.trim_sessions(conn, user_id, quotas.MAX_SESSIONS - 1)
        session_table.add_session(
            conn,
            user_id,
            token_hash=sha256(token),
            created_at=now,
            seen_at=now,
            expires_at=now + (REMEMBERED_LIFE if remember else SESSION_LIFE),
            device=device[:120],
            address=address[:60],
            remember=remember,
        )
        table.change(conn, user_id, last_login_at=now)
        message_table.record(
            conn, actor=user_id, action=AuditAction.SIGNED_IN, now=now, subject=user_id, address=address
        )

    app.db.write(work)
    return token


def find(app: App, token: str | None, *, present: bool = True) -> User | None:
    """The user of a valid session; while an admin views another user's pages, that user with the admin's
    name. `present`: caused by a user action, not by a page that refreshes itself."""
    if not token or len(token) > 100:
        return None
    now, key = app.clock.now(), sha256(token)
    with app.db.read() as conn:
        found = session_table.of_session(conn, key)
        seen = table.by_id(conn, found[1].viewing) if found and found[1].viewing else None
    if found is None:
        return None
    user, row = found
    if not user.is_active or row.expires_at <= now or (not row.remember and now - row.seen_at > IDLE_LIMIT):
        return None
    if seen is not None and may_manage(user.role, seen.role):
        return replace(seen, viewer=user.email, second_factor_due=user.second_factor_due)
    if present and now - row.seen_at > SEEN_EVERY:
        app.db.write(lambda conn: _seen(conn, user, key, now))
    return user


def _seen(conn: sa.Connection, user: User, key: str, now: datetime) -> None:
    session_table.touch_session(conn, key, now)
    if user.demo_until is not None:  # using a demo extends it
        table.change(conn, user.id, demo_until=now + DEMO_LIFE)


def view(app: App, actor: User, token: str | None, user_id: int) -> None:
    """From now on this session shows another user's pages, read-only."""
    require(actor, Permission.MANAGE_USERS)
    if user_id == actor.id:
        raise NotFound("user")
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        other = managed_user(conn, actor, user_id)
        session_table.view_session(conn, sha256(token or ""), user_id)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.LOOKED_AT_A_USER_S_PAGES,
            now=now,
            subject=user_id,
            detail={"email": other.email},
        )

    app.db.write(work)


def leave_view(app: App, token: str | None) -> None:
    app.db.write(lambda conn: session_table.view_session(conn, sha256(token or ""), None))


def end(app: App, token: str | None, address: str = "") -> None:
    """Sign out."""
    key, now = sha256(token or ""), app.clock.now()

    def work(conn: sa.Connection) -> None:
        found = session_table.of_session(conn, key)
        if found is not None:
            session_table.remove_session(conn, key)
            user = found[0].id
            message_table.record(
                conn, actor=user, action=AuditAction.SIGNED_OUT, now=now, subject=user, address=address
            )

    app.db.write(work)


def list_sessions(app: App, user: User, token: str | None) -> list[Session]:
    """The user's sessions, most recently used first."""
    with app.db.read() as conn:
        rows = session_table.list_sessions(conn, user.id, app.clock.now())
    mine = sha256(token) if token else ""
    return [
        Session(
            name=row.token_hash[:16],
            created_at=row.created_at,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
            device=row.device,
            address=row.address,
            remember=row.remember,
            current=row.token_hash == mine,
        )
        for row in rows
    ]


def revoke(app: App, user: User, name: str) -> None:
    """End one of the user's sessions, by its name in the list."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> bool:
        ended = session_table.remove_session_named(conn, user.id, name)
        if ended:
            message_table.record(
                conn, actor=user.id, action=AuditAction.SESSION_ENDED, now=now, subject=user.id
            )
        return ended

    if len(name) != 16 or not app.db.write(work):
        raise NotFound("session")


def revoke_others(app: App, user: User, token: str | None) -> int:
    """End all of the user's sessions except this one."""
    keep, now = sha256(token or ""), app.clock.now()

    def work(conn: sa.Connection) -> int:
        message_table.record(
            conn, actor=user.id, action=AuditAction.OTHER_SESSIONS_ENDED, now=now, subject=user.id
        )
        return session_table.remove_sessions(conn, user.id, keep=keep)

    return app.db.write(work)


def add_api_token(
    app: App, user: User, *, name: str, days: int, scopes: Collection[TokenScope], password: str, address: str
) -> str:
    """An API token for a program, shown once. Requires the password, so that an open browser alone cannot
    create lasting access."""
    name = " ".join(name.split())[:60]
    if not name:
        raise Malformed(
            "a token needs a name",
            where="name",
            hint="Name the program that uses the token, such as: reporting script.",
        )
    if not 1 <= days <= 365:
        raise Malformed(
            "a token expires after 1 to 365 days", where="days", hint="Choose a number in that range."
        )
    if user.demo_until is not None:
        raise Refusal("a demo has no API tokens", "Turn the demo into a real account first, on this page.")
    if not scopes:
        raise Malformed(
            "a token needs at least one scope", where="scopes", hint=f"Choose from: {', '.join(TokenScope)}."
        )
    users.check_own_password(app, user, password, address, where="password")
    token, now = "dt_" + secrets.token_urlsafe(32), app.clock.now()
    allowed = " ".join(one for one in TokenScope if one in scopes)

    def work(conn: sa.Connection) -> None:
        quotas.claim(conn, user, quotas.API_TOKENS, now)
        token_table.add_api_token(
            conn,
            user.id,
            token_hash=sha256(token),
            name=name,
            created_at=now,
            expires_at=now + timedelta(days=days),
            used_at=None,
            revoked_at=None,
            scopes=allowed,
        )
        detail = {"name": name, "scopes": allowed, "days": days}
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.API_TOKEN_ADDED,
            now=now,
            subject=user.id,
            detail=detail,
            address=address,
        )

    app.db.write(work)
    return token


def revoke_api_token(app: App, user: User, token_id: int, *, address: str) -> None:
    """Revoke one of the user's API tokens."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> bool:
        ended = token_table.revoke_api_token(conn, user.id, token_id, now)
        if ended:
            said: dict[str, Any] = {"action": AuditAction.API_TOKEN_REVOKED, "detail": {"token": token_id}}
            message_table.record(conn, actor=user.id, now=now, subject=user.id, address=address, **said)
        return ended

    if not app.db.write(work):
        raise NotFound("token")


def drop_sign_in_token(app: App, access_token: str) -> None:
    """Sign-up returns an API token for programs; a browser gets a session instead."""
    now = app.clock.now()
    app.db.write(lambda conn: token_table.end_access_token(conn, sha256(access_token), now))


def device_of(agent: str) -> str:
    """A readable browser name from the User-Agent header."""
    systems = (
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    )
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    )
    browser = next((name for mark, name in browsers if mark in agent), "Unknown browser")
    system = next((name for mark, name in systems if mark in agent), "")
    return f"{browser} on {system}" if system else browser
