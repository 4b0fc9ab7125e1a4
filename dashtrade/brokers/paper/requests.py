"""An order on arrival at the paper account: refusals, and the stored order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dashtrade.domain.paper_account import PaperOrder
from dashtrade.domain.ports import Capabilities, OrderRequest, Quote, Rejected
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce, floor_to, given, money, plain

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})

WAITS_FOR_PRICE = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})

_SHARE_STEP, _COIN_STEP = Decimal("0.000001"), Decimal("0.00000001")
_MAX_NUMBER = Decimal(10) ** 12  # upper limit of a number in an order


def _positive(number: Decimal | None) -> bool:
    return number is not None and number.is_finite() and 0 < number <= _MAX_NUMBER


def check(request: OrderRequest, capabilities: Capabilities) -> None:
    """Checks that need neither a price nor the account."""
    amount, kind, time_in_force = (
        request.quantity if request.notional is None else request.notional,
        request.type,
        request.time_in_force,
    )
    trail_values = [value for value in (request.trail_amount, request.trail_percent) if value is not None]
    if (request.quantity is None) == (request.notional is None) or not _positive(amount):
        raise Rejected("the order needs a quantity or an amount of money, one of them, and above zero")
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) and not _positive(request.limit_price):
        raise Rejected(f"a {kind} order needs a limit price above zero; it has {request.limit_price}")
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT) and not _positive(request.stop_price):
        raise Rejected(f"a {kind} order needs a stop price above zero; it has {request.stop_price}")
    trailable = (
        len(trail_values) == 1
        and _positive(trail_values[0])
        and (request.trail_percent is None or request.trail_percent < 100)
    )
    if kind is OrderType.TRAILING_STOP and not trailable:
        raise Rejected(
            "a trailing stop needs a trail above zero, as an amount or as a percentage below 100, one of them"
        )
    if time_in_force not in capabilities.times_in_force:
        raise Rejected(f"the paper account has no time in force {time_in_force}; use day, gtc, ioc or fok")
    if time_in_force in AT_ONCE and kind in WAITS_FOR_PRICE:
        raise Rejected(f"a {kind} order waits for its price and cannot be {time_in_force}; use day or gtc")
    if request.take_profit or request.stop_loss or request.stop_loss_limit:
        raise Rejected(
            "the paper account takes no bracket orders; send take profit and stop as separate orders"
        )


def quantity_step_of(symbol: Symbol) -> Decimal:
    return _COIN_STEP if symbol.is_crypto else _SHARE_STEP


def _quantity(request: OrderRequest, price: Decimal) -> Decimal:
    step = quantity_step_of(request.symbol)
    if request.quantity is None:
        amount = given(request.notional, "amount")
        quantity = floor_to(amount / price, step)
        if not 0 < quantity <= _MAX_NUMBER:
            raise Rejected(
                f"{money(amount)} does not buy a tradable quantity at {plain(price)}; change the amount"
            )
        return quantity
    if request.quantity % step:
        raise Rejected(
            f"quantity {plain(request.quantity)} is finer than the smallest step, {plain(step)}; round the "
            "quantity"
        )
    return request.quantity


def new_order(request: OrderRequest, quote: Quote, now: datetime) -> PaperOrder:
    price = request.limit_price or request.stop_price or quote.price_for(request.side)
    return PaperOrder(
        client_order_id=request.client_order_id,
        broker_order_id=f"P-{request.client_order_id}",
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        quantity=_quantity(request, price),
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_amount=request.trail_amount,
        trail_percent=request.trail_percent,
        time_in_force=request.time_in_force,
        extended_hours=request.extended_hours,
        reduces=request.reduces,
        created_at=now,
        updated_at=now,
    )
