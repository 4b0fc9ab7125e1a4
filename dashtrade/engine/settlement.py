"""How a decision ends, and with the last of its decisions the signal."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.domain.decisions.netting import APART
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.reasons import NO_REASON, Code, Fact, Reason
from dashtrade.domain.values import ZERO, OrderSide
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import order_events
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as table

ENDED = frozenset({"filled", "refused", "failed"})
# of a decision: to be made, or made with orders whose outcome is awaited (not resting)
UNDER_WAY = ("waiting", "sending")
_WORST_FIRST = ("attention", *UNDER_WAY, "working", "failed", "filled", "refused")


def end_decision(
    conn: sa.Connection, decision_id: int, *, status: str, reason: Reason, now: datetime
) -> None:
    decision_table.end_decision(
        conn, decision_id, status=status, reason=reason, ended=now if status in ENDED else None
    )


def end_signal(
    conn: sa.Connection, signal_id: str, *, sole_recipient: bool, status: str, reason: Reason, now: datetime
) -> None:
    """Carry a decision's status up to its signal: of several, the most pressing, with its reason."""
    if not sole_recipient:
        # two that end at once must each see the other, or neither ends the signal
        table.lock_signal(conn, signal_id)
        every = decision_table.decisions_of(conn, signal_id)
        foremost = min(every, key=lambda d: _WORST_FIRST.index(d.status))
        status, reason = foremost.status, foremost.reason
        if status in UNDER_WAY:
            status, reason = "accepted", NO_REASON
    table.end_signal(conn, signal_id, status=status, reason=reason, ended=now if status in ENDED else None)


def settle(conn: sa.Connection, order: Order, now: datetime) -> None:
    """An order has changed: what does that mean for its decision?"""
    found = _meaning(_whole(conn, order))
    # an exit at the venue is no part of what its entry's alert came to
    if found is None or order.parent_id is not None:
        return
    status, reason = found
    if not order.is_open and order.status is not OrderStatus.FILLED:
        _drop_later_steps(conn, order, now)
    end_decision(conn, order.decision_id, status=status, reason=reason, now=now)
    end_signal(
        conn, order.signal_id, sole_recipient=order.sole_recipient, status=status, reason=reason, now=now
    )


def _whole(conn: sa.Connection, order: Order) -> Order:
    """What was split at zero, or crossed for a part, is told as the one order it was decided as."""
    if not order.step % APART or order.status is not OrderStatus.FILLED:
        return order
    parts = [
        one
        for one in order_table.of_signal(conn, order.signal_id, order.bot_id)
        if one.step // APART == order.step // APART and one.step < order.step and one.parent_id is None
    ]
    return replace(
        order,
        filled_quantity=order.filled_quantity + sum((one.filled_quantity for one in parts), ZERO),
        filled_notional=order.filled_notional + sum((one.filled_notional for one in parts), ZERO),
    )


def _meaning(order: Order) -> tuple[str, Reason] | None:
    match order.status:
        case OrderStatus.ATTENTION:
            return "attention", order.reason
        case OrderStatus.FILLED:
            return ("filled", _done(order)) if order.final else None
        case OrderStatus.WORKING if order.rests:
            return "working", Reason(Code.RESTING)
        case OrderStatus.CANCELED | OrderStatus.EXPIRED | OrderStatus.REJECTED:
            return "filled" if order.filled_quantity else "failed", _why_short(order)
    return None


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


def _drop_later_steps(conn: sa.Connection, order: Order, now: datetime) -> None:
    """A flip whose closing order did not go through does not open anything."""
    if order.final:
        return
    for later in order_table.of_signal(conn, order.signal_id, order.bot_id):
        if later.step > order.step and later.status is OrderStatus.CREATED:
            why = Reason(Code.STEP_BEFORE_ENDED, {"status": str(order.status)})
            dropped = replace(later, status=OrderStatus.CANCELED, reason=why, reserve=ZERO, updated_at=now)
            order_table.update(conn, later, dropped)
            order_events.log(conn, [(dropped, now, "canceled", why)])
