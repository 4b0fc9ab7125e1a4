"""An order on its way to the broker: sent once, unless its user has stopped it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dashtrade.domain.decisions.netting import split_at_zero, split_reason
from dashtrade.domain.decisions.risk import entry_still_allowed
from dashtrade.domain.kernel import next_states
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.holdings import account_net
from dashtrade.domain.kernel.new_orders import rest_reason
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.record import replace


def start(books: Books, order_id: str, can: Capabilities, now: datetime) -> Order | None:
    """CREATED -> SUBMITTING, unless its user has stopped it meanwhile."""
    current = books.order(order_id)
    if current.status is not OrderStatus.CREATED:
        return None
    if why := stop_reason(books, current, now):
        change_order(books, replace(next_states.stopped(current, why), updated_at=now), now)
        return None
    part = part_to_send(books, current, can, now)
    submitting = replace(next_states.submitting(part, now), updated_at=now)
    change_order(books, submitting, now)
    return submitting


def stop_reason(books: Books, order: Order, now: datetime) -> Reason:
    """Why its user would not have it sent any more; no reason: it may be."""
    if order.cancel_requested:
        return Reason(Code.CANCELLED_BEFORE_SENDING)
    if order.effect.reduces:
        return NO_REASON
    bot = books.bot(order.bot_id)
    return entry_still_allowed(bot, books.source.restrictions(bot, now).switches)


def part_to_send(books: Books, order: Order, can: Capabilities, now: datetime) -> Order:
    """An order from long to short is sent in two parts; the second is checked against the account's holdings
    at that time."""
    net = None if can.crosses_zero else account_net(books.source, order.account_id, order.symbol)
    if net is None:
        return order
    first, rest = split_at_zero(order, net, can)
    if first.quantity != order.quantity:
        books.put_order(first)
    if rest is not None:
        books.add_order(rest)
        books.log(first, now, str(first.status), split_reason(first, rest))
        books.log(rest, now, str(rest.status), rest_reason(rest.side, rest.quantity))
    return first


def change(books: Books, known: Order, fn: Callable[[Order], Order], now: datetime) -> Order:
    """Change the state the caller knows; if a report arrived meanwhile, the report's state stays."""
    current = books.order(known.id)
    if (current.status, current.sends) != (known.status, known.sends):
        return current
    after = replace(fn(current), updated_at=now)
    change_order(books, after, now)
    return after


def cancel_again_at(books: Books, order_id: str, at: datetime) -> None:
    current = books.order(order_id)
    if current.is_open:
        books.put_order(replace(current, due_at=at))
