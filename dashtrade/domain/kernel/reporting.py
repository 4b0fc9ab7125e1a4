"""Turns broker reports into order state, positions and profit: each fill once, in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dashtrade.domain.kernel import broker_held_exits
from dashtrade.domain.kernel.booking import BookedFills, BookingInputs, FillResult, book_fills, resting_status
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.records import BookedFill, TradeChange
from dashtrade.domain.kernel.reports import may_fill, reported
from dashtrade.domain.kernel.settlement import settle
from dashtrade.domain.kernel.source import NewRow, TripInputs
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import BrokerFill, OrderReport
from dashtrade.domain.record import record, replace

_NO_TRIP = TripInputs(trip=None, origin="", cause=None)


@record
class Booked:
    """The order after booking, and whether anything changed."""

    order: Order
    changed: bool


def apply_report(books: Books, order_id: str, report: OrderReport, now: datetime) -> Booked:
    """Book what is new in the report; an outdated or repeated report changes nothing."""
    order = books.order(order_id)
    if broker_held_exits.must_wait(books, order, report):
        return Booked(order=order, changed=False)
    known = books.booked_fills(order_id) if order.filled_quantity and may_fill(order, report) else {}
    seen = reported(order, report, known, now)
    if not seen.changed:
        return Booked(order=order, changed=False)
    after = seen.order
    books.put_order(after)
    if report.legs:
        broker_held_exits.record_legs(books, after, report.legs, now)
    books.log(after, now, str(after.status), seen.reason)
    if seen.fills:
        _book(books, order, after, seen.fills, now)
    elif not after.is_open:
        release_bot(books, after)
    if after.parent_id is not None and not after.is_open:
        broker_held_exits.on_leg_ended(books, after, now)
    settle(books, after, now)
    return Booked(order=after, changed=True)


def release_bot(books: Books, order: Order) -> None:
    """The order ended with nothing new filled: its bot goes back to the status of what it owns."""
    bot = books.bot(order.bot_id)
    books.put_bot(replace(bot, status=resting_status(bot.position)))


def _book(books: Books, before: Order, after: Order, fills: Sequence[BrokerFill], now: datetime) -> None:
    booked = book_fills(before, after, fills, _inputs(books, after), now)
    for fill in booked.fills:
        _put_fill(books, after, fill, now)
    for lot in booked.lots:
        books.put_lot(lot)
    books.changes.trades.append(_trade(after, booked))
    for trip in booked.trips:
        books.put_trip(trip)
    books.put_booked_bot(replace(booked.bot, updated_at=now))
    books.notify(after.user_id, booked.notice, signal_id=after.signal_id, at=now)


def _inputs(books: Books, order: Order) -> BookingInputs:
    """Lots are read only if the order closes some, and round trips only if one is open."""
    bot = books.bot(order.bot_id)
    held = bot.position.quantity
    found = books.trip_inputs(order) if held else _NO_TRIP
    return BookingInputs(
        bot=bot,
        lots=books.lots(bot.id) if held * order.side.sign < 0 else [],
        trip=found.trip,
        origin=found.origin,
        cause=found.cause,
        exits_held=broker_held_exits.are_working(books, order),
    )


def _put_fill(books: Books, order: Order, booked: FillResult, now: datetime) -> None:
    fill, opened = booked.fill, booked.opened
    books.changes.fills.append(
        BookedFill(
            id=books.source.new_id(NewRow.FILL),
            order=order,
            fill=fill,
            realized=booked.realized,
            opened=opened,
            lot_id=books.add_lot(opened, fill.price, fill.at).id if opened else 0,
            booked_at=now,
        )
    )


def _trade(order: Order, booked: BookedFills) -> TradeChange:
    return TradeChange(
        order=order,
        fee=booked.fees,
        realized=booked.realized,
        at=booked.fills[-1].fill.at,
        first=booked.first,
    )
