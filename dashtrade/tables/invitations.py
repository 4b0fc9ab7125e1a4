"""Invitations to this installation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.base import (
    id_column,
    insert_returning_id,
    metadata,
    owner_column,
    text_column,
    time_column,
)
from dashtrade.tables.people import users

invitations = sa.Table(
    "invitations",
    metadata,
    id_column(),
    owner_column(),
    sa.Column("code_hash", sa.Text, nullable=False, unique=True),
    text_column("email"),
    text_column("role"),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("used_at", nullable=True),
)

# --- invitations, settings of the whole installation --------------------------------------------------------


SYSTEM = {"by_id", "invitation", "open_invitations"}


def add_invitation(conn: sa.Connection, owner: int, **values: Any) -> int:
    return insert_returning_id(conn, sa.insert(invitations).values(user_id=owner, **values))


def invitation(conn: sa.Connection, code_hash: str, now: datetime) -> Any | None:
    i = invitations.c
    return conn.execute(
        sa.select(invitations).where(i.code_hash == code_hash, i.used_at.is_(None), i.expires_at > now)
    ).first()


def by_id(conn: sa.Connection, invitation_id: int, now: datetime) -> Any | None:
    """If it is valid."""
    i = invitations.c
    return conn.execute(
        sa.select(invitations).where(i.id == invitation_id, i.used_at.is_(None), i.expires_at > now)
    ).first()


def open_invitations(conn: sa.Connection, now: datetime) -> list[Any]:
    """Valid ones, the newest 200, each with its creator's email."""
    i = invitations.c
    query = sa.select(
        i.id, i.user_id, i.email, i.role, i.created_at, i.expires_at, users.c.email.label("made_by")
    )
    query = query.join(users, users.c.id == i.user_id).where(i.used_at.is_(None), i.expires_at > now)
    return list(conn.execute(query.order_by(i.id.desc()).limit(200)))


def drop_invitation(conn: sa.Connection, owner: int, invitation_id: int) -> bool:
    return conn.execute(sa.delete(invitations).where(_unused(owner, invitation_id))).rowcount == 1


def use_invitation(conn: sa.Connection, owner: int, invitation_id: int, now: datetime) -> bool:
    unused = _unused(owner, invitation_id)
    return conn.execute(sa.update(invitations).where(unused).values(used_at=now)).rowcount == 1


def _unused(owner: int, invitation_id: int) -> sa.ColumnElement[bool]:
    i = invitations.c
    return (i.user_id == owner) & (i.id == invitation_id) & i.used_at.is_(None)
