"""One Alpaca account and the market it trades at: orders, positions, money, and every refusal with the
venue's own body.

Deterministic: prices move only when they are set, and whatever can fill then does. Nothing here knows of
HTTP."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.simulators.alpaca_orders import (
    ONE,
    ZERO,
    AlpacaRefusal,
    Asset,
    D,
    Order,
    forbidden,
    invalid,
    stamp,
    text,
    unprocessable,
)

MOST_ORDERS = 100_000


class Market:
    """Everything behind the API. Hold `lock` for as long as an answer is being made."""

    def __init__(
        self, *, cash: Decimal = Decimal(100_000), now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.lock = threading.RLock()
        self.now, self.cash = now, cash
        self.session = "open"  # open | extended | closed
        self.assets: dict[str, Asset] = {}
        self.orders: dict[str, Order] = {}
        self.by_client: dict[str, Order] = {}
        self.open: dict[str, Order] = {}  # what may still trade: all that a look at the market goes through
        self.brackets: list[Order] = []
        self.held: dict[str, tuple[Decimal, Decimal]] = {}  # symbol: (signed quantity, average price)
        self.activities: list[dict[str, Any]] = []
        self.on_event: Callable[[str, Order, dict[str, Any]], None] = lambda event, order, more: None
        self.snapshots = ""  # whose request is being answered
        self.traders: dict[str, set[str]] = {}  # symbol: the keys it was traded with
        self.next_in_parts = False
        self.ids_last = False  # which of its checks comes first, the vendor does not say
        for asset in (
            Asset("AAPL", D(100)),
            Asset("MSFT", D(200)),
            Asset("SPY", D(500)),
            Asset("PENNY", D("0.5")),
            Asset("HARD", D(50), hard_to_borrow=True),
            Asset("WHOLE", D(20), fractionable=False),
            Asset("OLDER", D(30), hard_to_borrow=True, told_as="easy_to_borrow"),
            Asset("BARE", D(30), told_as=""),
            Asset("HALT", D(10), tradable=False),
            Asset("BTC/USD", D(50_000), crypto=True),
            Asset("ETH/USD", D(2_500), crypto=True),
        ):
            self.assets[asset.plain] = asset

    # --- what is asked ---

    def asset(self, name: str) -> Asset | None:
        return self.assets.get(name.replace("/", ""))

    def quantity(self, asset: Asset) -> Decimal:
        return self.held.get(asset.plain, (ZERO, ZERO))[0]

    def shows(self, order: Order) -> bool:
        """To a key of several (with a dash), its own alone."""
        return "-" not in self.snapshots or order.owner == self.snapshots

    def shows_held(self, name: str) -> bool:
        return "-" not in self.snapshots or self.snapshots in self.traders.get(name, ())

    def working(self, asset: Asset) -> list[Order]:
        return [order for order in self.open.values() if order.asset is asset]

    def reserved(self, asset: Asset, side: str) -> Decimal:
        """Held for open orders; of a pair of exits only the one that is not `held` counts."""
        return sum(
            (order.left for order in self.working(asset) if order.side == side and order.status != "held"),
            ZERO,
        )

    def values(self) -> tuple[Decimal, Decimal]:
        """(long, short) market value."""
        each = [quantity * self.assets[name].price for name, (quantity, _) in self.held.items()]
        return sum((v for v in each if v > 0), ZERO), sum((v for v in each if v < 0), ZERO)

    def buying_power(self, crypto: bool = False) -> Decimal:
        long, short = self.values()
        waiting = sum((self._need(order) for order in self.open.values() if order.parent is None), ZERO)
        if crypto:
            return max(self.cash - waiting, ZERO)
        return max(2 * (self.cash + long + short) - long + short - waiting, ZERO)

    def _need(self, order: Order) -> Decimal:
        held = self.quantity(order.asset)
        if held * order.sign < 0:  # it closes
            return ZERO
        return order.left * (order.limit or order.stop or order.asset.price)

    # --- placing ---

    def place(self, order: Order) -> Order:
        if len(self.orders) >= MOST_ORDERS:
            raise AlpacaRefusal(500, 50010000, "the simulator is full")
        checks = [self._check_id, self._check_position]
        for check in reversed(checks) if self.ids_last else checks:
            check(order)
        order.parts, self.next_in_parts = self.next_in_parts, False
        self._enter(order)
        for leg in order.legs:
            leg.parent, leg.status = order, "held"
            self._enter(leg)
        return order

    def _check_id(self, order: Order) -> None:
        if order.client_order_id in self.by_client:
            raise invalid("client_order_id must be unique")

    def _enter(self, order: Order) -> None:
        order.owner = self.snapshots
        self.traders.setdefault(order.asset.plain, set()).add(order.owner)
        order.at["created"] = order.at["updated"] = self.now()
        self.orders[order.id] = self.by_client[order.client_order_id] = self.open[order.id] = order
        order.hwm = order.asset.price if order.type == "trailing_stop" else None
        if len(order.legs) == 2:
            self.brackets.append(order)

    def _check_position(self, order: Order) -> None:
        asset, held = order.asset, self.quantity(order.asset)
        opposite = next((o for o in self.working(asset) if o.side != order.side and o.status != "held"), None)
        if opposite is not None:
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=opposite.id,
                reject_reason="opposite side market/stop order exists",
            )
        if held * order.sign < 0 or (asset.crypto and order.side == "sell"):
            return self._check_closing(order, held)
        if order.side == "sell":
            self._check_short(order)
        power, need = self.buying_power(asset.crypto), self._need(order)
        if need > power:
            raise forbidden("insufficient buying power", buying_power=text(power), cost_basis=text(need))

    def _check_closing(self, order: Order, held: Decimal) -> None:
        reserved = self.reserved(order.asset, order.side)
        free = max(abs(held) - reserved, ZERO)
        if order.left <= free:
            return
        figures = {
            "available": text(free),
            "existing_qty": text(abs(held)),
            "held_for_orders": text(reserved),
            "symbol": order.asset.symbol,
        }
        asked = f"(requested: {text(order.left)}, available: {text(free)})"
        if order.asset.crypto:
            raise forbidden(f"insufficient balance for {order.asset.symbol.split('/')[0]} {asked}", **figures)
        raise forbidden(f"insufficient qty available for order {asked}", **figures)

    def _check_short(self, order: Order) -> None:
        if order.notional is not None or order.quantity % 1:
            raise unprocessable("fractional orders cannot be sold short")
        if not order.asset.shortable or order.asset.hard_to_borrow:
            raise unprocessable(f'asset "{order.asset.symbol}" cannot be sold short')
        long, short = self.values()
        if self.cash + long + short < 2000:
            raise forbidden("account not eligible to short: equity below 2000")

    # --- what happens by itself ---

    def advance(self) -> None:
        """Everything that can happen at these prices happens."""
        for order in list(self.open.values()):
            if order.status in ("pending_new", "accepted"):
                self._arrive(order)
            if order.status in ("new", "partially_filled"):
                self._match(order)

    def _arrive(self, order: Order) -> None:
        if self._trades(order):
            self._turn(order, "new", "new")
        elif order.status == "pending_new":
            self._turn(order, "accepted", "accepted")

    def _trades(self, order: Order) -> bool:
        if order.time_in_force in ("opg", "cls"):
            return False  # the auctions are not modelled
        return (
            order.asset.crypto
            or self.session == "open"
            or (self.session == "extended" and order.extended_hours)
        )

    def _match(self, order: Order) -> None:
        price = self._price(order) if self._trades(order) else None
        if price is not None:
            self._fill(order, price)
        if (
            order.status in ("new", "partially_filled")
            and order.time_in_force in ("ioc", "fok")
            and not order.parts
        ):
            self._end(order, "canceled")

    def _price(self, order: Order) -> Decimal | None:
        asset = order.asset
        touch = asset.price + order.sign * asset.spread
        if order.type == "trailing_stop":
            order.hwm = max(order.hwm, asset.price) if order.side == "sell" else min(order.hwm, asset.price)
        stop = order.trail_stop() if order.type == "trailing_stop" else order.stop
        if stop is not None and not order.triggered:
            if (asset.price - stop) * order.sign < 0:
                return None
            order.triggered = True
        if order.limit is None:
            return touch
        return touch if (order.limit - touch) * order.sign >= 0 else None

    def _fill(self, order: Order, price: Decimal) -> None:
        if order.parts and order.filled:
            return
        if order.notional is not None:
            quantity = (order.notional / price).quantize(D("0.000000001"))
        else:
            quantity = order.left
        if order.parts:
            quantity = max((quantity / 2).to_integral_value(), ONE) if quantity > 1 else quantity / 2
        order.filled, order.cost = order.filled + quantity, order.cost + quantity * price
        self._book(order, quantity, price)
        done = order.notional is not None or order.filled >= order.quantity
        if done:
            order.at["filled"] = self.now()
        for other in order.parent.legs if order.parent else ():  # both may not sell the same shares
            if other is not order and other.is_open:
                other.quantity -= quantity
        self._record(order, quantity, price, done)
        self._turn(
            order,
            "filled" if done else "partially_filled",
            "fill" if done else "partial_fill",
            quantity,
            price,
        )
        if done:
            self._after_fill(order)

    def finish_parts(self) -> None:
        for order in self.open.values():
            order.parts = False
        self.advance()

    def _book(self, order: Order, quantity: Decimal, price: Decimal) -> None:
        held, average = self.held.get(order.asset.plain, (ZERO, ZERO))
        change = order.sign * quantity
        total = held + change
        if held * change >= 0:
            average = (abs(held) * average + quantity * price) / abs(total)
        elif held * total < 0:
            average = price
        self.cash -= change * price
        self.set_position(order.asset, total, average)

    def set_position(self, asset: Asset, quantity: Decimal, average: Decimal) -> None:
        """Also for what happens outside: a sale by hand, a split, a fee taken in coins."""
        if quantity:
            self.held[asset.plain] = quantity, average
        else:
            self.held.pop(asset.plain, None)

    def _record(self, order: Order, quantity: Decimal, price: Decimal, done: bool) -> None:
        now = self.now()
        self.activities.append(
            {
                "id": f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03d}::{uuid.uuid4()}",
                "activity_type": "FILL",
                "transaction_time": stamp(now),
                "type": "fill" if done else "partial_fill",
                "price": text(price),
                "qty": text(quantity),
                "side": order.side,
                "symbol": order.asset.symbol,
                "leaves_qty": text(max(order.left, ZERO)),
                "order_id": order.id,
                "cum_qty": text(order.filled),
                "order_status": "filled" if done else "partially_filled",
            }
        )

    def _after_fill(self, order: Order) -> None:
        for index, leg in enumerate(order.legs):
            # of two exits the second stays held: both may not sell the same shares
            if index == 0 and leg.is_open:
                self._turn(leg, "new", "new")
        for other in order.parent.legs if order.parent else ():
            if other is not order and other.is_open:
                self._end(other, "canceled")

    def _held_stops(self) -> None:
        """The second exit of a bracket fires although it is held: the first one gives way."""
        for parent in self.brackets:
            profit, stop = parent.legs
            if (
                stop.status == "held"
                and profit.status in ("new", "partially_filled")
                and (stop.asset.price - stop.stop) * stop.sign >= 0
            ):
                self._end(profit, "canceled")
                self._turn(stop, "new", "new")

    def set_price(self, name: str, price: Decimal) -> None:
        asset = self.asset(name)
        if asset is None:
            asset = self.assets[name.replace("/", "")] = Asset(name, price, crypto="/" in name)
        asset.price = price
        self._held_stops()
        self.advance()

    # --- ending ---

    def cancel(self, order: Order) -> None:
        if not order.is_open:
            raise unprocessable(f'order is already in "{order.status}" state')
        self._end(order, "canceled")

    def _end(self, order: Order, status: str) -> None:
        order.at[status] = self.now()
        self._turn(order, status, status)
        for leg in order.legs:
            if leg.is_open:
                self._end(leg, "canceled")
        for other in order.parent.legs if order.parent and status == "canceled" else ():
            if other.is_open and order.parent.status == "filled" and not (other.stop and self._fires(other)):
                self._end(other, "canceled")

    def _fires(self, order: Order) -> bool:
        return (order.asset.price - order.stop) * order.sign >= 0

    def replace(self, old: Order, new: Order) -> Order:
        """An edit ends the order and makes another, with another id and another client id."""
        if new.client_order_id in self.by_client:
            raise invalid("client_order_id must be unique")
        old.at["replaced"] = self.now()
        new.replaces, old.replaced_by = old.id, new.id
        self._turn(old, "replaced", "replaced")
        self._enter(new)
        return new

    def _turn(
        self,
        order: Order,
        status: str,
        event: str,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
    ) -> None:
        order.status, order.at["updated"] = status, self.now()
        if not order.is_open:
            self.open.pop(order.id, None)
        more = (
            {}
            if quantity is None
            else {
                "qty": text(quantity),
                "price": text(price),
                "position_qty": text(self.quantity(order.asset)),
            }
        )
        self.on_event(event, order, more)
