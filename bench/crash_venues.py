"""Real adapters with their real libraries at the simulators of their venues, for the crash bench: time,
prices and faults by the run's seed.

Each venue shows its books in the few words that `crash_checks` speaks. It lives in the process that is not
crashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from bench.crash_binance import BinanceVenue, binance
from bench.crash_books import CASH, PATIENCE, PlacedOrder, RemoteVenue
from dashtrade.domain.broker_kinds import BrokerKind, Surroundings
from dashtrade.domain.symbols import Symbol
from tests.simulators import venue_adapter
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault, Seen
from tests.simulators.alpaca_market import Market
from tests.simulators.venue import VenueServer
from tests.simulators.venue_books import Manner

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

# --- Alpaca -------------------------------------------------------------------------------------------------


class AlpacaBooks(RemoteVenue):
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
    def orders(self) -> list[PlacedOrder]:
        return [
            PlacedOrder(
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


def _alpaca(around: Surroundings, port: int) -> Any:
    from dashtrade.brokers.alpaca.adapter import AlpacaBroker, Timeouts

    url = f"http://127.0.0.1:{port}"
    quick = Timeouts(connect=1, read=PATIENCE, second_look=0)
    return AlpacaBroker(
        "PKSIMULATOR",
        "simulator-secret",
        "paper",
        api_url=url,
        data_url=url,
        clock=around.clock,
        timeouts=quick,
    )


# --- which --------------------------------------------------------------------------------------------------

VENUES: dict[str, Callable[[Callable[[], datetime]], Any]] = {
    "default": VenueServer,
    "alpaca": AlpacaVenue,
    "netted": AlpacaVenue,
    "binance": BinanceVenue,
}


def kind(broker: str, port: int, *, refuses_repeats: bool) -> BrokerKind:
    """The registry line of the run's venue."""
    if broker == "default":
        return venue_adapter.kind(port, refuses_repeats=refuses_repeats)
    make = {"alpaca": _alpaca, "netted": _alpaca, "binance": binance}[broker]
    return BrokerKind(
        name=broker,
        modes=("paper",),
        check=lambda credentials, options: None,
        make=lambda account, credentials, around: make(around, port),
    )
