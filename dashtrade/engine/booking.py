"""What the venue says of an order becomes state, position and profit: in one commit, each fill once, in
whatever order it comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.state import after_fill
from dashtrade.domain.ledger import Booking, Position, book, new_fills
from dashtrade.domain.notices.trading import OrderFilled
from dashtrade.domain.orders import ENDED, FROM_VENUE, TRANSITIONS, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport
from dashtrade.domain.reasons import Code, reason, told
from dashtrade.domain.values import ZERO, plain
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
class Booked:
    """The order as it is now, and whether anything changed."""

    order: Order
    changed: bool


def apply_report(
    conn: sa.Connection, order: Order, report: OrderReport, now: datetime, bot: Bot | None = None
) -> Booked:
    """Book what is new in the report. A report that is old news, or older than what we know, changes nothing.

    The caller's order may have moved on meanwhile; then the update finds nothing, and it is read again. A
    caller in the middle of a transaction may bring the order's bot, which is then written down here."""
    account_table.lock_account(conn, order.account_id)
    if broker_held_exits.must_wait(conn, order, report):
        return Booked(order=order, changed=False)
    booked = _apply(conn, order, report, now, bot)
    if booked is None:
        booked = _apply(conn, order_table.load(conn, order.id), report, now, bot)
    assert booked is not None, "the account is locked: an order just read cannot have changed"
    failpoint("before_book_commit")
    return booked


def is_news(order: Order, report: OrderReport, now: datetime) -> bool:
    """May booking it change the order as it is now?"""
    return _may_fill(order, report) or _news(_advance(order, report, [], now)) != _news(order)


def _may_fill(order: Order, report: OrderReport) -> bool:
    return bool(report.fills) or report.filled_quantity > order.filled_quantity


def _apply(
    conn: sa.Connection, order: Order, report: OrderReport, now: datetime, bot: Bot | None
) -> Booked | None:
    told = _may_fill(order, report)
    known = fill_table.known_fills(conn, order.id) if order.filled_quantity and told else {}
    fees = sum((fee for fee, _ in known.values()), ZERO), sum((fee for _, fee in known.values()), ZERO)
    booked = order.filled_quantity, order.filled_notional
    new = list(new_fills(report, known.keys(), *booked, now, fees)) if told else []
    after = _advance(order, report, new, now)
    if not new and _news(after) == _news(order):
        if bot is not None:
            bot_positions.touch(conn, bot)
        return Booked(order=order, changed=False)
    if not order_table.update(conn, order, after):
        return None
    if report.legs:
        broker_held_exits.learn(conn, after, report.legs, now)
    why = after.reason
    if not why and new:
        why = reason(Code.FILLED_SO_FAR, quantity=after.filled_quantity, price=_price(after.average_price))
    order_events.log(conn, [(after, now, str(after.status), why)])
    if new:
        _book_fills(conn, order, after, new, now, bot or bot_positions.load(conn, after.bot_id))
    elif not after.is_open:
        release_bot(conn, after, bot)
    elif bot is not None:
        bot_positions.touch(conn, bot)
    if after.parent_id is not None and not after.is_open:
        broker_held_exits.ended(conn, after, now)
    settle(conn, after, now)
    return Booked(order=after, changed=True)


def _news(order: Order) -> tuple[object, ...]:
    """What a report without fills may change."""
    return order.status, order.reason, order.broker_order_id, order.reserve, order.due_at


def _advance(order: Order, report: OrderReport, new: list[BrokerFill], now: datetime) -> Order:
    filled = order.filled_quantity + sum((fill.quantity for fill in new), ZERO)
    notional = order.filled_notional + sum((fill.quantity * fill.price for fill in new), ZERO)
    status = FROM_VENUE[report.status]
    if filled >= order.quantity:
        status = OrderStatus.FILLED
    elif status in ENDED and not _complete(status, report, filled):
        status = OrderStatus.WORKING  # the venue is done, its fills are still on their way to us
    if status is not order.status and status not in TRANSITIONS[order.status]:
        status = order.status  # an old report must not undo what is known since
    ended = status not in (OrderStatus.WORKING, order.status)
    return replace(
        order,
        status=status,
        reason=told(report.reason) if ended else order.reason,
        broker_order_id=report.broker_order_id or order.broker_order_id,
        filled_quantity=filled,
        filled_notional=notional,
        reserve=ZERO,
        due_at=order.due_at if status is order.status else None,
        updated_at=now,
    )


def _complete(status: OrderStatus, report: OrderReport, filled: Decimal) -> bool:
    """Filled for less than we asked for can be right (the venue rounds); filled, or canceled half-way,
    without the fills cannot."""
    return filled >= report.filled_quantity and (filled > 0 or status is not OrderStatus.FILLED)


def _book_fills(
    conn: sa.Connection, before: Order, after: Order, fills: list[BrokerFill], now: datetime, bot: Bot
) -> None:
    position, realized, fees = bot.position, ZERO, ZERO
    booked = []
    for fill in fills:
        booking = _book_one(conn, after, position, fill, now)
        booked.append((position, fill, booking))
        position, realized, fees = booking.position, realized + booking.realized, fees + booking.fee
    first = not before.filled_quantity
    trade_table.put_trade(conn, after, fee=fees, realized=realized, at=fills[-1].at, first=first)
    changed = _after_fills(bot, after, fills, position, realized, fees, first, now)
    ended = trip_table.book(
        conn, after, booked, trailing=bool(bot.exits and bot.exits.stop and bot.exits.stop.trail)
    )
    changed = replace(changed, last_day=ended.counted(changed.last_day))
    if changed.exits and after.exits and broker_held_exits.are_held(conn, after):
        changed = replace(changed, exits=replace(changed.exits, held_by=after.exits.held_by))
    bot_positions.book(conn, changed, now=now)
    day_table.put_day(conn, changed)
    _tell(conn, bot, after, fills, realized, now)


def _book_one(
    conn: sa.Connection, order: Order, position: Position, fill: BrokerFill, now: datetime
) -> Booking:
    lots = fill_table.held_lots(conn, order.bot_id) if position.quantity * order.side.sign < 0 else []
    booking = book(position, lots, order.side, fill)
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
            "realized": booking.realized,
            "at": fill.at,
            "booked_at": now,
        },
    )
    failpoint("in_booking")
    for lot in booking.closed:
        fill_table.put_lot(conn, lot, now)
    if booking.opened:
        fill_table.add_lot(
            conn,
            {
                "user_id": order.user_id,
                "bot_id": order.bot_id,
                "fill_id": fill_id,
                "quantity": booking.opened,
                "remaining": booking.opened,
                "price": fill.price,
                "opened_at": fill.at,
                "closed_at": None,
            },
        )
    return booking


def _after_fills(
    bot: Bot,
    order: Order,
    fills: list[BrokerFill],
    position: Position,
    realized: Decimal,
    fees: Decimal,
    first: bool,
    now: datetime,
) -> Bot:
    day = bot.day(now.date())
    day = replace(
        day,
        realized=day.realized + realized,
        fees=day.fees + fees,
        trades=day.trades + int(first),
        volume=day.volume + sum((fill.quantity * fill.price for fill in fills), ZERO),
    )
    if order.is_open or not order.final:
        status = "ORDER SUBMITTED"
    else:
        status = "FILLED" if position.quantity else "READY"
    return replace(
        bot,
        position=position,
        realized_pnl=bot.realized_pnl + realized,
        fees=bot.fees + fees,
        last_day=day,
        status=status,
        total_trades=bot.total_trades + int(first),
        exits=after_fill(
            bot.exits, order.exits, position, order.side, at=fills[-1].at, time_zone=bot.time_zone
        ),
    )


def release_bot(conn: sa.Connection, order: Order, bot: Bot | None = None) -> None:
    """The order ended with nothing new filled: the bot shows what it owns again."""
    bot = bot or bot_positions.load(conn, order.bot_id)
    bot_positions.touch(conn, replace(bot, status="FILLED" if bot.position.quantity else "READY"))


def _tell(
    conn: sa.Connection, bot: Bot, order: Order, fills: list[BrokerFill], realized: Decimal, now: datetime
) -> None:
    quantity = sum((fill.quantity for fill in fills), ZERO)
    price = sum((fill.quantity * fill.price for fill in fills), ZERO) / quantity
    message_table.notify(
        conn,
        order.user_id,
        OrderFilled(
            bot=bot.name,
            side=order.side,
            quantity=quantity,
            symbol=bot.symbol.text,
            price=price,
            realized=realized if order.effect.reduces else None,
        ),
        now=now,
        signal_id=order.signal_id,
    )


def _price(price: Decimal | None) -> str:
    return plain(price.quantize(Decimal("0.00000001"))) if price is not None else "?"
