"""One spot exchange without a wire: markets, balances, orders, executions. The fronts give it each exchange's
language.

Strict: what a real exchange would refuse raises `Refusal`, which a front turns into the exchange's own words.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from decimal import Decimal as D

ZERO = D(0)


class OrderRefusal(Exception):
    """`kind` is one of: funds, min_quantity, min_notional, step, tick, symbol, duplicate, not_found, ended,
    value, type."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    base: str
    quote: str
    tick: Decimal = D("0.01")
    step: Decimal = D("0.00001")
    least: Decimal = D("0.00001")
    least_cost: Decimal = D(5)

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"


@dataclass(slots=True, kw_only=True)
class Trade:
    id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_coin: str
    at: float


@dataclass(slots=True, kw_only=True)
class Order:
    id: int
    client_id: str
    market: Market
    side: str
    type: str  # market | limit
    quantity: Decimal | None  # None: `cost` is spent
    cost: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    tif: str = "GTC"
    status: str = "open"  # open | filled | canceled | expired
    trades: list[Trade] = field(default_factory=list)
    created: float = 0.0
    updated: float = 0.0
    visible_at: float = 0.0
    share: Decimal = D(1)  # of it fills on arrival; the rest waits
    waits: bool = False  # for its stop

    @property
    def filled(self) -> Decimal:
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def spent(self) -> Decimal:
        return sum((trade.quantity * trade.price for trade in self.trades), ZERO)

    @property
    def average(self) -> Decimal:
        return self.spent / self.filled if self.trades else ZERO

    @property
    def fee(self) -> Decimal:
        return sum((trade.fee for trade in self.trades), ZERO)


class ExchangeCore:
    """The exchange's books. Every public method holds one lock."""

    def __init__(
        self,
        markets: list[Market],
        *,
        cash: dict[str, Decimal],
        fee_rate: str = "0.001",
        fee_in: str = "bought",
    ) -> None:
        self.markets = {market.name: market for market in markets}
        self.prices = {market.name: D(100) for market in markets}
        self.balances = {market.base: ZERO for market in markets} | cash
        self.fee_rate, self.fee_in = D(fee_rate), fee_in  # fee_in: bought | quote | a coin's name
        self.orders: list[Order] = []
        self.reserved_fee = ZERO  # of an order to buy at a limit, beside limit x quantity
        self.lag = self.trade_lag = 0.0  # seconds until orders and executions are shown
        self.next_share = D(1)
        # refuse a client id while "open", "ever" or "never"; "return" gives the first order
        self.repeats = "open"
        self.lock = threading.RLock()
        self.now = time.time
        self._ids = 1000

    # --- the market ---

    def bid(self, name: str) -> Decimal:
        return self.prices[name] - self.markets[name].tick

    def ask(self, name: str) -> Decimal:
        return self.prices[name] + self.markets[name].tick

    def set_price(self, name: str, price: Decimal) -> None:
        with self.lock:
            self.prices[name] = D(price)
            for order in list(self.orders):
                if order.status == "open" and order.market.name == name and order.share == 1:
                    self._match(order, resting=True)

    def candles(
        self, name: str, seconds: int, since: float, count: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        """Flat ones around the price, up to now."""
        first, price, tick = int(since) // seconds * seconds, self.prices[name], self.markets[name].tick
        first += seconds if first < since else 0
        opens = list(range(first, int(time.time()) + 1, seconds))[:count]
        return [
            (
                at,
                price,
                price + (at // seconds % 5 + 2) * tick,
                price - tick,
                price + (at // seconds % 3) * tick,
                D("1.5"),
            )
            for at in opens
        ]

    # --- orders ---

    def place(
        self,
        *,
        client_id: str,
        name: str,
        side: str,
        type: str,
        quantity: Decimal | None,
        cost: Decimal | None = None,
        limit: Decimal | None = None,
        stop: Decimal | None = None,
        tif: str = "GTC",
    ) -> Order:
        with self.lock:
            known = [order for order in self.orders if order.client_id == client_id and client_id]
            if known and self.repeats == "return":
                return known[-1]
            if (self.repeats == "ever" and known) or (
                self.repeats == "open" and any(order.status == "open" for order in known)
            ):
                raise OrderRefusal("duplicate", client_id)
            order = self._checked(client_id, name, side, type, quantity, cost, limit, stop, tif)
            order.share, self.next_share = (
                (self.next_share, D(1)) if type == "market" or tif == "IOC" else (D(1), self.next_share)
            )
            self.orders.append(order)
            self._match(order, resting=False)
            return order

    def _checked(
        self,
        client_id: str,
        name: str,
        side: str,
        type: str,
        quantity: Decimal | None,
        cost: Decimal | None,
        limit: Decimal | None,
        stop: Decimal | None,
        tif: str,
    ) -> Order:
        market = self.markets.get(name)
        if market is None:
            raise OrderRefusal("symbol", name)
        price = limit or stop or (self.ask(name) if side == "buy" else self.bid(name))
        for value, step, what in (
            (quantity, market.step, "step"),
            (limit, market.tick, "tick"),
            (stop, market.tick, "tick"),
        ):
            if value is not None and (value <= 0 or value % step):
                raise OrderRefusal(what, str(value))
        if quantity is not None and quantity < market.least:
            raise OrderRefusal("min_quantity", str(quantity))
        worth = cost if quantity is None else quantity * price
        if worth < market.least_cost:
            raise OrderRefusal("min_notional", str(worth))
        reserved = worth * (1 + self.reserved_fee) if limit is not None else worth
        if (side == "buy" and reserved > self.free(market.quote)) or (
            side == "sell" and quantity > self.free(market.base)
        ):
            raise OrderRefusal("funds", market.quote if side == "buy" else market.base)
        now = self.now()
        self._ids += 1
        return Order(
            id=self._ids,
            client_id=client_id,
            market=market,
            side=side,
            type=type,
            quantity=quantity,
            cost=cost,
            limit=limit,
            stop=stop,
            tif=tif,
            created=now,
            updated=now,
            visible_at=now + self.lag,
            waits=stop is not None,
        )

    def _match(self, order: Order, *, resting: bool) -> None:
        name, buys = order.market.name, order.side == "buy"
        touch = self.ask(name) if buys else self.bid(name)
        if order.waits:
            if touch < order.stop if buys else touch > order.stop:
                return
            order.waits = False
        if order.limit is not None and (touch > order.limit if buys else touch < order.limit):
            if order.tif in ("IOC", "FOK") and not resting:
                self._end(order, "expired")
            return
        price = order.limit if resting and order.limit is not None and order.stop is None else touch
        whole = order.quantity
        if whole is None:
            whole = (order.cost / price).quantize(order.market.step, ROUND_DOWN)
        share = (whole * order.share).quantize(order.market.step, ROUND_DOWN)
        if share < whole:
            share = max(share - order.filled, ZERO)
        self._trade(order, price, share if order.share != 1 else whole - order.filled)
        if order.share == 1:
            self._end(order, "filled")

    def finish(self) -> None:
        """What filled by a part fills now."""
        with self.lock:
            for order in self.orders:
                if order.status == "open" and order.share != 1:
                    order.share = D(1)
                    self._match(order, resting=False)

    def _trade(self, order: Order, price: Decimal, quantity: Decimal) -> None:
        if quantity <= 0:
            return
        self._ids += 1
        base, quote, buys = order.market.base, order.market.quote, order.side == "buy"
        cost = quantity * price
        coin = {"bought": base if buys else quote, "quote": quote}.get(self.fee_in, self.fee_in)
        rated = (
            quantity
            if coin == base
            else cost
            if coin == quote
            else cost / self.prices.get(f"{coin}/{quote}", D(100))
        )
        fee = (rated * self.fee_rate).quantize(D("0.00000001"))
        self.balances[base] += quantity if buys else -quantity
        self.balances[quote] += -cost if buys else cost
        self.balances[coin] = self.balances.get(coin, ZERO) - fee
        order.trades.append(
            Trade(id=self._ids, price=price, quantity=quantity, fee=fee, fee_coin=coin, at=self.now())
        )
        order.updated = self.now()

    def _end(self, order: Order, status: str) -> None:
        order.status, order.updated = status, self.now()

    def cancel(self, order: Order) -> Order:
        with self.lock:
            if order.status != "open":
                raise OrderRefusal("ended", str(order.id))
            self._end(order, "canceled")
            return order

    # --- asking ---

    def find(self, *, id: object = None, client_id: str | None = None) -> Order:
        """The newest of that name; raises Refusal("not_found"), also while an order is not shown yet."""
        with self.lock:
            for order in reversed(self.orders):
                wanted = (
                    str(order.id) == str(id)
                    if id not in (None, "")
                    else client_id and order.client_id == client_id
                )
                if wanted and order.visible_at <= self.now():
                    return order
        raise OrderRefusal("not_found", str(id or client_id))

    def shown(self) -> list[Order]:
        with self.lock:
            return [order for order in self.orders if order.visible_at <= self.now()]

    def trades_of(self, order: Order) -> list[Trade]:
        with self.lock:
            return [trade for trade in order.trades if trade.at + self.trade_lag <= self.now()]

    def held(self, coin: str) -> Decimal:
        """Put aside for open orders."""
        total = ZERO
        for order in self.orders:
            if order.status != "open" or order.quantity is None:
                continue
            left = order.quantity - order.filled
            if order.side == "sell" and order.market.base == coin:
                total += left
            if order.side == "buy" and order.market.quote == coin and order.limit is not None:
                total += left * order.limit * (1 + self.reserved_fee)
        return total

    def free(self, coin: str) -> Decimal:
        return self.balances.get(coin, ZERO) - self.held(coin)


def text(number: Decimal | None, places: int = 8) -> str:
    """As exchanges write numbers: fixed decimals."""
    return f"{(number or ZERO).quantize(D(1).scaleb(-places), ROUND_DOWN):f}"


def ms(moment: float) -> int:
    return int(moment * 1000)
