"""The model of a venue, in memory, and its adapter: the same books as the crash bench's, without a wire.

Beyond those it lists its orders, fills some after their cancellation, and, where it nets, refuses what a
netting broker refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bench.simulate.chance import Clock
from bench.simulate.store import CrashPoints
from dashtrade.domain.ports import (
    AccountState,
    BadCredentials,
    BrokerPosition,
    Capabilities,
    FoundOrder,
    NotHeld,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Rejected,
    RetryLater,
    Rules,
    Unavailable,
    Unknown,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce, plain
from tests.simulators.venue import SETTLE
from tests.simulators.venue_adapter import report_of
from tests.simulators.venue_books import START_CASH, Books, Manner, VenueOrder, VenueRefusal

ZERO = Decimal(0)
RULES = Rules(quantity_step=Decimal("0.01"), price_step=Decimal("0.01"), min_quantity=Decimal("0.01"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    request: OrderRequest
    at: datetime


class VenueBooks(Books):
    def __init__(
        self,
        manner: Manner,
        now: Callable[[], datetime],
        price_of: Callable[[str], Decimal],
        *,
        netted: bool,
        late_fills: float,
    ) -> None:
        super().__init__(manner, now)
        self._price_of, self._netted, self.late_fills = price_of, netted, late_fills
        self.requests: dict[str, Placed] = {}
        self._late: list[tuple[datetime, VenueOrder, Decimal]] = []

    def take(self, request: OrderRequest, lag: timedelta) -> VenueOrder:
        if self._netted and not self.placed[request.client_order_id]:
            self._refuse_what_does_not_net(request)
        asked: Mapping[str, str] = {
            "client_order_id": request.client_order_id,
            "symbol": request.symbol.text,
            "side": str(request.side),
            "type": str(request.type),
            "quantity": plain(request.quantity or ZERO),
        }
        self.requests.setdefault(request.client_order_id, Placed(request=request, at=self.now()))
        return self.place(asked, lag)

    def _refuse_what_does_not_net(self, request: OrderRequest) -> None:
        sign, held = request.side.sign, self.position(request.symbol.text)
        working = [o for o in self.orders if o.status == "working" and o.symbol == request.symbol.text]
        due = request.account_holds
        if request.reduces and due is not None and sign * held > sign * due:
            raise NotHeld("the account does not hold that")
        if any(order.sign != sign for order in working):
            raise VenueRefusal(422, "potential wash trade")
        free = abs(held) - sum((order.quantity - order.filled for order in working), ZERO)
        if held * sign < 0 and (request.quantity or ZERO) > free:
            raise VenueRefusal(422, "insufficient quantity available")

    def price(self, order: VenueOrder) -> Decimal:
        return self._price_of(order.symbol) + Decimal(self.rng.randint(-50, 50)) / 100

    def cancel(self, order: VenueOrder) -> None:
        if order.status == "working" and self.rng.random() < self.late_fills:
            left = order.quantity - order.filled
            part = left if self.rng.random() < 0.5 else (left / 2).quantize(Decimal("0.01")) or left
            self._late.append((self.now() + timedelta(seconds=self.rng.choice([1, 5, 15])), order, part))
        super().cancel(order)

    def advance(self) -> None:
        super().advance()
        now = self.now()
        for one in [late for late in self._late if late[0] <= now]:
            self._late.remove(one)
            self.faults["late fill"] += 1
            self.fill(one[1], one[2], now)

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self.manner, self.late_fills = self.manner.calmed(), 0.0

    @property
    def is_settled(self) -> bool:
        return not self._late and not any(o.plan for o in self.orders if o.status == "working")


class ModelBroker:
    """The adapter. `meanwhile` runs while an answer is on its way: what other threads do in that time."""

    def __init__(self, points: CrashPoints, *, netted: bool) -> None:
        self._points, self._netted = points, netted
        self.books: VenueBooks
        self.meanwhile: Callable[[], None] = lambda: None
        self.on_call: Callable[[str], None] = lambda what: None
        self.on_submit: Callable[[OrderRequest], None] = lambda request: None
        self.offers = Offers(listing=self)
        self.capabilities = self._capabilities(refuses_repeats=True)

    def open(self, books: VenueBooks) -> None:
        self.books = books
        self.capabilities = self._capabilities(refuses_repeats=books.manner.refuses_repeats)

    def _capabilities(self, *, refuses_repeats: bool) -> Capabilities:
        return Capabilities(
            name="Venue",
            order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
            times_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC}),
            shorts=True,
            fractional=True,
            crosses_zero=not self._netted,
            opposite_orders=not self._netted,
            refuses_repeats=refuses_repeats,
            settle=SETTLE,
            sandbox=True,
            always_open=True,
            lists_orders=True,
        )

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        self.on_call(f"submit {request.side} {plain(request.quantity or ZERO)} {request.client_order_id}")
        self.on_submit(request)
        self._points.reach("before sending")
        books = self.books
        fault = books.fault("post", books.manner.on_post)
        self.on_call(f"  venue: {fault}")
        report = self._answer(request, fault)
        self._points.reach("after sending")
        if report is None:
            raise Unknown(f"no answer to the order ({fault})")
        return report

    def _answer(self, request: OrderRequest, fault: str) -> OrderReport | None:
        books = self.books
        self._turn_away(fault)
        if fault == "rejected" and not books.placed[request.client_order_id]:
            raise Rejected("not today")
        if fault in ("drop", "silence", "500", "garbage"):
            return None
        lag = {"late_then_drop": SETTLE * 0.75, "later_than_promised": SETTLE * 3}.get(fault, timedelta())
        try:
            order = books.take(request, lag)
        except VenueRefusal as refusal:
            return self._refused(request, refusal)
        return report_of(books.order_json(order), Unknown) if fault in ("ok", "rejected") else None

    def _refused(self, request: OrderRequest, refusal: VenueRefusal) -> OrderReport:
        if "must be unique" not in refusal.message:
            raise Rejected(refusal.message)
        try:  # our own earlier try: the id is derived, nobody else could have used it
            found = self._look_up([request.client_order_id])
        except (Unavailable, RetryLater) as error:
            raise Unknown(error.message) from error
        if not found:
            raise Unknown("the venue has the id and does not show the order yet")
        return found[0]

    def find(self, order: OrderRef) -> OrderReport | None:
        self.on_call(f"find {order.client_order_id}")
        return next(iter(self._look_up([order.client_order_id])), None)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        self.on_call(f"poll {len(orders)}")
        return self._look_up([order.client_order_id for order in orders])

    def cancel(self, order: OrderRef) -> None:
        self.on_call(f"cancel {order.client_order_id}")
        self._points.reach("before cancelling")
        books = self.books
        books.advance()
        found = books.find(order.client_order_id)
        fault = books.fault("delete", books.manner.on_delete)
        self._turn_away(fault)
        if fault in ("drop", "500"):
            raise Unavailable("no answer to the cancellation")
        if found is not None and found.status == "working":
            books.race(found) if fault == "race" else books.cancel(found)
        self._points.reach("after cancelling")
        if fault not in ("ok", "race"):
            raise Unavailable("no answer to the cancellation")

    def orders_since(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        self._get("list")
        return [
            FoundOrder(
                client_order_id=order.client_order_id,
                broker_order_id=order.id,
                symbol=placed.request.symbol,
                side=placed.request.side,
                type=placed.request.type,
                quantity=order.quantity,
                limit_price=placed.request.limit_price,
                filled_quantity=order.filled,
                created_at=placed.at,
            )
            for order in self.books.orders
            if order.visible_at <= self.books.now()
            and (placed := self.books.requests[order.client_order_id]).at >= since
        ]

    def _look_up(self, names: list[str]) -> list[OrderReport]:
        stale = self._get("orders") == "stale"
        found = [order for name in names if (order := self.books.find(name)) is not None]
        answer = [report_of(self.books.order_json(order, stale=stale), Unavailable) for order in found]
        self.meanwhile()
        return answer

    def _get(self, what: str) -> str:
        self._points.reach(f"asking for {what}")
        books = self.books
        books.advance()
        fault = books.fault("get", books.manner.on_get)
        if fault != "ok":
            self.on_call(f"  venue: {fault} ({what})")
        self._turn_away(fault)
        if fault not in ("ok", "stale"):
            raise Unavailable(f"no answer ({fault})")
        return fault

    def _turn_away(self, fault: str) -> None:
        if fault == "401":
            raise BadCredentials("the venue refused the key")
        if fault == "429":
            raise RetryLater("too many requests", timedelta(seconds=self.books.rng.choice([1, 2, 7])))

    # --- the account ---

    def account(self) -> AccountState:
        self._get("account")
        return AccountState(equity=START_CASH, cash=self.books.cash, buying_power=START_CASH)

    def positions(self) -> Sequence[BrokerPosition]:
        self._get("positions")
        held = [
            BrokerPosition(symbol=Symbol.parse(symbol), quantity=self.books.position(symbol))
            for symbol in sorted(self.books.symbols)
        ]
        self.meanwhile()
        return held

    def rules(self, symbol: Symbol) -> Rules:
        return RULES

    def market_open(self, symbol: Symbol) -> bool:
        return True

    def opens_at(self, symbol: Symbol) -> Any:
        return None

    def close(self) -> None:
        pass


def honest_broker(points: CrashPoints, clock: Clock) -> ModelBroker:
    """The venue of a world that is being made."""
    broker = ModelBroker(points, netted=False)
    broker.open(
        VenueBooks(Manner.honest(), clock.true_now, lambda symbol: Decimal(100), netted=False, late_fills=0.0)
    )
    return broker
