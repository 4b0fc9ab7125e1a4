"""Who may do what: one table."""

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
    SWITCH_ALL = "switch_all"  # stop trading for everybody
    MANAGE_ROLES = "manage_roles"
    MANAGE_SYSTEM = "manage_system"


class TokenScope(StrEnum):
    """What an API token may be used for, within what its user may."""

    READ = "read"
    TRADE = "trade"  # everything about bots and orders, closing among it
    STOP = "stop"  # close, flatten, pause: nothing that opens a position
    # the account itself, its broker accounts and tokens; users and the installation, as the role allows
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
    """May this role change an account of the other? Who manages users manages standard ones; who gives roles,
    everybody."""
    return may(role, P.MANAGE_ROLES) or (may(role, P.MANAGE_USERS) and other is Role.STANDARD)
