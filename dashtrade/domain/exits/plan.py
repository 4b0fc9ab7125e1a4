"""The exits requested by an alert or by the bot's own settings, before the entry is filled."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import ExitPlan, Signal, Target
from dashtrade.domain.values import ZERO, Side

HUNDRED = Decimal(100)


@record
class OrderExits:
    """The exits of an entry order: they become levels once it is filled."""

    plan: ExitPlan
    held_by: str | None = None  # the broker that holds them as orders; None: DashTrade manages them
    price_step: Decimal = ZERO  # of the symbol; 0: unknown, levels stay unrounded


def plan_for(signal: Signal, default: ExitPlan) -> ExitPlan:
    """The alert's exits, part by part; the bot's where the alert has none."""
    return ExitPlan(
        take_profits=signal.take_profits or default.take_profits,
        stop_loss=signal.stop_loss or default.stop_loss,
        break_even=default.break_even if signal.break_even is None else signal.break_even,
        close_after=signal.close_after or default.close_after,
        close_at=signal.close_at or default.close_at,
    )


def misplaced(plan: ExitPlan, price: Decimal, side: Side) -> Reason:
    """Why an exit is invalid at that entry price: it would be reached at once, or never."""
    for name, target, sign in [("take-profit", t, side.sign) for t in plan.take_profits] + (
        [("stop-loss", plan.stop_loss, -side.sign)] if plan.stop_loss else []
    ):
        at = price_of(target, price, sign)
        if (at - price) * sign <= 0:
            where = "above" if sign > 0 else "below"
            return reason(Code.EXIT_ON_WRONG_SIDE, exit=name, at=at, where=where, price=price)
        if at <= 0:
            return reason(Code.EXIT_OUT_OF_REACH, exit=name, at=at)
    return NO_REASON


def price_of(target: Target, entry: Decimal, sign: int) -> Decimal:
    """`sign`: its direction from the entry price."""
    if target.price is not None:
        return target.price
    distance = target.amount if target.amount is not None else entry * (target.percent or ZERO) / HUNDRED
    return entry + sign * distance
