"""Reads every broker account, so that pages show known figures with their age and never wait for a broker.

Accounts are read independently. One whose broker hangs or is unreachable costs only a thread; it is read less
and less often, and at once when something of it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.accounts import Account
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.ports import BadCredentials, Broker, BrokerError, Clock, RetryLater
from dashtrade.domain.record import replace
from dashtrade.engine.account_jobs import JOB_LIMIT_SECONDS, AccountJobs
from dashtrade.engine.lanes import Leases
from dashtrade.engine.outages import Outages, backoff_delay
from dashtrade.engine.reconcile import WHOLE_ACCOUNT
from dashtrade.engine.workflow import run_sync
from dashtrade.tables import accounts as account_table
from dashtrade.tables import readings as table
from dashtrade.tables.readings import AccountReading

log = logging.getLogger("dashtrade.readings")

# while something is held or a page is open; otherwise
FAST_EVERY, SLOW_EVERY = timedelta(seconds=3), timedelta(seconds=15)
STORE_UNCHANGED_EVERY = timedelta(seconds=10)  # an unchanged reading is stored this seldom
WATCHED_FOR = timedelta(seconds=45)  # after a page of the account's user was last opened
# longest delay between attempts while a broker is unreachable
LONGEST_RETRY, LONGEST_RETRY_WATCHED = timedelta(seconds=60), timedelta(seconds=20)
REQUESTS_PER_READING = 2
RATE_LIMIT_SHARE = 2  # readings use at most half of the broker's rate limit
OUTAGE_KIND = "reading"


@dataclass(slots=True)
class _Schedule:
    """When an account is read next."""

    stamp: object = None
    started_at: datetime | None = None  # of the latest reading
    tries: int = 0
    retry_after: timedelta = timedelta(0)  # how long its broker asked us to wait
    hangs: bool = False  # the current reading timed out


def holdings_of(reading: AccountReading | None) -> object:
    """The holdings without their value."""
    if reading is None or reading.read_at is None:
        return None
    return reading.simulated, tuple((p.symbol, p.quantity, p.average_price) for p in reading.positions)


class Readings:
    def __init__(
        self,
        db: Database,
        clock: Clock,
        broker_of: Callable[[Account], Broker],
        leases: Leases,
        outages: Outages,
        on_recovered: Callable[[int], None] = lambda account_id: None,
    ) -> None:
        self._db, self._clock, self._broker_of, self._leases, self._outages = (
            db,
            clock,
            broker_of,
            leases,
            outages,
        )
        self._on_recovered = on_recovered
        self._jobs = AccountJobs(OUTAGE_KIND)
        self._schedules: dict[int, _Schedule] = {}
        self._latest: dict[int, AccountReading] | None = None
        self._stored_at: dict[int, datetime] = {}
        self._lock, self._write_lock, self._stopped = threading.Lock(), threading.Lock(), False

    # --- scheduling -----------------------------------------------------------------------------------------

    def start_due(self) -> None:
        """Start what is due, without waiting."""
        for account in self.due():
            schedule = self._schedules[account.id]
            if self._jobs.start(account.id, partial(self.read, account)):
                schedule.started_at, schedule.hangs = self._clock.now(), False

    def stop(self) -> None:
        """Answers that arrive later are not stored."""
        self._jobs.stop()
        with self._write_lock:
            self._stopped = True

    def due(self) -> list[Account]:
        now = self._clock.now()
        with self._db.read() as conn:
            if self._latest is None:
                self._latest = table.load_all(conn)
            accounts, busy, watched = (
                account_table.at_remote_brokers(conn),
                table.busy(conn),
                table.watched(conn, now, WATCHED_FOR),
            )
        for removed in self._schedules.keys() - {account.id for account in accounts}:
            del self._schedules[removed]
            self._outages.forget(removed)
        due_accounts = []
        for account in accounts:
            if self._is_due(
                account, busy.get(account.id), account.id in watched, now
            ) and self._is_this_workers(account.id):
                due_accounts.append(account)
        return due_accounts

    def _is_due(self, account: Account, busy: object, watched: bool, now: datetime) -> bool:
        schedule = self._schedules.setdefault(account.id, _Schedule())
        stamp = (account.credentials, account.options, account.simulated, account.checked_at, busy)
        if schedule.stamp != stamp:  # new, changed, tested, or a fill was booked
            schedule.stamp, schedule.started_at, schedule.retry_after = stamp, None, timedelta(0)
        self._mark_hanging(account, schedule)
        if schedule.started_at is None:
            return True
        wait = self._interval(account, fast=busy is not None or watched)
        if schedule.tries:
            wait = max(
                wait,
                backoff_delay(
                    schedule.tries, FAST_EVERY, LONGEST_RETRY_WATCHED if watched else LONGEST_RETRY
                ),
                schedule.retry_after,
            )
        return now - schedule.started_at >= wait

    def _interval(self, account: Account, *, fast: bool) -> timedelta:
        allowed = self._broker_of(account).capabilities.requests_per_minute
        shortest = (
            timedelta(minutes=REQUESTS_PER_READING * RATE_LIMIT_SHARE / allowed) if allowed else timedelta(0)
        )
        return max(FAST_EVERY if fast else SLOW_EVERY, shortest)

    def _is_this_workers(self, account_id: int) -> bool:
        """Of several workers, the one that reconciles an account also reads it."""
        return (
            self._db.is_sqlite
            or run_sync(self._db, self._leases.acquire(Lane(account_id, WHOLE_ACCOUNT))) is not None
        )

    def _mark_hanging(self, account: Account, schedule: _Schedule) -> None:
        """A broker that never answers: its thread keeps waiting, and the account is marked."""
        if not schedule.hangs and self._jobs.running_seconds(account.id) > JOB_LIMIT_SECONDS:
            schedule.hangs = True
            self._record_failure(
                account,
                "silent",
                f"The broker did not answer within {JOB_LIMIT_SECONDS:.0f} seconds. DashTrade retries.",
            )

    # --- one account ----------------------------------------------------------------------------------------

    def read(self, account: Account) -> None:
        """Read one account; may take as long as its broker does."""
        asked_at = self._clock.now()
        try:
            broker = self._broker_of(account)
            state, positions = broker.account(), tuple(broker.positions())
        except BrokerError as error:
            self._schedules.setdefault(account.id, _Schedule()).retry_after = (
                error.after if isinstance(error, RetryLater) else timedelta(0)
            )
            self._record_failure(account, _code(error), error.message)
        except Exception:
            if (
                self._record_failure(
                    account,
                    "unexpected",
                    "The broker's answer could not be read, which is an error in DashTrade; see the log.",
                )
                == 1
            ):
                log.exception("account %s: what its broker said could not be read", account.id)
        else:
            reading = AccountReading(
                account_id=account.id,
                user_id=account.user_id,
                simulated=account.simulated,
                read_at=asked_at,
                state=state,
                positions=positions,
                changed_at=asked_at,
            )
            self._schedules.setdefault(account.id, _Schedule()).tries = 0
            self._store(reading)
            if self._outages.recovered(account.id, OUTAGE_KIND):
                self._on_recovered(account.id)

    def _record_failure(self, account: Account, code: str, message: str) -> int:
        now = self._clock.now()
        tries = self._outages.record_failure(account.id, OUTAGE_KIND, message)
        self._schedules.setdefault(account.id, _Schedule()).tries = tries
        before = self._latest_of(account.id)
        if before is None or before.simulated is not account.simulated:
            before = AccountReading(
                account_id=account.id, user_id=account.user_id, simulated=account.simulated, changed_at=now
            )
        self._store(
            replace(
                before, error_code=code, error=message, failing_since=before.failing_since or now, tries=tries
            )
        )
        return tries

    def _latest_of(self, account_id: int) -> AccountReading | None:
        return (self._latest or {}).get(account_id)

    def _store(self, reading: AccountReading) -> None:
        """Store a reading when it changed, and at intervals so that its age is known."""
        now = self._clock.now()
        with self._lock:
            before = self._latest_of(reading.account_id)
            same = (
                before is not None
                and before.error_code == reading.error_code
                and holdings_of(before) == holdings_of(reading)
            )
            reading = replace(reading, changed_at=before.changed_at if before is not None and same else now)
            self._latest = {} if self._latest is None else self._latest
            self._latest[reading.account_id] = reading
            changed = (
                before is None or replace(before, read_at=reading.read_at, tries=reading.tries) != reading
            )
            stored_at = self._stored_at.get(reading.account_id)
            if not changed and stored_at is not None and now - stored_at < STORE_UNCHANGED_EVERY:
                return
            self._stored_at[reading.account_id] = now
        try:
            with self._write_lock:  # one thread at a time, so that none writes to a closed database
                if not self._stopped:
                    self._db.write(lambda conn: table.put(conn, reading))
        except DatabaseUnavailable as error:
            log.warning(
                "account %s: what its broker said is written down later: %s", reading.account_id, error
            )
            self._stored_at.pop(reading.account_id, None)


def _code(error: BrokerError) -> str:
    if isinstance(error, BadCredentials):
        return "credentials"
    return "later" if isinstance(error, RetryLater) else "unreachable"
