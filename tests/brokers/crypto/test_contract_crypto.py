"""The contract suite over the five proven crypto exchanges, through the real ccxt, against a simulator of
each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dashtrade.brokers.crypto.adapter import CryptoBroker
from dashtrade.domain.symbols import Symbol
from tests.simulators.exchanges import KEY, PASSPHRASE, SECRET, ExchangeSimulator
from tests.support.broker_contract import FAULTS, BrokerContract
from tests.support.simulated_venue import GIVE_UP_SECONDS, SimulatedVenue


class CryptoVenue(SimulatedVenue):
    def __init__(self, exchange: str) -> None:
        self.exchange, simulator = exchange, ExchangeSimulator(exchange)
        front = simulator.front
        self.keys = getattr(front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        self.symbol, self.unknown_symbol = (
            Symbol.parse(f"{coin}/{front.money}") for coin in ("SOL", "STORJ")
        )
        self.faults = FAULTS - getattr(front, "cannot", frozenset())
        super().__init__(simulator)

    def made(self, url: str, **more) -> CryptoBroker:
        options = {"timeout": GIVE_UP_SECONDS, "settle": timedelta(seconds=1), "paced": False, **more}
        return CryptoBroker(self.exchange, **self.keys, url=url, **options)


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
