"""Stores each change of an order's state on its way to the broker: the order, its event, and the effects on
its decision, bot and user. `Sender` decides when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from dashtrade.domain.kernel import next_states, sending
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Capabilities, Clock
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.record import replace
from dashtrade.domain.wording import words
from dashtrade.engine.steps import Lease, Step
from dashtrade.engine.workflow import Workflow

log = logging.getLogger("dashtrade.orders")

Change = Callable[[Order], Order]


class OrderStates:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def send_again(self, order: Order, lease: Lease, now: datetime, can: Capabilities) -> Workflow[Order]:
        """SUBMITTING once more, unless its user has stopped it meanwhile."""

        def again(books: Books, current: Order) -> Order:
            if why := sending.stop_reason(books, current, now):
                return next_states.not_found_and_stopped(current, why, can, now)
            return replace(next_states.submitting(current, now), reason=NO_REASON)

        def step(books: Books) -> Order:
            return sending.change(books, order, lambda current: again(books, current), self.clock.now())

        return (yield from self._store(order, step, lease))

    def change(self, order: Order, lease: Lease, change: Change) -> Workflow[Order]:
        """Under the lane's lease: writes of a worker that lost the lane are refused."""
        return (yield from self._store(order, self._change_of(order, change), lease))

    def change_sent(self, order: Order, change: Change) -> Workflow[Order]:
        """After an answer to sending, which counts even if the lane was lost meanwhile."""
        return (yield from self._store(order, self._change_of(order, change), None))

    def _change_of(self, order: Order, change: Change) -> Callable[[Books], Order]:
        return lambda books: sending.change(books, order, change, self.clock.now())

    def _store(self, order: Order, step: Callable[[Books], Order], lease: Lease | None) -> Workflow[Order]:
        after: Order = yield Step(order.account_id, step, lease)
        if after.status is not order.status:
            log_order(after)
        return after


def log_order(order: Order) -> None:
    log.info(
        "order %s signal %s account %s: %s %s",
        order.id,
        order.signal_id,
        order.account_id,
        order.status,
        words(order.reason),
    )
