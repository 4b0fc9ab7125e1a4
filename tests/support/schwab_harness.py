"""A simulated Schwab, an adapter on it, and short words for orders."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dashtrade.brokers.schwab.adapter import SchwabBroker
from dashtrade.domain.ports import OrderRef, OrderRequest, Unknown
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, new_id
from tests.simulators.crypto import Simulator
from tests.simulators.schwab import KEY, SECRET, SchwabFront

D = Decimal

AAPL, MSFT, BUY, SELL, MARKET, LIMIT = (
    Symbol.parse("AAPL"),
    Symbol.parse("MSFT"),
    OrderSide.BUY,
    OrderSide.SELL,
    OrderType.MARKET,
    OrderType.LIMIT,
)


class SchwabHarness:
    """A simulated Schwab, an adapter on it, and short words for orders."""

    def __init__(self, **options) -> None:
        self.front = SchwabFront()
        self.simulator = Simulator(self.front)
        self.simulator.hold, self.core, self.saved = 1.0, self.front.core, []
        self.broker = self.another(**options)

    def another(self, **options) -> SchwabBroker:
        first = options.pop("token", None) or self.front.token()
        given = {"save_token": self.saved.append, "url": self.simulator.url, "timeout": 0.5, **options}
        return SchwabBroker(KEY, SECRET, lambda: self.saved[-1] if self.saved else first, **given)

    def request(self, side=BUY, kind=MARKET, quantity=10, symbol=AAPL, **rest) -> OrderRequest:
        return OrderRequest(
            client_order_id=new_id(datetime.now(UTC)),
            symbol=symbol,
            side=side,
            type=kind,
            quantity=D(quantity),
            **rest,
        )

    def ref(self, request, *, created=None, number=None) -> OrderRef:
        return OrderRef(
            client_order_id=request.client_order_id,
            broker_order_id=number,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            type=request.type,
            created_at=created or datetime.now(UTC),
        )

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

    def paths(self) -> list[str]:
        return [asked.path for asked in self.simulator.requests]

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()


@contextmanager
def made(**options):
    harness = SchwabHarness(**options)
    try:
        yield harness
    finally:
        harness.close()
