"""Alpaca's simulator, and an adapter on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.alpaca import AlpacaSimulator
from tests.support.alpaca_harness import AlpacaHarness


@pytest.fixture(name="sim")
def simulator() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as sim:
        yield sim


@pytest.fixture(name="harness")
def harness_of(sim: AlpacaSimulator) -> Iterator[AlpacaHarness]:
    harness = AlpacaHarness(sim)
    yield harness
    harness.broker.close()
