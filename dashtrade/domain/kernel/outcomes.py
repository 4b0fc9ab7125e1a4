"""Derives a decision's status from its orders, and a signal's status from its decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from dashtrade.domain.decisions.netting import STEP_SPACING
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.reasons import NO_REASON, Code, Fact, Reason
from dashtrade.domain.record import replace
from dashtrade.domain.values import ZERO, OrderSide

ENDED = frozenset({"filled", "refused", "failed"})
# of a decision: to be made, or made with orders still without an outcome (and not resting)
UNDER_WAY = ("waiting", "sending")
SIGNAL_UNDER_WAY = frozenset({"accepted", "working", "attention"})
_WORST_FIRST = ("attention", *UNDER_WAY, "working", "failed", "filled", "refused")


class Outcome(NamedTuple):
    status: str
    reason: Reason


def outcome_of(order: Order) -> Outcome | None:
    """The status of the decision that made the order; None: no change yet."""
    match order.status:
        case OrderStatus.ATTENTION:
            return Outcome("attention", order.reason)
        case OrderStatus.FILLED:
            return Outcome("filled", _done(order)) if order.final else None
        case OrderStatus.WORKING if order.rests:
            return Outcome("working", Reason(Code.RESTING))
        case OrderStatus.CANCELED | OrderStatus.EXPIRED | OrderStatus.REJECTED:
            return Outcome("filled" if order.filled_quantity else "failed", _why_short(order))
    return None


def most_pressing(decisions: Iterable[Outcome]) -> Outcome:
    """The signal's status, from several bots' decisions."""
    foremost = min(decisions, key=lambda one: _WORST_FIRST.index(one.status))
    return Outcome("accepted", NO_REASON) if foremost.status in UNDER_WAY else foremost


def is_part(order: Order) -> bool:
    """The order was split at zero or partly crossed: other orders belong to the same step."""
    return bool(order.step % STEP_SPACING) and order.status is OrderStatus.FILLED


def as_decided(order: Order, of_signal: Iterable[Order]) -> Order:
    """The order together with the earlier parts, as the one order that was decided."""
    parts = [
        one
        for one in of_signal
        if one.step // STEP_SPACING == order.step // STEP_SPACING
        and one.step < order.step
        and one.parent_id is None
    ]
    return replace(
        order,
        filled_quantity=order.filled_quantity + sum((one.filled_quantity for one in parts), ZERO),
        filled_notional=order.filled_notional + sum((one.filled_notional for one in parts), ZERO),
    )


def stops_its_flip(order: Order) -> bool:
    """A reversal whose closing order failed must not open the new position."""
    return not order.final and not order.is_open and order.status is not OrderStatus.FILLED


def dropped_steps(order: Order, of_signal: Iterable[Order], now: datetime) -> list[Order]:
    """The later steps of a reversal whose closing order failed, as they end."""
    why = Reason(Code.STEP_BEFORE_ENDED, {"status": str(order.status)})
    return [
        replace(later, status=OrderStatus.CANCELED, reason=why, reserve=ZERO, updated_at=now)
        for later in of_signal
        if later.step > order.step and later.status is OrderStatus.CREATED
    ]


def _done(order: Order) -> Reason:
    price = (order.average_price or ZERO).quantize(Decimal("0.00000001"))
    code = Code.BOUGHT if order.side is OrderSide.BUY else Code.SOLD
    return Reason(code, {"quantity": order.filled_quantity, "price": price})


def _why_short(order: Order) -> Reason:
    facts: dict[str, Fact] = {"status": str(order.status)}
    facts |= {"because": order.reason} if order.reason else {}
    if not order.filled_quantity:
        return Reason(Code.ENDED_UNFILLED, facts)
    return Reason(Code.PARTLY_FILLED, facts | {"filled": order.filled_quantity, "quantity": order.quantity})
