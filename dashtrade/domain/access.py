"""Permissions, in one table."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    SUPERADMIN = "superadmin"
    ADMIN = "admin"
    STANDARD = "standard"


class Permission(StrEnum):
    TRADE = "trade"  # own accounts, bots, signals, history
    SEE_ALL_TRADES = "see_all_trades"
    MANAGE_USERS = "manage_users"
    INVITE = "invite"
    SEE_SYSTEM = "see_system"
    SWITCH_ALL = "switch_all"  # stop trading for all users
    MANAGE_ROLES = "manage_roles"
    MANAGE_SYSTEM = "manage_system"


class TokenScope(StrEnum):
    """What an API token may be used for, within its user's own permissions."""

    READ = "read"
    TRADE = "trade"  # everything about bots and orders, including closing
    STOP = "stop"  # close, flatten, pause: nothing that opens a position
    # the user's settings, broker accounts and tokens; users and the installation, as the role allows
    ADMIN = "admin"


P = Permission
_ADMIN = frozenset({P.TRADE, P.SEE_ALL_TRADES, P.MANAGE_USERS, P.INVITE, P.SEE_SYSTEM})
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.STANDARD: frozenset({P.TRADE}),
    Role.ADMIN: _ADMIN,
    Role.SUPERADMIN: _ADMIN | {P.SWITCH_ALL, P.MANAGE_ROLES, P.MANAGE_SYSTEM},
}


def may(role: Role, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


def may_manage(role: Role, other: Role) -> bool:
    """May this role change a user with the other role? User managers manage standard users; whoever assigns
    roles, everybody."""
    return may(role, P.MANAGE_ROLES) or (may(role, P.MANAGE_USERS) and other is Role.STANDARD)
