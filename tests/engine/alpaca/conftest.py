"""The whole path at Alpaca's simulator, whose market tells the product's time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import account, addresses
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.reconcile_harness import ReconcileHarness


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def sim(clock: ManualClock) -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        simulator.market.now = clock.now
        yield simulator


@pytest.fixture
def trader(make_app: MakeApp, clock: ManualClock, sim: AlpacaSimulator) -> Trader:
    person = Installation(make_app(clock=clock, **addresses(sim))).join()
    person.paper = account(person, sim)
    return person


@pytest.fixture
def bot(trader: Trader) -> int:
    return trader.bot(position_size="50", position_size_type="quantity")


@pytest.fixture
def harness(make_app: MakeApp, clock: ManualClock, sim: AlpacaSimulator) -> ReconcileHarness:
    return ReconcileHarness(Installation(make_app(clock=clock, **addresses(sim))), sim, clock)


@pytest.fixture
def holding(harness: ReconcileHarness) -> ReconcileHarness:
    """A bot that owns 10 AAPL, on books that agree."""
    harness.bot()
    harness.look()
    assert harness.trader.trades("buy", timeframe="15 Min")["status"] == "filled"
    harness.look(2)
    assert harness.trader.holds(1) == 10 and not harness.drifts("open")
    return harness
