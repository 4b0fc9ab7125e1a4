"""Permission checks of services: the table of permissions, and which accounts a user may manage."""

from __future__ import annotations

import sqlalchemy as sa

from dashtrade.domain.access import Permission, may, may_manage
from dashtrade.domain.people import User
from dashtrade.services.refusals import NotFound, Refusal
from dashtrade.tables import people


class Forbidden(Refusal):
    """The role does not allow this."""


def require(actor: User, permission: Permission) -> None:
    if not may(actor.role, permission):
        raise Forbidden("your role does not allow this", "Ask a superadmin.")


def require_over(actor: User, other: User) -> None:
    if not may_manage(actor.role, other.role):
        raise Forbidden(
            (
                f"only a superadmin may change the account of {'an' if other.role[0] == 'a' else 'a'} "
                f"{other.role}"
            ),
            "Ask a superadmin.",
        )


def managed_user(conn: sa.Connection, actor: User, user_id: int) -> User:
    """A user whose account the actor may manage."""
    require(actor, Permission.MANAGE_USERS)
    user = people.by_id(conn, user_id)
    if user is None:
        raise NotFound("user")
    require_over(actor, user)
    return user
