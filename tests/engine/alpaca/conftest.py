"""The whole path at Alpaca's simulator, whose market tells the product's time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.conftest import MakeApp
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import account, addresses
from tests.support.fakes import SetClock
from tests.support.installation import House, Person
from tests.support.reconcile_desk import Desk


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC))


@pytest.fixture
def sim(clock: SetClock) -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        simulator.market.now = clock.now
        yield simulator


@pytest.fixture
def ann(make_app: MakeApp, clock: SetClock, sim: AlpacaSimulator) -> Person:
    person = House(make_app(clock=clock, **addresses(sim))).join()
    person.paper = account(person, sim)
    return person


@pytest.fixture
def bot(ann: Person) -> int:
    return ann.bot(position_size="50", position_size_type="quantity")


@pytest.fixture
def desk(make_app: MakeApp, clock: SetClock, sim: AlpacaSimulator) -> Desk:
    return Desk(House(make_app(clock=clock, **addresses(sim))), sim, clock)


@pytest.fixture
def holding(desk: Desk) -> Desk:
    """A bot that owns 10 AAPL, on books that agree."""
    desk.bot()
    desk.look()
    assert desk.ann.trades("buy", timeframe="15 Min")["status"] == "filled"
    desk.look(2)
    assert desk.ann.holds(1) == 10 and not desk.drifts("open")
    return desk
