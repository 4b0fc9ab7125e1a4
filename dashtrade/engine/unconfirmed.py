"""Unconfirmed orders: they may be at the broker or not. Each is looked up by its id, and sent again only
where a repeat is provably safe; a person is asked about the rest."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from bot_database import DatabaseUnavailable
from dashtrade.domain.kernel import next_states
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import BadCredentials, Capabilities, Clock, RetryLater, Unavailable
from dashtrade.domain.reasons import Code, quoted, reason
from dashtrade.engine.sending import Sender
from dashtrade.engine.steps import LaneLost, Lease
from dashtrade.engine.workflow import Call, Workflow
from dashtrade.failpoints import failpoint

log = logging.getLogger("dashtrade.orders")

LOOK_UP_AGAIN_AFTER = timedelta(seconds=1)


class UnconfirmedOrders:
    def __init__(self, clock: Clock, sender: Sender) -> None:
        self.clock, self._sender, self._states = clock, sender, sender.states

    def look_up(self, order: Order, lease: Lease) -> Workflow[Order]:
        """Look up an unconfirmed order; wait out the broker's lag and look again; resend only where provably
        safe."""
        now = self.clock.now()
        try:
            broker = self._sender.broker_of(order.account_id)
            report = yield Call(lambda: broker.find(order.ref))
            if report is not None:
                return (yield from self._sender.book(order, report))
            return (yield from self._not_found(order, lease, broker.capabilities, now))
        except (Unavailable, RetryLater) as error:
            why = quoted(error.message)
            due_at = now + max(getattr(error, "after", LOOK_UP_AGAIN_AFTER), LOOK_UP_AGAIN_AFTER)
        except BadCredentials as error:
            yield self._sender.disabling(order, error)
            why = reason(Code.CANNOT_BE_LOOKED_UP, because=error.message)
            return (
                yield from self._states.change(
                    order, lease, lambda current: next_states.needs_attention(current, why)
                )
            )
        except (LaneLost, DatabaseUnavailable):
            raise
        except Exception as error:
            log.exception("look-up of %s failed unexpectedly", order.id)
            why = reason(Code.UNEXPECTED_AT_BROKER, error=type(error).__name__)
            due_at = now + 5 * LOOK_UP_AGAIN_AFTER
        return (
            yield from self._states.change(
                order, lease, lambda current: next_states.unconfirmed(current, why, due_at)
            )
        )

    def _not_found(self, order: Order, lease: Lease, can: Capabilities, now: datetime) -> Workflow[Order]:
        after = next_states.not_found(order, can, now)
        if after.status is not OrderStatus.SUBMITTING:
            return (
                yield from self._states.change(
                    order, lease, lambda current: next_states.not_found(current, can, now)
                )
            )
        failpoint("before_resend")
        again = yield from self._states.send_again(order, lease, now, can)
        if again.status is not OrderStatus.SUBMITTING:
            self._sender.watch_for_late_fills(again)
            return again
        return (yield from self._sender.send(again, again=True))

    def look_up_again(self, order: Order) -> Workflow[Order]:
        """An order that needs attention may still turn up at the broker."""
        try:
            report = yield Call(lambda: self._sender.broker_of(order.account_id).find(order.ref))
        except (Unavailable, RetryLater, BadCredentials):
            return order
        return (yield from self._sender.book(order, report)) if report is not None else order
