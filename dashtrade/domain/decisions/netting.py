"""Several bots on one account that the broker nets: how an order of one bot changes the account's position.
Pure.

One bot is long 14, another short 10, and the account holds +4. Each bot may exit at any time, whatever the
others hold: an order that would take the account from long to short is split at zero, as brokers refuse it in
one piece."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import Capabilities, Rules
from dashtrade.domain.reasons import NO_REASON, Code, Fact, Reason, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, client_order_id, floor_to

ONE = Decimal(1)
STEP_SPACING = 10  # between the numbers of a decision's steps, leaving room for the parts of a split step


@record
class AccountHoldings:
    """What the account holds of a symbol by our books, and which part is not this bot's."""

    # All bots, the user's own holdings, and a known, unresolved difference.
    net: Decimal
    others: tuple[Decimal, ...] = ()  # of each other bot, and the user's own holdings; signed

    @property
    def short(self) -> bool:
        """Is any of the others short?"""
        return any(quantity < 0 for quantity in self.others)

    @property
    def fraction(self) -> Decimal:
        """The fraction of a share that another holder owns; 0 if none does."""
        return next((quantity for quantity in self.others if quantity % 1), ZERO)


def wants_whole_shorts(symbol: Symbol, can: Capabilities) -> bool:
    return bool(can.fractions_by_the_day) and not symbol.is_crypto


def closing_part(quantity: Decimal, side: OrderSide, net: Decimal) -> Decimal:
    """How much of an order of that side reduces the account's position; the rest opens the other side."""
    return min(quantity, max(-side.sign * net, ZERO))


def sendable(quantity: Decimal, side: OrderSide, net: Decimal, symbol: Symbol, can: Capabilities) -> Decimal:
    """Of an exit that leaves the account short, the short part is in whole shares where the broker requires
    them."""
    if side is OrderSide.BUY or not wants_whole_shorts(symbol, can):
        return quantity
    closing = closing_part(quantity, side, net)
    return closing + floor_to(quantity - closing, ONE)


def opens(side: OrderSide, net: Decimal) -> bool:
    """Does the whole order increase the account's position?"""
    return net * side.sign >= 0


def split_at_zero(order: Order, net: Decimal, can: Capabilities) -> tuple[Order, Order | None]:
    """The order that may be sent now, and the rest of it, which is sent once the first part is filled.

    The rest is checked against the account's holdings by then. Exits that a broker would hold with the order
    are managed by DashTrade instead: a broker accepts them only with an order that opens a position."""
    closing = closing_part(order.quantity, order.side, net)
    rest = sendable(order.quantity, order.side, net, order.symbol, can) - closing
    if can.crosses_zero or order.symbol.is_crypto or not closing or not rest:
        return replace(order, quantity=closing + rest) if closing + rest > 0 else order, None
    exits = order.exits and replace(order.exits, held_by=None)
    share = closing / order.quantity
    part = Effect.REDUCE if order.effect is Effect.CLOSE else order.effect  # its rest is the closing order
    first = replace(
        order, quantity=closing, effect=part, final=False, exits=exits, reserve=order.reserve * share
    )
    after = replace(
        order,
        id=client_order_id(order.signal_id, order.bot_id, order.step + 1),
        step=order.step + 1,
        quantity=rest,
        exits=exits,
        reserve=order.reserve - order.reserve * share,
        status=OrderStatus.CREATED,
        sends=0,
        sent_at=None,
        due_at=None,
    )
    return first, after


def blocking_orders(
    orders: Iterable[Order], quantity: Decimal, side: OrderSide, net: Decimal | None, can: Capabilities
) -> list[Order]:
    """Orders of other bots at the broker that would make it refuse an order of that side: those of the other
    side where the broker calls that a wash trade, and those of the same side that reserve the shares to
    close."""
    at_broker = [order for order in orders if order.status is OrderStatus.WORKING]
    against = [order for order in at_broker if order.side is not side and not can.opposite_orders]
    if net is None:
        return against
    same = [order for order in at_broker if order.side is side]
    closing = closing_part(quantity, side, net)
    free = max(-side.sign * net, ZERO) - sum((order.remaining for order in same), ZERO)
    return against + (same if closing and free < closing else [])


def cannot_be_left(
    side: OrderSide,
    quantity: Decimal,
    owned: Decimal,
    shared: AccountHoldings,
    symbol: Symbol,
    rules: Rules,
    can: Capabilities,
) -> Reason:
    """Why a position from this entry could not be closed beside the others' positions.

    While others are short, selling a long position takes the account short, and brokers sell only whole
    shares short."""
    facts: dict[str, Fact] = {"symbol": symbol.short, "broker": can.name}
    if side is OrderSide.SELL and wants_whole_shorts(symbol, can) and shared.fraction:
        return reason(Code.FRACTION_BESIDE_SHORT, quantity=shared.fraction, **facts)
    if side is OrderSide.BUY and shared.short:
        if not rules.shortable:
            return reason(Code.LONG_BESIDE_SHORT, **facts)
        if wants_whole_shorts(symbol, can) and (owned + quantity) % 1:
            return reason(Code.FRACTION_LONG_BESIDE_SHORT, quantity=owned + quantity, **facts)
    return NO_REASON


def split_reason(first: Order, rest: Order) -> Reason:
    return reason(Code.SPLIT_AT_ZERO, side=str(first.side), first=first.quantity, rest=rest.quantity)
