"""Round trips: what each one made, from flat to flat, and why it ended."""

from __future__ import annotations

import math
from contextlib import closing
from datetime import datetime
from typing import Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Response

from dashtrade.api.answers import Answer, Body
from dashtrade.api.http import SCOPE, csv_file, endpoint, the_app
from dashtrade.api.reading import Page, page, read_end, read_moment
from dashtrade.domain.people import User
from dashtrade.domain.round_trips import ExitReason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso, plain
from dashtrade.services.operations.export import Pieces, csv_pieces
from dashtrade.services.trading import scope
from dashtrade.tables import round_trips as table
from dashtrade.tables.base import EPOCH

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
            "scope": scope.of_user(the_app(), user, self.scope) if self.scope is not None else None,
            "open": self.status == "open",
            "bot_id": self.bot_id,
            "account_id": self.account_id,
            "side": self.side,
            "exit_reason": self.reason,
            "symbols": [Symbol.parse(written) for written in self.symbol.split(",")] if self.symbol else [],
            "since": read_moment(self.since, "from"),
            "until": read_end(self.until, "to"),
        }


class TripList(TripFilter, Page):
    sort: str = pydantic.Field("closed", pattern="^(closed|pnl|percent|duration)$")
    order: str = pydantic.Field("desc", pattern="^(asc|desc)$")


def view(row: Any) -> dict[str, Any]:
    trip = table.trip_of(row)
    prices = [
        None if price is None else plain(price.quantize(table.PRICE_STEP))
        for price in (trip.entry_price, trip.exit_price)
    ]
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
        "entry_price": prices[0],
        "exit_price": prices[1],
        "realized_pnl": plain(trip.realized),
        "fees": plain(trip.fees),
        "net_pnl": plain(trip.net),
        "percent": None if trip.percent is None else f"{trip.percent:.4f}",
        "duration_seconds": row.held_seconds,
        "currency": row.currency,
        "exit_reason": trip.exit_reason or None,
        "entry_signal_id": trip.entry_signal_id,
        "exit_signal_id": trip.exit_signal_id,
        "live": bool(row.live),
        "simulated": bool(row.live and trip.on_paper),
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
    with the_app().db.read() as conn:
        rows = table.list_page(
            conn,
            user.id,
            limit=query.limit + 1,
            sort=query.sort,
            rising=query.order == "asc",
            before=read_cursor(query.cursor, query.sort, is_open=is_open),
            **query.wanted(user),
        )
    return page(rows, query.limit, lambda row: cursor_of(row, query.sort, is_open=is_open), view)


def cursor_of(row: Any, sort: str, *, is_open: bool) -> str:
    value = table.sort_value(row, sort, is_open=is_open)
    return f"{(value - EPOCH) // _MICROSECOND if isinstance(value, datetime) else repr(value)}~{row.id}"


_MICROSECOND = datetime.resolution


def read_cursor(cursor: str | None, sort: str, *, is_open: bool) -> tuple[Any, int] | None:
    if not cursor:
        return None
    value, _, last = cursor.partition("~")
    try:
        number, row = (
            (float(value), int(last))
            if sort in ("pnl", "percent") and not is_open
            else (int(value), int(last))
        )
        if not math.isfinite(number) or not 0 <= row < 2**62:
            raise ValueError(cursor)
        return (EPOCH + number * _MICROSECOND if is_open or sort == "closed" else number), row
    except (ValueError, OverflowError):
        raise Answer(
            400,
            "bad_request",
            "The cursor is not one of ours.",
            "Take next_cursor from the page before.",
            field="cursor",
        ) from None


@endpoint(bp, "GET", "/round-trips.csv", query=TripFilter)
def round_trips_csv(user: User, query: TripFilter) -> Response:
    """The same as a CSV file, all of them, streamed."""
    wanted = query.wanted(user)

    def rows(conn: sa.Connection, before: Any) -> Pieces[tuple[Any, Any]]:
        with closing(table.stream(conn, user.id, before=before, **wanted)) as found:
            for key, row in found:
                yield key, list(view(row).values())

    return csv_file(user, csv_pieces(the_app(), COLUMNS, rows), "round-trips.csv")
