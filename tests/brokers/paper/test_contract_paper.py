"""The broker contract, held by the paper broker over a market set by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.paper_account import MemoryPaperStore, PaperSettings
from dashtrade.domain.ports import Broker, Quote, SystemClock, Unavailable
from dashtrade.domain.symbols import Symbol
from tests.support.broker_contract import BrokerContract, ContractVenue
from tests.support.sessions import new_york

CENT = Decimal("0.01")


class HandFeed:
    demo = True

    def __init__(self) -> None:
        self.mids: dict[Symbol, Decimal] = {}

    def quote(self, symbol: Symbol) -> Quote:
        if symbol not in self.mids:
            raise Unavailable(f"there is no price of {symbol.short}; look at its spelling")
        mid = self.mids[symbol]
        return Quote(symbol=symbol, bid=mid - CENT, ask=mid + CENT, at=SystemClock().now())


class CountingStore(MemoryPaperStore):
    """A book whose orders can be counted from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def write(self, work):
        def noting(book):
            add, added = book.add_order, set()
            book.add_order = lambda order: (add(order), added.add(order.client_order_id))[0]
            try:
                return work(book), added
            finally:
                del book.add_order

        result, added = super().write(noting)
        self.names |= added
        return result


class PaperVenue(ContractVenue):
    candles = False

    def __init__(self) -> None:
        self.settings = PaperSettings(hours="always")
        self.feed, self.store = HandFeed(), CountingStore()
        self.set_price(self.symbol, Decimal(100))
        self.broker = self.restarted()

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.feed.mids[symbol] = price

    def fill_in_parts(self) -> None:
        self.settings = replace(self.settings, fill_percent=Decimal(40))
        self.broker = self.restarted()
        self.waits = True

    waits = False

    def finish_filling(self) -> None:
        self.waits = False

    def placed(self) -> int:
        return len(self.store.names)

    def restarted(self) -> Broker:
        return PaperBroker(self.store, self.feed, SystemClock(), self.settings, new_york)

    def step(self) -> None:
        if not self.waits:
            self.broker.tick()


class TestPaper(BrokerContract):
    @pytest.fixture
    def venue(self) -> PaperVenue:
        return PaperVenue()
