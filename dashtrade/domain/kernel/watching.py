"""What a price means for an open position: a limit is breached, an exit triggers, a trailing stop moves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.risk import day_result, loss_percent
from dashtrade.domain.exits.state import (
    UNFILLED_AFTER,
    ExitState,
    Trigger,
    TriggeredExit,
    advance_trailing_stop,
    find_trigger,
    overtakes,
)
from dashtrade.domain.kernel.outcomes import SIGNAL_UNDER_WAY
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import Quote
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import ExitCause


@record
class LimitBreach:
    """The position is closed, and the bot paused."""

    kind: ExitCause
    threshold: Decimal
    actual: Decimal
    reason: Reason


@record(kw_only=False)
class ExitTriggered:
    trigger: Trigger
    mark: Decimal


@record(kw_only=False)
class ExitUnderWay:
    """An exit was triggered earlier: `next_for` says how it goes on."""

    triggered: TriggeredExit


@record(kw_only=False)
class StopMoves:
    exits: ExitState


Finding = LimitBreach | ExitTriggered | ExitUnderWay | StopMoves


def examine(bot: Bot, quote: Quote, now: datetime) -> Finding | None:
    sign = bot.position.side.sign
    mark = quote.bid if sign > 0 else quote.ask  # the price at which it would close
    breach = _risk_breach(bot, mark) or _daily_loss_breach(bot, day_result(bot, bot.day(now.date()), mark))
    exits = bot.exits
    if breach is not None or not exits:
        return breach
    new_exits = exits if exits.held_by else advance_trailing_stop(exits, mark, sign)
    hit = find_trigger(new_exits, mark, bot.position, now)
    if exits.triggered is not None and not overtakes(hit, exits):
        return ExitUnderWay(exits.triggered)
    if hit is not None:
        return ExitTriggered(hit, mark)
    return StopMoves(new_exits) if new_exits != exits else None


def _risk_breach(bot: Bot, mark: Decimal) -> LimitBreach | None:
    limit = bot.risk_limit_percent
    if limit is None:
        return None
    loss = loss_percent(bot, mark)
    if loss < limit:
        return None
    return LimitBreach(
        kind=ExitCause.RISK_LIMIT,
        threshold=limit,
        actual=loss,
        reason=reason(
            Code.RISK_LIMIT_PASSED,
            loss_percent=f"{loss:.2f}",
            loss=-bot.position.unrealized(mark),
            limit_percent=limit,
        ),
    )


def _daily_loss_breach(bot: Bot, result: Decimal) -> LimitBreach | None:
    limit = bot.daily_loss_limit
    if limit is None or -result < limit:
        return None
    return LimitBreach(
        kind=ExitCause.DAILY_LOSS,
        threshold=limit,
        actual=-result,
        reason=reason(Code.DAILY_LIMIT_REACHED, loss=-result, limit=limit),
    )


def is_closing(bot: Bot, orders: Iterable[Order]) -> bool:
    """A market order to close it is already open; with the market closed, that order waits at the broker."""
    return any(
        order.bot_id == bot.id
        and order.effect is Effect.CLOSE
        and not order.rests
        and not order.cancel_requested
        for order in orders
    )


class NextForExit(Enum):
    """How a triggered exit goes on."""

    WAIT = auto()
    NOTIFY_UNFILLED = auto()
    FINISH = auto()
    SKIP = auto()  # a step of it cannot be ordered: the next one comes
    RETRY = auto()


def next_for(
    triggered: TriggeredExit,
    signal_status: str,
    signal_ended_at: datetime | None,
    orders: Iterable[Order],
    now: datetime,
) -> NextForExit:
    """`orders` are the bot's for the exit's signal."""
    orders = list(orders)
    if signal_status in SIGNAL_UNDER_WAY:
        unfilled = _unfilled_too_long(triggered, signal_status, now)
        return NextForExit.NOTIFY_UNFILLED if unfilled else NextForExit.WAIT
    if orders and all(order.status is OrderStatus.FILLED for order in orders):
        return NextForExit.FINISH
    if signal_status == "refused" and triggered.quantity is not None:
        return NextForExit.SKIP
    if now < triggered.retry_at(signal_ended_at or triggered.since):
        return NextForExit.WAIT
    return NextForExit.RETRY


def _unfilled_too_long(triggered: TriggeredExit, status: str, now: datetime) -> bool:
    return (
        triggered.limit is not None
        and not triggered.notified
        and status == "working"
        and now - triggered.since >= UNFILLED_AFTER
    )
