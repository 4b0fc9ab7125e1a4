"""The broker contract, held by the Alpaca adapter over its real client library against a strict simulator."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from dashtrade.brokers.alpaca.adapter import AlpacaBroker, Timeouts
from dashtrade.domain.ports import Broker
from dashtrade.domain.symbols import Symbol
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.broker_contract import FAULTS, BrokerContract, ContractVenue
from tests.support.free_port import free_port

QUICK = Timeouts(connect=1, read=0.6, second_look=0.01)
FOR_EVER = {
    "late_visibility": ("POST", "/v2/orders"),
    "unknown_status": ("*", "/v2/orders"),
    "bad_key": ("*", "/v2"),
}


class AlpacaVenue(ContractVenue):
    symbol = Symbol.parse("AAPL")
    faults = FAULTS

    def __init__(self, sim: AlpacaSimulator) -> None:
        self.sim = sim
        self.broker = self.feed = self.restarted()

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.sim.set_price(symbol.short, price)

    def fault(self, name: str, **how: object) -> None:
        seconds = float(how.get("seconds", 0))
        if name == "reading_fails":
            self.sim.inject(Fault("server_error", method="GET", path="/v2", times=0))
        elif name in FOR_EVER:
            method, path = FOR_EVER[name]
            self.sim.inject(Fault(name, method=method, path=path, times=0, seconds=seconds))
        else:
            self.sim.inject(Fault(name, seconds=seconds))

    def fill_in_parts(self) -> None:
        self.sim.market.next_in_parts = True

    def finish_filling(self) -> None:
        with self.sim.market.lock:
            self.sim.market.finish_parts()

    def placed(self) -> int:
        return len(self.sim.orders)

    def _adapter(self, url: str) -> AlpacaBroker:
        return AlpacaBroker(
            self.sim.key,
            self.sim.secret,
            "paper",
            api_url=url,
            data_url=url,
            stream_url=self.sim.stream_url,
            timeouts=QUICK,
        )

    def restarted(self) -> Broker:
        return self._adapter(self.sim.url)

    def unreachable_broker(self) -> Broker:
        return self._adapter(f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


class _OnAlpaca(BrokerContract):
    @pytest.fixture
    def venue(self, sim: AlpacaSimulator) -> Iterator[AlpacaVenue]:
        venue = AlpacaVenue(sim)
        yield venue
        venue.broker.close()


class TestAlpaca(_OnAlpaca):
    """Everything happens at once."""


class TestAlpacaTakesItsTime(_OnAlpaca):
    """Submit answers `pending_new`; `new` and `filled` come a little later, as at the real one."""

    @pytest.fixture
    def sim(self) -> Iterator[AlpacaSimulator]:
        with AlpacaSimulator(latency=0.03) as simulator:
            yield simulator
