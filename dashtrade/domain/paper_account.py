"""One paper account: its settings, its stored state, and its money.

`PaperStore` is the paper broker's only access to stored accounts. `MemoryPaperStore` serves backtests and
tests; the database store is not here, as adapters do not use the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

from dashtrade.domain.ports import BrokerFill, Quote, VenueStatus
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, Malformed, OrderSide, OrderType, TimeInForce, exact, money, plain

T = TypeVar("T")
STARTING_CASH = Decimal(100_000)
AVERAGE = Context(prec=20)  # for display; the ledger uses the fills
_FEE_STEP = Decimal("0.00000001")


@record
class PaperOrder:
    """An order as this broker keeps it. A triggered stop becomes a market order, a stop-limit a limit
    order."""

    client_order_id: str
    broker_order_id: str
    symbol: Symbol
    side: OrderSide
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    high_water: Decimal | None = None  # the best price a trailing stop has seen: the lowest, for a buy
    time_in_force: TimeInForce
    extended_hours: bool = False
    reduces: bool = False
    status: VenueStatus = VenueStatus.WORKING
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    reason: str = ""
    created_at: datetime
    updated_at: datetime


@record
class PaperPosition:
    symbol: Symbol
    quantity: Decimal  # signed: short is negative
    average_price: Decimal


class PaperBook(Protocol):
    """One account's state inside one transaction that locks that account."""

    def cash(self) -> Decimal: ...
    def set_cash(self, cash: Decimal) -> None: ...
    def order(self, client_order_id: str) -> PaperOrder | None: ...
    def add_order(self, order: PaperOrder) -> None: ...
    def update_order(self, order: PaperOrder) -> None: ...
    def working(self) -> list[PaperOrder]:
        """In order of arrival."""

    def fills(self, client_order_id: str) -> list[BrokerFill]: ...
    def add_fill(self, fill: BrokerFill) -> None: ...
    def position(self, symbol: Symbol) -> PaperPosition | None: ...
    def positions(self) -> list[PaperPosition]: ...
    def set_position(self, position: PaperPosition) -> None:
        """A quantity of 0 deletes it."""


class PaperStore(Protocol):
    def write(self, work: Callable[[PaperBook], T]) -> T:
        """Run `work` in one durable transaction. `work` may be run again, so it must only change the book."""

    def read(self, work: Callable[[PaperBook], T]) -> T: ...


@record
class PaperSettings:
    """How one paper account behaves. Buying power is equity x leverage - exposure; shorts count in full."""

    starting_cash: Decimal = STARTING_CASH
    fee_per_order: Decimal = ZERO
    fee_percent: Decimal = ZERO
    slippage_percent: Decimal = ZERO  # of the price, against you, on orders filled at the market's price
    # a market order fills this share at once and at each following tick
    fill_percent: Decimal = Decimal(100)
    leverage: Decimal = Decimal(1)
    shorting: bool = True
    hours: str = "always"

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> PaperSettings:
        names = [known.name for known in fields(cls)]
        for name in options:
            if name not in names:
                close = get_close_matches(name, names, 1)
                hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(names)}."
                raise Malformed(f"a paper account has no option {name!r}", where=name, hint=hint)
        settings: dict[str, Any] = {
            name: _setting(name, value) for name, value in options.items() if value is not None
        }
        return cls(**settings)


_RANGES = {
    "starting_cash": (1, 10**12),
    "fee_per_order": (0, 10**6),
    "fee_percent": (0, 50),
    "slippage_percent": (0, 50),
    "fill_percent": (1, 100),
    "leverage": (1, 100),
}
_CHOICES: dict[str, dict[str, object]] = {
    "shorting": {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    },
    "hours": {"always": "always", "exchange": "exchange"},
}


def _setting(name: str, value: object) -> object:
    if name in _CHOICES:
        said = str(value).strip().lower()
        if said not in _CHOICES[name]:
            raise Malformed(
                f"{name} cannot be {str(value)[:20]!r}",
                where=name,
                hint=f"One of: {', '.join(_CHOICES[name])}.",
            )
        return _CHOICES[name][said]
    number, (least, most) = exact(value, name), _RANGES[name]
    if not least <= number <= most:
        raise Malformed(
            f"{name} is {plain(number)}, out of range", where=name, hint=f"From {least} to {most:,}."
        )
    return number


# --- the money ----------------------------------------------------------------------------------------------


class NeedsQuotes(Exception):
    """The account cannot be valued yet: the transaction ends, prices are fetched outside, and the work
    restarts."""

    def __init__(self, symbols: list[Symbol]) -> None:
        super().__init__(symbols)
        self.symbols = symbols


def _netted(old: PaperPosition, change: Decimal, price: Decimal) -> PaperPosition:
    total = old.quantity + change
    if old.quantity * change >= 0:
        average = AVERAGE.divide(abs(old.quantity) * old.average_price + abs(change) * price, abs(total))
    else:  # partly closed, or reversed: then the remainder was opened at this price
        average = old.average_price if old.quantity * total >= 0 else price
    return PaperPosition(symbol=old.symbol, quantity=total, average_price=average)


def buying_power(cash: Decimal, values: list[Decimal], settings: PaperSettings) -> Decimal:
    return (cash + sum(values)) * settings.leverage - sum(map(abs, values))


class PaperLedger:
    """Cash and positions during one transaction: each is read at most once, and written once at the end."""

    def __init__(self, book: PaperBook, settings: PaperSettings, quotes: Mapping[Symbol, Quote]) -> None:
        self._book, self._settings, self._quotes = book, settings, quotes
        self._cash: Decimal | None = None
        self._held: dict[Symbol, PaperPosition] = {}
        self._changed: set[Symbol] = set()
        self._complete = False

    @property
    def cash(self) -> Decimal:
        if self._cash is None:
            self._cash = self._book.cash()
        return self._cash

    def _position(self, symbol: Symbol) -> PaperPosition:
        if symbol not in self._held:
            none = PaperPosition(symbol=symbol, quantity=ZERO, average_price=ZERO)
            self._held[symbol] = (None if self._complete else self._book.position(symbol)) or none
        return self._held[symbol]

    def _read_positions(self) -> None:
        if not self._complete:
            self._held = {position.symbol: position for position in self._book.positions()} | self._held
            self._complete = True

    def power(self) -> Decimal:
        if self._settings.leverage == 1 and not self._settings.shorting:
            return self.cash
        self._read_positions()
        held = [position for position in self._held.values() if position.quantity]
        if self._settings.leverage == 1 and all(position.quantity > 0 for position in held):
            return self.cash  # the position counts as equity and as exposure, so no price is needed
        if missing := [position.symbol for position in held if position.symbol not in self._quotes]:
            raise NeedsQuotes(missing)
        values = [position.quantity * self._quotes[position.symbol].mid for position in held]
        return buying_power(self.cash, values, self._settings)

    def fee(self, order: PaperOrder, quantity: Decimal, price: Decimal) -> Decimal:
        share = (quantity * price * self._settings.fee_percent / 100).quantize(_FEE_STEP, ROUND_HALF_UP)
        return share if order.filled_quantity else share + self._settings.fee_per_order

    def refusal(self, order: PaperOrder, quantity: Decimal, price: Decimal) -> str:
        """Why the account cannot carry this trade; empty if it can. Closing is always allowed."""
        if not order.reduces and (self._settings.shorting or self._settings.leverage != 1):
            self._read_positions()  # needed for the buying power anyway: one call instead of two
        sign, held = order.side.sign, self._position(order.symbol).quantity
        after = held + sign * quantity
        if sign < 0 and after < 0 and not self._settings.shorting:
            return (
                f"would leave the account short of {plain(-after)} {order.symbol.short} and shorting is off; "
                f"sell {plain(max(held, ZERO))} at most, or turn shorting on"
            )
        closing = min(quantity, max(ZERO, -sign * held))
        if order.reduces or closing == quantity:
            return ""
        needs, power = (
            (quantity - closing) * price + self.fee(order, quantity - closing, price),
            self.power() + closing * price,
        )
        if needs <= power:
            return ""
        return f"needs {money(needs)} but buying power is {money(power)}; reduce the size or close something"

    def book(self, order: PaperOrder, fill: BrokerFill) -> None:
        change = order.side.sign * fill.quantity
        self._cash = self.cash - change * fill.price - fill.fee
        self._held[order.symbol] = _netted(self._position(order.symbol), change, fill.price)
        self._changed.add(order.symbol)

    def save(self) -> None:
        for symbol in self._changed:
            self._book.set_position(self._held[symbol])
        if self._changed:
            self._book.set_cash(self.cash)


# --- an account in memory -----------------------------------------------------------------------------------


class MemoryPaperStore:
    """A paper account that lives as long as the process. Exclusive to one thread at a time; a failed `write`
    is rolled back."""

    def __init__(self, cash: Decimal = STARTING_CASH) -> None:
        self._turn, self._book = threading.Lock(), _MemoryBook(cash)

    def write(self, work: Callable[[PaperBook], T]) -> T:
        with self._turn:
            try:
                result = work(self._book)
            except BaseException:
                self._book.undo()
                raise
            self._book.keep()
            return result

    def read(self, work: Callable[[PaperBook], T]) -> T:
        with self._turn:
            return work(self._book)


class _MemoryBook:
    """Every change records the previous value: an undo costs what was changed, not the whole account."""

    def __init__(self, cash: Decimal) -> None:
        self._cash: dict[str, Decimal] = {"cash": cash}
        self._orders: dict[str, PaperOrder] = {}
        self._working: dict[str, int] = {}  # order of arrival
        self._fills: dict[str, tuple[BrokerFill, ...]] = {}
        self._positions: dict[Symbol, PaperPosition] = {}
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def cash(self) -> Decimal:
        return self._cash["cash"]

    def set_cash(self, cash: Decimal) -> None:
        self._put(self._cash, "cash", cash)

    def order(self, client_order_id: str) -> PaperOrder | None:
        return self._orders.get(client_order_id)

    def add_order(self, order: PaperOrder) -> None:
        if order.status is VenueStatus.WORKING:
            self._put(self._working, order.client_order_id, len(self._orders))
        self._put(self._orders, order.client_order_id, order)

    def update_order(self, order: PaperOrder) -> None:
        self._put(self._orders, order.client_order_id, order)
        if order.status is not VenueStatus.WORKING:
            self._put(self._working, order.client_order_id, None)

    def working(self) -> list[PaperOrder]:
        return [self._orders[name] for name in sorted(self._working, key=self._working.__getitem__)]

    def fills(self, client_order_id: str) -> list[BrokerFill]:
        return list(self._fills.get(client_order_id, ()))

    def add_fill(self, fill: BrokerFill) -> None:
        self._put(self._fills, fill.client_order_id, (*self._fills.get(fill.client_order_id, ()), fill))

    def position(self, symbol: Symbol) -> PaperPosition | None:
        return self._positions.get(symbol)

    def positions(self) -> list[PaperPosition]:
        return list(self._positions.values())

    def set_position(self, position: PaperPosition) -> None:
        self._put(self._positions, position.symbol, position if position.quantity else None)

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._before.append((table, key, table.get(key)))
        _store(table, key, value)

    def undo(self) -> None:
        for table, key, value in reversed(self._before):
            _store(table, key, value)
        self.keep()

    def keep(self) -> None:
        self._before.clear()


def _store(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Storing None deletes the key."""
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
