"""How one crypto exchange may differ from another: one row of the table in `venues`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from dashtrade.domain.values import OrderSide, OrderType, TimeInForce

MOST_PAGES = 20  # of any one list
COLLAR = Decimal("0.02")  # how far through the book a collared market order may go

MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT

GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One row of the table. The patterns are searched in the body of an answer that refuses something."""

    id: str
    name: str
    quote: str  # the money an account is counted in, unless its owner says otherwise
    order_types: frozenset[OrderType] = frozenset({MARKET, LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({GTC, IOC, FOK})
    sandbox: bool = False

    # identity of orders
    client_id: str = "clientOrderId"  # the parameter under which our id is sent
    lookup: str = "list"  # fetch | open_closed | list | status: how an order is found by our id
    # symbol | open_closed | pages: how orders we may have forgotten are listed; empty: they are not
    lists: str = ""
    known_lookup: bool = True  # False: nobody has proved that our id is kept
    refuses_repeats: bool = False  # a repeat makes no second order, not even after the first has ended
    settle: timedelta = timedelta(seconds=5)

    # what a create needs and tells
    create_tells: bool = False  # the answer carries status and fills; else the order is fetched afterwards
    spends_on_market_buy: bool = False  # a market buy is an amount of money, so it needs a price
    # sides whose market orders go as a limit through the book, immediate or cancel
    collared: frozenset[OrderSide] = frozenset()
    reserved_fee: Decimal = Decimal(0)  # an order to buy sets this part of limit x quantity aside for its fee
    stop_param: str = "stopLossPrice"
    stop_says_time: bool = True  # whether a stop carries a time in force
    create_params: dict[str, str] = field(default_factory=dict)

    # executions
    trades: str = "order"  # order | ids | fills | filter | in_order: how the fills of an order are asked for

    # what it holds ending of what earns and is traded like the plain coin; any other after a point is not
    # traded
    rewards: str = ""

    # the connection
    nonces: bool = False  # each request must carry a higher number than the last one: one at a time
    # that a key may make, where it is so few that they have to be saved
    requests_per_minute: int | None = None
    burst: float = 1.0  # seconds' worth of requests that may go at once, at the pace ccxt knows
    options: dict[str, object] = field(default_factory=dict)
    details_on_demand: bool = False  # the list of markets lacks steps and minimums
    candles_page: int = 300
    can_resync: bool = False  # ccxt can measure how far our clock is off

    # what its words mean
    credentials: str = r"(?!)"  # the key is wrong, revoked or may not do this
    stale: str = r"(?!)"  # a nonce came out of order: certain, as nothing was looked at
    later: str = r"(?!)"  # its own words for "not taken, come back": certain, as nothing was looked at
    skewed: str = r"(?!)"  # our clock is off; certain as well
    ours: str = r"(?!)"  # it has an order of this name already: it may be ours
    refused: str = r"(?!)"  # a refusal that ccxt has no class for
    certain: str = r"(?!)"  # a refusal, although ccxt or `doubt` takes it for passing trouble
    doubt: str = r"(?!)"  # looks like a refusal and is none
    absent: str = ""  # there is no such order, where ccxt has another class for it

    key_form: str = ""  # pattern of its keys
    key_hint: str = ""
    secret_hint: str = ""
    refused_key: str = ""  # what else may be wrong with a key that is refused
    passphrase: bool = False
    notes: tuple[str, ...] = ()
    proven: bool = True

    def says(self, what: str, body: str) -> bool:
        return re.search(getattr(self, what), body, re.DOTALL) is not None
