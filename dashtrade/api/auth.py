"""Registration, sign-in, and the signed-in user."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.http import client_address, endpoint, get_app, password_turn
from dashtrade.api.reading import PageQuery, number_cursor, page
from dashtrade.domain.access import Permission, Role, TokenScope, may
from dashtrade.domain.notices.stored import Message
from dashtrade.domain.people import User
from dashtrade.domain.values import iso
from dashtrade.services.people import credentials, invitations, second_factor, sessions, users
from dashtrade.services.people import messages as message_service
from dashtrade.services.people import tokens as token_service

bp = Blueprint("auth", __name__, url_prefix="/api/v1")


class Registration(Body):
    email: str = pydantic.Field(max_length=254)
    password: str = pydantic.Field(max_length=500)
    name: str = pydantic.Field("", max_length=80)
    setup_code: str | None = pydantic.Field(None, max_length=200)
    invitation: str | None = pydantic.Field(None, max_length=200)


class Credentials(Body):
    email: str = pydantic.Field(max_length=254)
    password: str = pydantic.Field(max_length=500)
    code: str = pydantic.Field(
        "",
        max_length=60,
        description="of the authenticator app, or a recovery code, where two-factor authentication is on",
    )


class UserChanges(Body):
    name: str | None = pydantic.Field(None, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")
    time_zone: str | None = pydantic.Field(None, max_length=60)
    tradingview_only: bool | None = None
    body_secret: str | None = pydantic.Field(None, max_length=200)
    max_alert_age: int | None = pydantic.Field(None, ge=1, le=86400)


class Invitation(Body):
    email: str = pydantic.Field("", max_length=254)
    role: Role = Role.STANDARD


class Rotation(Body):
    overlap_seconds: int = pydantic.Field(0, ge=0, le=7 * 86400)


def user_view(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": str(user.role),
        "time_zone": user.time_zone,
        "tradingview_only": user.tradingview_only,
        "has_body_secret": user.body_secret_hash is not None,
        "max_alert_age": user.max_alert_age,
        "created_at": iso(user.created_at),
        "second_factor": user.second_factor,
        "second_factor_due": user.second_factor_due,
        "demo_until": iso(user.demo_until) if user.demo_until else None,
    }


@endpoint(bp, "POST", "/auth/register", body=Registration, open=True, status=201)
def register(given: Registration) -> dict[str, Any]:
    """Create an account: the first one with the set-up code, others as sign-up allows."""
    with password_turn():
        registered = users.register(
            get_app(),
            email=given.email,
            password=given.password,
            name=given.name,
            code=given.setup_code or given.invitation,
            address=client_address(),
        )
    return {"user": user_view(registered.user), "access_token": registered.access_token}


@endpoint(bp, "POST", "/auth/login", body=Credentials, open=True)
def login(given: Credentials) -> dict[str, Any]:
    """Sign in and get an access token for 30 days. With two-factor authentication, send a code with the
    password. If the installation requires two-factor authentication and the user has none
    (`second_factor_due`), the token can only close positions and stop bots."""
    app, address = get_app(), client_address()
    with password_turn():
        user = users.check_password(app, given.email, given.password, address)
    second_factor.check(app, user, given.code, address)
    session = users.sign_in(app, user.id, address)
    return {"access_token": session.access_token, "user": user_view(session.user)}


@endpoint(bp, "GET", "/users/me", needs=None)
def me(user: User) -> dict[str, Any]:
    """The user of the access token."""
    return user_view(user)


@endpoint(bp, "PATCH", "/users/me", body=UserChanges, needs=None)
def change_me(user: User, given: UserChanges) -> dict[str, Any]:
    """Change your name, time zone and alert security; null removes max_alert_age or body_secret."""
    return user_view(users.change_options(get_app(), user, given.model_dump(exclude_unset=True)))


class NewPassword(Body):
    old: str = pydantic.Field(max_length=500)
    new: str = pydantic.Field(max_length=500)
    end_api_tokens: bool = pydantic.Field(
        False, description="also end the named access tokens, not only those of sign-ins"
    )
    rotate_webhook_token: bool = pydantic.Field(
        False, description="the webhook token is replaced at once; alerts with the old one are refused"
    )


@endpoint(bp, "POST", "/users/me/password", body=NewPassword, needs=None)
def change_password(user: User, given: NewPassword) -> dict[str, Any]:
    """Change your password. All sessions and sign-in tokens end, this one too; on request all API tokens and
    the webhook token."""
    app = get_app()
    with password_turn():
        token = credentials.change_password(
            app,
            user,
            old=given.old,
            new=given.new,
            address=client_address(),
            token=None,
            end_api_tokens=given.end_api_tokens,
            rotate_webhook_token=given.rotate_webhook_token,
        )
    return {"status": "changed", "webhook_token": token}


@endpoint(bp, "GET", "/tokens", needs=None)
def tokens(user: User) -> dict[str, Any]:
    """Your access tokens; their text is never shown again."""
    items = [
        {
            "id": r.id,
            "name": r.name,
            "created_at": iso(r.created_at),
            "expires_at": iso(r.expires_at),
            "used_at": iso(r.used_at) if r.used_at else None,
            "scopes": list(r.scopes),
        }
        for r in token_service.api_tokens(get_app(), user)
    ]
    return {"items": items, "next_cursor": None}


@endpoint(bp, "DELETE", "/tokens/<int:token_id>", needs=None)
def revoke(user: User, token_id: int) -> dict[str, Any]:
    """Revoke one of your access tokens."""
    sessions.revoke_api_token(get_app(), user, token_id, address=client_address())
    return {"id": token_id, "status": "revoked"}


@endpoint(bp, "POST", "/webhook-token/rotate", body=Rotation, scopes=[TokenScope.ADMIN])
def rotate(user: User, given: Rotation) -> dict[str, Any]:
    """Create a new webhook token; the old one expires now, or after the overlap."""
    app = get_app()
    token = token_service.rotate_webhook_token(app, user, overlap=timedelta(seconds=given.overlap_seconds))
    return {"token": token, "url": f"{app.settings.public_url}/webhook?token={token}"}


@endpoint(bp, "GET", "/webhook-token", scopes=[TokenScope.ADMIN])  # a webhook token allows trading
def webhook_token(user: User) -> dict[str, Any]:
    """Your current webhook token, and when it was last used."""
    app = get_app()
    found = token_service.webhook_token(app, user)
    if found is None:
        return {"token": None, "url": None, "created_at": None, "used_at": None}
    return {
        "token": found.text,
        "url": f"{app.settings.public_url}/webhook?token={found.text}",
        "created_at": iso(found.created_at),
        "used_at": iso(found.used_at) if found.used_at else None,
    }


@endpoint(bp, "DELETE", "/webhook-token", scopes=[TokenScope.ADMIN])
def revoke_webhook(user: User) -> dict[str, Any]:
    """Revoke all your webhook tokens at once."""
    return {"status": "revoked", "count": token_service.revoke_webhook_tokens(get_app(), user)}


@endpoint(bp, "POST", "/invitations", body=Invitation, needs=Permission.INVITE, status=201)
def invite(user: User, given: Invitation) -> dict[str, Any]:
    """Create an invitation for one user, valid for a week."""
    role = given.role if may(user.role, Permission.MANAGE_ROLES) else Role.STANDARD
    app = get_app()
    code = invitations.invite(app, user, email=given.email, role=role)
    return {
        "invitation": code,
        "role": str(role),
        "url": f"{app.settings.dashboard_url}/join?invitation={code}",
    }


class MessageList(PageQuery):
    unread: bool = False


@endpoint(bp, "GET", "/messages", query=MessageList, needs=None)
def messages(user: User, query: MessageList) -> dict[str, Any]:
    """Your messages, newest first."""
    rows = message_service.messages(
        get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1, unread_only=query.unread
    )
    return page(rows, query.limit, lambda row: str(row.id), _message)


def _message(row: Message) -> dict[str, Any]:
    wording = row.words(UTC)
    return {
        "id": row.id,
        "at": iso(row.at),
        "level": row.level,
        "kind": row.kind,
        "facts": row.facts,
        "title": wording.title,
        "text": wording.text,
        "signal_id": row.signal_id,
        "read_at": iso(row.read_at) if row.read_at else None,
    }


class ReadUpTo(Body):
    up_to: int = pydantic.Field(ge=0, lt=2**62)


@endpoint(bp, "POST", "/messages/read", body=ReadUpTo, needs=None, scopes=[TokenScope.TRADE])
def mark_read(user: User, given: ReadUpTo) -> dict[str, Any]:
    """Mark messages as read, up to and including one."""
    return {"marked": message_service.mark_read(get_app(), user, up_to=given.up_to)}
