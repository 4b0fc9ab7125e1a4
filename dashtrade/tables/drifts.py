"""Differences between the broker's positions and ours, the user's own holdings there, and when each account
was last reconciled."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.position_mismatch import Drift, DriftStatus, MismatchKind, asset_of
from dashtrade.domain.record import field_names, record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.tables.base import (
    BigId,
    Instrument,
    bool_column,
    decimal_column,
    id_column,
    insert_returning_id,
    int_column,
    metadata,
    owner_column,
    reason_column,
    text_column,
    time_column,
)
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import first, rows

_UNRESOLVED = sa.text("status IN ('open', 'frozen')")
drifts = sa.Table(
    "drifts",
    metadata,
    id_column(),
    owner_column(),
    int_column("account_id"),
    text_column("asset"),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("status"),
    text_column("kind"),
    decimal_column("ours"),
    decimal_column("outside"),
    decimal_column("theirs"),
    decimal_column("average_price", nullable=True),
    decimal_column("mark", nullable=True),
    decimal_column("ratio", nullable=True),
    text_column("way"),
    int_column("bot_id", nullable=True),
    reason_column("detail"),
    time_column("opened_at"),
    time_column("updated_at"),
    time_column("resolved_at", nullable=True),
    sa.Index(
        "uq_drifts_unresolved",
        "account_id",
        "asset",
        unique=True,
        sqlite_where=_UNRESOLVED,
        postgresql_where=_UNRESOLVED,
    ),
    sa.Index("ix_drifts_user", "user_id", "id"),
)
outside = sa.Table(
    "outside_holdings",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("asset", sa.Text, primary_key=True),
    owner_column(),
    decimal_column("quantity"),
    time_column("since"),
)
reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("user_api_keys.id"), primary_key=True, autoincrement=False),
    owner_column(),
    time_column("first_at", nullable=True),
    time_column("at", nullable=True),
    time_column("failing_since", nullable=True),
    text_column("problem"),
    bool_column("told"),
)

SYSTEM = {
    "unresolved_on",
    "outside_quantity",
    "unresolved_by_asset",
    "add",
    "change",
    "outside_by_asset",
    "put_outside",
    "reconciliation_state",
    "put_reconciliation_state",
    "bots_with_positions",
    "all_unresolved",
}


@record
class ReconciliationState:
    """The state of an account's reconciliation."""

    account_id: int
    user_id: int
    first_at: datetime | None = None  # since when it is reconciled
    at: datetime | None = None  # the last successful one, to the minute
    failing_since: datetime | None = None
    problem: str = ""
    notified: bool = False


def _drift(row: Any) -> Drift:
    values = row._asdict() | {"status": DriftStatus(row.status), "kind": MismatchKind(row.kind)}
    return Drift(bots_quantity=values.pop("ours"), broker_quantity=values.pop("theirs"), **values)


def _reconciliation_state(row: Any) -> ReconciliationState:
    values = row._asdict()
    return ReconciliationState(notified=values.pop("told"), **values)


# --- for the worker -----------------------------------------------------------------------------------------

_ON = sa.select(drifts).where(
    drifts.c.account_id == p("account_id"), drifts.c.asset == p("asset"), _UNRESOLVED
)


def unresolved_on(conn: sa.Connection, account_id: int, symbol: Symbol) -> Drift | None:
    """The unresolved drift of this symbol's asset."""
    row = first(conn, _ON, {"account_id": account_id, "asset": asset_of(symbol)})
    return _drift(row) if row else None


_OF_ACCOUNT = sa.select(drifts).where(drifts.c.account_id == p("account_id"), _UNRESOLVED)

_EVERYWHERE = sa.select(drifts).where(_UNRESOLVED)


def unresolved_by_asset(conn: sa.Connection, account_id: int) -> dict[str, Drift]:
    return {row.asset: _drift(row) for row in rows(conn, _OF_ACCOUNT, {"account_id": account_id})}


def all_unresolved(conn: sa.Connection) -> dict[tuple[int, str], Drift]:
    return {(row.account_id, row.asset): _drift(row) for row in rows(conn, _EVERYWHERE)}


def add(conn: sa.Connection, user_id: int, **values: Any) -> int:
    row = {
        "user_id": user_id,
        "status": DriftStatus.OPEN,
        "way": "",
        "bot_id": None,
        "resolved_at": None,
    } | values
    return insert_returning_id(conn, sa.insert(drifts).values(**row))


def change(conn: sa.Connection, drift_id: int, **values: Any) -> None:
    """Change an unresolved drift."""
    conn.execute(sa.update(drifts).where(drifts.c.id == drift_id, _UNRESOLVED).values(**values))


_ALL_OUTSIDE = sa.select(outside.c.asset, outside.c.quantity).where(outside.c.account_id == p("account_id"))


def outside_by_asset(conn: sa.Connection, account_id: int) -> dict[str, Decimal]:
    return {row.asset: row.quantity for row in rows(conn, _ALL_OUTSIDE, {"account_id": account_id})}


_OUTSIDE = sa.select(outside.c.quantity).where(
    outside.c.account_id == p("account_id"), outside.c.asset == p("asset")
)


def outside_quantity(conn: sa.Connection, account_id: int, symbol: Symbol) -> Decimal:
    """The user's own holdings of the symbol's asset."""
    row = first(conn, _OUTSIDE, {"account_id": account_id, "asset": asset_of(symbol)})
    return row.quantity if row else ZERO


def put_outside(
    conn: sa.Connection, user_id: int, account_id: int, asset: str, quantity: Decimal, now: datetime
) -> None:
    this_row = (outside.c.account_id == account_id) & (outside.c.asset == asset)
    conn.execute(sa.delete(outside).where(this_row))
    if quantity:
        row = {
            "account_id": account_id,
            "asset": asset,
            "user_id": user_id,
            "quantity": quantity,
            "since": now,
        }
        conn.execute(sa.insert(outside).values(**row))


_STATE = sa.select(reconciliations).where(reconciliations.c.account_id == p("account_id"))


def reconciliation_state(conn: sa.Connection, account_id: int) -> ReconciliationState | None:
    row = first(conn, _STATE, {"account_id": account_id})
    return _reconciliation_state(row) if row else None


def put_reconciliation_state(conn: sa.Connection, new_state: ReconciliationState) -> None:
    """Under the account's lock."""
    values = {name: getattr(new_state, name) for name in field_names(ReconciliationState)}
    values["told"] = values.pop("notified")
    of_owner = reconciliations.c.account_id == new_state.account_id
    if not conn.execute(sa.update(reconciliations).where(of_owner).values(**values)).rowcount:
        conn.execute(sa.insert(reconciliations).values(**values))


_OWNED = (
    sa.select(bots.c.id, bots.c.symbol, bots.c.position_quantity, bots.c.position_cost, bots.c.deleted_at)
    .where(
        bots.c.account_id == p("account_id"),
        sa.or_(bots.c.deleted_at.is_(None), sa.text("status != 'READY'")),
    )
    .order_by(bots.c.id)
)


def bots_with_positions(conn: sa.Connection, account_id: int) -> list[Any]:
    """(id, symbol, quantity, cost, deleted) of the account's bots: active ones, and those that still own
    something."""
    return rows(conn, _OWNED, {"account_id": account_id})


# --- for its owner ------------------------------------------------------------------------------------------


def get(conn: sa.Connection, owner: int, drift_id: int) -> Drift | None:
    row = conn.execute(sa.select(drifts).where(drifts.c.user_id == owner, drifts.c.id == drift_id)).first()
    return _drift(row) if row else None


def list_page(
    conn: sa.Connection,
    owner: int,
    *,
    before: int | None,
    limit: int,
    account_id: int | None = None,
    status: str | None = None,
) -> list[Drift]:
    query = sa.select(drifts).where(drifts.c.user_id == owner)
    if before is not None:
        query = query.where(drifts.c.id < before)
    if account_id is not None:
        query = query.where(drifts.c.account_id == account_id)
    if status == "unresolved":
        query = query.where(_UNRESOLVED)
    elif status is not None:
        query = query.where(drifts.c.status == status)
    return [_drift(row) for row in conn.execute(query.order_by(drifts.c.id.desc()).limit(limit))]


def outside_quantity_of_owner(conn: sa.Connection, owner: int, account_id: int, asset: str) -> Decimal:
    of_owner = (
        (outside.c.user_id == owner) & (outside.c.account_id == account_id) & (outside.c.asset == asset)
    )
    return conn.scalar(sa.select(outside.c.quantity).where(of_owner)) or ZERO


def reconciliation_states(conn: sa.Connection, owner: int) -> list[ReconciliationState]:
    return [
        _reconciliation_state(row)
        for row in conn.execute(sa.select(reconciliations).where(reconciliations.c.user_id == owner))
    ]
