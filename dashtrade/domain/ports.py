"""What the engine needs from the outside world, and how that may fail.

An adapter (a package in `brokers/`, a file in `feeds/`) implements one of these protocols and imports only
`domain` and its own files. Errors are classed by the reaction they call for, not by their cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce


class Clock(Protocol):
    def now(self) -> datetime: ...


class SystemClock:
    """The only caller of the wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


# --- broker errors ------------------------------------------------------------------------------------------


class BrokerError(Exception):
    """Base class; `message` is for the user: what happened, what it means, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Rejected(BrokerError):
    """The broker refused, for certain: no order exists. Do not retry."""


class NotHeld(Rejected):
    """The account does not hold what our books say is there to close. An unbooked fill looks the same."""


class RetryLater(BrokerError):
    """The request was certainly not processed (429, or the connection was refused): it may be repeated."""

    def __init__(self, message: str, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.after = after


class Unknown(BrokerError):
    """The order may or may not exist (time-out, garbage, 5xx after a POST): look it up, never resend in
    doubt."""


class BadCredentials(BrokerError):
    """The key is wrong, revoked or lacks a permission: stop, notify the user once."""


class Unavailable(BrokerError):
    """A read (quote, account, positions, look-up) failed: nothing is known, and nothing is proven absent."""


class NotOffered(Unavailable):
    """The broker lacks that endpoint: a retry will not help, and an order must not depend on it."""


# --- data to and from a broker ------------------------------------------------------------------------------


class VenueStatus(StrEnum):
    """A broker's order status, in our terms."""

    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@record
class OrderRequest:
    """One order as sent to the broker. `quantity` is positive; exactly one of `quantity` and `notional` is
    set."""

    client_order_id: str
    symbol: Symbol
    side: OrderSide
    type: OrderType
    quantity: Decimal | None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    extended_hours: bool = False
    # closes or reduces a bot's position: sent only if the account holds that much
    reduces: bool = False
    # by our books, all bots and the user's own; where a closing order is checked against it
    account_holds: Decimal | None = None
    take_profit: Decimal | None = None  # native bracket legs, where the broker supports them
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None


@record
class OrderRef:
    """An order's names at the broker: our id always, the broker's once known."""

    client_order_id: str
    broker_order_id: str | None
    symbol: Symbol
    side: OrderSide
    quantity: Decimal | None
    type: OrderType
    created_at: datetime
    with_legs: bool = False  # include the exits it was sent with


@record
class BrokerFill:
    """One execution. `id` is unique within the account. `fee` is in the quote currency; a fee taken from the
    bought coin is `fee_base` (it leaves less to sell)."""

    id: str
    client_order_id: str
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal = ZERO
    fee_base: Decimal = ZERO


@record
class Leg:
    """An exit that the broker holds for an order. `client_order_id` is the broker's own, and can be looked up
    like ours."""

    client_order_id: str
    broker_order_id: str
    side: OrderSide
    type: OrderType
    quantity: Decimal
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@record
class OrderReport:
    """The broker's current view of an order. `fills` are all executions reported so far (repeats are
    harmless); for a broker that reports only totals, leave it empty: the engine books the difference from
    `filled_quantity` and `average_price`."""

    client_order_id: str
    broker_order_id: str | None
    status: VenueStatus
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    fills: tuple[BrokerFill, ...] = ()
    total_fee: Decimal = ZERO  # of all fills, where only totals are reported: in the quote currency
    total_fee_base: Decimal = ZERO  # likewise, taken from the bought coin
    reason: str = ""
    # with the answer to `submit` and to `find(with_legs)`; otherwise optional
    legs: tuple[Leg, ...] = ()


@record
class FoundOrder:
    """An order with one of our ids, as the broker lists it; it may be missing here."""

    client_order_id: str
    broker_order_id: str
    symbol: Symbol
    side: OrderSide
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    filled_quantity: Decimal
    created_at: datetime

    @property
    def ref(self) -> OrderRef:
        return OrderRef(
            client_order_id=self.client_order_id,
            broker_order_id=self.broker_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            type=self.type,
            created_at=self.created_at,
            with_legs=True,
        )


@record
class AccountState:
    """The account as the broker reports it."""

    equity: Decimal
    cash: Decimal
    buying_power: Decimal
    currency: str = "USD"
    number: str = ""  # the broker's account number; shown masked
    permissions: tuple[str, ...] = ()
    can_withdraw: bool | None = None


@record
class BrokerPosition:
    """The broker's position for the whole account: net over all bots and manual trades. Signed: short is
    negative."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal | None = None
    mark: Decimal | None = None


@record
class Rules:
    """What the broker accepts for one symbol."""

    quantity_step: Decimal
    price_step: Decimal
    min_quantity: Decimal = ZERO
    min_notional: Decimal = ZERO
    shortable: bool = True
    tradable: bool = True
    fractionable: bool = True
    note: Reason = NO_REASON  # rules that were assumed, as the broker does not provide them


@record
class Quote:
    symbol: Symbol
    bid: Decimal
    ask: Decimal
    at: datetime
    demo: bool = False
    note: Reason = NO_REASON  # what replaces bid and ask where they are not available

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def price_for(self, side: OrderSide) -> Decimal:
        """What a market order on that side would pay or receive."""
        return self.ask if side is OrderSide.BUY else self.bid


@record
class Candle:
    at: datetime  # its opening time
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO


@record
class Capabilities:
    """How one broker differs from another, as data: used to validate bots, build orders and generate
    documentation."""

    name: str  # display name: "Alpaca"
    order_types: frozenset[OrderType] = frozenset({OrderType.MARKET, OrderType.LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.DAY, TimeInForce.GTC})
    shorts: bool = False
    fractional: bool = False
    crosses_zero: bool = True  # one order may take the account from long to short; else it is split at zero
    # accepts a buy and a sell of one symbol side by side; else that is a wash trade
    opposite_orders: bool = True
    # fractions of shares only in day orders of these types, not short
    fractions_by_the_day: frozenset[OrderType] = frozenset()
    notional: bool = False
    extended_hours: bool = False
    native_bracket: bool = False
    client_ids: bool = True  # our id is kept and can be looked up
    # the same client id is refused for ever, so resending after a look-up is safe
    refuses_repeats: bool = False
    settle: timedelta = timedelta(seconds=2)  # how long after sending a "not found" proves nothing
    sandbox: bool = False
    requests_per_minute: int | None = None
    stocks: bool = True
    crypto: bool = False
    always_open: bool = False
    queues_when_closed: bool = True  # accepts orders while its market is closed, and holds them for the open
    lists_orders: bool = False  # lists orders with our ids, even if they are missing here
    # share of a bought coin that is taken as a fee but not reported with the order
    unseen_coin_fee: Decimal = ZERO
    notes: tuple[str, ...] = field(default=())


class Broker(Protocol):
    """One account at one broker. Every call has a time-out. Methods may be called from several threads at
    once.

    `submit` returns a report once the broker has the order, or raises Rejected, RetryLater, Unknown or
    BadCredentials. The others raise Unavailable, RetryLater or BadCredentials when they cannot tell."""

    capabilities: Capabilities
    offers: Offers

    def submit(self, request: OrderRequest) -> OrderReport: ...

    def find(self, order: OrderRef) -> OrderReport | None:
        """The order as the broker has it, looked up by our id (or the broker's, if known). None: the broker
        answered that it has no such order *now*; within `capabilities.settle` of sending that proves
        nothing."""

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """Reports on working orders, in as few calls as the broker allows. Nothing is known now of an order
        left out."""

    def cancel(self, order: OrderRef) -> None:
        """Request a cancellation. An order that has already ended is no error: the next report shows it."""

    def account(self) -> AccountState: ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def rules(self, symbol: Symbol) -> Rules:
        """What may be ordered; raises Rejected if the broker does not trade the symbol. Cached by the
        adapter."""

    def market_open(self, symbol: Symbol) -> bool: ...

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """When a closed market opens next; None if unknown. Called only while it is closed."""

    def close(self) -> None:
        """Release connections and threads."""


class Stream(Protocol):
    """Pushes order reports. It only delivers news sooner; polling stays the truth."""

    @property
    def streaming(self) -> bool:
        """Is the stream connected, as far as is known?"""

    def listen(self, on_report: Callable[[OrderReport], object]) -> None:
        """Deliver reports as they happen, from a separate thread, with automatic reconnects, until stopped or
        closed."""

    def stop_listening(self) -> None: ...


class Listing(Protocol):
    """Lists the account's orders with our ids on them."""

    def orders_since(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        """Every order placed since then with one of our ids, ended or not, oldest first; where the broker
        lists orders by symbol, of these symbols."""


class Feed(Protocol):
    """A source of prices."""

    demo: bool

    def quote(self, symbol: Symbol) -> Quote: ...

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        """Oldest first; the last one may still be open."""


@record
class Offers:
    """Optional features of a broker; None where it lacks one. Each adapter declares them; nobody inspects
    it."""

    prices: Feed | None = None
    listing: Listing | None = None
    stream: Stream | None = None
    clock_skew: Callable[[], timedelta | None] | None = None  # how far its clock is ahead of ours
    # for the user, when a new sign-in is due; else NO_REASON
    sign_in_warning: Callable[[], Reason] | None = None
    sign_in_has_ended: Callable[[], bool] | None = None
    start_over: Callable[[], None] | None = None  # reset simulated money
    on_paper: bool = False  # the built-in paper broker: no real money
    # its books are in our own database, so nothing waits for a network: the broker on the `PaperBook` of a
    # transaction under way
    local: Callable[[Any], Broker] | None = None


BrokerFactory = Callable[[dict[str, str], dict[str, object]], Broker]  # (credentials, options) -> Broker
