"""A lane, one symbol of one account, and what it does next: one thing at a time; the first order or decision
that can advance goes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.orders import FROM_VENUE, Order, OrderStatus
from dashtrade.domain.ports import OrderReport
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol

MARKET_ORDER_FILLS_WITHIN = timedelta(seconds=15)  # the next signal waits at most this long for it


@record(kw_only=False)
class Lane:
    account_id: int
    symbol: Symbol


@record(kw_only=False)
class LookUp:
    """It may have reached the broker: look it up there."""

    order: Order


@record(kw_only=False)
class Send:
    """It was created and not sent yet."""

    order: Order


@record(kw_only=False)
class Cancel:
    order: Order


@record(kw_only=False)
class Decide:
    task: PendingDecision
    more: bool  # another decision waits behind it


Action = LookUp | Send | Cancel | Decide


def actions(orders: Sequence[Order], waiting: Sequence[PendingDecision], now: datetime) -> Iterator[Action]:
    """What could be done now, in this order, until one of them changes something. `orders` are the lane's
    open ones; `waiting` the first decisions to make."""
    for order in orders:
        action = _on_order(order, orders) if order.due_at is None or order.due_at <= now else None
        if action is not None:
            yield action
    if waiting and (waiting[0].held_until or now) <= now and not any(_blocks(o, orders, now) for o in orders):
        yield Decide(waiting[0], more=len(waiting) > 1)


def _on_order(order: Order, orders: Sequence[Order]) -> Action | None:
    match order.status:
        case OrderStatus.SUBMITTING | OrderStatus.UNKNOWN:
            return LookUp(order)
        case OrderStatus.CREATED if not _waits_its_turn(order, orders):
            return Send(order)
        case OrderStatus.WORKING if order.cancel_requested:
            return Cancel(order)
    return None


def _waits_its_turn(order: Order, orders: Sequence[Order]) -> bool:
    """An earlier step of its decision is still open."""
    return any(
        other.decision_id == order.decision_id and other.step < order.step and other.is_open
        for other in orders
    )


def _blocks(order: Order, orders: Sequence[Order], now: datetime) -> bool:
    """Must the next signal wait for this order? Yes while it is unconfirmed, being cancelled, or about to
    fill."""
    if order.status is OrderStatus.CREATED and _waits_its_turn(order, orders):
        return False  # the order before it blocks, if any
    if order.status is not OrderStatus.WORKING or order.cancel_requested:
        return True
    return not order.rests and now - order.created_at < MARKET_ORDER_FILLS_WITHIN


def only_arrived(report: OrderReport) -> bool:
    """It says no more than that the broker has the order."""
    return not report.filled_quantity and FROM_VENUE[report.status] is OrderStatus.WORKING


def is_news_of(order: Order, report: OrderReport) -> bool:
    """Does a stream's report say more than is known? The answer to sending confirms arrival."""
    return (
        report.filled_quantity > order.filled_quantity
        or FROM_VENUE[report.status] is not OrderStatus.WORKING
        or order.status in (OrderStatus.UNKNOWN, OrderStatus.ATTENTION)
    )
