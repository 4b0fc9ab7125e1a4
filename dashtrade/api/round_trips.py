"""Round trips: the result of each, from flat to flat, and why it ended."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pydantic
from flask import Blueprint, Response

from dashtrade.api.answers import ApiError, Body
from dashtrade.api.http import SCOPE, csv_file, endpoint, get_app
from dashtrade.api.reading import PageQuery, page, read_end, read_moment
from dashtrade.domain.people import User
from dashtrade.domain.round_trips import ExitReason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso, plain
from dashtrade.services.trading import round_trips as service
from dashtrade.services.trading import scope
from dashtrade.services.trading.round_trips import Place, RoundTripRecord

bp = Blueprint("round_trips", __name__, url_prefix="/api/v1")
_ID = pydantic.Field(None, ge=1, lt=2**62)


class TripFilter(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=1000, populate_by_name=True)
    status: str = pydantic.Field("closed", pattern="^(closed|open)$")
    bot_id: int | None = _ID
    account_id: int | None = _ID
    symbol: str | None = None  # several, separated by commas
    side: str | None = pydantic.Field(None, pattern="^(long|short)$")
    reason: ExitReason | None = None
    since: str | None = pydantic.Field(None, alias="from")
    until: str | None = pydantic.Field(None, alias="to")
    scope: str | None = SCOPE

    def wanted(self, user: User) -> dict[str, Any]:
        return {
            "scope": scope.of_user(get_app(), user, self.scope) if self.scope is not None else None,
            "open": self.status == "open",
            "bot_id": self.bot_id,
            "account_id": self.account_id,
            "side": self.side,
            "exit_reason": self.reason,
            "symbols": [Symbol.parse(written) for written in self.symbol.split(",")] if self.symbol else [],
            "since": read_moment(self.since, "from"),
            "until": read_end(self.until, "to"),
        }


class TripList(TripFilter, PageQuery):
    sort: str = pydantic.Field("closed", pattern="^(closed|pnl|percent|duration)$")
    order: str = pydantic.Field("desc", pattern="^(asc|desc)$")


def _price(price: Decimal | None) -> str | None:
    shown = service.rounded(price)
    return None if shown is None else plain(shown)


def view(row: RoundTripRecord) -> dict[str, Any]:
    trip = row.trip
    return {
        "id": row.id,
        "opened_at": iso(trip.opened_at),
        "closed_at": iso(trip.closed_at) if trip.closed_at else None,
        "bot_id": trip.bot_id,
        "account_id": trip.account_id,
        "symbol": trip.symbol.text,
        "side": str(trip.side),
        "quantity": plain(trip.entry_quantity),
        "exit_quantity": plain(trip.exit_quantity),
        "entry_price": _price(trip.entry_price),
        "exit_price": _price(trip.exit_price),
        "realized_pnl": plain(trip.realized),
        "fees": plain(trip.fees),
        "net_pnl": plain(trip.net),
        "percent": None if trip.percent is None else f"{trip.percent:.4f}",
        "duration_seconds": row.held_seconds,
        "currency": row.currency,
        "exit_reason": trip.exit_reason or None,
        "entry_signal_id": trip.entry_signal_id,
        "exit_signal_id": trip.exit_signal_id,
        "live": row.live,
        "simulated": row.simulated,
    }


COLUMNS = (
    "id",
    "opened_at",
    "closed_at",
    "bot_id",
    "account_id",
    "symbol",
    "side",
    "quantity",
    "exit_quantity",
    "entry_price",
    "exit_price",
    "realized_pnl",
    "fees",
    "net_pnl",
    "percent",
    "duration_seconds",
    "currency",
    "exit_reason",
    "entry_signal_id",
    "exit_signal_id",
    "live",
    "simulated",
)


@endpoint(bp, "GET", "/round-trips", query=TripList)
def round_trips(user: User, query: TripList) -> dict[str, Any]:
    """Round trips from flat to flat, newest first unless sorted otherwise. Win rates count the closed
    ones."""
    is_open = query.status == "open"
    rows = service.round_trips(
        get_app(),
        user,
        limit=query.limit + 1,
        sort=query.sort,
        rising=query.order == "asc",
        before=_cursor(query.cursor, query.sort, is_open=is_open),
        **query.wanted(user),
    )
    return page(rows, query.limit, lambda row: service.cursor_of(row, query.sort, is_open=is_open), view)


def _cursor(cursor: str | None, sort: str, *, is_open: bool) -> Place | None:
    place = service.read_cursor(cursor, sort, is_open=is_open) if cursor else None
    if cursor and place is None:
        raise ApiError(
            400,
            "bad_request",
            "The cursor is invalid.",
            "Use next_cursor from the previous page.",
            field="cursor",
        )
    return place


@endpoint(bp, "GET", "/round-trips.csv", query=TripFilter)
def round_trips_csv(user: User, query: TripFilter) -> Response:
    """Round trips as a CSV file, all of them, streamed."""
    pieces = service.csv(get_app(), user, query.wanted(user), COLUMNS, lambda row: list(view(row).values()))
    return csv_file(user, pieces, "round-trips.csv")
