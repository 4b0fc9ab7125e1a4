"""How one crypto exchange may differ from another: one row of the table in `venues`."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import timedelta
from decimal import Decimal

from dashtrade.domain.record import record
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce

MAX_PAGES = 20  # of one list
COLLAR_SHARE = Decimal("0.02")  # how far through the book a collared market order may go

MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT

GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


@record
class Exchange:
    """One row of the table. The patterns are searched in the body of an error response."""

    id: str
    name: str
    quote: str  # the account's currency, unless its owner chooses another
    order_types: frozenset[OrderType] = frozenset({MARKET, LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({GTC, IOC, FOK})
    sandbox: bool = False

    # order identity
    client_id: str = "clientOrderId"  # the parameter under which our id is sent
    lookup: str = "list"  # fetch | open_closed | list | status: how an order is found by our id
    # symbol | open_closed | pages: how orders missing here are listed; empty: not possible
    listing: str = ""
    keeps_client_id: bool = True  # False: not proven that our id is kept
    refuses_repeats: bool = False  # a repeat makes no second order, not even after the first has ended
    settle: timedelta = timedelta(seconds=5)

    # placing
    create_returns_state: bool = (
        False  # the answer has status and fills; else the order is fetched afterwards
    )
    spends_on_market_buy: bool = False  # a market buy is an amount of money, so it needs a price
    # sides whose market orders are sent as a limit through the book, immediate or cancel
    collared_sides: frozenset[OrderSide] = frozenset()
    reserved_fee: Decimal = Decimal(0)  # share of limit x quantity reserved for the fee of a buy order
    stop_param: str = "stopLossPrice"
    stop_takes_time_in_force: bool = True  # whether a stop has a time in force
    create_params: dict[str, str] = field(default_factory=dict)

    # executions
    trades: str = "order"  # order | ids | fills | filter | in_order: how the fills of an order are fetched

    # suffixes of balances that earn rewards and trade like the plain coin; any other suffix is not tradable
    reward_suffix: str = ""

    # connection
    nonces: bool = False  # each request needs a higher number than the last one: one at a time
    # per key, where the limit is so low that requests must be saved
    requests_per_minute: int | None = None
    burst: float = 1.0  # seconds' worth of requests that may be sent at once, at ccxt's pace
    options: dict[str, object] = field(default_factory=dict)
    details_on_demand: bool = False  # the list of markets lacks steps and minimums
    candles_page: int = 300
    can_resync: bool = False  # ccxt can measure our clock's offset

    # meaning of its messages
    credentials: str = r"(?!)"  # the key is wrong, revoked or lacks a permission
    stale: str = r"(?!)"  # a nonce came out of order: certainly not processed
    try_again: str = r"(?!)"  # "not accepted, try again": certainly not processed
    skewed: str = r"(?!)"  # our clock is off; certainly not processed
    duplicate: str = r"(?!)"  # an order of this name exists: it may be ours
    refused: str = r"(?!)"  # a refusal that ccxt has no class for
    certain: str = r"(?!)"  # a refusal, although ccxt or `unclear` treats it as temporary
    unclear: str = r"(?!)"  # looks like a refusal and is none
    absent: str = ""  # no such order, where ccxt uses another class

    key_form: str = ""  # pattern of its keys
    key_hint: str = ""
    secret_hint: str = ""
    refused_key: str = ""  # what else may be wrong with a refused key
    passphrase: bool = False
    notes: tuple[str, ...] = ()
    proven: bool = True

    def matches(self, pattern: str, body: str) -> bool:
        return re.search(getattr(self, pattern), body, re.DOTALL) is not None
