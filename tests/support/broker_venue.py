"""How the contract suite reaches a venue, and the few words it speaks of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dashtrade.domain.ports import (
    Broker,
    BrokerError,
    Capabilities,
    Feed,
    OrderRef,
    OrderReport,
    OrderRequest,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce, sha256
from tests.support.adapter_harness import ref_of

D = Decimal
BUY, SELL = OrderSide.BUY, OrderSide.SELL
FILLED, WORKING, CANCELED = VenueStatus.FILLED, VenueStatus.WORKING, VenueStatus.CANCELED
PATIENCE = 5.0  # seconds until something that must happen is given up
AFTER_PLACING = ("time_out", "gateway_error", "garbage", "empty", "cut_off", "redirect")
FAULTS = frozenset(
    {
        *AFTER_PLACING,
        "late_visibility",
        "unknown_status",
        "rate_limited",
        "bad_key",
        "reading_fails",
        "unreachable",
    }
)
_ids = itertools.count(1)


class ContractVenue:
    """How the suite reaches one venue. `symbol` costs 100 at the start and the account has 100,000 in cash,
    no positions.

    Faults, for the next request they fit, unless said otherwise:
      time_out, gateway_error, garbage, empty, cut_off, redirect   the order IS placed, the answer is this
      late_visibility(seconds)   orders placed from now on are shown by look-ups only after so many seconds
      unknown_status             the venue names a status nobody has heard of, in every answer from now on
      rate_limited(seconds)      429 before anything is done, with Retry-After
      bad_key                    401 for every request from now on
      reading_fails              every GET fails with a 5xx from now on
      unreachable                `unreachable_broker()` gives an adapter whose venue refuses the connection
    """

    broker: Broker
    feed: Feed  # where its quotes and candles come from: often the broker itself
    symbol: Symbol = Symbol.parse("AAPL")
    unknown_symbol: Symbol = Symbol.parse("ZZZZZ")
    quantity: Decimal = D(10)
    fraction: Decimal = D("0.5")
    faults: frozenset[str] = frozenset()
    candles = True

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        """The market trades there now; bid and ask lie within 0.5 % of it."""
        raise NotImplementedError

    def fault(self, name: str, **how: object) -> None:
        raise NotImplementedError(name)

    def fill_in_parts(self) -> None:
        """The next market order fills by a part when it arrives; the rest waits for `finish_filling`."""
        raise NotImplementedError

    def finish_filling(self) -> None:
        """What waits since `fill_in_parts` fills now."""

    def placed(self) -> int:
        """How many orders of ours exist at the venue, ended ones and bracket parents included, their legs
        not."""
        raise NotImplementedError

    def restarted(self) -> Broker:
        """A new adapter on the same account, as after a crash: it remembers nothing."""
        raise NotImplementedError

    def unreachable_broker(self) -> Broker:
        raise NotImplementedError

    def step(self) -> None:
        """Let the venue work, where it does not do so by itself."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    # --- short words ---

    @property
    def can(self) -> Capabilities:
        return self.broker.capabilities

    def request(
        self, side: OrderSide, kind: OrderType = OrderType.MARKET, quantity: object = None, **rest: object
    ) -> OrderRequest:
        if rest.get("notional") is None:
            quantity = self.quantity if quantity is None else D(str(quantity))
        given = {
            key: D(value) if isinstance(value, str) and key in _NUMBERS else value
            for key, value in rest.items()
        }
        return OrderRequest(
            **{
                "client_order_id": sha256(f"contract {next(_ids)} {time.time_ns()}")[:32],
                "symbol": self.symbol,
                "side": side,
                "type": kind,
                "quantity": quantity,
                "time_in_force": self._usual,
                **given,
            }
        )

    @property
    def _usual(self) -> TimeInForce:
        """What the engine sends where nobody chose: the day's, where the venue has that."""
        return TimeInForce.DAY if TimeInForce.DAY in self.can.times_in_force else TimeInForce.GTC

    def ref(self, request: OrderRequest, report: OrderReport | None = None) -> OrderRef:
        number = report.broker_order_id if report else None
        return ref_of(request, number=number, created=self.now())

    def until(
        self,
        request: OrderRequest,
        wanted: Callable[[OrderReport | None], object],
        broker: Broker | None = None,
    ) -> OrderReport:
        """Look up by our id until the report is as wanted."""
        ends, report = time.monotonic() + PATIENCE, None
        while time.monotonic() < ends:
            self.step()
            report = (broker or self.broker).find(self.ref(request))
            if wanted(report):
                return report  # type: ignore[return-value]
            time.sleep(0.01)
        raise AssertionError(f"in vain after {PATIENCE} s: {report}")

    def trade(self, request: OrderRequest) -> OrderReport:
        """Submit and wait for the fill."""
        self.broker.submit(request)
        return self.until(request, filled)

    def buy(self, quantity: object = None) -> OrderReport:
        return self.trade(self.request(BUY, quantity=quantity))

    def held(self) -> Decimal:
        return sum((of.quantity for of in self.broker.positions() if of.symbol == self.symbol), ZERO)

    def has(self, fault: str) -> None:
        """Leave the test where this venue has no way to fail like that."""
        assert fault in FAULTS
        if fault not in self.faults:
            pytest.skip(f"{self.can.name} cannot fail by {fault}")


_NUMBERS = {
    "notional",
    "limit_price",
    "stop_price",
    "trail_amount",
    "trail_percent",
    "take_profit",
    "stop_loss",
    "stop_loss_limit",
}


def filled(report: OrderReport | None) -> bool:
    return report is not None and report.status is FILLED


def seen(report: OrderReport | None) -> bool:
    return report is not None


def near(one: Decimal | None, other: object, share: str = "0.01") -> bool:
    """Within a hundredth: spreads, and fees taken from what was bought."""
    return one is not None and abs(one - D(str(other))) <= abs(D(str(other))) * D(share)


def in_words(error: BrokerError) -> bool:
    """A message for people: a sentence or so, no JSON, no HTML, no exception's name."""
    return 10 < len(error.message) < 500 and not any(
        mark in error.message for mark in ("{", "<", "Traceback", "Error(")
    )


def eventually(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "in vain"
        time.sleep(0.01)


def resting(venue: ContractVenue) -> TimeInForce:
    return TimeInForce.GTC if TimeInForce.GTC in venue.can.times_in_force else TimeInForce.DAY
