"""How many to buy: from what the bot or the alert says, the price and the venue's steps."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from dashtrade.domain.ports import Rules
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.values import ZERO, floor_to, money, plain

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A quantity the venue takes, and how it came about in the user's words."""

    quantity: Decimal
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSize:
    """No quantity can be made of it; the reason is a result, not an error."""

    reason: str
    numbers: dict[str, str]


def entry_size(
    size: Size,
    *,
    price: Decimal,
    equity: Decimal,
    owned: Decimal,
    rules: Rules,
    stop_distance: Decimal | None = None,
) -> Sized | NoSize:
    wanted = _wanted(size, price=price, equity=equity, owned=owned, stop_distance=stop_distance)
    if isinstance(wanted, NoSize):
        return wanted
    quantity = floor_to(wanted, rules.quantity_step)
    words = f"{_said(size)} at {plain(price)} is {_rounded(wanted, quantity)}"
    if quantity <= 0 or quantity < rules.min_quantity:
        least = max(rules.min_quantity, rules.quantity_step)
        return NoSize(
            reason=f"{_said(size)} at {plain(price)} is less than the smallest order here, {plain(least)}",
            numbers={"wanted": plain(wanted), "minimum": plain(least), "price": plain(price)},
        )
    if quantity * price < rules.min_notional:
        return NoSize(
            reason=f"{plain(quantity)} at {plain(price)} is worth {money(quantity * price)}, under the "
            f"venue's minimum {money(rules.min_notional)}",
            numbers={"value": money(quantity * price), "minimum": money(rules.min_notional)},
        )
    return Sized(quantity=quantity, words=words)


def _wanted(
    size: Size, *, price: Decimal, equity: Decimal, owned: Decimal, stop_distance: Decimal | None
) -> Decimal | NoSize:
    match size.kind:
        case SizeKind.QUANTITY:
            return size.value
        case SizeKind.DOLLARS:
            return size.value / price
        case SizeKind.EQUITY_PERCENT:
            return equity * size.value / HUNDRED / price
        case SizeKind.POSITION_PERCENT if not owned:
            return NoSize(reason=f"{_said(size)} was asked for, and the bot owns nothing", numbers={})
        case SizeKind.POSITION_PERCENT:
            return owned * size.value / HUNDRED
        case SizeKind.RISK_DOLLARS | SizeKind.RISK_PERCENT if not stop_distance:
            return NoSize(reason="a size by risk needs a stop-loss, and there is none", numbers={})
        case SizeKind.RISK_DOLLARS:
            return size.value / stop_distance
        case SizeKind.RISK_PERCENT:
            return equity * size.value / HUNDRED / stop_distance


def exit_quantity(
    size: Size | None, *, owned: Decimal, price: Decimal, rules: Rules, part_step: Decimal | None = None
) -> Sized:
    """How much of what the bot owns to give up: all of it, or a part that is never more than it owns.
    `part_step`: what a part is rounded down to, where that is coarser than the venue's own step."""
    if size is None:
        return _all_of(owned, rules, "")
    match size.kind:
        case SizeKind.POSITION_PERCENT | SizeKind.EQUITY_PERCENT | SizeKind.RISK_PERCENT:
            part = owned * size.value / HUNDRED
        case SizeKind.DOLLARS | SizeKind.RISK_DOLLARS:
            part = size.value / price
        case SizeKind.QUANTITY:
            part = size.value
    if part >= owned:
        more = f" (asked for {plain(part)}, the bot owns {plain(owned)})" if part > owned else ""
        return _all_of(owned, rules, more)
    whole, part = part, floor_to(part, part_step or rules.quantity_step)
    return Sized(quantity=part, words=f"{_rounded(whole, part)} of {plain(owned)}")


def _rounded(wanted: Decimal, quantity: Decimal) -> str:
    """What is ordered, and what it was before it was cut to the venue's steps."""
    if wanted == quantity:
        return plain(quantity)
    return f"{plain(wanted.quantize(Decimal('1e-12'), ROUND_DOWN))}, rounded down to {plain(quantity)}"


def _all_of(owned: Decimal, rules: Rules, more: str) -> Sized:
    """As much as the venue takes: a fee paid in the bought coin may leave a rest finer than its steps."""
    whole = floor_to(owned, rules.quantity_step)
    if whole in (owned, ZERO):
        return Sized(quantity=owned, words=f"all of {plain(owned)}{more}")
    return Sized(
        quantity=whole, words=f"{plain(whole)} of {plain(owned)}, which is all that can be ordered here{more}"
    )


def _said(size: Size) -> str:
    match size.kind:
        case SizeKind.QUANTITY:
            return plain(size.value)
        case SizeKind.DOLLARS:
            return f"${money(size.value)}"
        case SizeKind.EQUITY_PERCENT:
            return f"{plain(size.value)}% of the equity"
        case SizeKind.POSITION_PERCENT:
            return f"{plain(size.value)}% of the position"
        case SizeKind.RISK_DOLLARS:
            return f"a risk of ${money(size.value)}"
        case SizeKind.RISK_PERCENT:
            return f"a risk of {plain(size.value)}% of the equity"


def reserve_for(quantity: Decimal, price: Decimal) -> Decimal:
    """The money an order may need until the venue counts it itself."""
    return quantity * price if quantity > 0 else ZERO
