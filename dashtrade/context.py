"""The application as passed to the layers above it: its parts, without their use.

`app.build_app` assembles it; services, worker, REST and pages take it as their first argument."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from bot_database import Database
from bot_engine import Engine
from dashtrade.disk import Disk
from dashtrade.domain.accounts import PAPER, Account
from dashtrade.domain.as_json import JsonValue, WrongType, from_json, from_named_json, to_json
from dashtrade.domain.broker_kinds import Address, BrokerKind, Surroundings
from dashtrade.domain.kernel.accepting import Alert, IntakeResult
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.paper_account import PaperBook
from dashtrade.domain.ports import Broker, Capabilities, Clock, Feed
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.domain.values import Malformed
from dashtrade.engine.host import Host
from dashtrade.nonces import SharedNonces
from dashtrade.processes.worker_ipc import WorkerClient
from dashtrade.security_notes import Notes
from dashtrade.settings import BadSetting, Settings
from dashtrade.tables import accounts as account_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import user_orders
from dashtrade.tables.base import metadata
from dashtrade.tables.paper import TableBook
from dashtrade.trading_days import TradingDays
from encryption import Vault

T = TypeVar("T")
log = logging.getLogger("dashtrade.context")

OWNED_LATELY = timedelta(days=7)  # maximum age of an order that is matched by its broker number
POLL_SECONDS = 0.25  # seconds between two checks of an awaited signal


class PaperTables:
    """The paper broker's store, in the database."""

    def __init__(self, db: Database, account_id: int) -> None:
        self._db, self._account_id = db, account_id

    def write(self, work: Callable[[PaperBook], T]) -> T:
        def run(conn: sa.Connection) -> T:
            account_table.lock_account(conn, self._account_id)
            return work(TableBook(conn, self._account_id, writes=True))

        return self._db.write(run)

    def read(self, work: Callable[[PaperBook], T]) -> T:
        with self._db.read() as conn:
            return work(TableBook(conn, self._account_id, writes=False))


def broker_addresses(settings: Settings, kinds: Mapping[str, BrokerKind]) -> dict[str, str]:
    """The custom addresses of all brokers; raises BadSetting."""
    return custom_addresses(settings, [address for kind in kinds.values() for address in kind.addresses])


def custom_addresses(settings: Settings, known: Sequence[Address]) -> dict[str, str]:
    found = {}
    for name, text in settings.addresses.items():
        if any(address.covers(name) for address in known):
            if urlsplit(text).scheme not in ("http", "https", "ws", "wss"):
                raise BadSetting(
                    name, f"{text!r} is not an address.", f"For example: {name}=http://127.0.0.1:9001"
                )
            found[name] = text.rstrip("/")
    return found


def surroundings(app: App, account: Account, prices: Feed) -> Surroundings:
    """The parts of this application that an adapter may use, for one account."""

    def load_session() -> str:
        with app.db.read() as conn:
            session = account_table.load(conn, account.id).session
        return app.vault.decrypt(session) if session else ""

    def save_session(text: str) -> None:
        sealed = app.vault.encrypt(text)
        app.db.write(lambda conn: account_table.put_session(conn, account.id, None, sealed))

    def owner_of(number: str) -> str | None:
        since = app.clock.now() - OWNED_LATELY
        with app.db.read() as conn:
            return user_orders.by_venue_number(conn, account.user_id, account.id, number, since=since)

    return Surroundings(
        clock=app.clock,
        prices=prices,
        home=app.settings.home,
        books=PaperTables(app.db, account.id),
        address=app.brokers.address,
        nonces=lambda exchange_and_key: SharedNonces(app.db, exchange_and_key),
        load_session=load_session,
        save_session=save_session,
        exclusive=lambda: app.db.exclusive(f"{account.broker}-{account.id}"),
        owner_of=owner_of,
        sessions=app.trading_days.sessions,
    )


class Brokers:
    """One adapter per account, created on first use and recreated when the account's credentials or options
    change."""

    def __init__(self, app: App, kinds: Mapping[str, BrokerKind]) -> None:
        self._app, self.kinds = app, kinds
        self._addresses = broker_addresses(app.settings, kinds)
        self._adapters: dict[int, tuple[object, Broker]] = {}
        # stand-ins for live accounts in simulation mode
        self._papers: dict[int, tuple[Feed, Broker]] = {}
        self._lock = threading.Lock()

    def kind(self, broker: str) -> BrokerKind:
        if broker not in self.kinds:
            raise Malformed(
                f"there is no broker {broker[:40]!r}",
                where="broker",
                hint=f"One of: {', '.join(self.kinds)}.",
            )
        return self.kinds[broker]

    def sign_in_warning(self, account: Account) -> Reason:
        """For its user, when a new sign-in is due; else NO_REASON."""
        warning = self.venue(account).offers.sign_in_warning
        return warning() if warning is not None else NO_REASON

    def sign_in_has_ended(self, account: Account) -> bool:
        ended = self.venue(account).offers.sign_in_has_ended
        return ended is not None and ended()

    def address(self, setting: str) -> str | None:
        """A broker's address, if not its own."""
        return self._addresses.get(setting)

    @property
    def streaming(self) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind.streams]

    def of(self, account: Account) -> Broker:
        """The account's adapter; in simulation mode, for a live account, its paper broker instead."""
        return self._simulated(account) if account.simulated else self.venue(account)

    def _simulated(self, account: Account) -> Broker:
        """A paper broker at the real broker's prices where available, with books in our database."""
        feed = self.feed(account)
        made = self._papers.get(account.id)
        if made is None or made[0] is not feed:
            plain = replace(account, options={})
            made = (feed, self.kind(PAPER).make(plain, {}, surroundings(self._app, account, feed)))
            self._papers[account.id] = made
        return made[1]

    def venue(self, account: Account) -> Broker:
        """The adapter of the account's own broker in any mode: for connection tests and prices."""
        version = (account.credentials, account.options)
        cached = self._adapters.get(account.id)
        if cached is not None and cached[0] == version:
            return cached[1]
        with self._lock:
            cached = self._adapters.get(account.id)
            if cached is None or cached[0] != version:
                if cached is not None:
                    cached[1].close()
                credentials = json.loads(self._app.vault.decrypt(account.credentials))
                around = surroundings(self._app, account, self._app.feed)
                cached = (version, self.kind(account.broker).make(account, credentials, around))
                self._adapters[account.id] = cached
        return cached[1]

    def capabilities(self, account: Account) -> Capabilities:
        return self.of(account).capabilities

    def feed(self, account: Account) -> Feed:
        """The source of prices for this account: its broker if it offers prices, else the demo market."""
        return self.venue(account).offers.prices or self._app.feed

    def close(self) -> None:
        for _, broker in self._adapters.values():
            broker.close()


class WorkerHost(Host):
    """A process that accepts signals and leaves their execution to a worker."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker

    def store(self, alert: Alert) -> IntakeResult | None:
        answer = self._worker.hand_over(to_json(alert))
        return None if answer is None else from_named_json(IntakeResult, answer)

    def wake(self, lane: Lane, signal_id: str) -> None:
        self._worker.work(to_json(lane), signal_id)

    def on_change(self, signal_id: str, outcome: SignalOutcome | None = None) -> None:
        self._worker.on_change(signal_id)


@dataclass(slots=True, kw_only=True)
class App:
    settings: Settings
    db: Database
    clock: Clock
    vault: Vault = field(repr=False)
    feed: Feed
    notes: Notes
    disk: Disk
    trading_days: TradingDays
    brokers: Brokers = field(init=False)
    engine: Engine = field(init=False)
    worker: WorkerClient | None = None

    def connect(self) -> None:
        """For a process that accepts signals and leaves their execution to a worker: connect to the
        worker."""
        self.worker = WorkerClient(self.settings.home)
        self.engine.host = WorkerHost(self.worker)

    def wait(self, owner: int, signal_id: str, seconds: float, *, fresh: bool = True) -> SignalOutcome | None:
        """Wait until the signal has an outcome (or rests at the broker), within the time limit; returns the
        outcome, if the worker reported it. The report only saves polling: the database is also checked at
        intervals."""
        end = time.monotonic() + seconds
        event = self.worker.watch(signal_id) if self.worker is not None else threading.Event()
        if not fresh:
            event.set()  # a repeat: it may have ended long ago
        try:
            while True:
                event.wait(max(min(POLL_SECONDS, end - time.monotonic()), 0))
                event.clear()
                told = self.worker.outcome_of(signal_id) if fresh and self.worker is not None else None
                outcome = self.read_outcome(signal_id, told)
                if outcome is not None:
                    return outcome
                if not self.is_pending(owner, signal_id) or time.monotonic() >= end:
                    return None
        finally:
            if self.worker is not None:
                self.worker.forget(signal_id)

    def is_pending(self, owner: int, signal_id: str) -> bool:
        with self.db.read() as conn:
            return signal_table.status_of(conn, owner, signal_id) == "accepted"

    def read_outcome(self, signal_id: str, told: JsonValue | None) -> SignalOutcome | None:
        """The worker's report. One of a worker of another version may be unreadable; the outcome is in the
        database too."""
        if told is None:
            return None
        try:
            outcome: SignalOutcome = from_json(SignalOutcome, told)
        except WrongType as error:
            log.warning("the worker's report on signal %s is unreadable: %s", signal_id, error)
            return None
        return outcome

    def in_memory(self, clock: Clock) -> App:
        """The same application over an empty in-memory database, with its own clock and demo prices: runs a
        simulation under the same rules."""
        db = Database("sqlite://")
        metadata.create_all(db.engine)
        past = assemble(self.settings, db, clock, self.vault, demo_feed(clock), self.brokers.kinds)
        past.trading_days = self.trading_days
        return past

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()
        self.notes.close()
        self.engine.snapshots.close()
        self.brokers.close()
        self.db.close()


def assemble(
    settings: Settings, db: Database, clock: Clock, vault: Vault, feed: Feed, kinds: Mapping[str, BrokerKind]
) -> App:
    app = App(
        settings=settings,
        db=db,
        clock=clock,
        vault=vault,
        feed=feed,
        notes=Notes(db, clock),
        disk=Disk(db.file),
        trading_days=TradingDays(db, clock),
    )
    app.brokers = Brokers(app, kinds)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    app.engine = Engine(db=db, clock=clock, broker_of=app.brokers.of, feed_of=app.brokers.feed, owner=owner)
    return app


def demo_feed(clock: Clock) -> Feed:
    from dashtrade.feeds.demo import DemoFeed

    return DemoFeed(clock)
