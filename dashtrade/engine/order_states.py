"""Stores each change of an order's state on its way to the broker: the order, its event, and the effects on
its decision, bot and user. `Sender` decides when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.kernel import next_states
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Capabilities, Clock
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.record import replace
from dashtrade.domain.wording import words
from dashtrade.engine.lanes import Leases
from dashtrade.engine.stored_books import on_books
from dashtrade.engine.workflow import Workflow, Write
from dashtrade.tables import accounts as account_table
from dashtrade.tables import orders as order_table
from dashtrade.tables.lanes import Lane

log = logging.getLogger("dashtrade.orders")

Change = Callable[[Order], Order]


class OrderStates:
    def __init__(self, clock: Clock, leases: Leases) -> None:
        self.clock, self.leases = clock, leases

    def send_again(
        self,
        order: Order,
        lane: Lane,
        token: int,
        now: datetime,
        can: Capabilities,
        stop_reason: Callable[[sa.Connection, Order], Reason],
    ) -> Workflow[Order]:
        """SUBMITTING once more, unless its user has stopped it meanwhile."""

        def work(conn: sa.Connection) -> Order:
            def again(current: Order) -> Order:
                if why := stop_reason(conn, current):
                    return next_states.not_found_and_stopped(current, why, can, now)
                return replace(next_states.submitting(current, now), reason=NO_REASON)

            self.leases.check(conn, lane, token)
            return self._change(conn, order, again)

        return (yield Write(work))

    def change(self, order: Order, lane: Lane, token: int, change: Change) -> Workflow[Order]:
        """Under the lane's lease: writes of a worker that lost the lane are refused."""

        def work(conn: sa.Connection) -> Order:
            self.leases.check(conn, lane, token)
            return self._change(conn, order, change)

        return (yield Write(work))

    def change_sent(self, order: Order, change: Change) -> Workflow[Order]:
        """After an answer to sending, which counts even if the lane was lost meanwhile."""
        return (yield Write(lambda conn: self._change(conn, order, change)))

    def _change(self, conn: sa.Connection, order: Order, change: Change) -> Order:
        """Change the state the caller knows; if a report arrived meanwhile, the report's state stays."""
        account_table.lock_account(conn, order.account_id)
        now, current = self.clock.now(), order_table.load(conn, order.id)
        if (current.status, current.sends) != (order.status, order.sends):
            return current
        return self.store(conn, current, replace(change(current), updated_at=now), now)

    def store(self, conn: sa.Connection, before: Order, order: Order, now: datetime) -> Order:
        """Store the order, an event, and the effects on its decision, bot and user."""

        def step(books: Books) -> None:
            books.remember([before])
            change_order(books, order, now)

        on_books(conn, step)
        if order.status is not before.status:
            log_order(order)
        return order


def log_order(order: Order) -> None:
    log.info(
        "order %s signal %s account %s: %s %s",
        order.id,
        order.signal_id,
        order.account_id,
        order.status,
        words(order.reason),
    )
