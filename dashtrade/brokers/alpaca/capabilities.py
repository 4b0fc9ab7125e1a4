"""What Alpaca can do."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from dashtrade.domain.ports import Capabilities
from dashtrade.domain.values import OrderType, TimeInForce

CAPABILITIES = Capabilities(
    name="Alpaca",
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    shorts=True,
    fractional=True,
    fractions_by_the_day=frozenset(OrderType) - {OrderType.TRAILING_STOP},
    notional=True,
    extended_hours=True,
    native_bracket=True,
    refuses_repeats=True,
    crosses_zero=False,
    opposite_orders=False,
    settle=timedelta(seconds=5),
    sandbox=True,
    requests_per_minute=200,
    stocks=True,
    crypto=True,
    lists_orders=True,
    unseen_coin_fee=Decimal("0.01"),
    notes=(
        "Fractions of a share: market, limit, stop and stop-limit day orders, never short, with exits "
        "managed by DashTrade.",
        "Shorts: whole shares of easy-to-borrow stocks, with an equity of 2,000 dollars or more.",
        "Outside regular hours: limit orders only.",
        "Coins: market, limit and stop-limit orders, good till cancelled or immediate; no shorts, no "
        "brackets; the fee is taken out of what was bought, at the end of the day.",
        "Alpaca refuses two opposite orders of one account on one symbol as a wash trade: for an exit, "
        "the other bot's order is cancelled.",
        "An order that would take the account from long to short is split at zero. Exits are checked "
        "against the holdings of all bots and your own.",
    ),
)
