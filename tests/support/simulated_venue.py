"""A contract venue whose far end is one of our own HTTP simulators: crypto exchanges and Schwab."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.ports import Broker
from dashtrade.domain.symbols import Symbol
from tests.simulators.exchanges import ExchangeSimulator
from tests.support.broker_contract import ContractVenue
from tests.support.free_port import free_port

GIVE_UP_SECONDS = 0.5  # seconds until an answer that does not come is given up


class SimulatedVenue(ContractVenue):
    """`made(url)` makes the adapter."""

    quantity = Decimal(10)

    def __init__(self, simulator: ExchangeSimulator) -> None:
        self.simulator = simulator
        self.simulator.hold = 2 * GIVE_UP_SECONDS
        self.broker = self.feed = self.made(simulator.url)

    def made(self, url: str) -> Broker:
        raise AssertionError("each venue makes its own")

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.simulator.core.set_price(symbol.short, price)

    def fault(self, name: str, **how: object) -> None:
        self.simulator.fault(name, **how)

    def fill_in_parts(self) -> None:
        self.simulator.core.next_share = Decimal("0.4")

    def finish_filling(self) -> None:
        self.simulator.core.finish()

    def placed(self) -> int:
        return len(self.simulator.core.orders)

    def restarted(self) -> Broker:
        return self.made(self.simulator.url)

    def unreachable_broker(self) -> Broker:
        return self.made(f"http://127.0.0.1:{free_port()}")

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()
