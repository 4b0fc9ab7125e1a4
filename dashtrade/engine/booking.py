"""Turns broker reports into order state, positions and profit: in one commit, each fill once, in any order of
arrival."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.booking import BookedFill, BookedFills, Books, book_fills, resting_status
from dashtrade.domain.kernel.reports import may_fill, reported
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import OrderReport
from dashtrade.engine import broker_held_exits
from dashtrade.engine.settlement import settle
from dashtrade.failpoints import failpoint
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import trades as trade_table


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingResult:
    """The order after booking, and whether anything changed."""

    order: Order
    changed: bool


def apply_report(
    conn: sa.Connection, order: Order, report: OrderReport, now: datetime, bot: Bot | None = None
) -> BookingResult:
    """Book what is new in the report; an outdated or repeated report changes nothing.

    If the order was changed concurrently, the update matches no row and the order is read again. A caller
    inside a transaction may pass the order's bot, which is then saved here."""
    account_table.lock_account(conn, order.account_id)
    if broker_held_exits.must_wait(conn, order, report):
        return BookingResult(order=order, changed=False)
    booked = _apply(conn, order, report, now, bot)
    if booked is None:
        booked = _apply(conn, order_table.load(conn, order.id), report, now, bot)
    assert booked is not None, "the account is locked: an order just read cannot have changed"
    failpoint("before_book_commit")
    return booked


def _apply(
    conn: sa.Connection, order: Order, report: OrderReport, now: datetime, bot: Bot | None
) -> BookingResult | None:
    known_fills = (
        fill_table.known_fills(conn, order.id) if order.filled_quantity and may_fill(order, report) else {}
    )
    outcome = reported(order, report, known_fills, now)
    after = outcome.order
    if not outcome.changed:
        if bot is not None:
            bot_positions.touch(conn, bot)
        return BookingResult(order=order, changed=False)
    if not order_table.update(conn, order, after):
        return None
    if report.legs:
        broker_held_exits.record_legs(conn, after, report.legs, now)
    order_events.log(conn, [(after, now, str(after.status), outcome.reason)])
    if outcome.fills:
        bot = bot or bot_positions.load(conn, after.bot_id)
        _store(conn, after, book_fills(order, after, outcome.fills, _books(conn, after, bot), now), now)
    elif not after.is_open:
        release_bot(conn, after, bot)
    elif bot is not None:
        bot_positions.touch(conn, bot)
    if after.parent_id is not None and not after.is_open:
        broker_held_exits.on_leg_ended(conn, after, now)
    settle(conn, after, now)
    return BookingResult(order=after, changed=True)


def _books(conn: sa.Connection, order: Order, bot: Bot) -> Books:
    """Loads lots only if the order closes some, and round trips only if one is open."""
    owned = bot.position.quantity
    trip, origin, key = trip_table.latest(conn, order) if owned else (None, "", None)
    return Books(
        bot=bot,
        lots=fill_table.held_lots(conn, bot.id) if owned * order.side.sign < 0 else [],
        trip=trip,
        origin=origin,
        key=key,
        exits_held=broker_held_exits.are_working(conn, order),
    )


def _store(conn: sa.Connection, order: Order, booked: BookedFills, now: datetime) -> None:
    for booked_fill in booked.fills:
        _store_fill(conn, order, booked_fill, now)
    for lot in booked.lots:
        fill_table.put_lot(conn, lot, now)
    at = booked.fills[-1].fill.at
    trade_table.put_trade(conn, order, fee=booked.fees, realized=booked.realized, at=at, first=booked.first)
    for trip in booked.trips:
        trip_table.put(conn, trip)
    bot_positions.book(conn, booked.bot, now=now)
    day_table.put_day(conn, booked.bot)
    message_table.notify(conn, order.user_id, booked.notice, now=now, signal_id=order.signal_id)


def _store_fill(conn: sa.Connection, order: Order, booked: BookedFill, now: datetime) -> None:
    fill = booked.fill
    fill_id = fill_table.add_fill(
        conn,
        {
            "user_id": order.user_id,
            "account_id": order.account_id,
            "bot_id": order.bot_id,
            "order_id": order.id,
            "broker_fill_id": fill.id,
            "side": order.side,
            "quantity": fill.quantity,
            "price": fill.price,
            "fee": fill.fee,
            "fee_base": fill.fee_base,
            "realized": booked.realized,
            "at": fill.at,
            "booked_at": now,
        },
    )
    failpoint("in_booking")
    if booked.opened:
        fill_table.add_lot(
            conn,
            {
                "user_id": order.user_id,
                "bot_id": order.bot_id,
                "fill_id": fill_id,
                "quantity": booked.opened,
                "remaining": booked.opened,
                "price": fill.price,
                "opened_at": fill.at,
                "closed_at": None,
            },
        )


def release_bot(conn: sa.Connection, order: Order, bot: Bot | None = None) -> None:
    """The order ended with nothing new filled: its bot goes back to the status of what it owns."""
    bot = bot or bot_positions.load(conn, order.bot_id)
    bot_positions.touch(conn, replace(bot, status=resting_status(bot.position)))
