"""The books of a broker of our own: orders, fills and cash, and what it does with each request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

START_CASH = Decimal(1_000_000)

ON_POST: Mapping[str, int] = {
    "ok": 40,
    "placed_then_drop": 6,
    "drop": 4,
    "placed_then_silence": 1,
    "silence": 1,
    "placed_then_500": 4,
    "500": 3,
    "placed_then_garbage": 4,
    "garbage": 2,
    "429": 6,
    "late_then_drop": 4,
    "later_than_promised": 2,
    "rejected": 2,
}

ON_GET: Mapping[str, int] = {"ok": 60, "drop": 4, "500": 3, "garbage": 3, "429": 3, "stale": 8}

ON_DELETE: Mapping[str, int] = {
    "ok": 20,
    "drop": 3,
    "done_then_drop": 4,
    "500": 2,
    "done_then_500": 2,
    "429": 2,
    "race": 6,
}

HONEST: Mapping[str, int] = {"ok": 1}


@dataclass(slots=True, kw_only=True)
class VenueFill:
    id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    fee_base: Decimal = Decimal(0)

    def as_json(self) -> dict[str, str]:
        return {
            "id": self.id,
            "quantity": str(self.quantity),
            "price": str(self.price),
            "fee": str(self.fee),
            "at": self.at.isoformat(),
        }


@dataclass(slots=True, kw_only=True)
class VenueOrder:
    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    visible_at: datetime
    plan: list[tuple[datetime, Decimal]]  # what is still to fill, and when
    status: str = "working"
    fills: list[VenueFill] = field(default_factory=list)
    before: dict[str, Any] | None = None  # as it was told last: what a stale answer tells again

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def notional(self) -> Decimal:
        return sum((fill.quantity * fill.price for fill in self.fills), Decimal(0))

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one venue behaves: the seed of a run says which it meets."""

    seed: int = 0
    refuses_repeats: bool = True
    totals_only: bool = False  # tells no executions, as some do
    muddles: bool = True  # tells executions late, twice and out of order
    revoked: float = 0.0  # how likely it is, at each request, that the key is refused from then on
    on_post: Mapping[str, int] = field(default_factory=lambda: ON_POST)
    on_get: Mapping[str, int] = field(default_factory=lambda: ON_GET)
    on_delete: Mapping[str, int] = field(default_factory=lambda: ON_DELETE)

    @classmethod
    def honest(cls) -> Manner:
        return cls(on_post=HONEST, on_get=HONEST, on_delete=HONEST, muddles=False)

    def calmed(self) -> Manner:
        """The same venue, with nothing going wrong any more."""
        return replace(self, on_post=HONEST, on_get=HONEST, on_delete=HONEST, muddles=False, revoked=0.0)


class VenueRefusal(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Books:
    """The venue's own truth: orders, fills, cash. Held under one lock by its caller."""

    def __init__(self, manner: Manner, now: Callable[[], datetime]) -> None:
        self.manner, self.now = manner, now
        self.rng = random.Random(manner.seed)
        self.orders: list[VenueOrder] = []
        self.placed: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.revoked = False
        # faults to come first, in this order
        self.script: dict[str, list[str]] = {"post": [], "get": [], "delete": []}
        self.asked: Counter[str] = Counter()

    # --- orders ---

    def place(self, asked: Mapping[str, str], lag: timedelta) -> VenueOrder:
        client = asked["client_order_id"]
        if self.placed[client] and self.manner.refuses_repeats:
            raise VenueRefusal(422, "client_order_id must be unique")
        now = self.now()
        order = VenueOrder(
            id=f"v{len(self.orders) + 1}",
            client_order_id=client,
            symbol=asked["symbol"],
            side=asked["side"],
            type=asked["type"],
            quantity=Decimal(asked["quantity"]),
            visible_at=now + lag,
            plan=[],
        )
        order.plan = self._plan(order, now)
        self.orders.append(order)
        self.placed[client] += 1
        self.advance()
        return order

    def _plan(self, order: VenueOrder, now: datetime) -> list[tuple[datetime, Decimal]]:
        """All at once, or in two to four parts over some seconds; a limit order later, or never."""
        wait = timedelta()
        if order.type == "limit":
            if self.rng.random() < 0.3:
                return []
            wait = timedelta(seconds=self.rng.choice([0, 1, 5, 40]))
        if self.rng.random() < 0.5:
            return [(now + wait, order.quantity)]
        parts, left, plan = self.rng.randint(2, 4), order.quantity, []
        for number in range(parts):
            part = (
                left
                if number == parts - 1
                else (left * self.rng.randint(10, 80) / 100).quantize(Decimal("0.01"))
            )
            if part > 0:
                plan.append((now + wait + timedelta(seconds=number * self.rng.choice([0, 1, 3])), part))
                left -= part
        return plan

    def advance(self) -> None:
        """What is due by now fills."""
        now = self.now()
        for order in self.orders:
            while order.status == "working" and order.plan and order.plan[0][0] <= now:
                self.fill(order, order.plan.pop(0)[1], now)

    def fill(self, order: VenueOrder, quantity: Decimal, now: datetime) -> None:
        price = self.price(order)
        fee = (quantity * Decimal("0.005")).quantize(Decimal("0.0001"))
        order.fills.append(
            VenueFill(
                id=f"{order.id}-{len(order.fills) + 1}", quantity=quantity, price=price, fee=fee, at=now
            )
        )
        if order.filled == order.quantity:
            order.status = "filled"

    def price(self, order: VenueOrder) -> Decimal:
        return 100 + Decimal(self.rng.randint(-300, 300)) / 100

    def cancel(self, order: VenueOrder) -> None:
        if order.status == "working":
            order.status, order.plan = "canceled", []

    def race(self, order: VenueOrder) -> None:
        """The cancellation comes while it fills: all of it, or one more part."""
        if order.status == "working":
            left = order.quantity - order.filled
            self.fill(
                order,
                left if self.rng.random() < 0.5 else (left / 2).quantize(Decimal("0.01")) or left,
                self.now(),
            )
        self.cancel(order)

    def find(self, client: str) -> VenueOrder | None:
        now = self.now()
        return next((o for o in self.orders if o.client_order_id == client and o.visible_at <= now), None)

    # --- totals ---

    start_cash = START_CASH

    @property
    def totals_only(self) -> bool:
        return self.manner.totals_only

    def position(self, symbol: str) -> Decimal:
        return sum((o.sign * o.filled for o in self.orders if o.symbol == symbol), Decimal(0))

    @property
    def symbols(self) -> set[str]:
        return {order.symbol for order in self.orders}

    @property
    def fees(self) -> Decimal:
        return (
            Decimal(0)
            if self.manner.totals_only
            else sum((f.fee for o in self.orders for f in o.fills), Decimal(0))
        )

    @property
    def cash(self) -> Decimal:
        return START_CASH - sum((o.sign * o.notional for o in self.orders), Decimal(0)) - self.fees

    # --- what is told ---

    def order_json(self, order: VenueOrder, *, stale: bool = False) -> dict[str, Any]:
        if stale and order.before is not None:
            return order.before
        fills = [fill.as_json() for fill in order.fills]
        if self.manner.muddles and len(fills) > 1 and self.rng.random() < 0.2:
            fills.pop()  # its executions lag behind its totals
        if self.manner.muddles and self.rng.random() < 0.3:
            fills = self.rng.sample(fills, len(fills)) + fills[:1]  # out of order, and one told twice
        order.before = {
            "id": order.id,
            "client_order_id": order.client_order_id,
            "status": order.status,
            "filled_quantity": str(order.filled),
            "average_price": str(order.notional / order.filled) if order.fills else None,
            "fills": [] if self.manner.totals_only else fills,
        }
        return order.before

    def fault(self, kind: str, weights: Mapping[str, int]) -> str:
        self.asked[kind] += 1
        if self.script[kind]:
            return self.script[kind].pop(0)
        if self.manner.revoked and (self.revoked or self.rng.random() < self.manner.revoked):
            self.revoked = True
            self.faults[f"{kind} 401"] += 1
            return "401"
        chosen = self.rng.choices(list(weights), list(weights.values()))[0]
        if chosen != "ok":
            self.faults[f"{kind} {chosen}"] += 1
        return chosen
