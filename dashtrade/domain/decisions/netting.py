"""Several bots on one account that the broker nets: what an order of one bot does to what the account holds.
Pure.

One bot is long 14, another short 10, and the account holds +4. Each bot may leave at any time, whatever the
others hold: an order that would take the account from long to short is split at zero, as brokers refuse it in
one piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import Capabilities, Rules
from dashtrade.domain.reasons import NO_REASON, Code, Fact, Reason, reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, client_order_id, floor_to

ONE = Decimal(1)
APART = 10  # between the numbers of a decision's steps: what one of them is split into comes in between


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the account holds of a symbol by our books, and what of it is not this bot's."""

    # All bots, what its user keeps outside of them, and a difference that is known and not resolved.
    net: Decimal
    others: tuple[Decimal, ...] = ()  # what each other bot owns, and what is kept outside; signed

    @property
    def short(self) -> bool:
        """Is any of the others short?"""
        return any(quantity < 0 for quantity in self.others)

    @property
    def fraction(self) -> Decimal:
        """A fraction of a share that one of the others owns; 0 if none does."""
        return next((quantity for quantity in self.others if quantity % 1), ZERO)


def wants_whole_shorts(symbol: Symbol, can: Capabilities) -> bool:
    return bool(can.fractions_by_the_day) and not symbol.is_crypto


def closing_part(quantity: Decimal, side: OrderSide, net: Decimal) -> Decimal:
    """How much of an order of that side takes the account nearer to zero; the rest opens the other way."""
    return min(quantity, max(-side.sign * net, ZERO))


def sendable(quantity: Decimal, side: OrderSide, net: Decimal, symbol: Symbol, can: Capabilities) -> Decimal:
    """Of an exit that leaves the account short, what is short has to be in whole shares where the broker
    wants them."""
    if side is OrderSide.BUY or not wants_whole_shorts(symbol, can):
        return quantity
    closing = closing_part(quantity, side, net)
    return closing + floor_to(quantity - closing, ONE)


def opens(side: OrderSide, net: Decimal) -> bool:
    """Does an order of that side take the account further from zero, all of it?"""
    return net * side.sign >= 0


def split_at_zero(order: Order, net: Decimal, can: Capabilities) -> tuple[Order, Order | None]:
    """The order as it may be sent now, and the rest of it, which is sent once the first part is filled.

    The rest is held against what the account holds by then. Exits that a broker would hold with the order are
    managed by DashTrade instead: a broker takes them with an order that opens a position, and with nothing
    else."""
    closing = closing_part(order.quantity, order.side, net)
    rest = sendable(order.quantity, order.side, net, order.symbol, can) - closing
    if can.crosses_zero or order.symbol.is_crypto or not closing or not rest:
        return replace(order, quantity=closing + rest) if closing + rest > 0 else order, None
    exits = order.exits and replace(order.exits, held_by=None)
    share = closing / order.quantity
    part = Effect.REDUCE if order.effect is Effect.CLOSE else order.effect  # the rest of it is what closes
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


def in_the_way(
    orders: Iterable[Order], quantity: Decimal, side: OrderSide, net: Decimal | None, can: Capabilities
) -> list[Order]:
    """Orders of other bots at the broker beside which an order of that side would be refused: those of the
    other side where the broker calls that a wash trade, and those of the same side that hold the shares it is
    to close."""
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
    shared: Shared,
    symbol: Symbol,
    rules: Rules,
    can: Capabilities,
) -> Reason:
    """Why what an entry buys or sells short could not be given up again beside what the others own.

    While others are short, selling a long position takes the account short, and brokers sell short in whole
    shares alone."""
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
