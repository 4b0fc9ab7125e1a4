"""The contract suite over the five proven crypto exchanges, through the real ccxt, against a simulator of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from dashtrade.brokers.crypto import CryptoBroker
from dashtrade.domain.ports import Broker
from dashtrade.domain.values import Symbol
from tests.broker_contract import FAULTS, BrokerContract, Venue
from tests.ports import free_port
from tests.simulators.crypto import KEY, PASSPHRASE, SECRET, Simulator

WAITS = 0.5  # seconds until an answer that does not come is given up


class CryptoVenue(Venue):
    quantity, faults = Decimal(10), FAULTS

    def __init__(self, exchange: str) -> None:
        self.exchange, self.simulator = exchange, Simulator(exchange)
        self.simulator.hold = 2 * WAITS
        front = self.simulator.front
        self.keys = getattr(front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        self.symbol, self.unknown_symbol = (Symbol.parse(f"{coin}/{front.money}") for coin in ("SOL", "STORJ"))
        self.faults = FAULTS - getattr(front, "cannot", frozenset())
        self.broker = self.feed = self.made(self.simulator.url)

    def made(self, url: str, **more) -> CryptoBroker:
        options = {"timeout": WAITS, "settle": timedelta(seconds=1), "paced": False, **more}
        return CryptoBroker(self.exchange, **self.keys, url=url, **options)

    def set_price(self, symbol, price):
        self.simulator.core.set_price(symbol.short, price)

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


class CryptoContract(BrokerContract):
    exchange = ""

    @pytest.fixture
    def venue(self) -> Iterator[CryptoVenue]:
        venue = CryptoVenue(self.exchange)
        yield venue
        venue.close()


class TestBinance(CryptoContract):
    exchange = "binance"


class TestOkx(CryptoContract):
    exchange = "okx"


class TestKraken(CryptoContract):
    exchange = "kraken"


class TestCoinbase(CryptoContract):
    exchange = "coinbase"


class TestGemini(CryptoContract):
    exchange = "gemini"
