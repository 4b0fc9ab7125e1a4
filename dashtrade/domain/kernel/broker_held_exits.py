"""Exits that the broker holds: orders placed there together with an entry, recorded here from the broker's
first report.

Each is an order of its bot with `parent_id`, under the broker's name for it. Its row is written in the commit
that books the entry's first report: after a crash before that, the entry is unconfirmed and its look-up
reports the legs again, so none is lost. While the legs are open, `ExitState.held_by` names the broker; once
they are gone and part of the position remains, DashTrade manages the exits."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.broker_held import is_held_by_broker
from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.exits.state import ExitKind, ExitState, released
from dashtrade.domain.exits.wording import exit_lines
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.records import RiskEvent
from dashtrade.domain.notices.trading import ExitsTakenOver
from dashtrade.domain.orders import ENDED, FROM_VENUE, UNCONFIRMED, Effect, Order, OrderStatus
from dashtrade.domain.ports import Leg, OrderReport
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import ExitPlan, Target
from dashtrade.domain.values import ZERO, OrderType, plain


def must_wait(books: Books, order: Order, report: OrderReport) -> bool:
    """Reports that cannot be booked yet: an entry's without its legs, which would be lost; a leg's fill
    before its entry's, which would look like an opposite position. The broker reports both again."""
    if order.parent_id is not None:
        return report.filled_quantity > order.filled_quantity and books.order(order.parent_id).is_open
    if report.legs or order.status not in UNCONFIRMED or not is_held_by_broker(order.exits):
        return False
    nothing_came_of_it = FROM_VENUE[report.status] in ENDED and not report.filled_quantity
    return not nothing_came_of_it and not books.legs_of(order)


def record_legs(books: Books, entry: Order, reported: tuple[Leg, ...], now: datetime) -> None:
    known = {leg.id for leg in books.legs_of(entry)}
    by = (entry.exits.held_by if entry.exits else None) or "the broker"
    for number, leg in enumerate(reported, 1):
        if leg.client_order_id not in known:
            order = _order(entry, leg, number, now)
            placed = reason(Code.EXIT_PLACED, exit=kind_of(order).label, price=_price(order), broker=by)
            books.add_order(order)
            books.log(order, now, str(order.status), placed)


def exits_of(legs: tuple[Leg, ...], broker: str) -> OrderExits | None:
    """The exits sent with an entry that was found at the broker."""
    if not legs:
        return None
    stop = next((leg for leg in legs if leg.stop_price is not None), None)
    plan = ExitPlan(
        take_profits=tuple(Target(price=leg.limit_price) for leg in legs if leg.type is OrderType.LIMIT),
        stop_loss=Target(price=stop.stop_price, limit_price=stop.limit_price) if stop else None,
    )
    return OrderExits(plan=plan, held_by=broker)


def _order(entry: Order, leg: Leg, number: int, now: datetime) -> Order:
    return Order(
        id=leg.client_order_id,
        user_id=entry.user_id,
        account_id=entry.account_id,
        bot_id=entry.bot_id,
        signal_id=entry.signal_id,
        decision_id=entry.decision_id,
        step=entry.step + number,
        final=True,
        sole_recipient=entry.sole_recipient,
        symbol=entry.symbol,
        side=leg.side,
        effect=Effect.CLOSE,
        type=leg.type,
        quantity=leg.quantity,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        trail_amount=None,
        trail_percent=None,
        time_in_force=leg.time_in_force,
        extended_hours=False,
        status=OrderStatus.WORKING,
        reason=NO_REASON,
        broker_order_id=leg.broker_order_id,
        parent_id=entry.id,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        reserve=ZERO,
        exits=None,
        cancel_requested=False,
        sends=1,
        due_at=None,
        sent_at=now,
        created_at=now,
        updated_at=now,
        on_paper=entry.on_paper,
    )


def kind_of(leg: Order) -> ExitKind:
    return ExitKind.TAKE_PROFIT if leg.type is OrderType.LIMIT else ExitKind.STOP_LOSS


def _price(leg: Order) -> str:
    return plain(leg.stop_price or leg.limit_price or ZERO)


def are_working(books: Books, entry: Order) -> bool:
    """The broker's exits work once the whole entry is filled; until then, or if one is already gone,
    DashTrade manages the exits."""
    if entry.status is not OrderStatus.FILLED or not is_held_by_broker(entry.exits):
        return False
    legs = books.legs_of(entry)
    return bool(legs) and all(leg.is_open and not leg.cancel_requested for leg in legs)


def on_leg_ended(books: Books, leg: Order, now: datetime) -> None:
    """One exit ended: cancel the others where the broker does not do so. DashTrade manages the exits of what
    remains."""
    bot, entry = books.bot(leg.bot_id), books.order(leg.parent_id or "")
    others = [order for order in books.legs_of(entry) if order.is_open and order.id != leg.id]
    books.request_cancel(others)
    if leg.status is OrderStatus.FILLED:
        books.add_risk_event(
            RiskEvent(
                bot=bot,
                at=now,
                kind=kind_of(leg),
                threshold=leg.stop_price or leg.limit_price or ZERO,
                actual=leg.average_price or ZERO,
                action=Reason(Code.POSITION_REDUCED if bot.position.quantity else Code.POSITION_CLOSED),
                detail=reason(Code.EXIT_FILLED_AT_BROKER, exit=kind_of(leg).label, price=_price(leg)),
                signal_id=leg.signal_id,
            )
        )
    exits = bot.exits
    if not exits or exits.held_by is None or not bot.position.quantity:
        return
    lost = exits.lost or _why_lost(leg)
    if others:
        books.put_bot(replace(bot, exits=replace(exits, lost=lost), updated_at=now))
        return
    books.put_bot(replace(bot, exits=released(exits), updated_at=now))
    if lost:
        _tell(books, bot, exits.held_by, released(exits), lost, leg, now)


def _why_lost(leg: Order) -> Reason:
    if leg.cancel_requested:
        return NO_REASON
    return leg.reason or reason(Code.EXIT_ENDED_AT_BROKER, exit=kind_of(leg).label, status=str(leg.status))


def _tell(
    books: Books, bot: Bot, broker: str, exits: ExitState, why: Reason, leg: Order, now: datetime
) -> None:
    books.notify(
        bot.user_id,
        ExitsTakenOver(
            bot=bot.name,
            broker=broker,
            quantity=abs(bot.position.quantity),
            symbol=bot.symbol.text,
            reason=why,
            exits=tuple(exit_lines(exits)),
        ),
        signal_id=leg.signal_id,
        at=now,
    )
