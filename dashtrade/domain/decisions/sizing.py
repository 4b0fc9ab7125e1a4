"""Order quantities: from the size of the bot or the alert, the price and the broker's steps."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from dashtrade.domain.ports import Rules
from dashtrade.domain.reasons import Code, Fact, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.values import ZERO, floor_to

HUNDRED = Decimal(100)


@record
class SizedQuantity:
    """A quantity the broker accepts, and its derivation."""

    quantity: Decimal
    explanation: Reason


@record
class SizeRefused:
    """No valid quantity; the reason is a result, not an error."""

    reason: Reason


def entry_size(
    size: Size,
    *,
    price: Decimal,
    equity: Decimal,
    owned: Decimal,
    rules: Rules,
    stop_distance: Decimal | None = None,
) -> SizedQuantity | SizeRefused:
    wanted = _wanted(size, price=price, equity=equity, owned=owned, stop_distance=stop_distance)
    if isinstance(wanted, SizeRefused):
        return wanted
    quantity = floor_to(wanted, rules.quantity_step)
    if quantity <= 0 or quantity < rules.min_quantity:
        least = max(rules.min_quantity, rules.quantity_step)
        return SizeRefused(
            reason=reason(Code.SIZE_BELOW_MINIMUM, **_of(size), price=price, wanted=wanted, minimum=least)
        )
    if quantity * price < rules.min_notional:
        value = quantity * price
        return SizeRefused(
            reason=reason(
                Code.VALUE_BELOW_MINIMUM,
                quantity=quantity,
                price=price,
                value=value,
                minimum=rules.min_notional,
            )
        )
    explanation = reason(
        Code.SIZED, **_of(size), price=price, wanted=_short(wanted, quantity), quantity=quantity
    )
    return SizedQuantity(quantity=quantity, explanation=explanation)


def _wanted(
    size: Size, *, price: Decimal, equity: Decimal, owned: Decimal, stop_distance: Decimal | None
) -> Decimal | SizeRefused:
    match size.kind:
        case SizeKind.QUANTITY:
            return size.value
        case SizeKind.DOLLARS:
            return size.value / price
        case SizeKind.EQUITY_PERCENT:
            return equity * size.value / HUNDRED / price
        case SizeKind.POSITION_PERCENT if not owned:
            return SizeRefused(reason=reason(Code.PART_OF_NOTHING, **_of(size)))
        case SizeKind.POSITION_PERCENT:
            return owned * size.value / HUNDRED
        case SizeKind.RISK_DOLLARS | SizeKind.RISK_PERCENT if not stop_distance:
            return SizeRefused(reason=Reason(Code.RISK_SIZE_WITHOUT_STOP))
        case SizeKind.RISK_DOLLARS:
            return size.value / stop_distance
        case SizeKind.RISK_PERCENT:
            return equity * size.value / HUNDRED / stop_distance


def exit_quantity(
    size: Size | None, *, owned: Decimal, price: Decimal, rules: Rules, part_step: Decimal | None = None
) -> SizedQuantity:
    """How much of the bot's position to exit: all of it, or a part that never exceeds it. `part_step`: the
    step a part is rounded down to, where coarser than the broker's own."""
    if size is None:
        return _all_of(owned, rules)
    match size.kind:
        case SizeKind.POSITION_PERCENT | SizeKind.EQUITY_PERCENT | SizeKind.RISK_PERCENT:
            part = owned * size.value / HUNDRED
        case SizeKind.DOLLARS | SizeKind.RISK_DOLLARS:
            part = size.value / price
        case SizeKind.QUANTITY:
            part = size.value
    if part >= owned:
        return _all_of(owned, rules, part if part > owned else None)
    whole, part = part, floor_to(part, part_step or rules.quantity_step)
    explanation = reason(Code.PART_OF_POSITION, wanted=_short(whole, part), quantity=part, owned=owned)
    return SizedQuantity(quantity=part, explanation=explanation)


def _short(wanted: Decimal, quantity: Decimal) -> Decimal:
    """The requested quantity before rounding to the broker's steps, to twelve digits."""
    return wanted if wanted == quantity else wanted.quantize(Decimal("1e-12"), ROUND_DOWN)


def _all_of(owned: Decimal, rules: Rules, asked: Decimal | None = None) -> SizedQuantity:
    """As much as the broker accepts: a fee in the bought coin may leave a remainder finer than its steps."""
    whole = floor_to(owned, rules.quantity_step)
    more: dict[str, Fact] = {"asked": asked} if asked is not None else {}
    if whole in (owned, ZERO):
        return SizedQuantity(
            quantity=owned, explanation=reason(Code.WHOLE_POSITION, quantity=owned, owned=owned, **more)
        )
    explanation = reason(Code.ALL_THAT_CAN_BE_ORDERED, quantity=whole, owned=owned, **more)
    return SizedQuantity(quantity=whole, explanation=explanation)


def _of(size: Size) -> dict[str, Fact]:
    return {"kind": str(size.kind), "size": size.value}


def reserve_for(quantity: Decimal, price: Decimal) -> Decimal:
    """The buying power an order may need until the broker counts it."""
    return quantity * price if quantity > 0 else ZERO
