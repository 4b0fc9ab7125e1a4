"""The latest reading of each broker account: balances and positions, their time, and since when the broker
cannot be read.

The worker reads the brokers and everything else uses this table: no page waits for a broker. The built-in
paper broker has no row, as its books are in this database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.domain.accounts import PAPER
from dashtrade.domain.ports import AccountState, BrokerPosition
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import plain
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import (
    BigId,
    Json,
    bool_column,
    int_column,
    metadata,
    owner_column,
    text_column,
    time_column,
)
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import rows, run

readings = sa.Table(
    "account_readings",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("user_api_keys.id"), primary_key=True, autoincrement=False),
    owner_column(index=True),
    bool_column("simulated"),
    time_column("read_at", nullable=True),
    sa.Column("money", Json, nullable=True),
    sa.Column("positions", Json, nullable=True),
    text_column("error_code"),
    text_column("error"),
    time_column("failing_since", nullable=True),
    int_column("tries"),
    time_column("changed_at"),
    time_column("wanted_at", nullable=True),
)

SYSTEM = {"put", "watched", "busy", "load_all"}


@record
class AccountReading:
    """One account as last read. While its broker cannot be read, balances and positions stay those of
    `read_at`."""

    account_id: int
    user_id: int
    simulated: bool  # read from the paper broker that replaces the account's in simulation mode
    read_at: datetime | None = None
    state: AccountState | None = None
    positions: tuple[BrokerPosition, ...] = ()
    error_code: str = ""  # the kind of failure; empty while the broker answers
    error: str = ""
    failing_since: datetime | None = None
    tries: int = 0  # consecutive failures
    changed_at: datetime  # when the holdings, or the broker's availability, last changed


def money_of(state: AccountState) -> dict[str, Any]:
    return {
        "equity": plain(state.equity),
        "cash": plain(state.cash),
        "buying_power": plain(state.buying_power),
        "currency": state.currency,
        "number": state.number,
        "permissions": list(state.permissions),
        "can_withdraw": state.can_withdraw,
    }


def _state(money: Mapping[str, Any] | None) -> AccountState | None:
    if money is None:
        return None
    exact = {name: Decimal(money[name]) for name in ("equity", "cash", "buying_power")}
    return AccountState(**{**money, **exact, "permissions": tuple(money["permissions"])})


def _position_as_data(position: BrokerPosition) -> list[str | None]:
    average, mark = position.average_price, position.mark
    return [
        position.symbol.text,
        plain(position.quantity),
        None if average is None else plain(average),
        None if mark is None else plain(mark),
    ]


def _position(written: Sequence[str | None]) -> BrokerPosition:
    symbol, quantity, average, mark = written
    return BrokerPosition(
        symbol=Symbol.parse(str(symbol)),
        quantity=Decimal(str(quantity)),
        average_price=None if average is None else Decimal(average),
        mark=None if mark is None else Decimal(mark),
    )


def _reading(row: Any) -> AccountReading:
    return AccountReading(
        account_id=row.account_id,
        user_id=row.user_id,
        simulated=bool(row.simulated),
        read_at=row.read_at,
        state=_state(row.money),
        positions=tuple(map(_position, row.positions or ())),
        error_code=row.error_code,
        error=row.error,
        failing_since=row.failing_since,
        tries=row.tries,
        changed_at=row.changed_at,
    )


_OF_USER = sa.select(readings).where(readings.c.user_id == p("owner"))


def of_user(conn: sa.Connection, owner: int) -> dict[int, AccountReading]:
    """By account."""
    return {row.account_id: _reading(row) for row in rows(conn, _OF_USER, {"owner": owner})}


def mark_watched(conn: sa.Connection, owner: int, now: datetime) -> int:
    """A page of this user is open: for a while the worker reads their accounts more often."""
    return conn.execute(sa.update(readings).where(readings.c.user_id == owner).values(wanted_at=now)).rowcount


# --- for the worker -----------------------------------------------------------------------------------------


def load_all(conn: sa.Connection) -> dict[int, AccountReading]:
    """Everything stored, for the start of the worker."""
    return {row.account_id: _reading(row) for row in conn.execute(sa.select(readings))}


def _put(insert: Any) -> Any:
    statement = insert(readings)
    replaced = {
        column.name: statement.excluded[column.name]
        for column in readings.c
        if column.name not in ("account_id", "user_id", "wanted_at")
    }
    return statement.on_conflict_do_update(index_elements=["account_id"], set_=replaced)


_PUT = {"sqlite": _put(sqlite.insert), "postgresql": _put(postgresql.insert)}


def put(conn: sa.Connection, reading: AccountReading) -> None:
    run(
        conn,
        _PUT[conn.dialect.name],
        {
            "account_id": reading.account_id,
            "user_id": reading.user_id,
            "simulated": reading.simulated,
            "read_at": reading.read_at,
            "money": None if reading.state is None else money_of(reading.state),
            "positions": None if reading.read_at is None else list(map(_position_as_data, reading.positions)),
            "error_code": reading.error_code,
            "error": reading.error,
            "failing_since": reading.failing_since,
            "tries": reading.tries,
            "changed_at": reading.changed_at,
            "wanted_at": None,
        },
    )


_WATCHED = sa.select(readings.c.account_id).where(
    readings.c.wanted_at > p("since", type_=readings.c.wanted_at.type)
)


def watched(conn: sa.Connection, now: datetime, watched_for: timedelta) -> set[int]:
    """Accounts with an open page."""
    return {row.account_id for row in rows(conn, _WATCHED, {"since": now - watched_for})}


_BUSY = (
    sa.select(
        bots.c.account_id, sa.func.max(bots.c.updated_at).label("updated"), sa.func.count().label("bots")
    )
    .join(accounts, accounts.c.id == bots.c.account_id)
    .where(sa.text("user_bot_configs.status != 'READY'"), accounts.c.broker != PAPER)
    .group_by(bots.c.account_id)
)


def busy(conn: sa.Connection) -> dict[int, tuple[Any, int]]:
    """Accounts whose bots own something or have an open order; the mark changes with each fill."""
    return {row.account_id: (row.updated, row.bots) for row in rows(conn, _BUSY)}
