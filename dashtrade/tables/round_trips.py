"""Stored round trips: written in the commit that books a fill, read by page, as a file and in totals."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.orders import Order
from dashtrade.domain.performance_stats import ClosedTrade
from dashtrade.domain.position_mismatch import scaled
from dashtrade.domain.record import field_names
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.scope import MoneyKind
from dashtrade.domain.signals import ExitCause
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Side
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import (
    BigId,
    Instrument,
    bool_column,
    decimal_column,
    id_column,
    int_column,
    metadata,
    owner_column,
    text_column,
    time_column,
)
from dashtrade.tables.compiled_sql import first, run_many
from dashtrade.tables.signals import signals

_IS_OPEN, _IS_CLOSED = sa.text("closed_at IS NULL"), sa.text("closed_at IS NOT NULL")


def _index(name: str, *columns: str, closed: bool) -> sa.Index:
    which = _IS_CLOSED if closed else _IS_OPEN
    return sa.Index(f"ix_round_trips_{name}", *columns, sqlite_where=which, postgresql_where=which)


trips = sa.Table(
    "round_trips",
    metadata,
    id_column(),
    owner_column(),
    int_column("account_id"),
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), nullable=False),
    sa.Column("symbol", Instrument, nullable=False),
    text_column("currency"),
    text_column("side"),
    decimal_column("entry_quantity"),
    decimal_column("entry_notional"),
    decimal_column("exit_quantity"),
    decimal_column("exit_notional"),
    decimal_column("realized"),
    decimal_column("fees"),
    time_column("opened_at"),
    time_column("closed_at", nullable=True),
    text_column("entry_signal_id"),
    text_column("exit_signal_id", nullable=True),
    text_column("exit_reason"),
    bool_column("on_paper"),
    # for sorting and totals
    sa.Column("net_value", sa.Float, nullable=True),
    sa.Column("percent_value", sa.Float, nullable=True),
    int_column("held_seconds", nullable=True),
    _index("held_now", "bot_id", closed=False),
    _index("open", "user_id", "opened_at", "id", closed=False),
    _index("closed", "user_id", "closed_at", "id", closed=True),
    _index("bot", "bot_id", "closed_at", "id", closed=True),
    _index("symbol", "user_id", "symbol", "closed_at", "id", closed=True),
    _index("net", "user_id", "net_value", "id", closed=True),
    _index("percent", "user_id", "percent_value", "id", closed=True),
    _index("length", "user_id", "held_seconds", "id", closed=True),
)
_FIELDS = tuple(name for name in field_names(RoundTrip) if name != "id")
_CHANGING = (
    "entry_quantity",
    "entry_notional",
    "exit_quantity",
    "exit_notional",
    "realized",
    "fees",
    "closed_at",
    "exit_signal_id",
    "exit_reason",
)
_RANKS = ("net_value", "percent_value", "held_seconds")

PRICE_STEP = Decimal("1E-8")  # precision of an average price

SYSTEM = {"latest", "put", "split"}


def trip_of(row: Any) -> RoundTrip:
    return RoundTrip(
        id=row.id, side=Side(row.side), **{name: getattr(row, name) for name in _FIELDS if name != "side"}
    )


# --- booking ------------------------------------------------------------------------------------------------

_COLUMNS = [trips.c[name] for name in ("id", *_FIELDS)]
_WITH_SIGNAL = (
    sa.select(*_COLUMNS, signals.c.origin, signals.c.exit_cause)
    .join_from(trips, signals, signals.c.id == p("signal_id"), isouter=True)
    .where(trips.c.bot_id == p("of_bot"))
)
_HELD = _WITH_SIGNAL.where(_IS_OPEN).order_by(trips.c.id.desc()).limit(1)
_LATEST = _WITH_SIGNAL.where(_IS_CLOSED).order_by(trips.c.closed_at.desc(), trips.c.id.desc()).limit(1)
_ADD = sa.insert(trips)
_PUT = (
    sa.update(trips)
    .where(trips.c.id == p("trip_id"))
    .values({name: p(f"new_{name}", type_=trips.c[name].type) for name in (*_CHANGING, *_RANKS)})
)


def latest(conn: sa.Connection, order: Order) -> tuple[RoundTrip | None, str, ExitCause | None]:
    """The latest round trip of the order's bot, with the origin and the exit cause of the order's signal."""
    given = {"of_bot": order.bot_id, "signal_id": order.signal_id}
    row = first(conn, _HELD, given) or first(conn, _LATEST, given)
    if row is None:
        return None, "", None
    return trip_of(row), row.origin or "", ExitCause(row.exit_cause) if row.exit_cause else None


def ranks(trip: RoundTrip) -> dict[str, Any]:
    """Sort keys of closed trips."""
    if trip.closed_at is None:
        return dict.fromkeys(_RANKS)
    percent = trip.percent
    held = int((trip.closed_at - trip.opened_at).total_seconds())
    return {
        "net_value": float(trip.net),
        "percent_value": float(percent) if percent is not None else 0.0,
        "held_seconds": held,
    }


def put(conn: sa.Connection, changed: Mapping[int, RoundTrip], new: Collection[int]) -> None:
    """The trips in their last form; those whose ids are `new` are added."""
    run_many(conn, _ADD, [_new_values(trip) for number, trip in changed.items() if number in new])
    run_many(conn, _PUT, [_values(trip) for number, trip in changed.items() if number not in new])


def _values(trip: RoundTrip) -> dict[str, Any]:
    return (
        {f"new_{name}": getattr(trip, name) for name in _CHANGING}
        | {f"new_{name}": value for name, value in ranks(trip).items()}
        | {"trip_id": trip.id}
    )


def _new_values(trip: RoundTrip) -> dict[str, Any]:
    values = {name: getattr(trip, name) for name in _FIELDS} | {"id": trip.id}
    return values | {"currency": trip.symbol.currency} | ranks(trip)


def split(conn: sa.Connection, bot_id: int, ratio: Decimal) -> None:
    """The position was split: `ratio` times the quantity at the same cost."""
    held = conn.execute(sa.select(*_COLUMNS).where(trips.c.bot_id == bot_id, _IS_OPEN)).all()
    for row in held:
        changed = {
            "entry_quantity": scaled(row.entry_quantity, ratio),
            "exit_quantity": scaled(row.exit_quantity, ratio),
        }
        conn.execute(sa.update(trips).where(trips.c.id == row.id).values(**changed))


def hand_over(conn: sa.Connection, owner: int, bot_id: int, heir_id: int) -> None:
    """An open trip moves with its position."""
    of_owner = sa.and_(trips.c.user_id == owner, trips.c.bot_id == bot_id, _IS_OPEN)
    conn.execute(sa.update(trips).where(of_owner).values(bot_id=heir_id))


# --- reading ------------------------------------------------------------------------------------------------

SORTS = {
    "closed": trips.c.closed_at,
    "pnl": trips.c.net_value,
    "percent": trips.c.percent_value,
    "duration": trips.c.held_seconds,
}
_ON_LIVE = sa.exists().where(accounts.c.id == trips.c.account_id, accounts.c.mode == "live")
_LIVE = _ON_LIVE.label("live")
_WITH_LIVE_MONEY = sa.and_(_ON_LIVE, ~trips.c.on_paper)


def _filtered(query: sa.Select[Any], owner: int, wanted: dict[str, Any]) -> sa.Select[Any]:
    """`open` selects open trips; then `since` and `until` apply to the opening time."""
    t = trips.c
    is_open = bool(wanted.get("open"))
    query = query.where(t.user_id == owner, _IS_OPEN if is_open else _IS_CLOSED)
    scope = wanted.get("scope")
    if scope is not None:  # simulated trips of a live account count as paper
        query = query.where(_WITH_LIVE_MONEY if scope.money is MoneyKind.LIVE else ~_WITH_LIVE_MONEY)
        if scope.account_id is not None:
            query = query.where(t.account_id == scope.account_id)
    for name in ("bot_id", "account_id", "side", "exit_reason", "on_paper"):
        if wanted.get(name) is not None:
            query = query.where(t[name] == wanted[name])
    if wanted.get("account_ids") is not None:
        query = query.where(t.account_id.in_(wanted["account_ids"]))
    if wanted.get("symbols"):
        query = query.where(t.symbol.in_(wanted["symbols"]))
    when = t.opened_at if is_open else t.closed_at
    if wanted.get("since") is not None:
        query = query.where(when >= wanted["since"])
    if wanted.get("until") is not None:
        query = query.where(when < wanted["until"])
    return query


def list_page(
    conn: sa.Connection,
    owner: int,
    *,
    limit: int,
    sort: str = "closed",
    rising: bool = False,
    before: tuple[Any, int] | None = None,
    **wanted: Any,
) -> list[Any]:
    """`before`: (the sort value, id) of the previous page's last row. Each row has `live`, whether its
    account is."""
    column = trips.c.opened_at if wanted.get("open") else SORTS[sort]
    query = _filtered(sa.select(trips, _LIVE), owner, wanted)
    if before is not None:
        here, last = (
            sa.tuple_(column, trips.c.id),
            sa.tuple_(sa.bindparam(None, before[0], column.type), sa.literal(before[1])),
        )
        query = query.where(here > last if rising else here < last)
    order = (column.asc(), trips.c.id.asc()) if rising else (column.desc(), trips.c.id.desc())
    return list(conn.execute(query.order_by(*order).limit(limit)))


def get(conn: sa.Connection, owner: int, trip_id: int) -> Any | None:
    return conn.execute(
        sa.select(trips, _LIVE).where(trips.c.user_id == owner, trips.c.id == trip_id)
    ).first()


def sort_value(row: Any, sort: str, *, is_open: bool) -> Any:
    return row.opened_at if is_open else getattr(row, SORTS[sort].name)


def totals(conn: sa.Connection, owner: int, **wanted: Any) -> list[Any]:
    """Per kind of money, never across: (live, currency, count, wins, losses, net, won, lost, held) of the
    matching trips."""
    t, add = trips.c, sa.func.sum
    won = sa.case((t.net_value > 0, t.net_value), else_=0.0)
    lost = sa.case((t.net_value < 0, t.net_value), else_=0.0)
    inner = (
        _filtered(
            sa.select(
                t.account_id,
                t.on_paper,
                t.currency,
                sa.func.count().label("count"),
                add(sa.case((t.net_value > 0, 1), else_=0)).label("wins"),
                add(sa.case((t.net_value < 0, 1), else_=0)).label("losses"),
                add(t.net_value).label("net"),
                add(won).label("won"),
                add(lost).label("lost"),
                add(t.held_seconds).label("held"),
            ),
            owner,
            wanted,
        )
        .group_by(t.account_id, t.on_paper, t.currency)
        .subquery()
    )
    i = inner.c
    live = sa.case((sa.and_(accounts.c.mode == "live", ~i.on_paper), 1), else_=0)
    # PostgreSQL's sum is numeric
    whole = [sa.cast(add(i[name]), sa.BigInteger).label(name) for name in ("count", "wins", "losses", "held")]
    sums = [*whole, *(add(i[name]).label(name) for name in ("net", "won", "lost"))]
    query = sa.select(live.label("live"), i.currency, *sums).join(accounts, accounts.c.id == i.account_id)
    return list(conn.execute(query.group_by(live, i.currency).order_by(live.desc(), i.currency)))


def traded_symbols(conn: sa.Connection, owner: int) -> list[Symbol]:
    """All symbols ever traded, from the index: one step for each symbol."""
    found: list[Symbol] = []
    for which in (_IS_CLOSED, _IS_OPEN):
        query = (
            sa.select(trips.c.symbol).where(trips.c.user_id == owner, which).order_by(trips.c.symbol).limit(1)
        )
        last: Symbol | None = None
        while (
            last := conn.scalar(query if last is None else query.where(trips.c.symbol > last))
        ) is not None:
            found.append(last)
    return sorted(set(found), key=lambda symbol: symbol.short)


def ended(conn: sa.Connection, owner: int, *, limit: int, **wanted: Any) -> list[ClosedTrade]:
    """The results of the latest closed trips, oldest first, for statistics."""
    t = trips.c
    query = _filtered(
        sa.select(t.bot_id, t.account_id, t.symbol, t.closed_at, t.opened_at, t.realized, t.fees),
        owner,
        wanted,
    )
    rows = conn.execute(query.order_by(t.closed_at.desc(), t.id.desc()).limit(limit)).all()
    return [
        ClosedTrade(
            bot_id=r.bot_id,
            account_id=r.account_id,
            symbol=r.symbol,
            at=r.closed_at,
            net=r.realized - r.fees,
            held=r.closed_at - r.opened_at,
        )
        for r in reversed(rows)
    ]


def stream(
    conn: sa.Connection, owner: int, *, before: tuple[Any, int] | None = None, **wanted: Any
) -> Generator[tuple[Any, Any], None, None]:
    """All matching trips (below the key `before`), newest first, a few in memory at a time: (key, row)."""
    when = trips.c.opened_at if wanted.get("open") else trips.c.closed_at
    query = _filtered(sa.select(trips, _LIVE), owner, wanted).order_by(when.desc(), trips.c.id.desc())
    if before is not None:
        at, last = before
        query = query.where(sa.or_(when < at, sa.and_(when == at, trips.c.id < last)))
    with conn.execute(query.execution_options(yield_per=500)) as found:
        for row in found:
            yield (row.opened_at if wanted.get("open") else row.closed_at, row.id), row
