"""Binance's simulator as a broker of the crash bench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from bench.crash_books import CASH, PATIENCE, PlacedFill, PlacedOrder, RemoteVenue
from dashtrade.domain.broker_kinds import Surroundings
from dashtrade.domain.symbols import Symbol
from tests.simulators.exchanges import KEY, SECRET, ExchangeSimulator
from tests.simulators.venue_books import Manner

ON_BINANCE = {
    "create": {
        "ok": 60,
        "lost": 5,
        "not_placed_500": 4,
        "overloaded": 3,
        "rate_limited": 6,
        "time_out": 1,
        "drop": 6,
        "gateway_error": 5,
        "garbage": 4,
        "empty": 2,
        "cut_off": 2,
        "redirect": 1,
        "late": 4,
        "later_than_promised": 2,
        "late_trades": 6,
    },
    "read": {
        "ok": 80,
        "lost": 4,
        "drop": 3,
        "gateway_error": 3,
        "garbage": 3,
        "cut_off": 1,
        "rate_limited": 3,
    },
    "public": {"ok": 150, "lost": 2, "gateway_error": 2, "garbage": 2, "rate_limited": 1},
    "cancel": {"ok": 24, "lost": 3, "drop": 4, "gateway_error": 3, "not_placed_500": 2, "rate_limited": 2},
}

# --- Binance ------------------------------------------------------------------------------------------------


class BinanceBooks(RemoteVenue):
    start_cash = CASH
    totals_only = False
    STATUS: ClassVar = {"open": "working"}

    def __init__(self, manner: Manner, now: Callable[[], datetime], sim: ExchangeSimulator) -> None:
        super().__init__(manner, now, ON_BINANCE)
        self.front = type(sim.front)()
        self.core = self.front.core
        self.core.now = lambda: now().timestamp()
        self.core.balances["USDT"] = CASH
        sim.front, sim.core, sim.requests = self.front, self.core, []
        sim.chaos = self.live

    def live(self, kind: str) -> dict[str, Any] | None:
        price = self.price()
        if price is not None:
            self.core.set_price(self.rng.choice(["BTC/USDT", "SOL/USDT"]), price)
        if self.parts_are_due():
            self.core.finish()
        if kind == "create":
            self.core.next_share, self.core.lag = Decimal("0.4") if self.in_parts() else Decimal(1), 0.0
        match self.fault(kind):
            case "ok":
                return None
            case "401":
                refused = self.front.bad_key()
                return {"name": "answer", "status": refused.status, "body": refused.text}
            case "not_placed_500":
                return {"name": "answer", "status": 500, "body": "<html>500</html>"}
            case "overloaded":
                return {
                    "name": "answer",
                    "status": 503,
                    "body": '{"code": -1008, "msg": "Server is currently overloaded"}',
                }
            case "late" | "later_than_promised" as late:
                self.core.lag = 4.0 if late == "late" else 15.0
                return {"name": "drop"}
            case "late_trades":
                self.core.trade_lag = self.rng.choice([0.0, 1.0, 4.0])
                return None
            case name:
                return {"name": name, "seconds": self.rng.choice([1, 2, 7])}

    @property
    def orders(self) -> list[PlacedOrder]:
        return [
            PlacedOrder(
                client_order_id=o.client_id,
                status=self.STATUS.get(o.status, o.status),
                filled=o.filled,
                fills=tuple(self._fill(o, trade) for trade in o.trades),
            )
            for o in self.core.orders
        ]

    @staticmethod
    def _fill(order: Any, trade: Any) -> PlacedFill:
        bought = trade.fee_coin == order.market.base
        return PlacedFill(
            id=f"{order.id}:{trade.id}",
            quantity=trade.quantity,
            price=trade.price,
            fee=Decimal(0) if bought else trade.fee,
            fee_base=trade.fee if bought else Decimal(0),
        )

    @property
    def placed(self) -> Counter[str]:
        return Counter(o.client_id for o in self.core.orders)

    @property
    def symbols(self) -> set[str]:
        return {Symbol.parse(o.market.name).text for o in self.core.orders}

    def position(self, symbol: str) -> Decimal:
        return self.core.balances[Symbol.parse(symbol).base]

    @property
    def cash(self) -> Decimal:
        return self.core.balances["USDT"]


class BinanceVenue:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now, self._sim = now, ExchangeSimulator("binance")
        self._sim.hold = 2 * PATIENCE
        self.port = int(self._sim.url.rpartition(":")[2])
        self.books: BinanceBooks

    def begin(self, manner: Manner) -> BinanceBooks:
        self.books = BinanceBooks(manner, self.now, self._sim)
        return self.books

    def recover(self) -> None:
        self.books.calm, self.books.core.trade_lag = True, 0.0

    def close(self) -> None:
        self._sim.close()


def binance(around: Surroundings, port: int) -> Any:
    from dashtrade.brokers.crypto.adapter import CryptoBroker

    kept: Path = around.home / "markets.json"
    return CryptoBroker(
        "binance",
        KEY,
        SECRET,
        mode="live",
        url=f"http://127.0.0.1:{port}",
        clock=around.clock,
        timeout=PATIENCE,
        paced=False,
        markets_cache=kept,
    )
