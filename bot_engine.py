"""Engine: the only way from a signal to an order and a booked fill.

`accept` makes a signal durable. `run_lane` carries a lane (one symbol of one account) as far as it can go now: it looks up
what is in doubt, sends what is due, and decides what waits, one after another. It may be run at any time, twice, or after a
crash: what to do next is read from the database each time, so start-up and recovery are the same path.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.dialects import Reading, parse
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import BadCredentials, Broker, BrokerError, Clock, Feed, Rejected
from dashtrade.domain.signals import Origin, Signal
from dashtrade.engine import intake
from dashtrade.engine.deciding import Decided, Market, decide_one
from dashtrade.engine.ending import end_decision
from dashtrade.engine.intake import Accepted, Conflict, NoBot, Receipt
from dashtrade.engine.lanes import LaneLost, Leases
from dashtrade.engine.sending import Sender
from dashtrade.failpoints import failpoint
from dashtrade.tables import accounts as account_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.signals import Lane, Waiting

__all__ = ["Accepted", "Conflict", "Engine", "Lane", "NoBot", "Receipt"]

log = logging.getLogger("dashtrade.engine")

SOON = timedelta(seconds=15)  # a market order is waited for this long before the next signal passes it
PATIENCE = timedelta(seconds=60)  # for a venue that cannot be asked; after that an entry is given up
HINTS = 2000  # signals remembered as read, so that they need not be read twice


class Engine:
    def __init__(
        self, *, db: Database, clock: Clock, broker_of: Callable[[account_table.Account], Broker],
        feed_of: Callable[[account_table.Account], Feed], owner: str,
    ) -> None:
        self.db, self.clock = db, clock
        self._make_broker, self._feed_of = broker_of, feed_of
        self.leases = Leases(db, owner)
        self.sender = Sender(db, clock, self.leases, self.broker)
        self.on_work: Callable[[Lane], None] = lambda lane: None  # a worker in this process asks to be woken
        self._hints: OrderedDict[str, Signal] = OrderedDict()
        self._waiters: dict[str, threading.Event] = {}

    # --- in ----------------------------------------------------------------------------------------------------------------

    def accept(self, owner: int, reading: Reading, *, raw: str, origin: Origin, sender: str = "", max_age: timedelta | None = None,
               watched: bool = False) -> Accepted:
        """One durable commit; then the signal cannot be lost, and the same one sent again is recognised."""
        now = self.clock.now()
        said = self.db.write(lambda conn: intake.accept(
            conn, owner, reading, raw=raw, origin=origin, sender=sender, now=now, max_age=max_age,
        ))
        failpoint("after_accept_commit")
        if isinstance(said, Receipt):
            if watched:
                event = self._waiters.setdefault(said.signal_id, threading.Event())
                if said.duplicate:
                    event.set()  # it may have ended long ago
            if not said.duplicate:
                log.info("signal %s user %s: accepted %s %s", said.signal_id, owner, reading.signal.action, reading.signal.symbol)
                self._remember(said.signal_id, reading.signal)
                for lane in said.lanes:
                    self.on_work(lane)
        return said

    def wait(self, owner: int, signal_id: str, seconds: float) -> None:
        """Until the signal has come to something (or rests at the venue), at most so long. What wakes us only hints; the
        database tells, and it is asked now and then as well: the worker may be another process."""
        event = self._waiters.setdefault(signal_id, threading.Event())
        end = time.monotonic() + seconds
        try:
            while True:
                event.wait(max(min(0.25, end - time.monotonic()), 0))
                event.clear()
                with self.db.read() as conn:
                    status = signal_table.status_of(conn, owner, signal_id)
                if status != "accepted" or time.monotonic() >= end:
                    return
        finally:
            self._waiters.pop(signal_id, None)

    def _remember(self, signal_id: str, signal: Signal) -> None:
        self._hints[signal_id] = signal
        while len(self._hints) > HINTS:
            self._hints.popitem(last=False)

    def _signal(self, conn: sa.Connection, signal_id: str) -> Signal:
        """As read when it came, or read again from what is stored: the reader is pure."""
        hint = self._hints.pop(signal_id, None)
        return hint or parse(signal_table.raw_of(conn, signal_id)[0].encode()).signal

    def _tell_waiters(self, signal_id: str) -> None:
        event = self._waiters.get(signal_id)
        if event is not None:
            event.set()

    # --- the lane ----------------------------------------------------------------------------------------------------------

    def broker(self, account_id: int) -> Broker:
        with self.db.read() as conn:
            account = account_table.load(conn, account_id)
        return self._make_broker(account)

    def run_lane(self, lane: Lane) -> None:
        """As far as it goes now. Call it for one lane from one thread at a time."""
        token = self.leases.hold(lane)
        if token is None:
            return
        try:
            while self._advance(lane, token):
                pass
        except LaneLost as lost:
            log.warning("%s", lost)
            self.leases.drop(lane)

    def _advance(self, lane: Lane, token: int) -> bool:
        """One step. True: there may be more to do at once."""
        now = self.clock.now()
        with self.db.read() as conn:
            orders = order_table.open_in_lane(conn, lane.account_id, lane.symbol)
            task = signal_table.first_waiting(conn, lane, now)
        blocked = False
        for order in orders:
            if self._advance_order(order, orders, lane, token, now):
                return True
            blocked = blocked or _blocks(order, now)
        if task is None or blocked or (task.held_until is not None and task.held_until > now):
            return False
        return self._decide(task, lane, token)

    def _advance_order(self, order: Order, orders: Sequence[Order], lane: Lane, token: int, now: datetime) -> bool:
        """True if the order moved."""
        if order.due_at is not None and order.due_at > now:
            return False
        match order.status:
            case OrderStatus.SUBMITTING | OrderStatus.UNKNOWN:
                after = self.sender.resolve(order, lane, token)
            case OrderStatus.CREATED if not any(_before(other, order) for other in orders):
                started = self.sender.start(order, lane, token)
                after = self.sender.send(started) if started else order
                self._tell_waiters(order.signal_id)
                return True
            case OrderStatus.WORKING if order.cancel_requested:
                self.sender.cancel(order, lane, token)
                self._tell_waiters(order.signal_id)
                return True
            case _:
                return False
        self._tell_waiters(order.signal_id)
        return (after.status, after.due_at) != (order.status, order.due_at)

    def _decide(self, task: Waiting, lane: Lane, token: int) -> bool:
        try:
            market = self._market(task)
        except Rejected as error:
            return self._give_up(task, lane, token, error.message)
        except BadCredentials as error:
            self.sender.disable_account(task.account_id, task.user_id, error.message)
            return self._give_up(task, lane, token, error.message)
        except BrokerError as error:
            return self._wait_for_venue(task, lane, token, error)
        now = self.clock.now()

        def work(conn: sa.Connection) -> Decided | None:
            self.leases.check(conn, lane, token)
            decided = decide_one(conn, task, self._signal(conn, task.signal_id), market, now)
            failpoint("before_decide_commit")
            return decided

        decided = self.db.write(work)
        failpoint("after_decide_commit")
        if decided is not None and decided.send is not None:
            self.sender.send(decided.send)
        self._tell_waiters(task.signal_id)
        return True

    def _market(self, task: Waiting) -> Market:
        with self.db.read() as conn:
            account = account_table.load(conn, task.account_id)
        if account.problem:
            raise Rejected(account.problem)
        broker = self._make_broker(account)
        return Market(
            rules=broker.rules(task.symbol), quote=self._feed_of(account).quote(task.symbol), account=broker.account(),
            capabilities=broker.capabilities, open=broker.market_open(task.symbol),
        )

    def _give_up(self, task: Waiting, lane: Lane, token: int, why: str) -> bool:
        now = self.clock.now()

        def work(conn: sa.Connection) -> None:
            self.leases.check(conn, lane, token)
            signal_table.decided(
                conn, task.id, status="refused", reason=why, would="", checks=None, numbers=None, now=now, ended=True
            )
            end_decision(conn, task.id, task.signal_id, status="refused", reason=why, now=now, written=True)

        self.db.write(work)
        self._tell_waiters(task.signal_id)
        return True

    def _wait_for_venue(self, task: Waiting, lane: Lane, token: int, error: BrokerError) -> bool:
        """The venue cannot be asked: the decision waits, and those behind it with it. After a minute it is given up, in so many words."""
        now = self.clock.now()
        if now - task.received_at > PATIENCE:
            return self._give_up(task, lane, token, f"the broker could not be reached for {PATIENCE.seconds} s: {error.message}")
        after = max(getattr(error, "after", timedelta(seconds=1)), timedelta(seconds=1))

        def work(conn: sa.Connection) -> None:
            self.leases.check(conn, lane, token)
            signal_table.hold_back(conn, task.id, held_until=now + after)

        self.db.write(work)
        return False

    # --- what the venues tell ------------------------------------------------------------------------------------------------

    def collect(self, account_id: int) -> list[Lane]:
        """News of the account's working orders; the lanes in which something moved."""
        with self.db.read() as conn:
            orders = order_table.open_in_account(conn, account_id)
        working = {o.id: o for o in orders if o.status is OrderStatus.WORKING}
        moved: set[Lane] = set()
        if working:
            reports = self.broker(account_id).poll([o.ref for o in working.values()])
            for report in reports:
                order = working[report.client_order_id]
                after = self.sender.book(order, report)
                if after.status is not order.status:
                    moved.add(Lane(account_id, order.symbol))
                    self._tell_waiters(order.signal_id)
        for order in orders:
            if order.status is OrderStatus.ATTENTION and self.sender.look_again(order).status is not order.status:
                moved.add(Lane(account_id, order.symbol))
        return list(moved)

    def open_lanes(self) -> list[Lane]:
        """Lanes with something to do: a decision to make, an order to send, to look up or to take back."""
        now = self.clock.now()
        with self.db.read() as conn:
            lanes = set(signal_table.open_lanes(conn, now))
            lanes |= {Lane(row.account_id, row.symbol) for row in order_table.due_lanes(conn, now)}
        return list(lanes)


def _blocks(order: Order, now: datetime) -> bool:
    """Must the next signal wait for this order? While it is in doubt, yes; while it is about to fill or to be taken back, too."""
    if order.status is not OrderStatus.WORKING:
        return True
    return order.cancel_requested or (not order.rests and now - order.created_at < SOON)


def _before(other: Order, order: Order) -> bool:
    return other.decision_id == order.decision_id and other.step < order.step and other.is_open


