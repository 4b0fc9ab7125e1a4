"""Sign-up: by invitation, or open where a superadmin allows it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission, Role, may
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import sha256
from dashtrade.services.operations import quotas
from dashtrade.services.people.emails import read_email
from dashtrade.services.people.permission import require, require_over
from dashtrade.services.refusals import Denied, NotFound
from dashtrade.tables import installation_settings
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table

INVITATION_LIFE = timedelta(days=7)

SIGNUP, DEMO = "signup", "demo"  # settings of the installation, set by a superadmin


def signup(app: App) -> str:
    """open, invite or closed: as set by a superadmin, else DASHTRADE_SIGNUP."""
    with app.db.read() as conn:
        return installation_settings.setting(conn, SIGNUP) or app.settings.signup


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    id: int
    user_id: int  # who invites
    email: str  # empty: anyone with the link
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation(Invitation):
    """One that still works. Its text is never shown again."""

    made_by: str  # its creator's email
    created_at: datetime
    expires_at: datetime


def may_join(app: App, code: str | None, email: str) -> Invitation | None:
    """The invitation that admits this user; None if sign-up is open. Raises Denied."""
    match signup(app):
        case "open":
            return None
        case "invite" if code:
            found = open_invitation(app, code)
            if found.email not in ("", email):
                raise _dead()
            return found
        case "invite":
            raise Denied("sign-up is by invitation only", "Ask an admin for one.")
    raise Denied("sign-up is closed", "Ask an admin of this installation.")


def open_invitation(app: App, code: str) -> Invitation:
    """The invitation with this code, while it admits a user. Raises Denied."""
    with app.db.read() as conn:
        row = invitation_table.invitation(conn, sha256(code), app.clock.now())
        found = _invitation(row) if row is not None else None
        if found is None or not still_invites(conn, found):
            raise _dead()
    return found


def _invitation(row: Any) -> Invitation:
    return Invitation(id=row.id, user_id=row.user_id, email=row.email, role=Role(row.role))


def _dead() -> Denied:
    return Denied("the invitation is invalid, used or expired", "Ask an admin for a new one.")


def still_invites(conn: sa.Connection, invitation: Invitation) -> bool:
    """Checked again when an invitation is used: whether its maker may still invite with this role."""
    maker = table.by_id(conn, invitation.user_id)
    return maker is not None and maker.is_active and _may_invite(maker.role, invitation.role)


def _may_invite(role: Role, given: Role) -> bool:
    return may(role, Permission.INVITE) and (given is Role.STANDARD or may(role, Permission.MANAGE_ROLES))


def invite(app: App, actor: User, *, email: str, role: Role) -> str:
    """An invitation code for one new user, valid for a week."""
    require(actor, Permission.INVITE)
    if role is not Role.STANDARD:
        require(actor, Permission.MANAGE_ROLES)
    code, now = secrets.token_urlsafe(24), app.clock.now()
    address = read_email(email) if email else ""

    def work(conn: sa.Connection) -> None:
        quotas.claim(conn, actor, quotas.INVITATIONS, now)
        invitation_table.add_invitation(
            conn,
            actor.id,
            code_hash=sha256(code),
            email=address,
            role=role,
            created_at=now,
            expires_at=now + INVITATION_LIFE,
            used_at=None,
        )
        message_table.record(
            conn, actor=actor.id, action=AuditAction.INVITED, now=now, detail={"email": address, "role": role}
        )

    app.db.write(work)
    return code


def open_invitations(app: App, actor: User) -> list[OpenInvitation]:
    """Newest first."""
    require(actor, Permission.INVITE)
    with app.db.read() as conn:
        found = invitation_table.open_invitations(conn, app.clock.now())
    return [OpenInvitation(**row._asdict() | {"role": Role(row.role)}) for row in found]


def revoke_invitation(app: App, actor: User, invitation_id: int) -> None:
    """Revoke an invitation of the actor, or of a user whose account the actor may manage."""
    require(actor, Permission.INVITE)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        found = invitation_table.by_id(conn, invitation_id, now)
        maker = table.by_id(conn, found.user_id) if found else None
        if found is None or maker is None:
            raise NotFound("invitation")
        if maker.id != actor.id:
            require_over(actor, maker)
        invitation_table.drop_invitation(conn, maker.id, invitation_id)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.INVITATION_REVOKED,
            now=now,
            detail={"email": found.email, "role": found.role},
        )

    app.db.write(work)
