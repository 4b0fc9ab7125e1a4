"""What the harnesses of adapters share: a simulated broker with an adapter on it, and short order words."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.ports import Broker, OrderRef, OrderRequest
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, new_id
from tests.simulators.exchanges import ExchangeSimulator

D = Decimal
BUY, SELL, MARKET, LIMIT = OrderSide.BUY, OrderSide.SELL, OrderType.MARKET, OrderType.LIMIT
AAPL = Symbol.parse("AAPL")


class AdapterHarness:
    """A subclass says what an order has unless told otherwise, and how an adapter is made (`another`)."""

    defaults: dict[str, Any]

    def __init__(self, simulator: ExchangeSimulator, **options: Any) -> None:
        self.simulator, self.front, self.core = simulator, simulator.front, simulator.core
        self.simulator.hold = 1.0
        self.broker = self.another(**options)

    def another(self, **options: Any) -> Broker:
        raise AssertionError("each harness makes its own")

    def request(self, side=BUY, kind=MARKET, quantity=None, **more: Any) -> OrderRequest:
        given = {name: D(value) if name.endswith("_price") else value for name, value in more.items()}
        named = {**self.defaults, "client_order_id": new_id(datetime.now(UTC)), **given}
        if quantity is not None:
            named["quantity"] = D(quantity)
        return OrderRequest(side=side, type=kind, **named)

    def ref(self, request: OrderRequest, number: str | None = None, created=None) -> OrderRef:
        return ref_of(request, number=number, created=created)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.simulator.requests]

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()


def ref_of(request: OrderRequest, *, number: str | None = None, created: datetime | None = None) -> OrderRef:
    return OrderRef(
        client_order_id=request.client_order_id,
        broker_order_id=number,
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        type=request.type,
        created_at=created or datetime.now(UTC),
    )


def ref(name: str, symbol: Symbol = AAPL) -> OrderRef:
    """Of an order that is known by its id alone."""
    request = OrderRequest(client_order_id=name, symbol=symbol, side=BUY, type=MARKET, quantity=None)
    return ref_of(request)
