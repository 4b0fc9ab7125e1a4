"""Sends orders to a broker: once. An unconfirmed order is never sent again while in doubt.

`order_requests` builds what is sent, `order_states` stores the outcome, `unconfirmed` looks up what may have
arrived."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from bot_database import DatabaseUnavailable
from dashtrade.domain.kernel import next_states, reporting, sending
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.kernel.paper_pages import PaperPages
from dashtrade.domain.kernel.reporting import Booked
from dashtrade.domain.kernel.reports import is_news
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import (
    BadCredentials,
    Broker,
    BrokerError,
    Clock,
    NotHeld,
    OrderReport,
    Rejected,
    RetryLater,
    Unavailable,
    Unknown,
)
from dashtrade.domain.reasons import Code, Reason, quoted, reason
from dashtrade.domain.record import replace
from dashtrade.domain.values import plain
from dashtrade.engine.booking import report_step
from dashtrade.engine.lanes import Leases
from dashtrade.engine.order_requests import booked_holdings, request_of
from dashtrade.engine.order_states import OrderStates, log_order
from dashtrade.engine.steps import AccountBusy, LaneLost, Lease, Step
from dashtrade.engine.store import Store
from dashtrade.engine.workflow import Call, Workflow, Write
from dashtrade.failpoints import failpoint

log = logging.getLogger("dashtrade.orders")

# fills arrive up to this long after a cancellation; reconciliation finds later ones
LATE_FILLS_WITHIN = timedelta(seconds=60)
_MAY_FILL_LATE = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
CANCEL_AGAIN_AFTER = timedelta(seconds=5)  # a cancellation without effect


class Sender:
    """Each method makes at most one call to the broker, outside of any transaction, and then stores the
    outcome.

    The built-in paper broker keeps its books in our own database (`offers.local`): sending to it is part of
    the transaction of decision and booking, and always has a known outcome."""

    def __init__(
        self, store: Store, clock: Clock, leases: Leases, broker_of: Callable[[int], Broker]
    ) -> None:
        self.store, self.clock, self.leases, self.broker_of = store, clock, leases, broker_of
        self.states = OrderStates(clock)
        self.being_sent: set[str] = set()  # being sent now: the answer will confirm arrival
        # ended unfilled a moment ago -> late fills possible until
        self._recently_ended: dict[str, tuple[Order, datetime]] = {}

    # --- sending --------------------------------------------------------------------------------------------

    def start(self, order: Order, lease: Lease) -> Workflow[Order | None]:
        """CREATED -> SUBMITTING, unless its user has stopped it meanwhile."""
        now, can = self.clock.now(), self.broker_of(order.account_id).capabilities
        started: Order | None = yield Step(
            order.account_id, lambda books: sending.start(books, order.id, can, now), lease
        )
        return started

    def send(self, order: Order, *, again: bool = False) -> Workflow[Order]:
        """Send an order that is SUBMITTING and whose lane is held, once. `again`: an earlier attempt may have
        arrived."""
        # stalled too long: the lane's next holder looks the order up
        lane = Lane(order.account_id, order.symbol)
        if not self.leases.is_fresh(lane):
            raise LaneLost(lane)
        failpoint("before_send")
        try:
            return (yield from self._send(order, self.broker_of(order.account_id)))
        except NotHeld as error:
            return (yield from self._not_held(order, error, again))
        except Rejected as error:
            return (yield from self._on_refusal(order, quoted(error.message), again))
        except RetryLater as error:
            if again:
                return (yield from self._unconfirmed(order, quoted(error.message), error.after))
            return (yield from self._not_placed(order, error))
        except BadCredentials as error:
            yield self.disabling(order, error)
            follow = self._unconfirmed if again else self._refused
            return (yield from follow(order, quoted(error.message)))
        except Unknown as error:
            why = quoted(error.message)
        except (LaneLost, DatabaseUnavailable):
            raise
        except Exception as error:  # an adapter's bug must not look like a refusal: the order may exist
            log.exception("submit of %s failed unexpectedly", order.id)
            why = reason(Code.UNEXPECTED_AT_BROKER, error=type(error).__name__)
        return (yield from self._unconfirmed(order, why))

    def _refused(self, order: Order, why: Reason) -> Workflow[Order]:
        return (yield from self.states.change_sent(order, lambda current: next_states.refused(current, why)))

    def _unconfirmed(
        self, order: Order, why: Reason, retry_after: timedelta = timedelta(0)
    ) -> Workflow[Order]:
        due_at = self.clock.now() + retry_after
        return (
            yield from self.states.change_sent(
                order, lambda current: next_states.unconfirmed(current, why, due_at)
            )
        )

    def _not_placed(self, order: Order, error: RetryLater) -> Workflow[Order]:
        why, due_at = quoted(error.message), self.clock.now() + error.after
        return (
            yield from self.states.change_sent(
                order, lambda current: next_states.not_placed(current, why, due_at)
            )
        )

    def _send(self, order: Order, broker: Broker) -> Workflow[Order]:
        if broker.offers.local:
            return (yield Step(order.account_id, lambda books: self._carry_out_locally(books, order, broker)))
        request = request_of(order, booked_holdings(self.store, order, broker))
        self.being_sent.add(order.id)
        try:
            report = yield Call(lambda: broker.submit(request))
        finally:
            self.being_sent.discard(order.id)
        failpoint("after_send")
        return (yield from self.book(order, report))

    def _not_held(self, order: Order, error: NotHeld, again: bool) -> Workflow[Order]:
        """Other bots' recent fills may not be booked yet: until then books and account differ."""
        with self.store.look() as source:
            lane = source.open_in_lane(Lane(order.account_id, order.symbol))
        at_broker = any(other.id != order.id and other.status is OrderStatus.WORKING for other in lane)
        if at_broker and not again and order.sends < next_states.MAX_SENDS:
            return (yield from self._not_placed(order, RetryLater(error.message)))
        return (yield from self._on_refusal(order, quoted(error.message), again))

    def _on_refusal(self, order: Order, why: Reason, again: bool) -> Workflow[Order]:
        return (yield from (self._look_up_refused_retry if again else self._refused)(order, why))

    def _look_up_refused_retry(self, order: Order, why: Reason) -> Workflow[Order]:
        """A refused retry may be caused by the first attempt: its id is in use, its money spent, its position
        closed. So it is looked up repeatedly, as the broker may show it later than promised; then the refusal
        is believed."""
        try:
            report = yield Call(lambda: self.broker_of(order.account_id).find(order.ref))
        except BrokerError as error:
            return (
                yield from self._unconfirmed(
                    order, reason(Code.REFUSED_LOOK_UP_FAILED, because=why, error=error.message)
                )
            )
        if report is None and order.sends < next_states.MAX_SENDS:
            return (yield from self._unconfirmed(order, reason(Code.REFUSED_MAY_EXIST, because=why)))
        if report is None:
            return (yield from self._refused(order, why))
        return (yield from self.book(order, report))

    def _carry_out_locally(self, books: Books, order: Order, broker: Broker) -> Order:
        current = books.order(order.id)
        if (current.status, current.sends) != (order.status, order.sends):
            return current  # another worker has the lane by now, and carried it out
        return self.carry_out(books, order, broker)

    def carry_out(self, books: Books, order: Order, broker: Broker) -> Order:
        """An order to a local broker, filled or refused within this transaction."""
        before = books.changes.copied()
        assert broker.offers.local is not None
        try:
            local = broker.offers.local(PaperPages(books, order.account_id))
            report = local.submit(request_of(order))
            return reporting.apply_report(books, order.id, report, self.clock.now()).order
        except AccountBusy:
            raise
        except self.store.errors:
            raise
        except Rejected as error:
            why = quoted(error.message)
        except Exception as error:  # its changes are dropped, so certainly nothing was traded
            log.exception("%s could not be carried out", order.id)
            why = reason(Code.PAPER_FAILED, error=type(error).__name__)
        books.changes, now = before, self.clock.now()
        rejected = replace(next_states.refused(order, why), updated_at=now)
        change_order(books, rejected, now)
        log_order(rejected)
        return rejected

    def book(self, order: Order, report: OrderReport) -> Workflow[Order]:
        """Most polled reports, and answers that the stream preceded, are known already: then nothing is
        written."""
        with self.store.look() as source:
            current = source.order(order.id)
        return (
            (yield from self.book_report(current, report))
            if is_news(current, report, self.clock.now())
            else current
        )

    def book_report(self, order: Order, report: OrderReport) -> Workflow[Order]:
        now = self.clock.now()
        booked: Booked = yield report_step(order, report, now)
        failpoint("after_book_commit")
        if booked.changed:
            after = booked.order
            self.watch_for_late_fills(after)
            log.info(
                "order %s signal %s account %s: %s %s",
                after.id,
                after.signal_id,
                after.account_id,
                after.status,
                plain(after.filled_quantity),
            )
        return booked.order

    def watch_for_late_fills(self, order: Order) -> None:
        if order.status in _MAY_FILL_LATE:
            self._recently_ended[order.id] = (order, self.clock.now() + LATE_FILLS_WITHIN)
        else:
            self._recently_ended.pop(order.id, None)

    def recently_ended(self, account_id: int | None = None) -> list[Order]:
        """Orders that ended so recently that a fill may still arrive."""
        now = self.clock.now()
        for order_id, (_, until) in list(self._recently_ended.items()):
            if until < now:
                self._recently_ended.pop(order_id, None)
        return [
            order
            for order, _ in list(self._recently_ended.values())
            if account_id in (None, order.account_id)
        ]

    # --- cancelling -----------------------------------------------------------------------------------------

    def cancel(self, order: Order, lease: Lease) -> Workflow[None]:
        """Request a cancellation; the broker's next report tells whether it succeeded."""
        again_at = self.clock.now() + CANCEL_AGAIN_AFTER
        with self.store.look() as source:
            problem = source.account(order.account_id).problem
        if not problem:  # a refused key is not tried again until its user has changed it
            yield from self._cancel(order)
        yield Step(order.account_id, lambda books: sending.cancel_again_at(books, order.id, again_at), lease)

    def _cancel(self, order: Order) -> Workflow[None]:
        broker = self.broker_of(order.account_id)
        try:
            yield Call(lambda: broker.cancel(order.ref))
            for report in (yield Call(lambda: broker.poll([order.ref]))):
                yield from self.book(order, report)
        except (Unavailable, RetryLater, Rejected, Unknown) as error:
            log.warning("cancel of %s: %s", order.id, error.message)
        except BadCredentials as error:
            yield self.disabling(order, error)

    def disabling(self, order: Order, error: BadCredentials) -> Write:
        return self.store.disable(order.account_id, order.user_id, quoted(error.message), self.clock.now())
