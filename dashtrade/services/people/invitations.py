"""Sign-up: by invitation, or open where a superadmin allows it."""

from __future__ import annotations

import secrets
from datetime import timedelta
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


def may_join(app: App, code: str | None, email: str) -> Any:
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


def open_invitation(app: App, code: str) -> Any:
    """The invitation with this code, while it admits a user. Raises Denied."""
    with app.db.read() as conn:
        found = invitation_table.invitation(conn, sha256(code), app.clock.now())
        if found is None or not still_invites(conn, found):
            raise _dead()
    return found


def _dead() -> Denied:
    return Denied("the invitation is invalid, used or expired", "Ask an admin for a new one.")


def still_invites(conn: sa.Connection, invitation: Any) -> bool:
    """Checked again when an invitation is used: whether its maker may still invite with this role."""
    maker = table.by_id(conn, invitation.user_id)
    return maker is not None and maker.is_active and _may_invite(maker.role, Role(invitation.role))


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


def open_invitations(app: App, actor: User) -> list[Any]:
    require(actor, Permission.INVITE)
    with app.db.read() as conn:
        return invitation_table.open_invitations(conn, app.clock.now())


def revoke_invitation(app: App, actor: User, invitation_id: int) -> None:
    """Revoke an invitation of the actor, or of a user whose account the actor may manage."""
    require(actor, Permission.INVITE)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        found = next(
            (one for one in invitation_table.open_invitations(conn, now) if one.id == invitation_id), None
        )
        maker = table.by_id(conn, found.user_id) if found else None
        if found is None or maker is None:
            raise NotFound("invitation")
        if maker.id != actor.id:
            require_over(actor, maker)
        invitation_table.drop_invitation(conn, invitation_id)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.INVITATION_REVOKED,
            now=now,
            detail={"email": found.email, "role": found.role},
        )

    app.db.write(work)
