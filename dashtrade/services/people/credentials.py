"""Changing sign-in credentials: the password, by its user or by an admin's link, and the email."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission, may, may_manage
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.people import PasswordChanged, PasswordChangedTokensValid, PasswordLinkCreated
from dashtrade.domain.people import User
from dashtrade.domain.values import sha256
from dashtrade.services.people import emails, passwords, second_factor, users
from dashtrade.services.people import tokens as token_service
from dashtrade.services.people.permission import managed_user, require
from dashtrade.services.people.users import Denied
from dashtrade.services.records import records
from dashtrade.services.refusals import NotFound, Refusal
from dashtrade.tables import attempts as attempt_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table
from dashtrade.tables import quotas as quota_table
from dashtrade.tables import second_factors as table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import tokens as token_table

LINK_LIFE = timedelta(hours=24)


def change_password(
    app: App,
    user: User,
    *,
    old: str,
    new: str,
    address: str,
    token: str | None,
    end_api_tokens: bool = False,
    rotate_webhook_token: bool = False,
) -> str | None:
    """Requires the old password and ends the other sessions, as they may belong to someone who knew it. On
    request ends the API tokens too and replaces the webhook token; returns the new webhook token then."""
    users.check_own_password(app, user, old, address, where="old")
    passwords.check(new, user.email, user.name)
    _put_password(
        app,
        user.id,
        passwords.hashed(new),
        keep=sha256(token or ""),
        action=AuditAction.PASSWORD_CHANGED,
        address=address,
        end_api_tokens=end_api_tokens,
    )
    return token_service.rotate_webhook_token(app, user) if rotate_webhook_token else None


def change_email(app: App, user: User, *, email: str, password: str, address: str) -> None:
    users.check_own_password(app, user, password, address, where="password")
    email, now = emails.read_email(email), app.clock.now()

    def work(conn: sa.Connection) -> None:
        if email != user.email:
            users.require_free_email(conn, email)
        people_table.change(conn, user.id, email=email)
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.EMAIL_CHANGED,
            now=now,
            subject=user.id,
            detail={"from": user.email, "to": email},
            address=address,
        )

    app.db.write(work)


def make_link(app: App, actor: User, user_id: int) -> str:
    """A link by which this user sets a new password: it works once, within a day, and replaces earlier
    links."""
    with app.db.read() as conn:
        user = managed_user(conn, actor, user_id)
    return _link(app, user, actor=actor)


def revoke_link(app: App, actor: User, user_id: int) -> None:
    """Revoke this user's password link."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        user = managed_user(conn, actor, user_id)
        if not table.drop_link(conn, user_id):
            raise NotFound("password link")
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.PASSWORD_LINK_REVOKED,
            now=now,
            subject=user_id,
            detail={"email": user.email},
        )

    app.db.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLink:
    """A password link that still works. Its text is never shown again."""

    user_id: int
    email: str  # of its user
    made_by: str | None  # its creator's email; None: the command line
    created_at: datetime
    expires_at: datetime


def open_links(app: App, actor: User) -> list[OpenLink]:
    """Newest first."""
    require(actor, Permission.MANAGE_USERS)
    with app.db.read() as conn:
        return records(OpenLink, table.open_links(conn, app.clock.now()))


def rescue(app: App, email: str) -> str:
    """Recovery from the command line when no one can sign in: a password link, with the second factor
    removed."""
    with app.db.read() as conn:
        found = people_table.by_email(conn, emails.read_email(email))
    if found is None:
        raise NotFound("user")
    second_factor.remove(
        app, found[0].id, actor=None, action=AuditAction.SECOND_FACTOR_TAKEN_OFF_ON_THE_MACHINE, by=None
    )
    return _link(app, found[0], actor=None)


def _link(app: App, user: User, *, actor: User | None) -> str:
    if user.demo_until is not None:
        raise Refusal(
            "a demo has no password", "The user can turn the demo into a real account, on the Account page."
        )
    code, now = secrets.token_urlsafe(24), app.clock.now()

    def work(conn: sa.Connection) -> None:
        quota_table.lock(conn, user.id)  # two at once would miss each other's link, and both would work
        table.add_link(
            conn,
            user.id,
            code_hash=sha256(code),
            made_by=actor.id if actor else 0,
            now=now,
            expires_at=now + LINK_LIFE,
        )
        message_table.record(
            conn,
            actor=actor.id if actor else None,
            action=AuditAction.PASSWORD_LINK_MADE,
            now=now,
            subject=user.id,
            detail={"email": user.email},
        )
        message_table.notify(conn, user.id, PasswordLinkCreated(by=actor.email if actor else None), now=now)

    app.db.write(work)
    return f"{app.settings.dashboard_url}/reset?code={code}"


def user_of_link(app: App, code: str) -> User:
    """The user of a valid link. Raises Denied."""
    with app.db.read() as conn:
        return _user_of_link(conn, sha256(code), app.clock.now())


def _user_of_link(conn: sa.Connection, code_hash: str, now: datetime) -> User:
    """Checked again when the link is used: whether its maker may still manage this user."""
    found = table.link(conn, code_hash, now)
    user = people_table.by_id(conn, found.user_id) if found else None
    if found is None or user is None or not user.is_active or not _still_may(conn, found.made_by, user):
        raise Denied("this link is invalid, used or expired", "Ask an admin for a new one.")
    return user


def _still_may(conn: sa.Connection, made_by: int, user: User) -> bool:
    if not made_by:  # created on the command line
        return True
    maker = people_table.by_id(conn, made_by)
    return (
        maker is not None
        and maker.is_active
        and may(maker.role, Permission.MANAGE_USERS)
        and may_manage(maker.role, user.role)
    )


def use_link(app: App, code: str, *, new: str, address: str) -> None:
    """Set the password and end every session."""
    user = user_of_link(app, code)
    passwords.check(new, user.email, user.name)
    _put_password(
        app,
        user.id,
        passwords.hashed(new),
        link=sha256(code),
        action=AuditAction.PASSWORD_SET_BY_A_LINK,
        address=address,
    )


def _put_password(
    app: App,
    user_id: int,
    stored: str,
    *,
    action: AuditAction,
    address: str,
    keep: str = "",
    link: str = "",
    end_api_tokens: bool = False,
) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        if link and not (_user_of_link(conn, link, now) and table.use_link(conn, user_id, link, now)):
            raise Denied("this link is invalid, used or expired", "Ask an admin for a new one.")
        people_table.change(conn, user_id, password_hash=stored)
        session_table.remove_sessions(conn, user_id, keep=keep)
        token_table.revoke_api_tokens(
            conn, user_id, now, name=None if end_api_tokens else token_service.SIGN_IN
        )
        attempt_table.forget_devices(conn, user_id)
        _notify_valid_tokens(conn, user_id, now)
        table.end_handed_out(conn, user_id)
        message_table.record(conn, actor=user_id, action=action, now=now, subject=user_id, address=address)

    app.db.write(work)


def _notify_valid_tokens(conn: sa.Connection, user_id: int, now: datetime) -> None:
    """Notify the user of tokens that are still valid: whoever knew the old password may have created or
    read them."""
    tokens = [row.name for row in token_table.list_api_tokens(conn, user_id) if row.expires_at > now]
    webhook_token = token_table.current_webhook_token(conn, user_id) is not None
    notice = (
        PasswordChangedTokensValid(api_tokens=tuple(tokens), webhook_token=webhook_token)
        if tokens or webhook_token
        else PasswordChanged()
    )
    message_table.notify(conn, user_id, notice, now=now)
