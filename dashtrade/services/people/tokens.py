"""Tokens for programs: the webhook token and REST API tokens."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot_database import DatabaseUnavailable
from dashtrade.context import App
from dashtrade.domain.access import TokenScope
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import sha256
from dashtrade.services.operations import quotas
from dashtrade.tables import messages as message_table
from dashtrade.tables import tokens as token_table

TOKEN_LIFE = timedelta(days=30)

TOUCH_EVERY = timedelta(seconds=60)  # precision of "last used"

SIGN_IN = token_table.SIGN_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a REST API token grants. `second_factor_due`: limited until its user sets up a second factor."""

    user: User
    scopes: frozenset[TokenScope]
    second_factor_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """An API token as its user sees it, without its text."""

    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUser:
    """Whose webhook token it is. `touch` writes down when it was used, where that is due."""

    user: User
    touch: Callable[[], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookToken:
    text: str  # decrypted, for its owner
    created_at: datetime
    used_at: datetime | None


def api_tokens(app: App, user: User) -> list[ApiToken]:
    """Newest first, expired ones included."""
    with app.db.read() as conn:
        found = token_table.list_api_tokens(conn, user.id)
    return [
        ApiToken(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            expires_at=row.expires_at,
            used_at=row.used_at,
            scopes=tuple(row.scopes.split()),
        )
        for row in found
    ]


def by_access_token(app: App, token: str) -> User | None:
    found = by_scoped_token(app, token)
    return found.user if found else None


def by_scoped_token(app: App, token: str) -> Access | None:
    """The user and the scopes of the token. A token obtained by password alone can only close and stop
    while the installation requires a second factor that its user has not set up."""
    found = _by_token(app, token, token_table.of_api_token, token_table.touch_api_token)
    if found is None:
        return None
    user, row = found
    due = user.second_factor_due and row.token_name == SIGN_IN
    scopes = frozenset(map(TokenScope, row.scopes.split()))
    return Access(user=user, scopes=scopes & {TokenScope.STOP} if due else scopes, second_factor_due=due)


def by_webhook_token(app: App, token: str) -> User | None:
    with app.db.read() as conn:
        found = of_webhook_token(app, conn, token)
    if found is not None and found.touch is not None:
        found.touch()
    return found.user if found is not None else None


def of_webhook_token(app: App, conn: sa.Connection, token: str) -> WebhookUser | None:
    """Read at every request, so that a revoked token stops working at once."""
    now = app.clock.now()
    found = token_table.of_webhook_token(conn, sha256(token), now)
    if found is None:
        return None
    user, row = found
    return WebhookUser(user=user, touch=_touch(app, row, token_table.touch_webhook_token, now))


def _by_token(
    app: App, token: str, find: Callable[..., Any], used: Callable[..., None]
) -> tuple[User, Any] | None:
    """Read at every request, so that a revoked token stops working at once."""
    now = app.clock.now()
    with app.db.read() as conn:
        found = find(conn, sha256(token), now)
    if found is None:
        return None
    touch = _touch(app, found[1], used, now)
    if touch is not None:
        touch()
    return found


def _touch(app: App, row: Any, used: Callable[..., None], now: datetime) -> Callable[[], None] | None:
    if row.used_at is not None and now - row.used_at <= TOUCH_EVERY:
        return None

    def touch() -> None:
        with contextlib.suppress(DatabaseUnavailable):  # reading must work while the database is read-only
            app.db.write(lambda conn: used(conn, row.token_id, now))

    return touch


# --- webhook tokens -----------------------------------------------------------------------------------------


def rotate_webhook_token(app: App, user: User, *, overlap: timedelta = timedelta(0)) -> str:
    """A new token; the old one ends now or after the overlap."""
    token, now = "usr_" + secrets.token_urlsafe(24), app.clock.now()

    def work(conn: sa.Connection) -> None:
        quotas.claim(conn, user, quotas.WEBHOOK_TOKENS, now)
        token_table.end_webhook_tokens(conn, user.id, now=now, until=now + overlap if overlap else None)
        token_table.add_webhook_token(
            conn,
            user.id,
            token_hash=sha256(token),
            secret=app.vault.encrypt(token),
            created_at=now,
            used_at=None,
            expires_at=None,
            revoked_at=None,
        )
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.WEBHOOK_TOKEN_ROTATED,
            now=now,
            detail={"overlap_seconds": overlap.total_seconds()},
        )

    app.db.write(work)
    return token


def revoke_webhook_tokens(app: App, user: User) -> int:
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        message_table.record(conn, actor=user.id, action=AuditAction.WEBHOOK_TOKEN_REVOKED, now=now)
        return token_table.end_webhook_tokens(conn, user.id, now=now, until=None)

    return app.db.write(work)


def webhook_token(app: App, user: User) -> WebhookToken | None:
    """The current token. Hidden from an admin viewing the page, as it would let them trade."""
    with app.db.read() as conn:
        row = token_table.current_webhook_token(conn, user.id)
    if row is None:
        return None
    text = "hidden-in-this-view" if user.viewer else app.vault.decrypt(row.secret)
    return WebhookToken(text=text, created_at=row.created_at, used_at=row.used_at)
