"""What Schwab can do."""

from __future__ import annotations

from datetime import timedelta

from dashtrade.domain.ports import Capabilities
from dashtrade.domain.values import OrderType, TimeInForce

CAPABILITIES = Capabilities(
    name="Schwab",
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
    times_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC}),
    client_ids=False,
    settle=timedelta(seconds=10),
    requests_per_minute=120,
    notes=(
        (
            "Schwab keeps no order id of ours: after a time-out the account's orders are searched, and what "
            "stays unclear is asked of you."
        ),
        "A person signs in at Schwab every seven days; DashTrade warns two days before.",
        "The fees of a sale come from the account's transactions. Where those are late, the sale is booked "
        "five seconds later, and without them if need be.",
        (
            "Whole shares, long only; stops are kept by DashTrade. Schwab has no sandbox: use the built-in "
            "paper account to practise."
        ),
    ),
)
