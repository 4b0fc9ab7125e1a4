"""Broker accounts (`user_api_keys`), each with its sealed credentials."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.accounts import PAPER, Account
from dashtrade.domain.reasons import NO_REASON
from dashtrade.tables.base import (
    Json,
    bool_column,
    id_column,
    insert_returning_id,
    is_postgres,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first, rows, run
from dashtrade.tables.installation_settings import system_settings

accounts = sa.Table(
    "user_api_keys",
    metadata,
    id_column(),
    owner_column(index=True),
    text_column("broker"),
    text_column("mode"),
    text_column("label"),
    text_column("credentials"),
    text_column("session", nullable=True),
    sa.Column("options", Json, nullable=False),
    bool_column("is_active"),
    reason_column("disabled_reason"),
    time_column("created_at"),
    time_column("checked_at", nullable=True),
    sa.Column("check_result", Json, nullable=True),
    time_column("deleted_at", nullable=True),
    time_column("acknowledged_at", nullable=True),
    time_column("second_factor_declined_at", nullable=True),
)

SYSTEM = {
    "load",
    "active",
    "active_at_brokers",
    "at_remote_brokers",
    "lock_account",
    "lock_live_accounts",
    "sealed",
    "put_sealed",
    "sealed_sessions",
    "put_session",
    "try_lock",
}

# the setting of the installation; while it is on, live accounts are traded on paper
SIMULATION = "simulation"

_SIMULATED = sa.and_(
    accounts.c.mode == "live",
    sa.exists().where(system_settings.c.name == SIMULATION, system_settings.c.value == "on"),
).label("simulated")

_COLUMNS = (*accounts.c, _SIMULATED)


def _account(row: Any) -> Account | None:
    return Account(**row._asdict()) if row else None


def add(conn: sa.Connection, owner: int, **values: Any) -> int:
    row = {"is_active": True, "disabled_reason": NO_REASON} | values
    return insert_returning_id(conn, sa.insert(accounts).values(user_id=owner, **row))


def get(conn: sa.Connection, owner: int, account_id: int) -> Account | None:
    of_owner = (accounts.c.user_id == owner) & (accounts.c.id == account_id) & accounts.c.deleted_at.is_(None)
    return _account(conn.execute(sa.select(*_COLUMNS).where(of_owner)).first())


_OF_OWNER = (
    sa.select(*_COLUMNS)
    .where(accounts.c.user_id == p("owner"), accounts.c.deleted_at.is_(None))
    .order_by(accounts.c.id)
)


def list_all(conn: sa.Connection, owner: int) -> list[Account]:
    return [_account(row) for row in rows(conn, _OF_OWNER, {"owner": owner})]  # type: ignore[misc]


def labels(conn: sa.Connection, owner: int) -> dict[int, str]:
    """Of all accounts, removed ones too."""
    found = conn.execute(sa.select(accounts.c.id, accounts.c.label).where(accounts.c.user_id == owner))
    return {row.id: row.label for row in found}


def change(conn: sa.Connection, owner: int, account_id: int, **values: Any) -> bool:
    of_owner = (accounts.c.user_id == owner) & (accounts.c.id == account_id) & accounts.c.deleted_at.is_(None)
    return conn.execute(sa.update(accounts).where(of_owner).values(**values)).rowcount == 1


def active_at_brokers(conn: sa.Connection, brokers: Collection[str], limit: int) -> list[Account]:
    """For the worker: accounts at these brokers that may trade, oldest first."""
    query = sa.select(*_COLUMNS).where(
        accounts.c.broker.in_(brokers), accounts.c.is_active, accounts.c.deleted_at.is_(None)
    )
    return [_account(row) for row in conn.execute(query.order_by(accounts.c.id).limit(limit))]  # type: ignore[misc]


_AT_REMOTE_BROKERS = (
    sa.select(*_COLUMNS)
    .where(accounts.c.broker != PAPER, accounts.c.is_active, accounts.c.deleted_at.is_(None))
    .order_by(accounts.c.id)
)


def at_remote_brokers(conn: sa.Connection) -> list[Account]:
    """For the worker: accounts outside the built-in paper broker that may trade."""
    return [_account(row) for row in rows(conn, _AT_REMOTE_BROKERS)]  # type: ignore[misc]


_ACTIVE = (
    sa.select(accounts.c.id)
    .where(accounts.c.is_active, accounts.c.deleted_at.is_(None))
    .order_by(accounts.c.id)
)


def active(conn: sa.Connection) -> list[int]:
    """Every account that may trade."""
    return [row.id for row in rows(conn, _ACTIVE)]


_LOAD = sa.select(*_COLUMNS).where(accounts.c.id == p("account_id"))


def load(conn: sa.Connection, account_id: int) -> Account:
    """For the worker, which has the account's id from another row. Removed accounts too: their orders
    remain."""
    account = _account(first(conn, _LOAD, {"account_id": account_id}))
    if account is None:
        raise LookupError(f"account {account_id} does not exist")
    return account


_LOCK_ACCOUNT = sa.select(accounts.c.id).where(accounts.c.id == p("account_id")).with_for_update()


def lock_account(conn: sa.Connection, account_id: int) -> None:
    """Only the lock; a no-op in SQLite, which has one writer."""
    if is_postgres(conn):
        run(conn, _LOCK_ACCOUNT, {"account_id": account_id})


_TRY_LOCK = sa.select(accounts.c.id).where(accounts.c.id == p("account_id")).with_for_update(skip_locked=True)


def try_lock(conn: sa.Connection, account_id: int) -> bool:
    """The lock, if nobody else has it."""
    return not is_postgres(conn) or first(conn, _TRY_LOCK, {"account_id": account_id}) is not None


def lock_live_accounts(conn: sa.Connection) -> None:
    """Lock every live account: nothing is decided on them until this transaction ends."""
    if is_postgres(conn):
        conn.execute(
            sa.select(accounts.c.id)
            .where(accounts.c.mode == "live")
            .order_by(accounts.c.id)
            .with_for_update()
        ).all()


def sealed(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    a = accounts.c
    return list(conn.execute(sa.select(a.id, a.credentials).where(a.id > after).order_by(a.id).limit(limit)))


def sealed_sessions(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    a = accounts.c
    return list(
        conn.execute(
            sa.select(a.id, a.session).where(a.id > after, a.session.is_not(None)).order_by(a.id).limit(limit)
        )
    )


def put_session(conn: sa.Connection, account_id: int, old: str | None, new: str) -> bool:
    """Replace `old`; None replaces any value."""
    of_owner = (
        accounts.c.id == account_id
        if old is None
        else (accounts.c.id == account_id) & (accounts.c.session == old)
    )
    return conn.execute(sa.update(accounts).where(of_owner).values(session=new)).rowcount == 1


def put_sealed(conn: sa.Connection, account_id: int, old: str, new: str) -> bool:
    of_owner = (accounts.c.id == account_id) & (accounts.c.credentials == old)
    return conn.execute(sa.update(accounts).where(of_owner).values(credentials=new)).rowcount == 1
