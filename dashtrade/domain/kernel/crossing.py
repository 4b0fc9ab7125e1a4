"""Two bots of one account that leave opposite positions at the same moment: the matching part is settled
internally.

One sells what the other buys, at mid price, without an order at the broker and without a fee: there the two
orders would cancel out, cost the spread twice, and need a short sale in between. Both are booked like any
other: an order each, marked with the other's id, one fill, one commit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dashtrade.domain.decisions.netting import STEP_SPACING
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.decided import put_approved
from dashtrade.domain.kernel.new_orders import NewOrder, order_of, rest_reason
from dashtrade.domain.kernel.reporting import apply_report
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.domain.reasons import Code, Reason, reason, several
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import ZERO, OrderSide, OrderType, client_order_id


@record
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

    @property
    def order_id(self) -> str:
        return client_order_id(self.task.signal_id, self.task.bot_id, 0)


def exit_candidate(task: PendingDecision, view: View, approved: Approved) -> ExitCandidate | None:
    """None without a live bid and ask."""
    step = approved.steps[0]
    priced = view.market_open and not view.quote.note
    return (
        ExitCandidate(task=task, view=view, approved=approved)
        if priced and step.effect.reduces and step.type is OrderType.MARKET
        else None
    )


def cross(books: Books, one: ExitCandidate, other: ExitCandidate, now: datetime) -> None:
    """Settle the matching part of both internally; what remains, and what follows, is sent as usual."""
    quantity, price = min(one.quantity, other.quantity), one.view.quote.mid
    crossed: list[Order] = []
    # a fixed order of the signals' locks prevents deadlocks
    for each, partner in sorted(((one, other), (other, one)), key=lambda pair: pair[0].task.signal_id):
        orders = _orders(each, partner, quantity, price)
        put_approved(books, each.task, each.view, each.approved, orders, now)
        crossed.append(orders[0].order)
    for order in crossed:
        _book(books, order, price, now)


def _orders(each: ExitCandidate, partner: ExitCandidate, quantity: Decimal, price: Decimal) -> list[NewOrder]:
    exit_, *later = each.approved.steps
    left = exit_.quantity - quantity
    if left >= max(each.view.rules.min_quantity, each.view.rules.quantity_step):
        rest = replace(exit_, quantity=left, explanation=rest_reason(exit_.side, left))
        steps = [(0, replace(exit_, quantity=quantity, effect=Effect.REDUCE)), (1, rest)]
    else:
        steps = [(0, replace(exit_, quantity=quantity))]
    steps += [(number * STEP_SPACING, step) for number, step in enumerate(later, 1)]
    first, *others = [
        NewOrder(
            order=order_of(
                each.task, each.view, step, number, final=number == steps[-1][0], status=OrderStatus.CREATED
            ),
            explanation=step.explanation,
        )
        for number, step in steps
    ]
    order = replace(
        first.order, status=OrderStatus.WORKING, sends=0, sent_at=None, crossed_with=partner.order_id
    )
    explanation = several((exit_.explanation, _crossing_reason(order, partner, price)))
    return [NewOrder(order=order, explanation=explanation), *others]


def _crossing_reason(order: Order, other: ExitCandidate, price: Decimal) -> Reason:
    verb = "bought from" if order.side is OrderSide.BUY else "sold to"
    return reason(Code.CROSSED, quantity=order.quantity, verb=verb, bot=other.view.bot.name, price=price)


def _book(books: Books, order: Order, price: Decimal, now: datetime) -> None:
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
    apply_report(books, order.id, report, now)
