"""The loops that carry signals on: run lanes, collect fills, watch risk, keep leases, forget what is old.

The database says what there is to do; this process is woken at once for what it accepted itself and looks around for the
rest. A lane runs in one thread at a time; many lanes run at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from bot_database import DatabaseAway
from dashtrade.app import App, CannotStart
from dashtrade.domain.ports import BrokerError
from dashtrade.engine.lanes import LEASE_SECONDS
from dashtrade.engine.watch import Watch
from dashtrade.tables import orders as order_table
from dashtrade.tables import people as people_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.signals import Lane

log = logging.getLogger("dashtrade.worker")

THREADS = 16
SCAN, COLLECT, WATCH = 0.5, 1.0, 2.0  # seconds between two looks


class Worker:
    def __init__(self, app: App) -> None:
        self.app, self.engine = app, app.engine
        self.watch = Watch(app.db, app.clock, app.brokers.feed, app.brokers.of)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")
        self._running: set[Lane] = set()  # being worked on
        self._again: set[Lane] = set()  # woken meanwhile: once more
        self._lock = threading.Lock()
        self._stopping = False
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._only = contextlib.ExitStack()
        self.seen_alive = time.monotonic()

    # --- life --------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up whatever is unfinished, and keep going. On SQLite there is one worker, which therefore waits for no lease."""
        if self.app.db.is_sqlite:
            self._only.enter_context(_only_worker(self.app.settings.home))
            self.app.db.write(signal_table.free_lanes)
        self.engine.on_work = self.wake
        for job, seconds in ((self.scan, SCAN), (self.collect, COLLECT), (self.look, WATCH), (self.renew, LEASE_SECONDS / 3), (self.tidy, 3600)):
            self._scheduler.add_job(_safely(job), "interval", seconds=seconds, max_instances=1, coalesce=True, misfire_grace_time=None)
        self._scheduler.start()
        self.scan()

    def stop(self) -> None:
        """What is under way ends; what is not begun stays in the database."""
        self._stopping = True
        self.engine.on_work = lambda lane: None
        self._scheduler.shutdown(wait=False)
        self._pool.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(DatabaseAway):
            self.engine.leases.release()
        self._only.close()

    # --- lanes -------------------------------------------------------------------------------------------------------------

    def wake(self, lane: Lane) -> None:
        with self._lock:
            if self._stopping:
                return
            if lane in self._running:
                self._again.add(lane)
                return
            self._running.add(lane)
        self._pool.submit(self._run, lane)

    def _run(self, lane: Lane) -> None:
        while True:
            try:
                self.engine.run_lane(lane)
            except DatabaseAway as away:
                log.warning("lane %s waits: %s", lane, away)
            except Exception:
                log.exception("lane %s failed; it is tried again at the next look", lane)
            with self._lock:
                if lane in self._again and not self._stopping:
                    self._again.discard(lane)
                    continue
                self._running.discard(lane)
                return

    # --- the loops ---------------------------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Whatever can go on goes on: after a start, from other processes, and when something falls due."""
        for lane in self.engine.open_lanes():
            self.wake(lane)
        self.seen_alive = time.monotonic()

    def collect(self) -> None:
        with self.app.db.read() as conn:
            accounts = order_table.working_accounts(conn)
        for account_id in accounts:
            try:
                for lane in self.engine.collect(account_id):
                    self.wake(lane)
            except BrokerError as error:
                log.warning("account %s: no news of its orders: %s", account_id, error.message)

    def look(self) -> None:
        for lane in self.watch.look():
            self.wake(lane)

    def renew(self) -> None:
        self.engine.leases.renew()

    def tidy(self) -> None:
        now = self.app.clock.now()
        old = now - timedelta(days=self.app.settings.retention_days)
        forgotten = self.app.db.write(lambda conn: signal_table.forget_raw(conn, old))
        self.app.db.write(lambda conn: people_table.forget_expired(conn, now))
        if forgotten:
            log.info("forgot the raw text of %s old signals", forgotten)


def _safely(job: Callable[[], None]) -> Callable[[], None]:
    """A loop outlives its failures: they are logged, and it looks again."""

    def run() -> None:
        try:
            job()
        except DatabaseAway as away:
            log.warning("%s waits: %s", job.__name__, away)
        except Exception:
            log.exception("%s failed; it is tried again", job.__name__)

    run.__name__ = job.__name__
    return run


@contextlib.contextmanager
def _only_worker(home: Path) -> Iterator[None]:
    """SQLite serves one worker. The lock goes with the process, however it ends."""
    with open(home / "worker.lock", "w") as file:
        for _ in range(50):  # the one before may still be ending
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            raise CannotStart(f"Another DashTrade already works on {home}.\n  Stop it first, or use PostgreSQL to run several.")
        yield
