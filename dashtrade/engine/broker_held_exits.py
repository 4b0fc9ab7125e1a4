"""Exits that the venue holds: orders there that came with an entry, known here from the venue's first answer
on.

Each is an order of its bot with `parent_id`, named as the venue names it. It gets its row in the commit that
books the entry's first report: a crash before that leaves the entry in doubt, its look-up tells the legs
again, and so none is ever lost. While they stand, the bot's note says who holds its exits (`held_by`); once
they are gone and something is left, DashTrade keeps them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.exits import exits as rules
from dashtrade.domain.exits.broker_held import is_native, written_as_held
from dashtrade.domain.notices.trading import ExitsTakenOver
from dashtrade.domain.orders import ENDED, FROM_VENUE, IN_DOUBT, Effect, Order, OrderStatus
from dashtrade.domain.ports import Leg, OrderReport
from dashtrade.domain.reasons import NO_REASON, Code, reason, told
from dashtrade.domain.signals import ExitPlan, Target
from dashtrade.domain.values import ZERO, OrderType, plain
from dashtrade.domain.wording import words
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import risk_events as risk_event_table


def must_wait(conn: sa.Connection, order: Order, report: OrderReport) -> bool:
    """News that cannot be booked yet: of an entry whose legs are not told, as they would be lost; of a leg's
    fill before its entry's, as it would look like a position the other way round. Each is told again."""
    if order.parent_id is not None:
        return (
            report.filled_quantity > order.filled_quantity and order_table.load(conn, order.parent_id).is_open
        )
    if report.legs or order.status not in IN_DOUBT or not is_native(order.exits):
        return False
    nothing_came_of_it = FROM_VENUE[report.status] in ENDED and not report.filled_quantity
    return not nothing_came_of_it and not order_table.legs_of(conn, order.id)


def learn(conn: sa.Connection, entry: Order, told: tuple[Leg, ...], now: datetime) -> None:
    known = {leg.id for leg in order_table.legs_of(conn, entry.id)}
    new = [
        _order(entry, leg, number, now)
        for number, leg in enumerate(told, 1)
        if leg.client_order_id not in known
    ]
    if new:
        order_table.insert(conn, new)
        by = (entry.exits or {}).get("native", "the venue")
        order_events.log(
            conn,
            [
                (
                    leg,
                    now,
                    str(leg.status),
                    reason(Code.EXIT_PLACED, exit=kind_of(leg), price=_price(leg), broker=by),
                )
                for leg in new
            ],
        )


def plan_of(told: tuple[Leg, ...], venue: str) -> rules.Kept | None:
    """The plan that an entry found at the venue was sent with."""
    if not told:
        return None
    stop = next((leg for leg in told if leg.stop_price is not None), None)
    return written_as_held(
        ExitPlan(
            take_profits=tuple(Target(price=leg.limit_price) for leg in told if leg.type is OrderType.LIMIT),
            stop_loss=Target(price=stop.stop_price, limit_price=stop.limit_price) if stop else None,
        ),
        venue,
    )


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
        alone=entry.alone,
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
    )


def kind_of(leg: Order) -> str:
    return "take-profit" if leg.type is OrderType.LIMIT else "stop-loss"


def _price(leg: Order) -> str:
    return plain(leg.stop_price or leg.limit_price or ZERO)


def are_held(conn: sa.Connection, entry: Order) -> bool:
    """They work from the moment the whole entry is filled; until then, and if one is gone already, DashTrade
    keeps them."""
    if entry.status is not OrderStatus.FILLED or not is_native(entry.exits):
        return False
    legs = order_table.legs_of(conn, entry.id)
    return bool(legs) and all(leg.is_open and not leg.cancel_requested for leg in legs)


def ended(conn: sa.Connection, leg: Order, now: datetime) -> None:
    """One exit is gone: so the others go too, wherever the venue does not see to it. What is then left
    DashTrade keeps."""
    bot = bot_positions.load(conn, leg.bot_id)
    others = [
        order
        for order in order_table.legs_of(conn, leg.parent_id or "")
        if order.is_open and order.id != leg.id
    ]
    if others:
        order_table.request_cancel(conn, [order.id for order in others])
    if leg.status is OrderStatus.FILLED:
        risk_event_table.add_risk_event(
            conn,
            bot,
            at=now,
            kind=kind_of(leg).replace("-", "_"),
            threshold=leg.stop_price or leg.limit_price or ZERO,
            actual=leg.average_price or ZERO,
            action="position reduced" if bot.position.quantity else "position closed",
            detail=reason(Code.EXIT_FILLED_AT_BROKER, exit=kind_of(leg), price=_price(leg)),
            signal_id=leg.signal_id,
        )
    kept = bot.exits
    if not kept or "held_by" not in kept or not bot.position.quantity:
        return
    lost = kept.get("lost") or (
        "" if leg.cancel_requested else words(leg.reason) or f"the {kind_of(leg)} was {leg.status} there"
    )
    if others:
        bot_table.change(conn, bot.user_id, bot.id, exits=kept | {"lost": lost})
        return
    ours = rules.released(kept)
    bot_table.change(conn, bot.user_id, bot.id, exits=ours)
    if lost:
        _tell(conn, bot, kept["held_by"], ours, lost, leg, now)


def _tell(
    conn: sa.Connection, bot: Bot, venue: str, kept: rules.Kept, why: str, leg: Order, now: datetime
) -> None:
    message_table.notify(
        conn,
        bot.user_id,
        ExitsTakenOver(
            bot=bot.name,
            broker=venue,
            quantity=abs(bot.position.quantity),
            symbol=bot.symbol.text,
            reason=told(why),
            exits=tuple(line.partition(" (")[0] for line in rules.said(kept)),
        ),
        now=now,
        signal_id=leg.signal_id,
    )
