"""Real adapters with their real libraries at the simulators of their venues, for the crash bench: time,
prices and faults by the run's seed.

Each venue shows its books in the few words that `crash_checks` speaks. It lives in the process that is not
crashed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from dashtrade.context import BrokerKind
from dashtrade.domain.symbols import Symbol
from tests.simulators import venue_adapter
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault, Seen
from tests.simulators.alpaca_market import Market
from tests.simulators.crypto import KEY, SECRET, Simulator
from tests.simulators.venue import Manner, Venue

CASH = Decimal(1_000_000)
# netted: opposite bots on one symbol of one Alpaca account
BROKERS = ("default", "alpaca", "netted", "binance")
PLACES = {
    "default": (("AAPL", "15"), ("AAPL", "60"), ("MSFT", "15")),
    "alpaca": (("AAPL", "15"), ("AAPL", "60"), ("MSFT", "15")),
    "binance": (("BTC/USDT", "15"), ("BTC/USDT", "60"), ("SOL/USDT", "15")),
    "netted": tuple(("AAPL", timeframe) for timeframe in ("1", "5", "15", "30", "60")),
}
_ALPACA = ("alpaca.trading.client", "alpaca.data.historical", "alpaca.data.requests")
LIBRARIES = {"default": (), "alpaca": _ALPACA, "netted": _ALPACA, "binance": ("ccxt",)}
PATIENCE = 0.3  # seconds that an adapter waits for an answer

# How often what goes wrong, of a hundred or so. `lost` never arrives; the rest of a post's second line has
# been placed.
ON_ALPACA = {
    "post": {
        "ok": 60,
        "lost": 5,
        "server_error": 4,
        "rate_limited": 6,
        "drop": 6,
        "time_out": 1,
        "gateway_error": 5,
        "garbage": 4,
        "empty": 2,
        "cut_off": 2,
        "redirect": 1,
        "unknown_status": 2,
        "numbers": 2,
        "late": 4,
        "later_than_promised": 2,
    },
    "get": {
        "ok": 80,
        "lost": 3,
        "drop": 3,
        "server_error": 3,
        "garbage": 3,
        "cut_off": 1,
        "rate_limited": 3,
        "stale": 6,
        "unknown_status": 2,
    },
    "delete": {"ok": 24, "lost": 3, "drop": 4, "server_error": 2, "gateway_error": 2, "rate_limited": 2},
}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_base: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order as the venue has it."""

    client_order_id: str
    status: str
    filled: Decimal
    fills: tuple[Fill, ...] = ()


class Far:
    """What both venues share: one seed for faults, prices and partial fills; and a market that lives at each
    request."""

    def __init__(
        self, manner: Manner, now: Callable[[], datetime], weights: dict[str, dict[str, int]]
    ) -> None:
        self.manner, self.now, self.weights = manner, now, weights
        self.rng = random.Random(manner.seed)
        self.faults: Counter[str] = Counter()
        self.calm = self.revoked = False
        self.parts_since: datetime | None = None

    def fault(self, kind: str) -> str:
        if self.calm:
            return "ok"
        if self.manner.revoked and (self.revoked or self.rng.random() < self.manner.revoked):
            self.revoked = True
            self.faults[f"{kind} 401"] += 1
            return "401"
        chosen = self.rng.choices(list(self.weights[kind]), list(self.weights[kind].values()))[0]
        if chosen != "ok":
            self.faults[f"{kind} {chosen}"] += 1
        return chosen

    def in_parts(self) -> bool:
        """The next order fills by a part, and some seconds later by the rest."""
        if self.parts_since is None and self.rng.random() < 0.4:
            self.parts_since = self.now()
            return True
        return False

    def parts_are_due(self) -> bool:
        if self.parts_since is not None and self.now() - self.parts_since > timedelta(
            seconds=self.rng.choice([0.5, 2, 4])
        ):
            self.parts_since = None
            return True
        return False

    def price(self) -> Decimal | None:
        return 100 + Decimal(self.rng.randint(-300, 300)) / 100 if self.rng.random() < 0.3 else None


# --- Alpaca -------------------------------------------------------------------------------------------------


class AlpacaBooks(Far):
    STATUS: ClassVar = {
        "filled": "filled",
        "canceled": "canceled",
        "expired": "expired",
        "rejected": "rejected",
    }
    start_cash = CASH

    def __init__(self, manner: Manner, now: Callable[[], datetime], sim: AlpacaSimulator) -> None:
        super().__init__(manner, now, ON_ALPACA)
        self.market = Market(cash=CASH, now=now)
        for symbol in ("AAPL", "MSFT"):
            self.market.set_price(symbol, Decimal(100))
        sim.market, sim.late = self.market, {}
        sim.chaos = self.live
        self.totals_only = True  # of its orders it tells quantity and average

    def live(self, request: Seen) -> list[Fault]:
        """The market goes on, then this request meets its fate. Under the market's lock."""
        price = self.price()
        if price is not None:
            self.market.set_price(self.rng.choice(["AAPL", "MSFT"]), price)
        if self.parts_are_due():
            self.market.finish_parts()
        kind = request.method.lower()
        if kind == "post":
            self.market.next_in_parts = self.in_parts()
        match self.fault(kind):
            case "ok":
                return []
            case "401":
                return [Fault("bad_key", "*", "/")]
            case "late" | "later_than_promised" as late:
                return [
                    Fault("late_visibility", "*", "/", seconds=4 if late == "late" else 15),
                    Fault("drop", "*", "/"),
                ]
            case name:
                return [
                    Fault(
                        name,
                        "*",
                        "/",
                        seconds=self.rng.choice([1, 2, 7]) if name == "rate_limited" else 2 * PATIENCE,
                    )
                ]

    @property
    def _all(self) -> list[Any]:
        with self.market.lock:
            return list(self.market.orders.values())

    @property
    def orders(self) -> list[Placed]:
        return [
            Placed(
                client_order_id=o.client_order_id,
                status=self.STATUS.get(o.status, "working"),
                filled=o.filled,
            )
            for o in self._all
        ]

    @property
    def placed(self) -> Counter[str]:
        return Counter(o.client_order_id for o in self._all)

    @property
    def symbols(self) -> set[str]:
        return {Symbol.parse(o.asset.symbol).text for o in self._all}

    def position(self, symbol: str) -> Decimal:
        return self.market.quantity(self.market.assets[Symbol.parse(symbol).base])

    @property
    def cash(self) -> Decimal:
        return self.market.cash


class AlpacaVenue:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now, self._sim = now, AlpacaSimulator()
        self._sim.__enter__()
        self.port = int(self._sim.url.rpartition(":")[2])
        self.books: AlpacaBooks

    def begin(self, manner: Manner) -> AlpacaBooks:
        self.books = AlpacaBooks(manner, self.now, self._sim)
        return self.books

    def recover(self) -> None:
        self.books.calm = True

    def close(self) -> None:
        self._sim.__exit__()


def _alpaca(app: Any, account: Any, port: int) -> Any:
    from dashtrade.brokers.alpaca.adapter import AlpacaBroker, Timeouts

    url = f"http://127.0.0.1:{port}"
    quick = Timeouts(connect=1, read=PATIENCE, second_look=0)
    return AlpacaBroker(
        "PKSIMULATOR", "simulator-secret", "paper", api_url=url, data_url=url, clock=app.clock, timeouts=quick
    )


# --- Binance ------------------------------------------------------------------------------------------------


class BinanceBooks(Far):
    start_cash = CASH
    totals_only = False
    STATUS: ClassVar = {"open": "working"}

    def __init__(self, manner: Manner, now: Callable[[], datetime], sim: Simulator) -> None:
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
    def orders(self) -> list[Placed]:
        return [
            Placed(
                client_order_id=o.client_id,
                status=self.STATUS.get(o.status, o.status),
                filled=o.filled,
                fills=tuple(self._fill(o, trade) for trade in o.trades),
            )
            for o in self.core.orders
        ]

    @staticmethod
    def _fill(order: Any, trade: Any) -> Fill:
        bought = trade.fee_coin == order.market.base
        return Fill(
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
        self.now, self._sim = now, Simulator("binance")
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


def _binance(app: Any, account: Any, port: int) -> Any:
    from dashtrade.brokers.crypto.adapter import CryptoBroker

    kept: Path = app.settings.home / "markets.json"
    return CryptoBroker(
        "binance",
        KEY,
        SECRET,
        mode="live",
        url=f"http://127.0.0.1:{port}",
        clock=app.clock,
        timeout=PATIENCE,
        paced=False,
        markets_cache=kept,
    )


# --- which --------------------------------------------------------------------------------------------------

VENUES: dict[str, Callable[[Callable[[], datetime]], Any]] = {
    "default": Venue,
    "alpaca": AlpacaVenue,
    "netted": AlpacaVenue,
    "binance": BinanceVenue,
}


def kind(broker: str, port: int, *, refuses_repeats: bool) -> BrokerKind:
    """The registry line of the run's venue."""
    if broker == "default":
        return venue_adapter.kind(port, refuses_repeats=refuses_repeats)
    make = {"alpaca": _alpaca, "netted": _alpaca, "binance": _binance}[broker]
    return BrokerKind(
        name=broker,
        modes=("paper",),
        check=lambda credentials, options: None,
        make=lambda app, account, credentials: make(app, account, port),
    )
