"""Sends orders to a broker: once. An unconfirmed order is never sent again while in doubt.

`order_requests` builds what is sent, `order_states` stores the outcome, `unconfirmed` looks up what may have
arrived."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable, savepoint
from dashtrade.domain.decisions.risk import entry_still_allowed
from dashtrade.domain.kernel import next_states, reporting
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.order_states import change_order
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
from dashtrade.domain.reasons import NO_REASON, Code, Reason, quoted, reason
from dashtrade.domain.record import replace
from dashtrade.domain.values import plain
from dashtrade.engine import booking
from dashtrade.engine.lanes import LaneLost, Leases
from dashtrade.engine.order_requests import booked_holdings, part_to_send, request_of
from dashtrade.engine.order_states import OrderStates, log_order
from dashtrade.engine.refused_keys import disable_account
from dashtrade.engine.stored_books import on_books
from dashtrade.engine.workflow import Call, Workflow, Write
from dashtrade.failpoints import failpoint
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import orders as order_table
from dashtrade.tables import switches as switch_table
from dashtrade.tables.lanes import Lane

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
        self, db: Database, clock: Clock, leases: Leases, broker_of: Callable[[int], Broker]
    ) -> None:
        self.db, self.clock, self.leases, self.broker_of = db, clock, leases, broker_of
        self.states = OrderStates(clock, leases)
        self.being_sent: set[str] = set()  # being sent now: the answer will confirm arrival
        # ended unfilled a moment ago -> late fills possible until
        self._recently_ended: dict[str, tuple[Order, datetime]] = {}

    # --- sending --------------------------------------------------------------------------------------------

    def start(self, order: Order, lane: Lane, token: int) -> Workflow[Order | None]:
        """CREATED -> SUBMITTING, unless its user has stopped it meanwhile."""
        now = self.clock.now()

        def work(conn: sa.Connection) -> Order | None:
            self.leases.check(conn, lane, token)
            account_table.lock_account(conn, order.account_id)
            current = order_table.load(conn, order.id)
            if current.status is not OrderStatus.CREATED:
                return None
            if why := self.stop_reason(conn, current):
                stopped = replace(next_states.stopped(current, why), updated_at=now)
                self.states.store(conn, current, stopped, now)
                return None
            current = part_to_send(conn, current, self.broker_of(current.account_id).capabilities, now)
            submitting = replace(next_states.submitting(current, now), updated_at=now)
            return self.states.store(conn, current, submitting, now)

        return (yield Write(work))

    def stop_reason(self, conn: sa.Connection, order: Order) -> Reason:
        """Why its user would not have it sent any more; no reason: it may be."""
        if order.cancel_requested:
            return Reason(Code.CANCELLED_BEFORE_SENDING)
        if order.effect.reduces:
            return NO_REASON
        bot = bot_positions.load(conn, order.bot_id)
        return entry_still_allowed(bot, switch_table.switches_for(conn, bot))

    def send(self, order: Order, *, again: bool = False) -> Workflow[Order]:
        """Send an order that is SUBMITTING and whose lane is held, once. `again`: an earlier attempt may have
        arrived."""
        # stalled too long: the lane's next holder looks the order up
        if not self.leases.is_fresh(Lane(order.account_id, order.symbol)):
            raise LaneLost("the lease ran out before sending")
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
            yield from disable_account(self.clock, order.account_id, order.user_id, quoted(error.message))
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
            return (yield Write(lambda conn: self._carry_out_locally(conn, order, broker)))
        request = request_of(order, booked_holdings(self.db, order, broker))
        self.being_sent.add(order.id)
        try:
            report = yield Call(lambda: broker.submit(request))
        finally:
            self.being_sent.discard(order.id)
        failpoint("after_send")
        return (yield from self.book(order, report))

    def _not_held(self, order: Order, error: NotHeld, again: bool) -> Workflow[Order]:
        """Other bots' recent fills may not be booked yet: until then books and account differ."""
        with self.db.read() as conn:
            lane = order_table.open_in_lane(conn, order.account_id, order.symbol)
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

    def _carry_out_locally(self, conn: sa.Connection, order: Order, broker: Broker) -> Order:
        # lock before the local broker locks its books, as a decision does: prevents a deadlock
        account_table.lock_account(conn, order.account_id)
        current = order_table.load(conn, order.id)
        if (current.status, current.sends) != (order.status, order.sends):
            return current  # another worker has the lane by now, and carried it out
        return on_books(conn, lambda books: self.carry_out(conn, books, order, broker))

    def carry_out(self, conn: sa.Connection, books: Books, order: Order, broker: Broker) -> Order:
        """An order to a local broker, filled or refused within this transaction."""
        before = books.changes.copied()
        try:
            with savepoint(conn):
                report = broker.submit(request_of(order))
                return reporting.apply_report(books, order.id, report, self.clock.now()).order
        except (LaneLost, DatabaseUnavailable, sa.exc.DBAPIError, conn.dialect.loaded_dbapi.Error):
            raise
        except Rejected as error:
            why = quoted(error.message)
        except Exception as error:  # its changes are rolled back, so certainly nothing was traded
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
        with self.db.read() as conn:
            current = order_table.load(conn, order.id)
        return (
            (yield from self.book_report(current, report))
            if is_news(current, report, self.clock.now())
            else current
        )

    def book_report(self, order: Order, report: OrderReport) -> Workflow[Order]:
        now = self.clock.now()
        booked = yield Write(lambda conn: booking.apply_report(conn, order, report, now))
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

    def cancel(self, order: Order, lane: Lane, token: int) -> Workflow[None]:
        """Request a cancellation; the broker's next report tells whether it succeeded."""
        now = self.clock.now()
        with self.db.read() as conn:
            problem = account_table.problem(conn, order.account_id)
        if problem:  # a refused key is not tried again until its user has changed it
            yield Write(
                lambda conn: self._cancel_again_at(conn, order.id, lane, token, now + CANCEL_AGAIN_AFTER)
            )
            return
        broker = self.broker_of(order.account_id)
        try:
            yield Call(lambda: broker.cancel(order.ref))
            for report in (yield Call(lambda: broker.poll([order.ref]))):
                yield from self.book(order, report)
        except (Unavailable, RetryLater, Rejected, Unknown) as error:
            log.warning("cancel of %s: %s", order.id, error.message)
        except BadCredentials as error:
            yield from disable_account(self.clock, order.account_id, order.user_id, quoted(error.message))
        yield Write(lambda conn: self._cancel_again_at(conn, order.id, lane, token, now + CANCEL_AGAIN_AFTER))

    def _cancel_again_at(
        self, conn: sa.Connection, order_id: str, lane: Lane, token: int, at: datetime
    ) -> None:
        self.leases.check(conn, lane, token)
        account_table.lock_account(conn, lane.account_id)
        current = order_table.load(conn, order_id)
        if current.is_open:
            order_table.update(conn, current, replace(current, due_at=at))
