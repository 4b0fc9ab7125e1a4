"""Stores each change of an order's state on its way to the broker: the order, its event, and the effects on
its decision, bot and user. `Sender` decides when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import Clock
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.values import ZERO
from dashtrade.domain.wording import words
from dashtrade.engine.lanes import Leases
from dashtrade.engine.stored_books import on_books
from dashtrade.engine.workflow import Workflow, Write
from dashtrade.tables import accounts as account_table
from dashtrade.tables import orders as order_table
from dashtrade.tables.lanes import Lane

log = logging.getLogger("dashtrade.orders")


class OrderStates:
    def __init__(self, clock: Clock, leases: Leases) -> None:
        self.clock, self.leases = clock, leases

    def mark_needs_attention(self, order: Order, lane: Lane, token: int, why: Reason) -> Workflow[Order]:
        return (yield from self.change(order, lane, token, **_attention(order, why)))

    def send_again(
        self,
        order: Order,
        lane: Lane,
        token: int,
        now: datetime,
        stop_reason: Callable[[sa.Connection, Order], Reason],
    ) -> Workflow[Order]:
        """SUBMITTING once more. What its user has stopped meanwhile is not sent again, and may still be
        there."""

        def work(conn: sa.Connection) -> Order:
            self.leases.check(conn, lane, token)
            if why := stop_reason(conn, order_table.load(conn, order.id)):
                return self.move(conn, order, **_attention(order, why))
            again = {"status": OrderStatus.SUBMITTING, "reason": NO_REASON, "due_at": None}
            return self.move(conn, order, **again, sends=order.sends + 1, sent_at=now)

        return (yield Write(work))

    def change(self, order: Order, lane: Lane, token: int, **values: Any) -> Workflow[Order]:
        """Under the lane's lease: writes of a worker that lost the lane are refused."""

        def work(conn: sa.Connection) -> Order:
            self.leases.check(conn, lane, token)
            return self.move(conn, order, **values)

        return (yield Write(work))

    def mark_refused(self, order: Order, why: Reason) -> Workflow[Order]:
        return (
            yield Write(
                lambda conn: self.move(conn, order, status=OrderStatus.REJECTED, reason=why, reserve=ZERO)
            )
        )

    def mark_unconfirmed(
        self, order: Order, why: Reason, retry_after: timedelta = timedelta(0)
    ) -> Workflow[Order]:
        """An attempt, this one or an earlier one, may have arrived: the order must be looked up."""
        due_at = self.clock.now() + retry_after
        return (
            yield Write(
                lambda conn: self.move(conn, order, status=OrderStatus.UNKNOWN, reason=why, due_at=due_at)
            )
        )

    def move(self, conn: sa.Connection, order: Order, **values: Any) -> Order:
        """Change the state the caller knows; if a report arrived meanwhile, the report's state stays."""
        account_table.lock_account(conn, order.account_id)
        now, current = self.clock.now(), order_table.load(conn, order.id)
        if (current.status, current.sends) != (order.status, order.sends):
            return current
        return self.store(conn, current, replace(current, updated_at=now, **values), now)

    def store(self, conn: sa.Connection, before: Order, order: Order, now: datetime) -> Order:
        """Store the order, an event, and the effects on its decision, bot and user."""
        on_books(conn, lambda books: change_order(books, order, now))
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


def _attention(order: Order, why: Reason) -> dict[str, Any]:
    attention_reason = reason(Code.NEEDS_A_LOOK, because=why, symbol=order.symbol.short)
    return {"status": OrderStatus.ATTENTION, "reason": attention_reason, "due_at": None}
