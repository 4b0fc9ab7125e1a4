"""Ann and her account at Alpaca's simulator, whose market tells the product's time: fixtures for the tests of
the whole path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.fakes import SetClock
from tests.support.installation import House, Person


def addresses(sim: AlpacaSimulator) -> dict[str, str]:
    return {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}


def account(person: Person, sim: AlpacaSimulator, **more: Any) -> int:
    given = {
        "broker": "alpaca",
        "mode": "paper",
        "label": "Alpaca",
        "credentials": {"key": sim.key, "secret": sim.secret},
    }
    return person.does("POST", "/accounts", given | more)["id"]


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
