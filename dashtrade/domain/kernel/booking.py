"""What fills change on their order's bot: lots, position, profit, round trips, exits, the day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.state import ExitState, after_fill
from dashtrade.domain.ledger import Booking, Lot, Position, book
from dashtrade.domain.notices.trading import OrderFilled
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.record import record, replace
from dashtrade.domain.round_trips import Execution, ExitReason, RoundTrip, exit_reason, follow_all, tally
from dashtrade.domain.signals import ExitCause
from dashtrade.domain.values import ZERO


@record
class BookingInputs:
    """The state that fills are booked against."""

    bot: Bot
    lots: Sequence[Lot]  # of its position, oldest first
    trip: RoundTrip | None  # the latest; None if a new one begins anyway
    origin: str  # of the order's signal
    cause: ExitCause | None  # of a signal by which DashTrade itself closes
    exits_held: bool  # the broker holds the exits of the order


@record
class FillResult:
    fill: BrokerFill
    opened: Decimal  # signed quantity of the new lot; 0: none
    realized: Decimal


@record
class BookedFills:
    """Everything to store."""

    bot: Bot
    fills: tuple[FillResult, ...]
    lots: tuple[Lot, ...]  # closed or reduced lots, after booking
    trips: tuple[RoundTrip, ...]  # new or changed trips
    realized: Decimal
    fees: Decimal
    first: bool  # the order's first fill
    notice: OrderFilled


def book_fills(
    before: Order, after: Order, fills: Sequence[BrokerFill], inputs: BookingInputs, now: datetime
) -> BookedFills:
    bot, position, lots = inputs.bot, inputs.bot.position, {lot.id: lot for lot in inputs.lots}
    touched: dict[int, Lot] = {}
    booked: list[tuple[Position, BrokerFill, Booking]] = []
    for fill in fills:
        # fills of one order have one side: none closes a lot that another of them opened
        one = book(position, [lot for lot in lots.values() if lot.remaining], after.side, fill)
        changed = {lot.id: lot for lot in one.closed}
        lots, touched = lots | changed, touched | changed
        booked.append((position, fill, one))
        position = one.position
    realized = sum((one.realized for _, _, one in booked), ZERO)
    fees = sum((one.fee for _, _, one in booked), ZERO)
    first = not before.filled_quantity
    trips = follow_all(inputs.trip, _executions(after, booked, inputs))
    now_is = _bot_after(bot, after, fills, position, realized, fees, first, now)
    return BookedFills(
        bot=replace(
            now_is,
            last_day=tally(trips).counted(now_is.last_day),
            exits=_exits_after(inputs, after, fills, position),
        ),
        fills=tuple(
            FillResult(fill=fill, opened=one.opened, realized=one.realized) for _, fill, one in booked
        ),
        lots=tuple(touched.values()),
        trips=tuple(trip for _, trip in trips),
        realized=realized,
        fees=fees,
        first=first,
        notice=_notice(bot, after, fills, realized),
    )


def _bot_after(
    bot: Bot,
    order: Order,
    fills: Sequence[BrokerFill],
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
    under_way = order.is_open or not order.final
    return replace(
        bot,
        position=position,
        realized_pnl=bot.realized_pnl + realized,
        fees=bot.fees + fees,
        last_day=day,
        status="ORDER SUBMITTED" if under_way else resting_status(position),
        total_trades=bot.total_trades + int(first),
    )


def resting_status(position: Position) -> str:
    """The status of a bot without a working order."""
    return "FILLED" if position.quantity else "READY"


def _exits_after(
    inputs: BookingInputs, order: Order, fills: Sequence[BrokerFill], position: Position
) -> ExitState | None:
    bot = inputs.bot
    exits = after_fill(bot.exits, order.exits, position, order.side, at=fills[-1].at, time_zone=bot.time_zone)
    if exits and order.exits and inputs.exits_held:
        return replace(exits, held_by=order.exits.held_by)
    return exits


def _executions(
    order: Order, booked: Sequence[tuple[Position, BrokerFill, Booking]], inputs: BookingInputs
) -> list[Execution]:
    why = _exit_reason(order, inputs)
    done = order.effect is Effect.CLOSE and order.status is OrderStatus.FILLED
    last = len(booked) - 1
    return [_execution(order, one, why, completes=done and place == last) for place, one in enumerate(booked)]


def _exit_reason(order: Order, inputs: BookingInputs) -> ExitReason:
    exits = inputs.bot.exits
    return exit_reason(
        origin=inputs.origin,
        cause=inputs.cause,
        order_type=order.type,
        held_at_broker=order.parent_id is not None,
        trailing=bool(exits and exits.stop and exits.stop.trail),
    )


def _execution(
    order: Order, booked: tuple[Position, BrokerFill, Booking], why: ExitReason, *, completes: bool
) -> Execution:
    held, fill, booking = booked
    return Execution(
        user_id=order.user_id,
        account_id=order.account_id,
        bot_id=order.bot_id,
        symbol=order.symbol,
        signal_id=order.signal_id,
        held=held.quantity,
        side=order.side,
        quantity=fill.quantity - fill.fee_base,
        price=fill.price,
        realized=booking.realized,
        fee=booking.fee,
        at=fill.at,
        completes=completes,
        reason=why,
        on_paper=order.on_paper,
    )


def _notice(bot: Bot, order: Order, fills: Sequence[BrokerFill], realized: Decimal) -> OrderFilled:
    quantity = sum((fill.quantity for fill in fills), ZERO)
    return OrderFilled(
        bot=bot.name,
        side=order.side,
        quantity=quantity,
        symbol=bot.symbol.text,
        price=sum((fill.quantity * fill.price for fill in fills), ZERO) / quantity,
        realized=realized if order.effect.reduces else None,
    )
