"""A broker that hangs keeps nobody else's stops from firing: the watch asks every account by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.broker_kinds import BrokerKind, Surroundings
from dashtrade.domain.ports import BrokerPosition, Offers, Quote, SystemClock, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.worker.worker import Worker
from tests.support.databases import sqlite
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader, wait_until

ACCOUNTS, HANGING, SOON = 20, 3, 3.0  # seconds


class Priced(ScriptedBroker):
    """A venue with prices of its own, which may stop answering whatever it is asked."""

    demo = False

    def __init__(self) -> None:
        super().__init__()
        self.offers = Offers(prices=self)
        self.silent = threading.Event()
        self.over = threading.Event()
        self.closed_at: float | None = None
        self.held = Decimal(0)

    def quote(self, symbol: Symbol) -> Quote:
        self._read()
        return Quote(symbol=symbol, bid=self.price, ask=self.price, at=SystemClock().now())

    def positions(self) -> list[BrokerPosition]:
        self._read()
        return [BrokerPosition(symbol=Symbol.parse("AAPL"), quantity=self.held)] if self.held else []

    def submit(self, request: Any) -> Any:
        self._read()
        if request.reduces:
            self.closed_at = time.monotonic()
        self.held += request.side.sign * request.quantity
        return super().submit(request)

    def _read(self) -> None:
        if self.silent.is_set():
            self.over.wait(20)
            raise Unavailable("the broker does not answer")
        super()._read()


@pytest.fixture
def venues() -> Iterator[dict[int, Priced]]:
    made: dict[int, Priced] = {}
    yield made
    for venue in made.values():
        venue.over.set()


@pytest.fixture
def app(make_app: MakeApp, venues: dict[int, Priced]) -> App:
    def make(account: Any, credentials: Any, around: Surroundings) -> Priced:
        venue = venues.setdefault(account.id, Priced())
        venue.at = around.clock
        return venue

    kind = BrokerKind(name="Venue", modes=("paper",), check=lambda credentials, options: None, make=make)
    return make_app(brokers={"venue": kind})


@pytest.fixture
def worker(app: App) -> Iterator[Worker]:
    Path(app.settings.home).mkdir(parents=True, exist_ok=True)
    made = Worker(app)
    made.start()
    yield made
    made.stop()


@sqlite
def test_stops_of_all_others_fire_in_time_while_brokers_hang(
    app: App, venues: dict[int, Priced], worker: Worker
) -> None:
    person: Trader = Installation(app).join()
    bots = {}
    for _ in range(ACCOUNTS):
        account = person.account("venue")
        bots[account] = person.bot("AAPL", "15 Min", account=account, stop_loss={"percent": "5"})
    person.send(action="buy", symbol="AAPL")
    wait_until(lambda: all(person.holds(bot) > 0 for bot in bots.values()), 30)
    hanging = sorted(venues)[:HANGING]
    for account in hanging:
        venues[account].silent.set()
    time.sleep(1)  # by now they are being asked, and do not answer
    began = time.monotonic()
    for venue in venues.values():
        venue.price = Decimal(90)
    others = [venue for account, venue in venues.items() if account not in hanging]
    wait_until(lambda: all(venue.closed_at for venue in others), 15)
    latest = max(venue.closed_at - began for venue in others if venue.closed_at)
    assert latest < SOON, f"the last stop of {len(others)} accounts fired after {latest:.1f} s"
    assert all(venues[account].closed_at is None for account in hanging)
