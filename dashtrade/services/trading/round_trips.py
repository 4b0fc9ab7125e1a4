"""Round trips as their user reads them: by page, one, totals, and as a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import ClosedTrade
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.scope import MoneyScope
from dashtrade.services.operations.export import Pieces, csv_pieces
from dashtrade.tables import round_trips as table
from dashtrade.tables.base import EPOCH

SORTS = tuple(table.SORTS)
_FRACTIONS = ("pnl", "percent")  # sorted by a fraction; the others by a time or whole seconds
_MICROSECOND = datetime.resolution

Place = tuple[Any, int]  # position in the list: sort value and id


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTripRecord:
    trip: RoundTrip
    currency: str
    live: bool  # on a live account
    held_seconds: int | None
    net_value: float | None
    percent_value: float | None

    @property
    def id(self) -> int:
        return self.trip.id

    @property
    def simulated(self) -> bool:
        return self.live and self.trip.on_paper


@dataclass(frozen=True, slots=True, kw_only=True)
class TripTotals:
    """One kind of money in one currency. Sums are computed as floats and converted to Decimal for display."""

    live: bool
    currency: str
    count: int
    wins: int
    losses: int
    held: int  # seconds
    net: Decimal
    won: Decimal
    lost: Decimal  # zero or less


def _record(row: Any) -> RoundTripRecord:
    return RoundTripRecord(
        trip=table.trip_of(row),
        currency=row.currency,
        live=bool(row.live),
        held_seconds=row.held_seconds,
        net_value=row.net_value,
        percent_value=row.percent_value,
    )


def round_trips(
    app: App,
    user: User,
    *,
    limit: int,
    sort: str = "closed",
    rising: bool = False,
    before: Place | None = None,
    **wanted: Any,
) -> list[RoundTripRecord]:
    """`wanted`: open, scope, bot_id, account_id, side, exit_reason, symbols, since, until."""
    with app.db.read() as conn:
        found = table.list_page(conn, user.id, limit=limit, sort=sort, rising=rising, before=before, **wanted)
    return [_record(row) for row in found]


def round_trip(app: App, user: User, trip_id: int) -> RoundTripRecord | None:
    with app.db.read() as conn:
        row = table.get(conn, user.id, trip_id)
    return None if row is None else _record(row)


def totals(app: App, user: User, **wanted: Any) -> list[TripTotals]:
    """Live money first; live and paper are never added up."""
    with app.db.read() as conn:
        found = table.totals(conn, user.id, **wanted)
    return [
        TripTotals(
            live=bool(row.live),
            currency=row.currency,
            count=row.count,
            wins=row.wins,
            losses=row.losses,
            held=int(row.held or 0),
            **{name: Decimal(str(getattr(row, name) or 0)) for name in ("net", "won", "lost")},
        )
        for row in found
    ]


def ended(
    app: App, user: User, scope: MoneyScope, *, limit: int, since: datetime | None, bot_id: int | None
) -> list[ClosedTrade]:
    """The latest closed ones, oldest first, with the fields that statistics need."""
    with app.db.read() as conn:
        return table.ended(conn, user.id, limit=limit, since=since, bot_id=bot_id, scope=scope)


def csv(
    app: App,
    user: User,
    wanted: dict[str, Any],
    heads: tuple[str, ...],
    cells: Callable[[RoundTripRecord], list[Any]],
) -> Pieces[str]:
    """All that match, newest first."""

    def rows(conn: sa.Connection, before: Any) -> Pieces[tuple[Any, Any]]:
        with closing(table.stream(conn, user.id, before=before, **wanted)) as found:
            for key, row in found:
                yield key, cells(_record(row))

    return csv_pieces(app, heads, rows)


def rounded(price: Decimal | None) -> Decimal | None:
    """An average price at the precision shown."""
    return None if price is None else price.quantize(table.PRICE_STEP)


# --- cursors ------------------------------------------------------------------------------------------------


def cursor_of(one: RoundTripRecord, sort: str, *, is_open: bool) -> str:
    """The cursor of the page after this row."""
    value: Any = {
        "closed": one.trip.closed_at,
        "pnl": one.net_value,
        "percent": one.percent_value,
        "duration": one.held_seconds,
    }[sort]
    if is_open:
        value = one.trip.opened_at
    return f"{(value - EPOCH) // _MICROSECOND if isinstance(value, datetime) else repr(value)}~{one.id}"


def read_cursor(cursor: str, sort: str, *, is_open: bool) -> Place | None:
    """None for an invalid cursor."""
    value, _, last = cursor.partition("~")
    try:
        trip_id = int(last)
        number = float(value) if sort in _FRACTIONS and not is_open else int(value)
        if not math.isfinite(number) or not 0 <= trip_id < 2**62:
            return None
        return (EPOCH + number * _MICROSECOND if is_open or sort == "closed" else number), trip_id
    except (ValueError, OverflowError):
        return None
