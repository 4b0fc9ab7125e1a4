"""Differences between the broker's positions and ours: what is compared, and what a difference looks like.
Pure.

Per account and asset: bots' positions + the user's own holdings there ("outside") = the broker's position. An
asset is a stock, or a coin in any quote currency: a broker holds SOL, not SOL/USDT beside SOL/USDC."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from dashtrade.domain.reasons import Code, Fact, Reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, plain

SPLIT_RATIOS = (
    *tuple(Decimal(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)),
    Decimal("1.5"),
)
# a split changes the price by its ratio; manual purchases do not, even roughly
PRICE_TOLERANCE = Decimal("0.2")


class DriftStatus(StrEnum):
    OPEN = "open"  # its user has not resolved it yet
    FROZEN = "frozen"  # open, and the symbol takes no entries meanwhile
    RESOLVED = "resolved"
    GONE = "gone"  # the books agree again on their own


class MismatchKind(StrEnum):
    """What a difference looks like."""

    SPLIT = "split"
    CLOSED = "closed"
    APPEARED = "appeared"
    TURNED = "turned"
    LESS = "less"
    MORE = "more"


class Remedy(StrEnum):
    """A user's options for a drift."""

    GIVE = "give"  # a bot did it: book it there (a split: to all bots)
    OUTSIDE = "outside"  # it is the user's own: ignore it
    FREEZE = "freeze"  # no entries until it is resolved


UNRESOLVED = frozenset({DriftStatus.OPEN, DriftStatus.FROZEN})


@record
class Drift:
    """One difference, from its discovery until it is resolved. Quantities are signed: short is negative."""

    id: int
    user_id: int
    account_id: int
    asset: str
    symbol: Symbol
    status: DriftStatus
    kind: MismatchKind
    bots_quantity: Decimal  # all bots together
    outside: Decimal  # the user's own holdings
    broker_quantity: Decimal  # at the broker
    average_price: Decimal | None  # as the broker reports it
    mark: Decimal | None
    ratio: Decimal | None  # of an apparent split
    way: str
    bot_id: int | None
    detail: Reason
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None

    @property
    def difference(self) -> Decimal:
        return self.broker_quantity - self.bots_quantity - self.outside

    @property
    def unresolved(self) -> bool:
        return self.status in UNRESOLVED

    def left_for(self, owned: Decimal) -> Decimal:
        """How much of what a bot owns the broker still has, with the whole shortfall counted against this
        bot. Never negative."""
        if owned * self.difference >= 0:
            return abs(owned)
        return max(
            abs(owned) - max(abs(self.difference) - abs(self.outside) * (self.outside * owned > 0), ZERO),
            ZERO,
        )


def asset_of(symbol: Symbol) -> str:
    return f"CRYPTO:{symbol.base}" if symbol.is_crypto else symbol.text


def by_asset(quantities: Iterable[tuple[Symbol, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for symbol, quantity in quantities:
        found[asset_of(symbol)] = found.get(asset_of(symbol), ZERO) + quantity
    return found


def split_ratio(
    expected: Decimal, broker_quantity: Decimal, average_before: Decimal | None, average_now: Decimal | None
) -> Decimal | None:
    """2 for twice as much at half the price; a half for one out of two. None: not a split."""
    if not expected or expected * broker_quantity <= 0 or not average_before or not average_now:
        return None
    for ratio in SPLIT_RATIOS:
        for each, fits in (
            (ratio, broker_quantity == expected * ratio),
            (1 / ratio, broker_quantity * ratio == expected),
        ):
            if fits and abs(average_now * each - average_before) <= average_before * PRICE_TOLERANCE:
                return each
    return None


def scaled(quantity: Decimal, ratio: Decimal) -> Decimal:
    """Multiply by a ratio above 1, else divide by its inverse, as a third is a recurring decimal."""
    return quantity * ratio if ratio >= 1 else quantity / (1 / ratio).quantize(Decimal("0.01"))


def kind_of(
    bots_quantity: Decimal, outside: Decimal, broker_quantity: Decimal, ratio: Decimal | None
) -> MismatchKind:
    expected = bots_quantity + outside
    if ratio is not None:
        return MismatchKind.SPLIT
    if not broker_quantity:
        return MismatchKind.CLOSED
    if not expected:
        return MismatchKind.APPEARED
    if expected * broker_quantity < 0:
        return MismatchKind.TURNED
    return MismatchKind.LESS if abs(broker_quantity) < abs(expected) else MismatchKind.MORE


def ratio_words(ratio: Decimal) -> str:
    for below in (1, 2):
        if ratio >= 1 and ratio * below == int(ratio * below):
            return f"{int(ratio * below)}:{below}"
    return f"1:{plain((1 / ratio).quantize(Decimal('0.01')))}"


def mismatch_reason(
    kind: MismatchKind,
    ratio: Decimal | None,
    *,
    symbol: Symbol,
    bots_quantity: Decimal,
    outside: Decimal,
    broker_quantity: Decimal,
) -> Reason:
    """What differs, and what it looks like."""
    facts: dict[str, Fact] = {
        "kind": str(kind),
        "symbol": symbol.short,
        "bots": bots_quantity,
        "broker": broker_quantity,
    }
    if outside:
        facts["outside"] = outside
    if ratio is not None:
        facts["ratio"] = ratio
    return Reason(Code.POSITION_MISMATCH, facts)
