"""Engine: the only path from a signal to an order and a booked fill.

`accept` stores a signal durably. `run_lane` advances a lane (one symbol of one account) as far as possible:
it looks up unconfirmed orders, sends what is due, and makes pending decisions, one after another. It may be
run at any time, twice, or after a crash: the next step is read from the database each time, so start-up and
recovery are the same path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.accepting import Alert, Conflict, IntakeResult, NoBot, Receipt
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.deciding import (
    CarryOut,
    DecisionResult,
    MarketSnapshot,
    StaleSnapshot,
    decide_one,
)
from dashtrade.domain.kernel.lane import Cancel, Decide, Lane, LookUp, Send, actions, is_news_of, only_arrived
from dashtrade.domain.kernel.paper_pages import PaperPages
from dashtrade.domain.kernel.taking import DecidedElsewhere
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import (
    BadCredentials,
    Broker,
    BrokerError,
    Clock,
    Feed,
    OrderReport,
    Rejected,
    Unavailable,
)
from dashtrade.domain.reasons import NO_REASON, quoted
from dashtrade.domain.signals import ExitCause, Origin, Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import new_id
from dashtrade.engine.at_once import AtOnce
from dashtrade.engine.host import Host
from dashtrade.engine.intake import signal_json
from dashtrade.engine.lanes import Leases
from dashtrade.engine.market_snapshot import Snapshots
from dashtrade.engine.outages import Outages
from dashtrade.engine.reconcile import NotReconciled, Reconciler
from dashtrade.engine.sending import Sender
from dashtrade.engine.steps import LaneLost, Lease, Step
from dashtrade.engine.store import DatabaseStore, Store
from dashtrade.engine.unconfirmed import UnconfirmedOrders
from dashtrade.engine.undecided import EXIT_ACTIONS, Undecided
from dashtrade.engine.workflow import Call, Workflow, run_with
from dashtrade.failpoints import failpoint

__all__ = ["Conflict", "Engine", "IntakeResult", "Lane", "NoBot", "Receipt"]

log = logging.getLogger("dashtrade.engine")
T = TypeVar("T")


def log_accepted(alert: Alert, result: IntakeResult) -> None:
    if isinstance(result, Receipt) and not result.duplicate:
        signal = alert.signal
        log.info("signal %s user %s: accepted %s %s", alert.id, alert.owner, signal.action, signal.symbol)


class Engine:
    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        broker_of: Callable[[Account], Broker],
        feed_of: Callable[[Account], Feed],
        owner: str,
        host: Host | None = None,
        store: Store | None = None,
    ) -> None:
        """`store`: where it reads and where its steps are carried out, if not in the database."""
        self.db, self.clock = db, clock
        self.host = host or Host()  # replaced at start-up by a process that runs or reaches a worker
        self._broker_of, self._feed_of = broker_of, feed_of
        self._store = store or DatabaseStore(db)
        self.leases = Leases(self._store, owner)
        self.snapshots = Snapshots(clock)
        self.sender = Sender(self._store, clock, self.leases, self.broker)
        self.unconfirmed = UnconfirmedOrders(clock, self.sender)
        self.outages = Outages(clock)
        self.reconciler = Reconciler(
            db, clock, broker_of, self.sender, self.leases, self.collect, self.outages
        )
        self.at_once = AtOnce(clock, self.leases, broker_of, self.sender, self._decide_locally)
        self._undecided = Undecided(clock, lambda signal_id: self.host.on_change(signal_id))

    # --- intake ---------------------------------------------------------------------------------------------

    def accept(
        self,
        owner: int,
        signal: Signal,
        *,
        origin: Origin,
        content: str = "",
        raw: str = "",
        sender: str = "",
        max_age: timedelta | None = None,
        sender_waits: bool = False,
        storage_limit_bytes: int | None = None,
        exit_cause: ExitCause | None = None,
    ) -> IntakeResult:
        """Store in one durable commit; then the signal cannot be lost, and a repeat is recognised. `content`
        tells repeats apart, `raw` is the alert's body; both default to the signal itself. StorageFull if its
        owner has stored more than `room`, unless the signal is an exit."""
        signal_text = signal_json(signal) if not content or not raw else ""
        now = self.clock.now()
        alert = Alert(
            id=new_id(now),
            owner=owner,
            signal=signal,
            content=content or signal_text,
            raw=raw or signal_text,
            origin=origin,
            sender=sender,
            received_at=now,
            max_age=max_age,
            sender_waits=sender_waits,
            storage_limit_bytes=storage_limit_bytes,
            exit_cause=exit_cause,
        )
        self.db.may_write()
        result = self.host.store(alert)
        return self.store(alert) if result is None else result

    def store(self, alert: Alert) -> IntakeResult:
        """Store in this process."""
        result = self._store.accept(alert)
        failpoint("after_accept_commit")
        self.on_accepted(alert, result)
        return result

    def on_accepted(self, alert: Alert, result: IntakeResult) -> None:
        """The signal is stored: start its lanes."""
        log_accepted(alert, result)
        if isinstance(result, Receipt) and not result.duplicate:
            for lane in result.lanes:
                self.host.wake(lane, result.signal_id)

    # --- the lane -------------------------------------------------------------------------------------------

    def broker(self, account_id: int) -> Broker:
        with self._store.look() as source:
            return self._broker_of(source.account(account_id))

    def run_lane(self, lane: Lane) -> None:
        """Advance the lane as far as possible now, in this thread."""
        self._run(self.lane_steps(lane))

    def lane_steps(self, lane: Lane) -> Workflow[None]:
        """Advance the lane as far as possible now. Drive one lane at most once at a time."""
        try:
            lease = yield from self.leases.acquire(lane)
            while lease is not None and (yield from self._advance(lease)):
                pass
        except LaneLost as lost:
            log.warning("%s", lost)
            self.leases.drop(lane)

    def _advance(self, lease: Lease) -> Workflow[bool]:
        """One step. True: there may be more to do at once."""
        now, lane = self.clock.now(), lease.lane
        with self._store.look() as source:
            orders = source.open_in_lane(lane)
            waiting = source.due(lane.account_id, lane.symbol, now, 2)
            account = source.account(lane.account_id) if waiting else None
        for action in actions(orders, waiting, now):
            if isinstance(action, Decide):
                assert account is not None
                after = yield from self._decide(action.task, account, lease)
                return action.more or after is None or (after.is_open or not after.final)
            if (yield from self._on_order(action, lease)):
                return True
        return False

    def _on_order(self, action: LookUp | Send | Cancel, lease: Lease) -> Workflow[bool]:
        """True if the order's state may have changed."""
        order = after = action.order
        match action:
            case LookUp():
                after = yield from self.unconfirmed.look_up(order, lease)
            case Send():
                if self._must_wait(order.account_id, order.symbol):
                    return False
                started = yield from self.sender.start(order, lease)
                if started is not None:
                    yield from self.sender.send(started)
            case Cancel():
                yield from self.sender.cancel(order, lease)
        self.host.on_change(order.signal_id)
        return not isinstance(action, LookUp) or (after.status, after.due_at) != (order.status, order.due_at)

    def _decide(
        self,
        task: PendingDecision,
        account: Account,
        lease: Lease,
        *,
        fresh: bool = False,
        without_price: bool = False,
    ) -> Workflow[Order | None]:
        """The order that was sent, as it is now; None if there was nothing to send."""
        if account.problem:
            yield from self._undecided.give_up(task, lease, account.problem)
            return None
        try:
            decided = yield from self._decide_with(task, account, lease, fresh, without_price)
        except (Rejected, BadCredentials) as error:
            if isinstance(error, BadCredentials):
                yield self._store.disable(
                    task.account_id, task.user_id, quoted(error.message), self.clock.now()
                )
            yield from self._undecided.give_up(task, lease, quoted(error.message))
            return None
        except BrokerError as error:
            action = yield Step(task.account_id, lambda books: books.source.signal(task.signal_id).action)
            silent = isinstance(error, Unavailable) and not isinstance(error, NotReconciled)
            if action in EXIT_ACTIONS and silent and not without_price:
                return (yield from self._decide(task, account, lease, fresh=True, without_price=True))
            yield from self._undecided.wait_for_broker(task, lease, error, action)
            return None
        except StaleSnapshot:
            return (yield from self._decide(task, account, lease, fresh=True))
        except DecidedElsewhere:
            return None
        except LaneLost:
            raise
        except self._store.unavailable:
            raise
        except Exception as error:  # nothing was sent: orders are committed before they are sent
            yield from self._undecided.retry_or_give_up(task, lease, error)
            return None
        return (yield from self._send(task, decided))

    def _send(self, task: PendingDecision, decided: DecisionResult) -> Workflow[Order | None]:
        failpoint("after_decide_commit")
        order = decided.order
        if order is not None and order.status is OrderStatus.SUBMITTING:
            order = yield from self.sender.send(order)
        for signal_id in filter(None, (task.signal_id, decided.other_signal_id)):
            self.host.on_change(signal_id)
        return order

    def _must_wait(self, account_id: int, symbol: Symbol) -> bool:
        """Must the order wait until the account is reconciled? Paper orders need not: their books are in our
        database."""
        if not self.host.wait_reason(account_id, symbol):
            return False
        with self._store.look() as source:
            account = source.account(account_id)
        return not (account.simulated or self._broker_of(account).offers.local)

    def _decide_with(
        self, task: PendingDecision, account: Account, lease: Lease, fresh: bool, without_price: bool
    ) -> Workflow[DecisionResult]:
        """A remote broker is asked before the transaction opens; a broker in our own database within it,
        where the order also fills."""
        broker, feed, simulated = self._broker_of(account), self._feed_of(account), account.simulated
        if broker.offers.local is not None:
            step = partial(self._decide_locally, task=task, account=account)
            return (yield Step(account.id, step, lease))
        wait_reason = NO_REASON if simulated else self.host.wait_reason(account.id, task.symbol)
        if wait_reason:
            raise NotReconciled(wait_reason)
        snapshot = None if fresh or simulated else self.snapshots.cached(broker, feed, task.symbol)
        if snapshot is None:
            snapshot = yield Call(
                (lambda: self.snapshots.without_price(broker, feed, task.symbol, simulated=simulated))
                if without_price
                else lambda: self.snapshots.fetch(broker, feed, task.symbol, fresh=fresh, simulated=simulated)
            )
        market = snapshot
        return (yield Step(account.id, lambda books: self._decide_on(books, task, market), lease))

    def _decide_locally(self, books: Books, task: PendingDecision, account: Account) -> DecisionResult:
        broker = self._broker_of(account)
        assert broker.offers.local is not None
        market = self.snapshots.local(
            broker.offers.local(PaperPages(books, account.id)),
            self._feed_of(account),
            task.symbol,
            simulated=account.simulated,
        )
        return self._decide_on(books, task, market, partial(self.sender.carry_out, broker=broker))

    def _decide_on(
        self, books: Books, task: PendingDecision, market: MarketSnapshot, carry_out: CarryOut | None = None
    ) -> DecisionResult:
        decided = decide_one(books, task, market, self.clock.now(), carry_out)
        failpoint("before_decide_commit")
        return decided

    # --- broker reports -------------------------------------------------------------------------------------

    def collect(self, account_id: int) -> list[Lane]:
        """Book reports on the account's working and recently ended orders; returns the lanes in which
        something changed."""
        with self._store.look() as source:
            account, orders = source.account(account_id), source.open_orders(account_id)
        if account.problem:
            return []  # a refused key is not tried again until its user has changed it
        working = {o.id: o for o in orders if o.status is OrderStatus.WORKING} | {
            o.id: o for o in self.sender.recently_ended(account_id)
        }
        changed_lanes: set[Lane] = set()
        try:
            reports = self._broker_of(account).poll([o.ref for o in working.values()]) if working else []
        except BadCredentials as error:
            why = quoted(error.message)
            self._store.run(self._store.disable(account_id, account.user_id, why, self.clock.now()))
            return []
        # entries before their exits
        for report in sorted(
            reports, key=lambda report: working[report.client_order_id].parent_id is not None
        ):
            order = working[report.client_order_id]
            after = self._run(self.sender.book(order, report))
            if (after.status, after.filled_quantity) != (order.status, order.filled_quantity):
                changed_lanes.add(Lane(account_id, order.symbol))
                self.host.on_change(order.signal_id)
        for order in orders:
            if (
                order.status is OrderStatus.ATTENTION
                and self._run(self.unconfirmed.look_up_again(order)).status is not order.status
            ):
                changed_lanes.add(Lane(account_id, order.symbol))
                self.host.on_change(order.signal_id)
        return list(changed_lanes)

    def on_stream_report(self, account_id: int, report: OrderReport) -> Workflow[Lane | None]:
        """Book a stream's report like any other. Returns the lane in which something changed."""
        if report.client_order_id in self.sender.being_sent and only_arrived(report):
            return None
        with self._store.look() as source:
            order = source.find_order(account_id, report.client_order_id)
        if order is None or not is_news_of(order, report):
            return None  # another program's order, or nothing new
        after = yield from self.sender.book_report(order, report)
        if after.status is order.status:
            return None
        self.host.on_change(order.signal_id)
        return Lane(account_id, order.symbol)

    def open_lanes(self) -> list[Lane]:
        """Lanes with work: a decision to make, an order to send, look up or cancel."""
        with self._store.look() as source:
            return list(source.open_lanes(self.clock.now()))

    def _run(self, steps: Workflow[T]) -> T:
        return run_with(self._store.run, steps)
