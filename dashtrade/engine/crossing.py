"""Two bots of one account that leave opposite positions at the same moment: the matching part is settled
internally.

One sells what the other buys, at mid price, without an order at the broker and without a fee: there the two
orders would cancel out, cost the spread twice, and need a short sale in between. Both are booked like any
other: an order each, marked with the other's id, one fill, one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.domain.decisions.decide import decide
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import ZERO, OrderSide, OrderType
from dashtrade.engine import booking
from dashtrade.tables import decisions as decision_table
from dashtrade.tables.decisions import PendingDecision
from dashtrade.tables.lanes import Lane

LoadView = Callable[[PendingDecision], View]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCandidate:
    """A decision whose first step closes a position at market."""

    task: PendingDecision
    view: View
    approved: Approved

    @property
    def side(self) -> OrderSide:
        return self.approved.steps[0].side

    @property
    def quantity(self) -> Decimal:
        return self.approved.steps[0].quantity


def exit_candidate(task: PendingDecision, view: View, approved: Approved) -> ExitCandidate | None:
    """None without a live bid and ask."""
    step = approved.steps[0]
    has_quote = view.market_open and not view.quote.note
    return (
        ExitCandidate(task=task, view=view, approved=approved)
        if has_quote and step.effect.reduces and step.type is OrderType.MARKET
        else None
    )


def counterpart(
    conn: sa.Connection,
    candidate: ExitCandidate,
    signal_of: Callable[[str], Signal],
    load_view: LoadView,
    now: datetime,
) -> ExitCandidate | None:
    """The first decision of another bot that waits in the same lane and closes in the opposite direction."""
    lane, checked_bots = Lane(candidate.task.account_id, candidate.task.symbol), {candidate.task.bot_id}
    for task in decision_table.due_in_lane(conn, lane, now):
        if task.bot_id in checked_bots:
            continue
        checked_bots.add(task.bot_id)  # only a bot's first decision may be taken; the later ones wait for it
        if task.held_until is not None and task.held_until > now:
            continue
        view = load_view(task)
        if view.bot.position.quantity * candidate.view.bot.position.quantity >= 0:
            continue
        decision = decide(signal_of(task.signal_id), view)
        other = (
            exit_candidate(task, view, decision)
            if isinstance(decision, Approved) and decision.steps
            else None
        )
        if other is not None and other.side is not candidate.side:
            return other
    return None


def settle(conn: sa.Connection, orders: Sequence[Order], price: Decimal, now: datetime) -> None:
    """Book both; their rows exist already, as working orders."""
    for order in orders:
        fill = BrokerFill(
            id=f"crossed-{order.id}",
            client_order_id=order.id,
            quantity=order.quantity,
            price=price,
            at=now,
            fee=ZERO,
        )
        report = OrderReport(
            client_order_id=order.id,
            broker_order_id=None,
            status=VenueStatus.FILLED,
            filled_quantity=order.quantity,
            average_price=price,
            fills=(fill,),
        )
        booking.apply_report(conn, order, report, now)


def crossing_reason(order: Order, other: ExitCandidate, price: Decimal) -> Reason:
    verb = "bought from" if order.side is OrderSide.BUY else "sold to"
    return reason(Code.CROSSED, quantity=order.quantity, verb=verb, bot=other.view.bot.name, price=price)
