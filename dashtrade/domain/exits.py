"""Exits kept by DashTrade: a take-profit and a stop-loss, as prices, from the moment the entry is filled.

What is kept is a small document on the bot: `{"stop": price, "trail": distance, "best": price, "take_profits": [{"price", "share"}]}`,
numbers as strings. They work while DashTrade runs, and the user is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashtrade.domain.ledger import Position
from dashtrade.domain.values import OrderSide, plain

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An exit whose price was reached."""

    kind: str  # stop_loss | take_profit
    price: Decimal
    share_percent: Decimal | None  # None: all of the position
    kept: dict[str, Any] | None  # what stays kept after it


def kept_after(kept: Any, written: Any, position: Position, side: OrderSide) -> Any:
    """What is kept once a fill is booked: nothing when flat; the entry's own exits, priced from the average entry."""
    entry = position.average_price
    if entry is None:
        return None
    if written is None or position.quantity * side.sign < 0:
        return kept
    return price_exits(written, entry, position.side.sign)


def price_exits(written: Any, entry: Decimal, sign: int) -> dict[str, Any]:
    priced: dict[str, Any] = {}
    targets = [{"price": str(_price(t, entry, sign)), "share": t.get("share_percent")} for t in written["take_profits"]]
    if targets:
        priced["take_profits"] = targets
    stop = written["stop_loss"]
    if stop is not None:
        price = _price(stop, entry, -sign)
        priced["stop"] = str(price)
        if stop.get("trailing"):
            priced |= {"trail": str(abs(entry - price)), "best": str(entry)}
    return priced


def _price(target: dict[str, Any], entry: Decimal, sign: int) -> Decimal:
    if "price" in target:
        return Decimal(target["price"])
    distance = Decimal(target["amount"]) if "amount" in target else entry * Decimal(target["percent"]) / HUNDRED
    return entry + sign * distance


def trailed(kept: dict[str, Any], mark: Decimal, sign: int) -> dict[str, Any]:
    """A trailing stop follows the best price seen, and never goes back."""
    if "trail" not in kept or (mark - Decimal(kept["best"])) * sign <= 0:
        return kept
    return kept | {"best": str(mark), "stop": str(mark - sign * Decimal(kept["trail"]))}


def split_exits(kept: dict[str, Any] | None, ratio: Decimal) -> dict[str, Any] | None:
    """The same exits after a split: there are `ratio` times as many pieces, and prices are a `ratio`th."""
    if not kept:
        return kept
    moved = {name: str(Decimal(value) / ratio) if name in ("stop", "trail", "best") else value for name, value in kept.items()}
    if "take_profits" in kept:
        moved["take_profits"] = [target | {"price": str(Decimal(target["price"]) / ratio)} for target in kept["take_profits"]]
    return moved


def fired(kept: dict[str, Any], mark: Decimal, sign: int) -> Fired | None:
    stop = kept.get("stop")
    if stop is not None and (mark - Decimal(stop)) * sign <= 0:
        return Fired(kind="stop_loss", price=Decimal(stop), share_percent=None, kept=None)
    targets = kept.get("take_profits", [])
    for number, target in enumerate(targets):
        if (mark - Decimal(target["price"])) * sign >= 0:
            rest = targets[:number] + targets[number + 1 :]
            share = Decimal(target["share"]) if target["share"] and rest else None
            return Fired(
                kind="take_profit", price=Decimal(target["price"]), share_percent=share,
                kept=(kept | {"take_profits": rest}) if share is not None else None,
            )
    return None


def said(kept: dict[str, Any] | None) -> list[str]:
    """For people: what is kept, and that it works only while DashTrade runs."""
    if not kept:
        return []
    lines = [f"take profit at {plain(Decimal(t['price']))}" for t in kept.get("take_profits", [])]
    if "stop" in kept:
        lines.append(f"{'trailing stop' if 'trail' in kept else 'stop'} at {plain(Decimal(kept['stop']))}")
    return [f"{line} (kept by DashTrade: works while it runs)" for line in lines]
