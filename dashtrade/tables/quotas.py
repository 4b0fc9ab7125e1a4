"""Counts what a user has, and recently created, in the transaction that adds one more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import UtcTime
from dashtrade.tables.bots import bots
from dashtrade.tables.invitations import invitations
from dashtrade.tables.people import users
from dashtrade.tables.protections import protections
from dashtrade.tables.tokens import SIGN_IN, api_tokens, webhook_tokens

_NOW = sa.bindparam("now", type_=UtcTime)
# the table, and which rows count: deleted or ended ones do not
_COUNTED: dict[str, tuple[sa.Table, Any]] = {
    "accounts": (accounts, accounts.c.deleted_at.is_(None)),
    "bots": (bots, bots.c.deleted_at.is_(None)),
    "protections": (protections, protections.c.deleted_at.is_(None)),
    "api_tokens": (
        api_tokens,
        sa.and_(
            api_tokens.c.revoked_at.is_(None), api_tokens.c.expires_at > _NOW, api_tokens.c.name != SIGN_IN
        ),
    ),
    "invitations": (invitations, sa.and_(invitations.c.used_at.is_(None), invitations.c.expires_at > _NOW)),
    "webhook_tokens": (webhook_tokens, webhook_tokens.c.revoked_at.is_(None)),
}
SYSTEM: set[str] = set()


def lock(conn: sa.Connection, owner: int) -> bool:
    """Serialise counting for this user until the transaction ends; SQLite has one writer anyway."""
    query = sa.select(users.c.id).where(users.c.id == owner).with_for_update(key_share=True)
    return conn.scalar(query) is not None


def count(conn: sa.Connection, owner: int, kind: str, now: datetime) -> int:
    """The current number."""
    table, there = _COUNTED[kind]
    return (
        conn.scalar(
            sa.select(sa.func.count()).select_from(table).where(table.c.user_id == owner, there), {"now": now}
        )
        or 0
    )


def created_since(conn: sa.Connection, owner: int, kind: str, since: datetime | None = None) -> int:
    """How many were created since then, or ever: deleted ones too."""
    table = _COUNTED[kind][0]
    query = sa.select(sa.func.count()).select_from(table).where(table.c.user_id == owner)
    return conn.scalar(query if since is None else query.where(table.c.created_at > since)) or 0
