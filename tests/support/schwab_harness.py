"""A simulated Schwab with an adapter on it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from dashtrade.brokers.schwab.adapter import SchwabBroker
from dashtrade.domain.ports import Unknown
from dashtrade.domain.symbols import Symbol
from tests.simulators.exchanges import ExchangeSimulator
from tests.simulators.schwab import KEY, SECRET, SchwabFront
from tests.support.adapter_harness import AAPL, AdapterHarness, D

MSFT = Symbol.parse("MSFT")


class SchwabHarness(AdapterHarness):
    """Orders are for ten AAPL."""

    broker: SchwabBroker

    def __init__(self, **options: Any) -> None:
        self.saved: list[Any] = []
        self.defaults = {"symbol": AAPL, "quantity": D(10)}
        super().__init__(ExchangeSimulator(SchwabFront()), **options)

    def another(self, **options: Any) -> SchwabBroker:
        first = options.pop("token", None) or self.front.token()
        given = {"save_token": self.saved.append, "url": self.simulator.url, "timeout": 0.5, **options}
        return SchwabBroker(KEY, SECRET, lambda: self.saved[-1] if self.saved else first, **given)

    def by_hand(self, side="buy", quantity=10, name="AAPL/USD", limit=None):
        return self.core.place(
            client_id="",
            name=name,
            side=side,
            type="limit" if limit else "market",
            quantity=D(quantity),
            limit=limit,
        )

    def times_out(self, request):
        self.broker.rules(request.symbol)
        self.simulator.fault("time_out")
        with pytest.raises(Unknown):
            self.broker.submit(request)


def new_harness(**options: Any) -> closing[SchwabHarness]:
    return closing(SchwabHarness(**options))
