"""A simulated crypto exchange with an adapter on it: for the tests of what can bite."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.crypto.adapter import CryptoBroker
from dashtrade.brokers.crypto.venues import EXCHANGES
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import TimeInForce
from tests.simulators.exchanges import KEY, PASSPHRASE, SECRET, ExchangeSimulator
from tests.support.adapter_harness import BUY, MARKET, AdapterHarness

FIVE = tuple(EXCHANGES)


class CryptoHarness(AdapterHarness):
    """Orders are for one SOL."""

    broker: CryptoBroker

    def __init__(self, exchange: str, **options: Any) -> None:
        self.exchange, simulator = exchange, ExchangeSimulator(options.pop("wire", exchange))
        front = simulator.front
        self.keys = getattr(front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        self.money = front.money
        self.sol = Symbol.parse(f"SOL/{self.money}")
        self.defaults = {"symbol": self.sol, "quantity": Decimal(1), "time_in_force": TimeInForce.GTC}
        super().__init__(simulator, **options)

    def another(self, **options: Any) -> CryptoBroker:
        given = {
            "url": self.simulator.url,
            "timeout": 0.5,
            "paced": False,
            "settle": timedelta(0),
            **self.keys,
            **options,
        }
        return CryptoBroker(self.exchange, **given)

    def buy(self, quantity="1", **rest):
        return self.broker.submit(self.request(BUY, MARKET, quantity, **rest))

    def answers(self, status: int, body, *, placed: bool = False, on: str = "create") -> None:
        answer = body if isinstance(body, str) else json.dumps(body)
        self.simulator.fault("answer", status=status, body=answer, placed=placed, on=on)

    def creates(self) -> list:
        return [asked for asked in self.simulator.requests if self.simulator._route(asked)[0] == "create"]

    def client(self):
        """A bare ccxt client, set up as the adapter does it."""
        with self.broker._wire.borrow() as client:
            return client


def harness(exchange: str, **options: Any) -> closing[CryptoHarness]:
    return closing(CryptoHarness(exchange, **options))
