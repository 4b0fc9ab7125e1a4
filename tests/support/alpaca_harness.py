"""An Alpaca adapter at its simulator, with short words: what the tests of both share."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

from dashtrade.brokers.alpaca.adapter import AlpacaBroker, Timeouts
from dashtrade.domain.ports import OrderRequest
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.adapter_harness import AAPL, D, ref

BTC = Symbol.parse("BTC/USD")
ROOT = Path(__file__).resolve().parents[2]


class AlpacaHarness:
    """An adapter at a simulator, and short words."""

    def __init__(self, sim: AlpacaSimulator, **more: object) -> None:
        self.sim, self.sent = sim, 0
        quick = Timeouts(connect=1, read=0.6, second_look=0.01)
        given = {"timeouts": quick, "stream_url": sim.stream_url, "api_url": sim.url, "data_url": sim.url}
        self.broker = AlpacaBroker(sim.key, sim.secret, "paper", **{**given, **more})

    def request(
        self, side: OrderSide, quantity: object, kind: OrderType = OrderType.MARKET, **rest: object
    ) -> OrderRequest:
        self.sent += 1
        rest = {
            key: D(value) if type(value) is str and key != "client_order_id" else value
            for key, value in rest.items()
        }
        name = rest.pop("client_order_id", f"{self.sent:032x}")
        return OrderRequest(
            **{"client_order_id": name, "symbol": AAPL, "side": side, "type": kind, **rest},
            quantity=None if quantity is None else D(str(quantity)),
        )

    def order(self, *what: object, **more: object):
        return self.broker.submit(self.request(*what, **more))

    def find(self, name: str):
        return self.broker.find(ref(name))

    @property
    def last(self) -> dict:
        return self.sim.requests("POST", "/v2/orders")[-1].json

    def held(self, symbol: Symbol = AAPL) -> Decimal:
        return sum(of.quantity for of in self.broker.positions() if of.symbol == symbol)


def raw(sim: AlpacaSimulator, method: str, path: str, body: object = None) -> tuple[int, dict]:
    """A request as anybody could make it, past the adapter."""
    asked = urllib.request.Request(
        sim.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"APCA-API-KEY-ID": sim.key, "APCA-API-SECRET-KEY": sim.secret},
    )
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def eventually(condition, patience: float = 5.0):
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, "in vain"
        time.sleep(0.01)
    return found
