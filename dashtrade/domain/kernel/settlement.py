"""Carries what became of an order to its decision, and with the last of its decisions to the signal."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.outcomes import (
    ENDED,
    Outcome,
    as_decided,
    dropped_steps,
    is_part,
    most_pressing,
    outcome_of,
    stops_its_flip,
)
from dashtrade.domain.kernel.records import MadeDecision
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import NO_REASON, Reason


def end_decision(books: Books, decision_id: int, outcome: Outcome, now: datetime) -> None:
    books.put_outcome(decision_id, outcome, now if outcome.status in ENDED else None)


def end_signal(
    books: Books, signal_id: str, outcome: Outcome, *, sole_recipient: bool, now: datetime
) -> None:
    """Carry a decision's status up to its signal: of several, the most pressing, with its reason."""
    if not sole_recipient:
        outcome = most_pressing(books.outcomes(signal_id))
    books.put_signal(signal_id, outcome, now if outcome.status in ENDED else None)


def settle(books: Books, order: Order, now: datetime) -> None:
    """Update an order's decision after the order changed."""
    if order.parent_id is not None:
        return  # the alert's outcome depends on the entry, not on its exits at the broker
    of_signal = (
        books.orders_of_signal(order.signal_id, order.bot_id)
        if is_part(order) or stops_its_flip(order)
        else []
    )
    found = outcome_of(as_decided(order, of_signal) if is_part(order) else order)
    if found is None:
        return
    if stops_its_flip(order):
        for dropped in dropped_steps(order, of_signal, now):
            books.put_order(dropped)
            books.log(dropped, now, "canceled", dropped.reason)
    end_decision(books, order.decision_id, found, now)
    end_signal(books, order.signal_id, found, sole_recipient=order.sole_recipient, now=now)


def refuse(
    books: Books, decision_id: int, signal_id: str, reason: Reason, *, sole_recipient: bool, now: datetime
) -> None:
    """End a decision that was never made."""
    made = MadeDecision(counterfactual=NO_REASON, checks=None, numbers=None, at=now)
    books.make_decision(decision_id, "refused", reason, made, ended_at=now)
    end_signal(books, signal_id, Outcome("refused", reason), sole_recipient=sole_recipient, now=now)
