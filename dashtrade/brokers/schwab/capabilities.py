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
            "Schwab does not store DashTrade's order id: after a time-out the account's orders are "
            "searched, and you are asked about orders that stay unconfirmed."
        ),
        "You sign in at Schwab every seven days; DashTrade warns you two days before.",
        "The fees of a sale come from the account's transactions. If they are late, the sale is booked "
        "five seconds later, without fees if necessary.",
        (
            "Whole shares, long only; stops are managed by DashTrade. Schwab has no sandbox: use the "
            "built-in paper account to practise."
        ),
    ),
)
