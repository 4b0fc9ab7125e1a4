"""The next state of an order on its way to the broker: sent, refused, unconfirmed, sent again, or left to its
user. `order_states.change_order` says what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.values import ZERO

MAX_SENDS = 6
MAX_RESEND_AGE = timedelta(minutes=10)  # an order found unsent after this is no longer sent
STOPPED_IS_LOOKED_FOR = timedelta(seconds=30)  # beyond the broker's own lag
STOPPED_IS_LOOKED_FOR_EVERY = timedelta(seconds=5)


def submitting(order: Order, now: datetime) -> Order:
    return replace(order, status=OrderStatus.SUBMITTING, sends=order.sends + 1, sent_at=now, due_at=None)


def stopped(order: Order, why: Reason) -> Order:
    """Before it was sent."""
    return replace(order, status=OrderStatus.CANCELED, reason=why, reserve=ZERO)


def refused(order: Order, why: Reason) -> Order:
    return replace(order, status=OrderStatus.REJECTED, reason=why, reserve=ZERO)


def unconfirmed(order: Order, why: Reason, due_at: datetime) -> Order:
    """An attempt, this one or an earlier one, may have arrived: it is looked up."""
    return replace(order, status=OrderStatus.UNKNOWN, reason=why, due_at=due_at)


def not_placed(order: Order, why: Reason, due_at: datetime) -> Order:
    """Certainly not placed: resent under the same id, when the broker allows. An entry is refused in the end;
    an exit never gives up."""
    if order.sends >= MAX_SENDS and not order.effect.reduces:
        return refused(order, why)
    return replace(order, status=OrderStatus.CREATED, reason=why, due_at=due_at)


def needs_attention(order: Order, why: Reason) -> Order:
    look = reason(Code.NEEDS_A_LOOK, because=why, symbol=order.symbol.short)
    return replace(order, status=OrderStatus.ATTENTION, reason=look, due_at=None)


def not_found(order: Order, can: Capabilities, now: datetime) -> Order:
    """The broker does not show it: wait out the broker's lag, then resend only where provably safe."""
    proven_missing_at = (order.sent_at or order.created_at) + can.settle
    if now < proven_missing_at:
        return unconfirmed(order, Reason(Code.LOOKED_UP_AGAIN), proven_missing_at)
    if not (can.client_ids and can.refuses_repeats):
        return needs_attention(order, reason(Code.MAY_BE_THERE, broker=can.name))
    if order.sends >= MAX_SENDS or now - order.created_at > MAX_RESEND_AGE:
        return needs_attention(order, reason(Code.NOT_THERE_TOO_LATE, broker=can.name))
    return replace(submitting(order, now), reason=NO_REASON)


def not_found_and_stopped(order: Order, why: Reason, can: Capabilities, now: datetime) -> Order:
    """It could be sent again, but its user has stopped it meanwhile. The broker may show it later than it
    promised, so it is looked for a while longer; then it was never placed. A late fill is booked anyway."""
    last_look = (order.sent_at or order.created_at) + can.settle + STOPPED_IS_LOOKED_FOR
    not_again = reason(Code.NOT_SENT_AGAIN, because=why)
    if now < last_look:
        return unconfirmed(order, not_again, min(now + STOPPED_IS_LOOKED_FOR_EVERY, last_look))
    return stopped(order, not_again)
