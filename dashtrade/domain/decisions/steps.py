"""A planned order, as a decision proposes it and risk approves it."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.orders import Effect
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.record import record
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce


@record
class Step:
    """A planned order. A later step waits until the previous one is filled."""

    side: OrderSide
    effect: Effect
    quantity: Decimal
    type: OrderType
    price: Decimal  # expected price per unit
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    extended_hours: bool = False
    exits: OrderExits | None = None  # of an entry
    explanation: Reason = NO_REASON  # derivation of its size, price and exits
