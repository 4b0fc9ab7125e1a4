"""Can the broker hold an entry's exits? If so they work while DashTrade is off; DashTrade manages the
rest."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from dashtrade.domain.exits.plan import OrderExits, price_of
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.signals import ExitPlan, Target
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce, given, round_to


@record
class Entry:
    """What determines whether the broker can hold the exits."""

    symbol: Symbol
    side: OrderSide
    type: OrderType
    quantity: Decimal
    price: Decimal  # expected
    price_step: Decimal
    time_in_force: TimeInForce
    extended_hours: bool
    opens: bool  # it adds to no existing position
    sole_bot_on_symbol: bool  # no other bot of the account trades the symbol


@record
class Held:
    """Exits for the broker: as prices, with a time in force that keeps them past the day's close."""

    plan: ExitPlan
    time_in_force: TimeInForce


def exits_broker_can_hold(plan: ExitPlan, entry: Entry, can: Capabilities) -> Held | Reason:
    """How the broker holds them, or why not (without a reason: nothing to report)."""
    if not can.native_bracket or not (plan.take_profits or plan.stop_loss):
        return NO_REASON
    code = next(_hindrances(plan, entry, can), None)
    if code is not None:
        kind, lasts = entry.type.replace("_", "-"), str(entry.time_in_force)
        return reason(code, broker=can.name, type=kind, time_in_force=lasts)
    sign = entry.side.sign
    profits = tuple(_priced(t, entry, sign) for t in plan.take_profits)
    stop = _priced(plan.stop_loss, entry, -sign) if plan.stop_loss else None
    sides = [*((target, sign) for target in profits), *([(stop, -sign)] if stop else [])]
    prices = [(given(target.price, "price"), side) for target, side in sides]
    near = [price for price, side in prices if (price - entry.price) * side < entry.price_step]
    if near:
        return reason(Code.EXIT_TOO_NEAR, at=near[0], broker=can.name)
    return Held(plan=replace(plan, take_profits=profits, stop_loss=stop), time_in_force=TimeInForce.GTC)


def _hindrances(plan: ExitPlan, entry: Entry, can: Capabilities) -> Iterator[Code]:
    if entry.symbol.is_crypto:
        yield Code.HOLDS_NONE_FOR_COINS
    if entry.quantity % 1:
        yield Code.HOLDS_WHOLE_SHARES_ONLY
    if entry.extended_hours:
        yield Code.HOLDS_NONE_IN_EXTENDED_HOURS
    if not entry.opens:
        yield Code.HOLDS_WITH_OPENING_ONLY
    if entry.type not in (OrderType.MARKET, OrderType.LIMIT):
        yield Code.HOLDS_NONE_WITH_TYPE
    if len(plan.take_profits) > 1 or any(
        t.share_percent not in (None, 100) or t.share_quantity for t in plan.take_profits
    ):
        yield Code.HOLDS_ONE_TAKE_PROFIT
    if plan.stop_loss is not None and plan.stop_loss.trailing:
        yield Code.HOLDS_NO_TRAILING_STOP
    if entry.type is not OrderType.MARKET and entry.time_in_force is not TimeInForce.GTC:
        yield Code.HOLDS_ONLY_AS_LONG
    if not entry.sole_bot_on_symbol:
        yield Code.ANOTHER_BOT_ON_SYMBOL


def _priced(target: Target, entry: Entry, sign: int) -> Target:
    limit = None if target.limit_price is None else round_to(target.limit_price, entry.price_step)
    return Target(price=round_to(price_of(target, entry.price, sign), entry.price_step), limit_price=limit)


def is_held_by_broker(exits: OrderExits | None) -> bool:
    return exits is not None and exits.held_by is not None


def leg_prices(exits: OrderExits | None) -> dict[str, Decimal | None]:
    """Fields of an order request; empty where DashTrade manages the exits."""
    if exits is None or exits.held_by is None:
        return {}
    plan, stop = exits.plan, exits.plan.stop_loss
    return {
        "take_profit": plan.take_profits[0].price if plan.take_profits else None,
        "stop_loss": stop.price if stop else None,
        "stop_loss_limit": stop.limit_price if stop else None,
    }
