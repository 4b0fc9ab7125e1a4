"""Stores the end of a decision and, with the last of its decisions, of the signal."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.kernel.settlement import (
    ENDED,
    Outcome,
    as_decided,
    dropped_steps,
    is_part,
    most_pressing,
    outcome_of,
    stops_later_steps,
)
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import order_events
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as table


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
        # otherwise two that end at once might each miss the other, and the signal would never end
        table.lock_signal(conn, signal_id)
        all_decisions = decision_table.decisions_of(conn, signal_id)
        status, reason = most_pressing(Outcome(one.status, one.reason) for one in all_decisions)
    table.end_signal(conn, signal_id, status=status, reason=reason, ended=now if status in ENDED else None)


def refuse_undecided(
    conn: sa.Connection,
    decision_id: int,
    signal_id: str,
    *,
    sole_recipient: bool,
    reason: Reason,
    now: datetime,
) -> bool:
    """End a decision that was never made. False: it was decided meanwhile."""
    if not decision_table.decided(
        conn,
        decision_id,
        status="refused",
        reason=reason,
        counterfactual=NO_REASON,
        checks=None,
        numbers=None,
        now=now,
        ended=True,
    ):
        return False
    end_signal(conn, signal_id, sole_recipient=sole_recipient, status="refused", reason=reason, now=now)
    return True


def settle(conn: sa.Connection, order: Order, now: datetime) -> None:
    """Update an order's decision after the order changed."""
    if order.parent_id is not None:
        return  # the alert's outcome depends on the entry, not on its exits at the broker
    signal_orders = (
        order_table.of_signal(conn, order.signal_id, order.bot_id)
        if is_part(order) or stops_later_steps(order)
        else []
    )
    outcome = outcome_of(as_decided(order, signal_orders) if is_part(order) else order)
    if outcome is None:
        return
    if stops_later_steps(order):
        for before, dropped in dropped_steps(order, signal_orders, now):
            order_table.update(conn, before, dropped)
            order_events.log(conn, [(dropped, now, "canceled", dropped.reason)])
    end_decision(conn, order.decision_id, status=outcome.status, reason=outcome.reason, now=now)
    end_signal(
        conn,
        order.signal_id,
        sole_recipient=order.sole_recipient,
        status=outcome.status,
        reason=outcome.reason,
        now=now,
    )
