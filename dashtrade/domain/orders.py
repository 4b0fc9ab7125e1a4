"""An order's life cycle: one table of transitions, used everywhere."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.ports import OrderRef, VenueStatus
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce


class OrderStatus(StrEnum):
    CREATED = "created"  # decided and stored, not sent
    SUBMITTING = "submitting"  # may have been sent; after a crash it must be looked up
    UNKNOWN = "unknown"  # unconfirmed: being looked up, nothing else is sent for this symbol
    WORKING = "working"  # open at the broker
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ATTENTION = "attention"  # the order's state cannot be determined: its user has to check


S = OrderStatus
_LATE_FILL = frozenset({S.FILLED})  # a fill may arrive after the cancellation: the broker is right

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.CREATED: frozenset({S.SUBMITTING, S.CANCELED, S.REJECTED}),
    S.SUBMITTING: frozenset(
        {S.WORKING, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.UNKNOWN, S.CREATED, S.ATTENTION}
    ),
    S.UNKNOWN: frozenset({S.WORKING, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.SUBMITTING, S.ATTENTION}),
    S.WORKING: frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.ATTENTION}),
    S.ATTENTION: frozenset({S.UNKNOWN, S.WORKING, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED}),
    S.CANCELED: _LATE_FILL,
    S.EXPIRED: _LATE_FILL,
    S.REJECTED: _LATE_FILL,
    S.FILLED: frozenset(),
}
ENDED = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED})
OPEN = frozenset(S) - ENDED
UNCONFIRMED = frozenset({S.SUBMITTING, S.UNKNOWN, S.ATTENTION})

FROM_VENUE: dict[VenueStatus, OrderStatus] = {
    VenueStatus.WORKING: S.WORKING,
    VenueStatus.FILLED: S.FILLED,
    VenueStatus.CANCELED: S.CANCELED,
    VenueStatus.REJECTED: S.REJECTED,
    VenueStatus.EXPIRED: S.EXPIRED,
}


class IllegalTransition(Exception):
    """A bug in DashTrade: an order was given a status that its current one does not allow."""


def check_transition(old: OrderStatus, new: OrderStatus) -> None:
    if new is not old and new not in TRANSITIONS[old]:
        raise IllegalTransition(f"an order cannot go from {old} to {new}")


class Effect(StrEnum):
    """The effect of an order on its bot's position."""

    OPEN = "open"
    ADD = "add"
    REDUCE = "reduce"
    CLOSE = "close"

    @property
    def reduces(self) -> bool:
        return self in (Effect.REDUCE, Effect.CLOSE)


@record
class Order:
    """One order of one bot. `id` is its client order id."""

    id: str
    user_id: int
    account_id: int
    bot_id: int
    signal_id: str
    decision_id: int
    step: int
    final: bool  # the last step of its decision
    sole_recipient: bool  # its signal went to no other bot
    symbol: Symbol
    side: OrderSide
    effect: Effect
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    time_in_force: TimeInForce
    extended_hours: bool
    status: OrderStatus
    reason: Reason
    broker_order_id: str | None
    parent_id: str | None = None  # an exit that the broker holds: the entry it was sent with
    filled_quantity: Decimal
    filled_notional: Decimal
    reserve: Decimal  # buying power it may need, until the broker counts it
    exits: OrderExits | None  # of an entry
    cancel_requested: bool
    sends: int
    due_at: datetime | None  # not before: a delay, a 429, the next look-up
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime
    # settled internally against this order of another bot; nothing was sent
    crossed_with: str | None = None
    on_paper: bool = False  # executed by the built-in paper broker: on a live account, simulated

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def average_price(self) -> Decimal | None:
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None

    @property
    def remaining(self) -> Decimal:
        return max(self.quantity - self.filled_quantity, ZERO)

    @property
    def rests(self) -> bool:
        """Waits for its price, so that later signals need not wait for it."""
        return self.type is not OrderType.MARKET

    @property
    def ref(self) -> OrderRef:
        return OrderRef(
            client_order_id=self.id,
            broker_order_id=self.broker_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            type=self.type,
            created_at=self.created_at,
            with_legs=self.status in UNCONFIRMED
            and self.exits is not None
            and self.exits.held_by is not None,
        )
