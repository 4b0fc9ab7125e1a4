"""A change of an order's state on its way to the broker, with the effects on its decision, bot and user."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.reporting import release_bot
from dashtrade.domain.kernel.settlement import settle
from dashtrade.domain.notices.trading import OrderRefused, OrderUnconfirmed
from dashtrade.domain.orders import Order, OrderStatus, check_transition


def change_order(books: Books, order: Order, now: datetime) -> None:
    before = books.order(order.id)
    check_transition(before.status, order.status)
    books.put_order(order)
    if (before.status, before.reason) != (order.status, order.reason):
        books.log(order, now, str(order.status), order.reason)
    if order.status is before.status:
        return
    settle(books, order, now)
    if not order.is_open:
        release_bot(books, order)
    if order.status is OrderStatus.ATTENTION:
        unconfirmed = OrderUnconfirmed(
            order_id=order.id,
            side=order.side,
            quantity=order.quantity,
            symbol=order.symbol.text,
            reason=order.reason,
        )
        books.notify(order.user_id, unconfirmed, signal_id=order.signal_id, at=now)
    elif order.status is OrderStatus.REJECTED:
        refused = OrderRefused(
            side=order.side, quantity=order.quantity, symbol=order.symbol.text, reason=order.reason
        )
        books.notify(order.user_id, refused, signal_id=order.signal_id, at=now)
