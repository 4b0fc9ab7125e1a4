"""A small, strict broker venue over real HTTP, with a seeded schedule of faults: what crash tests trade
against.

It lives outside the process that is crashed, and its books are the truth that DashTrade's ledger is held
against. It comes in two modes: one refuses a repeated client id for ever, the other takes it as a new order.
`venue_adapter.py` speaks its language."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

START_CASH = Decimal(1_000_000)
SETTLE = timedelta(seconds=2)  # what it promises: an order is visible this long after it was placed

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
GARBAGE = (
    b"<html><h1>502 Bad Gateway</h1></html>",
    b"",
    b'{"id": "17", "status": "fil',
    b'{"status": "martian"}',
    b"null",
)


@dataclass(slots=True, kw_only=True)
class Fill:
    id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    fee_base: Decimal = Decimal(0)

    def told(self) -> dict[str, str]:
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
    fills: list[Fill] = field(default_factory=list)
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


class Refused(Exception):
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
            raise Refused(422, "client_order_id must be unique")
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
                self._fill(order, order.plan.pop(0)[1], now)

    def _fill(self, order: VenueOrder, quantity: Decimal, now: datetime) -> None:
        price = 100 + Decimal(self.rng.randint(-300, 300)) / 100
        fee = (quantity * Decimal("0.005")).quantize(Decimal("0.0001"))
        order.fills.append(
            Fill(id=f"{order.id}-{len(order.fills) + 1}", quantity=quantity, price=price, fee=fee, at=now)
        )
        if order.filled == order.quantity:
            order.status = "filled"

    def cancel(self, order: VenueOrder) -> None:
        if order.status == "working":
            order.status, order.plan = "canceled", []

    def race(self, order: VenueOrder) -> None:
        """The cancellation comes while it fills: all of it, or one more part."""
        if order.status == "working":
            left = order.quantity - order.filled
            self._fill(
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

    def told(self, order: VenueOrder, *, stale: bool = False) -> dict[str, Any]:
        if stale and order.before is not None:
            return order.before
        fills = [fill.told() for fill in order.fills]
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


class Venue:
    """The HTTP door. `begin` opens fresh books for the next run; the address stays."""

    def __init__(self, now: Callable[[], datetime], manner: Manner | None = None) -> None:
        self.now = now
        self.books = Books(manner or Manner.honest(), now)
        self.lock = threading.Lock()
        self.silence = 1.0  # seconds for which it keeps a client waiting that gets no answer at all
        venue = self

        class Handler(_Handler):
            door = venue

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="venue"
        ).start()

    def begin(self, manner: Manner) -> Books:
        with self.lock:
            self.books = Books(manner, self.now)
            return self.books

    def recover(self) -> None:
        """Nothing goes wrong any more."""
        self.books.manner = self.books.manner.calmed()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    door: Venue

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.door.lock:
            books = self.door.books
            fault = books.fault("post", books.manner.on_post)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault == "rejected" and not books.placed[asked["client_order_id"]]:
                return self._say(422, {"message": "not today"})
            if fault in ("drop", "silence", "500", "garbage"):
                return self._fail(fault)
            lag = {"late_then_drop": SETTLE * 0.75, "later_than_promised": SETTLE * 3}.get(fault, timedelta())
            try:
                order = books.place(asked, lag)
            except Refused as refusal:
                return self._say(refusal.code, {"message": refusal.message})
            if fault in ("ok", "rejected"):
                return self._say(200, books.told(order))
        return self._fail(fault)

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        with self.door.lock:
            books = self.door.books
            books.advance()
            fault = books.fault("get", books.manner.on_get)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault not in ("ok", "stale"):
                return self._fail(fault)
            if path == "/account":
                return self._say(200, {"cash": str(books.cash), "equity": str(START_CASH)})
            if path == "/positions":
                return self._say(
                    200, [{"symbol": s, "quantity": str(books.position(s))} for s in sorted(books.symbols)]
                )
            found = [books.find(client) for client in query["client_order_id"][0].split(",")]
            return self._say(
                200, [books.told(order, stale=fault == "stale") for order in found if order is not None]
            )

    def do_DELETE(self) -> None:
        with self.door.lock:
            books = self.door.books
            books.advance()
            order = books.find(urlsplit(self.path).path.rpartition("/")[2])
            fault = books.fault("delete", books.manner.on_delete)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault in ("drop", "500"):
                return self._fail(fault)
            if order is None:
                return self._say(404, {"message": "order not found"})
            if order.status != "working":
                return self._say(422, {"message": f"the order is {order.status}"})
            books.race(order) if fault == "race" else books.cancel(order)
            if fault in ("ok", "race"):
                return self._say(200, {})
        return self._fail(fault)

    # --- answers, and their absence ---

    def _say(self, code: int, body: Any, **headers: str) -> None:
        self._send(code, json.dumps(body).encode(), headers)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        head = [f"HTTP/1.1 {code} {'OK' if code == 200 else 'Fault'}", f"Content-Length: {len(body)}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def _turned_away(self, fault: str) -> None:
        if fault == "401":
            return self._say(401, {"message": "the key was revoked"})
        return self._say(
            429, {"message": "too many requests"}, Retry_After=self.door.books.rng.choice(["1", "2", "7"])
        )

    def _fail(self, fault: str) -> None:
        if fault.endswith("500"):
            return self._say(500, {"message": "something went wrong"})
        if fault.endswith("garbage"):
            return self._send(200, self.door.books.rng.choice(GARBAGE), {})
        if fault.endswith("silence"):
            self.connection.settimeout(self.door.silence)
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the client gives up
        self.close_connection = True
        return None
