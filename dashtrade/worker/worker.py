"""Runs the lanes and the periodic jobs: collects fills, watches risk, renews leases, deletes old data.

The database says what there is to do. Other processes pass alerts to the worker and notify it of work
(`processes/worker_ipc.py`); the rest it finds by polling."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from bot_database import DatabaseUnavailable
from dashtrade.app import CannotStart
from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.as_json import JsonValue, from_json, to_json
from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.accepting import Alert
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.ports import BrokerError, OrderReport
from dashtrade.domain.reasons import Reason
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.account_jobs import AccountJobs
from dashtrade.engine.host import Host
from dashtrade.engine.lanes import LEASE_SECONDS
from dashtrade.engine.outages import backoff_delay
from dashtrade.engine.readings import Readings
from dashtrade.engine.reconcile import Reconciler
from dashtrade.engine.streams import Streams
from dashtrade.engine.watch import Watch
from dashtrade.engine.workflow import Workflow
from dashtrade.processes.worker_ipc import WorkerServer
from dashtrade.services.accounts import sign_in
from dashtrade.services.demo import demo
from dashtrade.services.notifications.deliver import deliver_due
from dashtrade.services.operations import disk_watch, quotas
from dashtrade.services.people import removal, throttle
from dashtrade.services.trading import flatten, signal_story
from dashtrade.tables import attempts as attempt_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import storage
from dashtrade.worker.lanes import Lanes

log = logging.getLogger("dashtrade.worker")

SCAN_EVERY_SECONDS, COLLECT_EVERY_SECONDS, WATCH_EVERY_SECONDS = 0.5, 0.25, 2.0

COLLECT_ENDED_EVERY = 20  # every 20th cycle polls orders that have just ended: a fill may come late

# older orders are polled every 6th cycle, those of accounts with a stream every 12th
YOUNG_ORDER_AGE, COLLECT_OLD_EVERY, COLLECT_STREAMED_EVERY = timedelta(seconds=3), 6, 12

RECONCILE_EVERY_SECONDS = 1.0  # checks for accounts due for reconciliation

READINGS_EVERY_SECONDS = 1.0  # checks for accounts due for a reading

DELIVER_EVERY_SECONDS = 5.0
DISK_EVERY_SECONDS = 1.0

# back-off of polling orders at an unreachable broker
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(seconds=15)


class WorkerHost(Host):
    """The process that executes signals and notifies the other processes of the outcomes."""

    def __init__(self, lanes: Lanes, server: WorkerServer, reconciler: Reconciler) -> None:
        self._lanes, self._server, self._reconciler = lanes, server, reconciler

    def wake(self, lane: Lane, signal_id: str) -> None:
        self._lanes.wake(lane)

    def on_change(self, signal_id: str, outcome: SignalOutcome | None = None) -> None:
        self._server.tell(signal_id, None if outcome is None else to_json(outcome))

    def wait_reason(self, account_id: int, symbol: Symbol) -> Reason:
        return self._reconciler.wait_reason(account_id, symbol)


class Worker:
    def __init__(self, app: App) -> None:
        self.app, self.engine = app, app.engine
        self.watch = Watch(app.db, app.clock, app.brokers.feed)
        self.lanes = Lanes(app)
        self.server: WorkerServer | None = None
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._worker_lock = contextlib.ExitStack()
        self._collect_count = 0
        # accounts with an unreachable broker: when to poll their orders next
        self._retry_at: dict[int, datetime] = {}
        self._collectors, self._reconcilers, self._watchers = (
            AccountJobs("collect"),
            AccountJobs("compare"),
            AccountJobs("watch"),
        )
        self.readings = Readings(
            app.db,
            app.clock,
            app.brokers.of,
            self.engine.leases,
            self.engine.outages,
            self._on_broker_recovered,
        )
        self.streams = Streams(app.db, app.brokers.streaming, app.brokers.of, self._on_stream_report)

    # --- lifecycle ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Resume unfinished work, then run. On SQLite there is one worker, so it frees all leases first."""
        if self.app.db.is_sqlite:
            self._worker_lock.enter_context(_single_worker(self.app.settings.home))
            self.app.db.write(lane_table.free_lanes)
        self.engine.leases.renew()
        self.server = WorkerServer(
            self.app.settings.home,
            lambda connection, number, alert: self.lanes.accept(connection, number, from_json(Alert, alert)),
            lambda lane: self.lanes.wake(from_json(Lane, lane)),
            self._outcome_report,
        )
        self.lanes.on_accepted = self.server.subscribe
        self.engine.host = WorkerHost(self.lanes, self.server, self.engine.reconciler)
        self.app.disk.take_ballast()
        self.lanes.start()
        self.reconcile()
        for job, seconds in (
            (self.scan, SCAN_EVERY_SECONDS),
            (self.collect, COLLECT_EVERY_SECONDS),
            (self.watch_positions, WATCH_EVERY_SECONDS),
            (self.listen, WATCH_EVERY_SECONDS),
            (self.flatten, SCAN_EVERY_SECONDS),
            (self.reconcile, RECONCILE_EVERY_SECONDS),
            (self.readings.start_due, READINGS_EVERY_SECONDS),
            (self.renew, LEASE_SECONDS / 3),
            (self.check_disk, DISK_EVERY_SECONDS),
            (self.make_room, 60),
            (self.deliver, DELIVER_EVERY_SECONDS),
            (self.tidy, 3600),
        ):
            self._scheduler.add_job(
                _log_failures(job),
                "interval",
                seconds=seconds,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        self._scheduler.start()
        self.scan()

    def _outcome_report(self, owner: int, signal_id: str) -> JsonValue:
        outcome = signal_story.settled(self.app, owner, signal_id)
        return None if outcome is None else to_json(outcome)

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)
        self.streams.stop()
        self.readings.stop()
        for jobs in (self._collectors, self._reconcilers, self._watchers):
            jobs.stop()
        self.lanes.stop()
        if self.server is not None:
            self.server.close()
        with contextlib.suppress(DatabaseUnavailable):
            self.engine.leases.release()
        self._worker_lock.close()

    # --- periodic jobs --------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Wakes lanes with work: after a start, after writes of other processes, and when work is due."""
        for lane in self.engine.open_lanes():
            self.lanes.wake(lane)

    def collect(self) -> None:
        """Polls young orders often, as they are about to fill, and resting orders less often."""
        self._collect_count += 1
        with self.app.db.read() as conn:
            accounts = order_table.working_accounts(conn)
        now = self.app.clock.now()
        for row in accounts:
            is_young = now - row.newest <= YOUNG_ORDER_AGE
            every = 1 if is_young else COLLECT_OLD_EVERY
            if self.streams.is_live(row.account_id):
                every = COLLECT_STREAMED_EVERY
            if self._collect_count % every == 0:
                self._start_collecting(row.account_id)
        if self._collect_count % COLLECT_ENDED_EVERY == 0:
            for account_id in {order.account_id for order in self.engine.sender.recently_ended()}:
                self._start_collecting(account_id)

    def _start_collecting(self, account_id: int) -> None:
        if self._retry_at.get(account_id, self.app.clock.now()) <= self.app.clock.now():
            self._collectors.start(account_id, lambda: self._collect(account_id))

    def _collect(self, account_id: int) -> None:
        try:
            for lane in self.engine.collect(account_id):
                self.lanes.wake(lane)
        except BrokerError as error:
            tries = self.engine.outages.record_failure(account_id, "news of its orders", error.message)
            self._retry_at[account_id] = self.app.clock.now() + backoff_delay(
                tries, FIRST_RETRY, LONGEST_RETRY
            )
        except DatabaseUnavailable as error:
            log.warning("account %s: its orders are asked after later: %s", account_id, error)
        except Exception:  # one adapter's bug must not delay the fills of other accounts
            log.exception("account %s: its orders could not be asked after", account_id)
        else:
            self._retry_at.pop(account_id, None)
            self.engine.outages.recovered(account_id, "news of its orders")

    def _on_broker_recovered(self, account_id: int) -> None:
        """The broker is reachable again: retry what was waiting for it at once."""
        self._retry_at.pop(account_id, None)
        self.engine.reconciler.recheck_soon(account_id)

    def listen(self) -> None:
        self.streams.refresh()

    def _on_stream_report(self, account_id: int, report: OrderReport) -> None:
        """Passes the report to the lanes' thread: booking on the stream's own thread would contend for the
        GIL at every statement."""
        self.lanes.run_beside(self._book_stream_report(account_id, report))

    def _book_stream_report(self, account_id: int, report: OrderReport) -> Workflow[None]:
        try:
            lane = yield from self.engine.on_stream_report(account_id, report)
        except DatabaseUnavailable as error:
            log.warning(
                "account %s: news could not be booked, the next poll brings them: %s", account_id, error
            )
        except Exception:
            log.exception("account %s: what came of news failed; the next poll tells the same", account_id)
        else:
            if lane is not None:
                self.lanes.wake(lane)

    def watch_positions(self) -> None:
        """Accounts with local prices are checked on this thread; each other account in its own job, never
        twice at once."""
        for account, bots in self.watch.accounts_to_watch():
            if self.app.brokers.of(account).offers.local:
                self._wake(self.watch.check_account(account, bots))
            else:
                self._watchers.start(account.id, partial(self._watch_account, account, bots))

    def _watch_account(self, account: Account, bots: list[Bot]) -> None:
        try:
            self._wake(self.watch.check_account(account, bots))
        except DatabaseUnavailable as error:
            log.warning("account %s: its positions are looked at later: %s", account.id, error)

    def _wake(self, lanes: list[Lane]) -> None:
        for lane in lanes:
            self.lanes.wake(lane)

    def reconcile(self) -> None:
        for account_id in self.engine.reconciler.due():
            self._reconcilers.start(account_id, partial(self._reconcile_account, account_id))

    def _reconcile_account(self, account_id: int) -> None:
        try:
            self.engine.reconciler.reconcile(account_id)
        except DatabaseUnavailable as error:
            log.warning("account %s: it is compared later: %s", account_id, error)
        # one failing account must not block the others; its own gate stays closed
        except Exception:
            log.exception("account %s could not be compared with its broker", account_id)

    def flatten(self) -> None:
        for lane in flatten.advance(self.app):
            self.lanes.wake(lane)

    def renew(self) -> None:
        self.engine.leases.renew()

    def check_disk(self) -> None:
        disk_watch.check(self.app)

    def make_room(self) -> None:
        quotas.make_room(self.app)

    def deliver(self) -> None:
        deliver_due(self.app)

    def tidy(self) -> None:
        now = self.app.clock.now()
        old = now - timedelta(days=self.app.settings.retention_days)
        trimmed = self.app.db.write(lambda conn: storage.forget_old(conn, old))
        self.app.db.write(lambda conn: session_table.forget_expired(conn, now))
        self.app.db.write(lambda conn: attempt_table.delete_expired(conn, now, now - throttle.DEVICE_LIFE))
        sign_in.remind(self.app)
        demo.end_expired(self.app)
        removal.finish(self.app)
        for file in self.app.settings.logs.glob("*.log.*"):
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < old.timestamp():
                    file.unlink()
        if trimmed:
            log.info("forgot the raw text of %s old signals", trimmed)


def _log_failures(job: Callable[[], None]) -> Callable[[], None]:
    """Logs a failure of the job, so that the scheduler keeps running it."""

    def run() -> None:
        try:
            job()
        except DatabaseUnavailable as error:
            log.warning("%s waits: %s", job.__name__, error)
        except Exception:
            log.exception("%s failed; it is tried again", job.__name__)

    run.__name__ = job.__name__
    return run


@contextlib.contextmanager
def _single_worker(home: Path) -> Iterator[None]:
    """One worker per SQLite database. The operating system releases the lock when the process ends."""
    stop = threading.Event()
    with open(home / "worker.lock", "w") as file:
        for _ in range(50):  # the previous worker may still be exiting
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.wait(0.1)
        else:
            raise CannotStart(
                f"Another DashTrade already runs on {home}.\n  Stop it first, or use PostgreSQL to run "
                "several."
            )
        yield
