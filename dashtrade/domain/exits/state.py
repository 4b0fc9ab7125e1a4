"""The exits of an open position: levels that the watch compares with the market.

Every change is a function from one `ExitState` to the next. Levels are rounded to the symbol's price step,
away from the market: an exit never triggers earlier than requested."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from dashtrade.domain.exits.plan import HUNDRED, OrderExits, price_of
from dashtrade.domain.ledger import Position
from dashtrade.domain.position_mismatch import scaled
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.signals import ExitPlan
from dashtrade.domain.values import ZERO, OrderSide

# before a refused exit is sent again
RETRY_AFTER = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600))
LONGEST_RETRY = timedelta(hours=6)
NOTIFY_AFTER_TRIES = 3  # consecutive refusals before the user is notified
UNFILLED_AFTER = timedelta(seconds=60)  # before the user is notified of an unfilled stop-limit


class ExitKind(StrEnum):
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TIME_LIMIT = "time_limit"

    @property
    def label(self) -> str:
        return self.replace("_", "-")


@record
class StopLevel:
    price: Decimal
    limit: Decimal | None = None  # of a stop-limit
    trail: Decimal | None = None  # a trailing stop's distance from the best price
    best: Decimal | None = None  # the best price seen, of a trailing stop


@record
class TargetLevel:
    """A take-profit step. Neither share nor quantity: all that is left."""

    price: Decimal
    share_percent: Decimal | None = None  # of `ExitState.size`
    quantity: Decimal | None = None


@record
class TriggeredExit:
    """An exit whose level was reached: retried until its part of the position is closed."""

    kind: ExitKind
    price: Decimal
    quantity: Decimal | None  # still to close; None: the whole position
    limit: Decimal | None
    signal_id: str
    tries: int
    since: datetime
    notified: bool = False

    def retry_at(self, failed_at: datetime) -> datetime:
        waits = RETRY_AFTER[self.tries - 1] if self.tries <= len(RETRY_AFTER) else LONGEST_RETRY
        return failed_at + waits


@record
class ExitState:
    """All exits of one bot's position. Falsy without exits."""

    stop: StopLevel | None = None
    take_profits: tuple[TargetLevel, ...] = ()
    size: Decimal | None = None  # the position as entered, which shares refer to
    break_even: bool = False  # after the first take-profit step the stop moves to the entry price
    until: datetime | None = None  # when the whole position is closed
    held_by: str | None = None  # the broker whose orders hold stop and take-profit; None: DashTrade watches
    lost: Reason | None = None  # why the broker no longer holds one of them, until the other is cancelled too
    triggered: TriggeredExit | None = None
    price_step: Decimal = ZERO

    def __bool__(self) -> bool:
        return bool(self.stop or self.take_profits or self.until or self.triggered)


@record
class Trigger:
    """The exit whose price or time is reached now."""

    kind: ExitKind
    price: Decimal
    quantity: Decimal | None  # None: the whole position
    limit: Decimal | None
    remaining: ExitState  # the other exits


# --- from plan to levels ------------------------------------------------------------------------------------


def after_fill(
    state: ExitState | None,
    asked: OrderExits | None,
    position: Position,
    side: OrderSide,
    *,
    at: datetime,
    time_zone: str,
) -> ExitState | None:
    """The exits after a booked fill: none when flat; an entry's own exits, priced from the average entry."""
    if position.average_price is None:
        return None
    if asked is None or position.quantity * side.sign < 0 or (state and state.triggered):
        return state  # a triggered exit must not be lost
    return price_exits(asked.plan, position, at, time_zone, asked.price_step)


def price_exits(
    plan: ExitPlan, position: Position, at: datetime, time_zone: str, price_step: Decimal
) -> ExitState:
    entry, sign = position.average_price or ZERO, position.side.sign
    targets = tuple(
        TargetLevel(
            price=round_away(price_of(target, entry, sign), sign, price_step),
            share_percent=target.share_percent,
            quantity=target.share_quantity,
        )
        for target in plan.take_profits
    )
    if targets and sum(target.share_percent or 0 for target in targets) == HUNDRED:
        # the last one also takes the rounding remainder
        targets = (*targets[:-1], replace(targets[-1], share_percent=None))
    ends = [at + plan.close_after] if plan.close_after else []
    ends += [_next(plan.close_at, at, time_zone)] if plan.close_at else []
    return ExitState(
        stop=_price_stop(plan, entry, sign, price_step),
        take_profits=targets,
        size=abs(position.quantity) if targets else None,
        break_even=plan.break_even,
        until=min(ends, default=None),
        price_step=price_step,
    )


def _price_stop(plan: ExitPlan, entry: Decimal, sign: int, price_step: Decimal) -> StopLevel | None:
    if plan.stop_loss is None:
        return None
    at = price_of(plan.stop_loss, entry, -sign)
    trails = plan.stop_loss.trailing
    return StopLevel(
        price=round_away(at, -sign, price_step),
        limit=plan.stop_loss.limit_price,
        trail=abs(entry - at) if trails else None,
        best=entry if trails else None,
    )


def round_away(price: Decimal, direction: int, step: Decimal) -> Decimal:
    """Round to the step, away from the market; never to zero."""
    if step <= 0:
        return price
    rounding = ROUND_CEILING if direction > 0 else ROUND_FLOOR
    return (price / step).to_integral_value(rounding) * step or price


def _next(wanted: time, after: datetime, time_zone: str) -> datetime:
    local = after.astimezone(ZoneInfo(time_zone))
    today = local.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return today if today > local else today + timedelta(days=1)


# --- changes ------------------------------------------------------------------------------------------------


def at_break_even(state: ExitState, position: Position) -> ExitState:
    """Move the stop to the entry price, unless it is better already. A trailing stop keeps trailing."""
    entry, sign = position.average_price or ZERO, position.side.sign
    wanted = round_away(entry, -sign, state.price_step)
    if state.stop is None:
        return replace(state, stop=StopLevel(price=wanted))
    if (state.stop.price - wanted) * sign >= 0:
        return state
    return replace(state, stop=replace(state.stop, price=wanted, limit=None))


def advance_trailing_stop(state: ExitState, mark: Decimal, sign: int) -> ExitState:
    """A trailing stop follows the best price seen, and never goes back."""
    stop = state.stop
    if stop is None or stop.trail is None or stop.best is None or (mark - stop.best) * sign <= 0:
        return state
    price = round_away(mark - sign * stop.trail, -sign, state.price_step)
    if (price - stop.price) * sign < 0:  # it was moved to break-even, and is closer than the trail
        price = stop.price
    return replace(state, stop=replace(stop, best=mark, price=price))


def trail_from(stop: StopLevel, price: Decimal, sign: int, price_step: Decimal) -> StopLevel:
    """The same trailing stop, starting from another price."""
    assert stop.trail is not None, "it trails"
    return replace(stop, best=price, price=round_away(price - sign * stop.trail, -sign, price_step))


def released(state: ExitState) -> ExitState:
    """The broker no longer holds them: DashTrade manages them from now on."""
    return replace(state, held_by=None, lost=None)


def after_split(state: ExitState | None, ratio: Decimal, sign: int) -> ExitState | None:
    """The same exits after a split: `ratio` times the quantity at a `ratio`th of the price."""
    if state is None:
        return None

    def level(price: Decimal, direction: int) -> Decimal:
        return round_away(price / ratio, direction, state.price_step)

    def count(quantity: Decimal | None) -> Decimal | None:
        return None if quantity is None else scaled(quantity, ratio)

    def part(price: Decimal | None) -> Decimal | None:
        return None if price is None else price / ratio

    stop, triggered = state.stop, state.triggered
    return replace(
        state,
        stop=stop
        and replace(
            stop,
            price=level(stop.price, -sign),
            limit=part(stop.limit),
            trail=part(stop.trail),
            best=part(stop.best),
        ),
        take_profits=tuple(
            replace(target, price=level(target.price, sign), quantity=count(target.quantity))
            for target in state.take_profits
        ),
        size=count(state.size),
        triggered=triggered
        and replace(
            triggered,
            price=triggered.price / ratio,
            limit=part(triggered.limit),
            quantity=count(triggered.quantity),
        ),
    )


def after_step(state: ExitState, position: Position, kind: ExitKind) -> ExitState:
    """An exit has closed its part; if configured, the stop moves to the entry price."""
    rest = replace(state, triggered=None)
    if kind is ExitKind.TAKE_PROFIT and rest.break_even:
        rest = at_break_even(replace(rest, break_even=False), position)
    return rest


# --- the watch ----------------------------------------------------------------------------------------------


def levels(state: ExitState, sign: int) -> Iterator[tuple[Decimal, int, ExitKind]]:
    """(price, its side of the market, kind of exit)."""
    for target in state.take_profits:
        yield target.price, sign, ExitKind.TAKE_PROFIT
    if state.stop is not None:
        yield state.stop.price, -sign, ExitKind.STOP_LOSS


def find_trigger(state: ExitState, mark: Decimal, position: Position, now: datetime) -> Trigger | None:
    """The first exit that is reached. Exits at the broker are triggered there; a time limit is always
    DashTrade's."""
    sign = position.side.sign
    if state.until is not None and now >= state.until:
        return Trigger(kind=ExitKind.TIME_LIMIT, price=mark, quantity=None, limit=None, remaining=state)
    if state.held_by is not None:
        return None
    stop = state.stop
    if stop is not None and (mark - stop.price) * sign <= 0:
        return Trigger(
            kind=ExitKind.STOP_LOSS, price=stop.price, quantity=None, limit=stop.limit, remaining=state
        )
    for number, target in enumerate(state.take_profits):
        if (mark - target.price) * sign >= 0:
            rest = state.take_profits[:number] + state.take_profits[number + 1 :]
            return Trigger(
                kind=ExitKind.TAKE_PROFIT,
                price=target.price,
                quantity=_part(target, state, position),
                limit=None,
                remaining=replace(state, take_profits=rest),
            )
    return None


def overtakes(trigger: Trigger | None, state: ExitState) -> bool:
    """A stop or a time limit does not wait for a triggered take-profit step."""
    return (
        trigger is not None
        and trigger.kind is not ExitKind.TAKE_PROFIT
        and state.triggered is not None
        and state.triggered.kind is ExitKind.TAKE_PROFIT
    )


def _part(target: TargetLevel, state: ExitState, position: Position) -> Decimal | None:
    """How much of the position one step closes; None: all of it. Shares refer to the position as entered."""
    held = abs(position.quantity)
    if target.quantity:
        part = target.quantity
    elif target.share_percent:
        part = (state.size or held) * target.share_percent / HUNDRED
    else:
        return None
    return part if part < held else None
