"""A simulated crypto exchange with an adapter on it, and short words for orders: for the tests of what can
bite."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashtrade.brokers.crypto.adapter import CryptoBroker
from dashtrade.brokers.crypto.venues import EXCHANGES
from dashtrade.domain.ports import OrderRef, OrderRequest
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce, new_id
from tests.simulators.crypto import KEY, PASSPHRASE, SECRET, Simulator

D = Decimal
BUY, SELL, MARKET, LIMIT = OrderSide.BUY, OrderSide.SELL, OrderType.MARKET, OrderType.LIMIT
FIVE = tuple(EXCHANGES)


class CryptoHarness:
    """A simulated exchange, an adapter on it, and short words for orders of SOL."""

    def __init__(self, exchange: str, **options) -> None:
        self.exchange, self.simulator = exchange, Simulator(options.pop("wire", exchange))
        self.front, self.core = self.simulator.front, self.simulator.core
        self.simulator.hold = 1.0
        self.keys = getattr(self.front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        self.money = self.front.money
        self.sol = Symbol.parse(f"SOL/{self.money}")
        self.broker = self.another(**options)

    def another(self, **options) -> CryptoBroker:
        given = {
            "url": self.simulator.url,
            "timeout": 0.5,
            "paced": False,
            "settle": timedelta(0),
            **self.keys,
            **options,
        }
        return CryptoBroker(self.exchange, **given)

    def request(self, side=BUY, kind=MARKET, quantity="1", **rest) -> OrderRequest:
        given = {name: D(value) if name.endswith("_price") else value for name, value in rest.items()}
        given.setdefault("time_in_force", TimeInForce.GTC)
        named = {"client_order_id": new_id(datetime.now(UTC)), "symbol": self.sol, **given}
        return OrderRequest(side=side, type=kind, quantity=D(quantity), **named)

    def ref(self, request, number=None, created=None) -> OrderRef:
        return OrderRef(
            client_order_id=request.client_order_id,
            broker_order_id=number,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            type=request.type,
            created_at=created or datetime.now(UTC),
        )

    def buy(self, quantity="1", **rest):
        return self.broker.submit(self.request(BUY, MARKET, quantity, **rest))

    def answers(self, status: int, body, *, placed: bool = False, on: str = "create") -> None:
        said = body if isinstance(body, str) else json.dumps(body)
        self.simulator.fault("answer", status=status, body=said, placed=placed, on=on)

    def creates(self) -> list:
        return [asked for asked in self.simulator.requests if self.simulator._route(asked)[0] == "create"]

    def paths(self) -> list[str]:
        return [asked.path for asked in self.simulator.requests]

    def client(self):
        """A bare ccxt client, set up as the adapter does it."""
        with self.broker._wire.borrow() as client:
            return client

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()


@contextmanager
def harness(exchange: str, **options):
    made = CryptoHarness(exchange, **options)
    try:
        yield made
    finally:
        made.close()
