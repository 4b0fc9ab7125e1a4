"""Users, and how they are recognised."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from dashtrade.tables.base import (
    BigId,
    bool_column,
    id_column,
    insert_returning_id,
    int_column,
    metadata,
    text_column,
    time_column,
)
from dashtrade.tables.installation_settings import REQUIRED, SECOND_FACTOR, system_settings

users = sa.Table(
    "users",
    metadata,
    id_column(),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    text_column("name"),
    text_column("password_hash"),
    text_column("role"),
    bool_column("is_active"),
    text_column("time_zone"),
    bool_column("tradingview_only"),
    text_column("body_secret_hash", nullable=True),
    int_column("max_alert_age", nullable=True),
    time_column("created_at"),
    time_column("last_login_at", nullable=True),
    # sealed; the last step whose code was used
    text_column("totp_secret", nullable=True),
    int_column("totp_step", nullable=True),
    time_column("demo_until", nullable=True),
    text_column("demo_address", nullable=True),
    time_column("removed_at", nullable=True),
    sa.Column("wrong_codes", BigId, nullable=False, server_default="0"),  # of the second factor, consecutive
    text_column(
        "scope", nullable=True
    ),  # the scope of figures the user views: live, paper, or an account's number
    sa.Index(
        "ix_users_demo",
        "demo_until",
        sqlite_where=sa.text("demo_until IS NOT NULL"),
        postgresql_where=sa.text("demo_until IS NOT NULL"),
    ),
)


_DUE = sa.and_(
    users.c.totp_secret.is_(None),
    users.c.demo_until.is_(None),
    sa.exists().where(system_settings.c.name == SECOND_FACTOR, system_settings.c.value == REQUIRED),
).label("second_factor_due")

USER_COLUMNS = [
    *(c for c in users.c if c.name not in ("password_hash", "demo_address", "removed_at", "wrong_codes")),
    _DUE,
]


SYSTEM = {
    "add",
    "admins",
    "by_email",
    "by_id",
    "count",
    "count_demos",
    "count_demos_from",
    "expired_demos",
    "everyone",
    "lock_superadmins",
    "removed",
}


def user_of(row: Any) -> User | None:
    if row is None:
        return None
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        time_zone=row.time_zone,
        tradingview_only=row.tradingview_only,
        body_secret_hash=row.body_secret_hash,
        max_alert_age=row.max_alert_age,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        second_factor=row.totp_secret is not None,
        demo_until=row.demo_until,
        scope=row.scope,
        second_factor_due=bool(row.second_factor_due),
    )


# --- users --------------------------------------------------------------------------------------------------


def add(conn: sa.Connection, **values: Any) -> int:
    row = {
        "tradingview_only": False,
        "body_secret_hash": None,
        "max_alert_age": None,
        "is_active": True,
    } | values
    return insert_returning_id(conn, sa.insert(users).values(**row))


def count(conn: sa.Connection) -> int:
    return conn.scalar(sa.select(sa.func.count()).select_from(users).where(users.c.removed_at.is_(None))) or 0


def by_email(conn: sa.Connection, email: str) -> tuple[User, str] | None:
    """The user and the password's hash."""
    row = conn.execute(sa.select(users, _DUE).where(users.c.email == email)).first()
    return (user_of(row), row.password_hash) if row else None  # type: ignore[return-value]


def by_id(conn: sa.Connection, user_id: int) -> User | None:
    return user_of(conn.execute(sa.select(*USER_COLUMNS).where(users.c.id == user_id)).first())


def everyone(conn: sa.Connection, *, after: int = 0, limit: int = 100, named: str = "") -> list[User]:
    """In order of creation; `named`: those whose name or email contains this text."""
    query = sa.select(*USER_COLUMNS).where(users.c.id > after, users.c.removed_at.is_(None))
    if named:
        query = query.where(
            sa.or_(
                users.c.email.contains(named.lower(), autoescape=True),
                sa.func.lower(users.c.name).contains(named.lower(), autoescape=True),
            )
        )
    return [user_of(row) for row in conn.execute(query.order_by(users.c.id).limit(limit))]  # type: ignore[misc]


def change(conn: sa.Connection, owner: int, **values: Any) -> None:
    conn.execute(sa.update(users).where(users.c.id == owner).values(**values))


def lock_superadmins(conn: sa.Connection) -> list[int]:
    """Their ids, unchanged by others until this transaction ends."""
    query = sa.select(users.c.id).where(
        users.c.role == Role.SUPERADMIN, users.c.is_active, users.c.removed_at.is_(None)
    )
    return list(conn.scalars(query.order_by(users.c.id).with_for_update()))


def admins(conn: sa.Connection) -> list[int]:
    """The recipients of notices about the installation."""
    query = sa.select(users.c.id).where(
        users.c.role.in_([Role.ADMIN, Role.SUPERADMIN]), users.c.is_active, users.c.removed_at.is_(None)
    )
    return list(conn.scalars(query.order_by(users.c.id)))


def removed(conn: sa.Connection) -> list[int]:
    """Deleted users of whom rows may be left."""
    return list(conn.scalars(sa.select(users.c.id).where(users.c.removed_at.is_not(None)).limit(1000)))


# --- demos --------------------------------------------------------------------------------------------------


_DEMO = sa.text("demo_until IS NOT NULL")


def count_demos(conn: sa.Connection) -> int:
    return (
        conn.scalar(sa.select(sa.func.count()).select_from(users).where(_DEMO, users.c.removed_at.is_(None)))
        or 0
    )


def count_demos_from(conn: sa.Connection, address: str, since: datetime) -> int:
    """How many were created from this address since then."""
    query = (
        sa.select(sa.func.count())
        .select_from(users)
        .where(_DEMO, users.c.demo_address == address, users.c.created_at > since)
    )
    return conn.scalar(query) or 0


def expired_demos(conn: sa.Connection, now: datetime) -> list[int]:
    return list(
        conn.scalars(
            sa.select(users.c.id)
            .where(_DEMO, users.c.demo_until < now, users.c.removed_at.is_(None))
            .limit(1000)
        )
    )
