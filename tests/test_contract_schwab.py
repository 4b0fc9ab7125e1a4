"""The contract suite over the Schwab adapter, against its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from dashtrade.brokers.schwab import SchwabBroker
from dashtrade.domain.ports import Broker
from tests.broker_contract import FAULTS, BrokerContract, Venue
from tests.ports import free_port
from tests.simulators.crypto import Simulator
from tests.simulators.schwab import KEY, SECRET, SchwabFront

WAITS = 0.5  # seconds until an answer that does not come is given up


class SchwabVenue(Venue):
    quantity, fraction, faults = Decimal(10), Decimal("0.5"), FAULTS - SchwabFront.cannot

    def __init__(self) -> None:
        self.front = SchwabFront()
        self.simulator = Simulator(self.front)
        self.simulator.hold = 2 * WAITS
        self.saved: list[str] = []
        self.broker = self.feed = self.made(self.simulator.url)

    def made(self, url: str) -> SchwabBroker:
        return SchwabBroker(KEY, SECRET, self.front.token, self.saved.append, url=url, timeout=WAITS, settle=timedelta(seconds=1))

    def set_price(self, symbol, price):
        self.simulator.core.set_price(f"{symbol.base}/USD", price)

    def fault(self, name, **how):
        self.simulator.fault(name, **how)

    def fill_in_parts(self):
        self.simulator.core.next_share = Decimal("0.4")

    def finish_filling(self):
        self.simulator.core.finish()

    def placed(self):
        return len(self.simulator.core.orders)

    def restarted(self) -> Broker:
        return self.made(self.simulator.url)

    def unreachable_broker(self) -> Broker:
        return self.made(f"http://127.0.0.1:{free_port()}")

    def close(self):
        self.broker.close()
        self.simulator.close()


class TestSchwab(BrokerContract):
    @pytest.fixture
    def venue(self) -> Iterator[SchwabVenue]:
        venue = SchwabVenue()
        yield venue
        venue.close()
