"""Permission checks of services: the table of permissions, and which accounts a user may manage."""

from __future__ import annotations

from dashtrade.domain.access import Permission, may, may_manage
from dashtrade.domain.people import User
from dashtrade.services.refusals import Refusal


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
