"""The contract suite over the Schwab adapter, against its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from dashtrade.brokers.schwab.adapter import SchwabBroker
from tests.simulators.exchanges import ExchangeSimulator
from tests.simulators.schwab import KEY, SECRET, SchwabFront
from tests.support.broker_contract import FAULTS, BrokerContract
from tests.support.simulated_venue import GIVE_UP_SECONDS, SimulatedVenue


class SchwabVenue(SimulatedVenue):
    fraction, faults = Decimal("0.5"), FAULTS - SchwabFront.cannot

    def __init__(self) -> None:
        self.front = SchwabFront()
        self.saved: list[str] = []
        super().__init__(ExchangeSimulator(self.front))

    def made(self, url: str) -> SchwabBroker:
        return SchwabBroker(
            KEY,
            SECRET,
            self.front.token,
            self.saved.append,
            url=url,
            timeout=GIVE_UP_SECONDS,
            settle=timedelta(seconds=1),
        )

    def set_price(self, symbol, price):
        self.simulator.core.set_price(f"{symbol.base}/USD", price)


class TestSchwab(BrokerContract):
    @pytest.fixture
    def venue(self) -> Iterator[SchwabVenue]:
        venue = SchwabVenue()
        yield venue
        venue.close()
