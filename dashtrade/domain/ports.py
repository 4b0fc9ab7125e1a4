"""What the engine needs from the outside world, and how the outside world may fail.

An adapter (a package in `brokers/`, a file in `feeds/`) implements one of these protocols and imports nothing
of ours but `domain` and its own files. Errors are classed by the reaction they call for, not by what caused
them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce


class Clock(Protocol):
    def now(self) -> datetime: ...


class SystemClock:
    """The only caller of the wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


# --- what may go wrong at a broker --------------------------------------------------------------------------


class BrokerError(Exception):
    """Base of all; `message` is for the user: what happened, what it means, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Rejected(BrokerError):
    """The venue said no, for certain: no order exists. Do not try again."""


class NotHeld(Rejected):
    """The account does not hold what our books say is there to close. A fill that we have not booked yet
    looks the same."""


class RetryLater(BrokerError):
    """The request was certainly not acted upon (429, or the connection was refused): the same one may go
    again."""

    def __init__(self, message: str, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.after = after


class Unknown(BrokerError):
    """The order may or may not exist (time-out, garbage, 5xx after a POST): look it up, never send on
    doubt."""


class BadCredentials(BrokerError):
    """The key is wrong, revoked or lacks a permission: stop, tell the user once."""


class Unavailable(BrokerError):
    """A reading call (quote, account, positions, look-up) failed: nothing is known, least of all that
    something is absent."""


class NotOffered(Unavailable):
    """There is nothing at the address of that reading call: asking again will not help, and an order must not
    hang on it."""


# --- what flows to and from a broker ------------------------------------------------------------------------


class VenueStatus(StrEnum):
    """A venue's order status, in our words."""

    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as it leaves for the venue. `quantity` is positive; exactly one of `quantity` and `notional`
    is set."""

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
    # closes or shrinks a bot's position: sent only if the account holds what it is to give up
    reduces: bool = False
    # by our books, of all bots and besides; where an order to close is held against it
    account_holds: Decimal | None = None
    take_profit: Decimal | None = None  # native bracket legs, where the venue holds them
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRef:
    """How an order is named at the venue: by our id always, by theirs once it is known."""

    client_order_id: str
    broker_order_id: str | None
    symbol: Symbol
    side: OrderSide
    quantity: Decimal | None
    type: OrderType
    created_at: datetime
    with_legs: bool = False  # the exits it was sent with are to be told of, too


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """An exit that the venue holds for an order. The venue has named it: `client_order_id` is found like any
    of ours."""

    client_order_id: str
    broker_order_id: str
    side: OrderSide
    type: OrderType
    quantity: Decimal
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What the venue says of an order now. `fills` are all executions it told us of so far (repeats are
    harmless); where a venue tells only totals, leave it empty: the engine books the difference from
    `filled_quantity` and `average_price`."""

    client_order_id: str
    broker_order_id: str | None
    status: VenueStatus
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    fills: tuple[BrokerFill, ...] = ()
    total_fee: Decimal = ZERO  # of all that is filled, where totals alone are told: in the quote currency
    total_fee_base: Decimal = ZERO  # likewise, taken from the bought coin
    reason: str = ""
    # with the answer to `submit` and to `find(with_legs)`; otherwise they may be left out
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrder:
    """An order that carries an id of ours, as the venue lists it: whoever asks may have forgotten it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """The account as the venue sees it."""

    equity: Decimal
    cash: Decimal
    buying_power: Decimal
    currency: str = "USD"
    number: str = ""  # as the venue names it; shown masked
    permissions: tuple[str, ...] = ()
    can_withdraw: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """What the venue holds for the whole account: netted over all bots and hands. Signed: short is
    negative."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal | None = None
    mark: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the venue accepts for one symbol."""

    quantity_step: Decimal
    price_step: Decimal
    min_quantity: Decimal = ZERO
    min_notional: Decimal = ZERO
    shortable: bool = True
    tradable: bool = True
    fractionable: bool = True
    note: str = ""  # what of it was assumed, as the venue does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    symbol: Symbol
    bid: Decimal
    ask: Decimal
    at: datetime
    demo: bool = False
    note: str = ""  # what stands in for bid and ask, where nobody tells them

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def price_for(self, side: OrderSide) -> Decimal:
        """What a market order of that side would pay or get."""
        return self.ask if side is OrderSide.BUY else self.bid


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    at: datetime  # its opening time
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """How one venue differs from another, as data: bots are validated, orders built and the documentation
    drawn from it."""

    name: str  # as people call it: "Alpaca"
    order_types: frozenset[OrderType] = frozenset({OrderType.MARKET, OrderType.LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.DAY, TimeInForce.GTC})
    shorts: bool = False
    fractional: bool = False
    crosses_zero: bool = True  # one order may take the account from long to short; else it is split there
    # takes a buy and a sell of one symbol side by side; else that is a wash trade
    opposite_orders: bool = True
    # fractions of shares in day orders of these alone, not short
    fractions_by_the_day: frozenset[OrderType] = frozenset()
    notional: bool = False
    extended_hours: bool = False
    native_bracket: bool = False
    client_ids: bool = True  # our id is kept and can be looked up
    # the same client id is refused for ever, so sending again after a look-up is safe
    refuses_repeats: bool = False
    settle: timedelta = timedelta(seconds=2)  # how long after sending a "not found" is not yet believed
    sandbox: bool = False
    requests_per_minute: int | None = None
    stocks: bool = True
    crypto: bool = False
    always_open: bool = False
    queues_when_closed: bool = True  # takes orders while its market is closed, and holds them for the open
    lists_orders: bool = False  # tells of orders that carry our ids though we have forgotten them
    # share of a bought coin that is taken as a fee without being told with the order
    unseen_coin_fee: Decimal = ZERO
    notes: tuple[str, ...] = field(default=())


class Broker(Protocol):
    """One account at one venue. Every call is bounded in time. Methods may be called from several threads at
    once.

    `submit` returns a report once the venue has the order, or raises Rejected, RetryLater, Unknown or
    BadCredentials. The others raise Unavailable, RetryLater or BadCredentials when they cannot tell."""

    capabilities: Capabilities
    offers: Offers

    def submit(self, request: OrderRequest) -> OrderReport: ...

    def find(self, order: OrderRef) -> OrderReport | None:
        """The order as the venue knows it, looked up by our id (or theirs, when known). None: the venue
        answered that it has no such order *now*; within `capabilities.settle` of sending that proves
        nothing."""

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """News of working orders, in as few calls as the venue allows. An order left out is one nothing is
        known of now."""

    def cancel(self, order: OrderRef) -> None:
        """Ask for cancellation. An order that has ended already is no error: the next report tells."""

    def account(self) -> AccountState: ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def rules(self, symbol: Symbol) -> Rules:
        """What may be ordered; raises Rejected when the venue does not trade the symbol. Cached by the
        adapter."""

    def market_open(self, symbol: Symbol) -> bool: ...

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """When a closed market opens next; None where that is not known. Asked only while it is closed."""

    def close(self) -> None:
        """Give back connections and threads."""


class Stream(Protocol):
    """Tells of orders by itself. It only makes news arrive sooner; polling stays the truth."""

    @property
    def streaming(self) -> bool:
        """Is the line up, as far as is known?"""

    def listen(self, on_report: Callable[[OrderReport], object]) -> None:
        """Tell of news as they happen, from a thread of its own, reconnecting by itself; until told to stop,
        or closed."""

    def stop_listening(self) -> None: ...


class Listing(Protocol):
    """Lists the account's orders with our ids on them."""

    def ours(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        """Every order placed since then that carries an id of ours, ended or not, oldest first; where the
        venue lists orders by symbol, of these symbols."""


class Feed(Protocol):
    """Where prices come from."""

    demo: bool

    def quote(self, symbol: Symbol) -> Quote: ...

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        """Oldest first; the last one may still be open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What some venues have beyond the rest; None where this one has not. An adapter says so itself: nobody
    searches it."""

    prices: Feed | None = None
    listing: Listing | None = None
    stream: Stream | None = None
    clock_skew: Callable[[], timedelta | None] | None = None  # how far its clock is ahead of ours
    # words for the user where a person has to sign in again soon
    sign_in_warning: Callable[[], str] | None = None
    sign_in_has_ended: Callable[[], bool] | None = None
    start_over: Callable[[], None] | None = None  # with fresh money, of what is made up
    on_paper: bool = False  # the built-in paper broker: nothing of it is real
    local: bool = False  # its books are in our own database, so that nothing of it waits for a network


BrokerFactory = Callable[[dict[str, str], dict[str, object]], Broker]  # (credentials, options) -> Broker
