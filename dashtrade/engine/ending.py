"""How a decision ends, and with the last of its decisions the signal."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.values import ZERO, plain
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as table

ENDED = frozenset({"filled", "refused", "failed"})
_WORST_FIRST = ("attention", "waiting", "working", "failed", "filled", "refused")


def end_decision(conn: sa.Connection, decision_id: int, signal_id: str, *, status: str, reason: str, now: datetime,
                 written: bool = False) -> None:
    """Set the decision's status (unless the caller has) and carry it up to the signal: the most pressing of its decisions."""
    ended = now if status in ENDED else None
    if not written:
        table.end_decision(conn, decision_id, status=status, reason=reason, ended=ended)
    every = {d.status for d in table.decisions_of(conn, signal_id)}
    overall = next(known for known in _WORST_FIRST if known in every)
    overall = "working" if overall == "waiting" else overall
    table.end_signal(conn, signal_id, status=overall, reason=reason, ended=now if overall in ENDED else None)


def settle(conn: sa.Connection, order: Order, now: datetime) -> None:
    """An order has changed: what does that mean for its decision?"""
    if order.status is OrderStatus.ATTENTION:
        end_decision(conn, order.decision_id, order.signal_id, status="attention", reason=order.reason, now=now)
    elif order.status is OrderStatus.FILLED:
        if order.final:
            end_decision(conn, order.decision_id, order.signal_id, status="filled", reason=order.reason, now=now)
    elif not order.is_open:
        _drop_later_steps(conn, order, now)
        end_decision(conn, order.decision_id, order.signal_id, status=_short_of(order), reason=_why_short(order), now=now)
    elif order.status is OrderStatus.WORKING and order.rests:
        end_decision(conn, order.decision_id, order.signal_id, status="working", reason="resting at the venue", now=now)


def _short_of(order: Order) -> str:
    return "filled" if order.filled_quantity else "failed"


def _why_short(order: Order) -> str:
    part = f"{plain(order.filled_quantity)} of {plain(order.quantity)} filled, the rest was {order.status}"
    said = f": {order.reason}" if order.reason else ""
    return (part if order.filled_quantity else f"the order was {order.status}") + said


def _drop_later_steps(conn: sa.Connection, order: Order, now: datetime) -> None:
    """A flip whose closing order did not go through does not open anything."""
    if order.final:
        return
    for later in order_table.of_signal(conn, order.signal_id, order.bot_id):
        if later.step > order.step and later.status is OrderStatus.CREATED:
            dropped = replace(later, status=OrderStatus.CANCELED, reason=f"the step before it was {order.status}", reserve=ZERO, updated_at=now)
            order_table.update(conn, dropped)
            order_table.log(conn, [(dropped, now, "canceled", dropped.reason)])
