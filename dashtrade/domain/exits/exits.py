"""The ways out of a position: what was asked for (`ExitPlan`), and what is kept of it once the entry is
filled.

A plan is written down with the entry's order. When the entry is filled its prices are known, and the bot
keeps a small document, numbers as strings:

    stop, limit      the stop-loss, and a stop-limit's limit
    trail, best      a trailing stop's distance, and the best price seen
    take_profits     [{price, share, quantity}]: a share in percent of `size`, or a quantity; neither: all
    that is left
    size             the position the shares are of
    break_even       after the first step the stop moves to the entry price
    until            a moment at which all of it is closed
    lost             why the venue holds one of them no longer, until the other is taken back too
    held_by          the venue whose orders hold stop and take-profit now; else DashTrade's watch keeps them,
    while it runs
    firing           an exit that was set off and is not done yet, see `Firing`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dashtrade.domain.ledger import Position
from dashtrade.domain.position_mismatch import scaled
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.signals import ExitPlan, Signal, Target
from dashtrade.domain.values import ZERO, OrderSide, Side, iso, plain

HUNDRED = Decimal(100)
_NUMBERS = ("price", "percent", "amount", "limit_price", "share_percent", "share_quantity")
Kept = dict[str, Any]


# --- what was asked for -------------------------------------------------------------------------------------


def plan_for(signal: Signal, default: ExitPlan) -> ExitPlan:
    """The alert's own, part by part; where it says nothing, the bot's."""
    return ExitPlan(
        take_profits=signal.take_profits or default.take_profits,
        stop_loss=signal.stop_loss or default.stop_loss,
        break_even=default.break_even if signal.break_even is None else signal.break_even,
        close_after=signal.close_after or default.close_after,
        close_at=signal.close_at or default.close_at,
    )


def misplaced(plan: ExitPlan, price: Decimal, side: Side) -> Reason:
    """Why an exit cannot stand at that entry price: it would be reached at once, or never."""
    for name, target, sign in [("take-profit", t, side.sign) for t in plan.take_profits] + (
        [("stop-loss", plan.stop_loss, -side.sign)] if plan.stop_loss else []
    ):
        at = price_of(target, price, sign)
        if (at - price) * sign <= 0:
            where = "above" if sign > 0 else "below"
            return reason(Code.EXIT_ON_WRONG_SIDE, exit=name, at=at, where=where, price=price)
        if at <= 0:
            return reason(Code.EXIT_OUT_OF_REACH, exit=name, at=at)
    return NO_REASON


def price_of(target: Target, entry: Decimal, sign: int) -> Decimal:
    """`sign` is the direction from the entry in which it lies."""
    if target.price is not None:
        return target.price
    distance = target.amount if target.amount is not None else entry * (target.percent or ZERO) / HUNDRED
    return entry + sign * distance


def written(plan: ExitPlan) -> Kept | None:
    if plan.is_empty:
        return None
    found: Kept = {
        "take_profits": [_target(t) for t in plan.take_profits],
        "stop_loss": _target(plan.stop_loss) if plan.stop_loss else None,
    }
    if plan.break_even:
        found["break_even"] = True
    if plan.close_after is not None:
        found["close_after"] = int(plan.close_after.total_seconds())
    if plan.close_at is not None:
        found["close_at"] = f"{plan.close_at:%H:%M}"
    return found


def read_written(found: Kept | None) -> ExitPlan:
    if not found:
        return ExitPlan()
    stop, after, at = found["stop_loss"], found.get("close_after"), found.get("close_at")
    return ExitPlan(
        take_profits=tuple(_read_target(t) for t in found["take_profits"]),
        stop_loss=_read_target(stop) if stop else None,
        break_even=found.get("break_even", False),
        close_after=timedelta(seconds=after) if after else None,
        close_at=time.fromisoformat(at) if at else None,
    )


def _target(target: Target) -> Kept:
    numbers = {name: getattr(target, name) for name in _NUMBERS}
    return {name: str(value) for name, value in numbers.items() if value is not None} | {
        "trailing": target.trailing
    }


def _read_target(found: Kept) -> Target:
    return Target(
        trailing=found["trailing"], **{name: Decimal(found[name]) for name in _NUMBERS if name in found}
    )


# --- what is kept -------------------------------------------------------------------------------------------


def kept_after(
    kept: Kept | None,
    asked: Kept | None,
    position: Position,
    side: OrderSide,
    *,
    at: datetime,
    time_zone: str,
) -> Kept | None:
    """Once a fill is booked: nothing when flat; the entry's own exits, priced from the average entry."""
    if position.average_price is None:
        return None
    # a way out that is under way is not forgotten
    if asked is None or position.quantity * side.sign < 0 or (kept and "firing" in kept):
        return kept
    return price_exits(read_written(asked), position, at, time_zone)


def price_exits(plan: ExitPlan, position: Position, at: datetime, time_zone: str) -> Kept:
    entry, sign = position.average_price or ZERO, position.side.sign
    priced: Kept = {}
    if plan.take_profits:
        priced["take_profits"] = [
            {
                "price": str(price_of(t, entry, sign)),
                "share": _maybe(t.share_percent),
                "quantity": _maybe(t.share_quantity),
            }
            for t in plan.take_profits
        ]
        if sum(t.share_percent or 0 for t in plan.take_profits) == HUNDRED:
            priced["take_profits"][-1]["share"] = None  # the last takes what rounding has left, too
        priced["size"] = str(abs(position.quantity))
    if plan.stop_loss is not None:
        price = price_of(plan.stop_loss, entry, -sign)
        priced["stop"] = str(price)
        if plan.stop_loss.trailing:
            priced |= {"trail": str(abs(entry - price)), "best": str(entry)}
        if plan.stop_loss.limit_price is not None:
            priced["limit"] = str(plan.stop_loss.limit_price)
    if plan.break_even:
        priced["break_even"] = True
    ends = [at + plan.close_after] if plan.close_after else []
    ends += [_next(plan.close_at, at, time_zone)] if plan.close_at else []
    return priced | ({"until": iso(min(ends))} if ends else {})


def _next(wanted: time, after: datetime, time_zone: str) -> datetime:
    local = after.astimezone(ZoneInfo(time_zone))
    today = local.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return today if today > local else today + timedelta(days=1)


def _maybe(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def at_break_even(kept: Kept, position: Position) -> Kept:
    """The stop at the entry price, unless it is better already."""
    entry, sign = position.average_price or ZERO, position.side.sign
    if "stop" in kept and (Decimal(kept["stop"]) - entry) * sign >= 0:
        return kept
    without_limit = {name: value for name, value in kept.items() if name != "limit"}
    return without_limit | {"stop": str(entry)}


def levels(kept: Kept, sign: int) -> Iterator[tuple[Decimal, int, str]]:
    """(price, on which side of the market it has to lie, its name)."""
    for target in kept.get("take_profits", []):
        yield Decimal(target["price"]), sign, "take-profit"
    if "stop" in kept:
        yield Decimal(kept["stop"]), -sign, "stop-loss"


def released(kept: Kept) -> Kept:
    """The venue holds them no longer: from here on DashTrade keeps them."""
    return {name: value for name, value in kept.items() if name not in ("held_by", "lost")}


# --- the watch ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An exit whose price or time was reached."""

    kind: str  # stop_loss | take_profit | time_limit
    price: Decimal
    quantity: Decimal | None  # None: all of the position
    limit: Decimal | None  # of a stop-limit
    kept: Kept  # what stays kept beside it

    @property
    def name(self) -> str:
        return self.kind.replace("_", "-")


def trailed(kept: Kept, mark: Decimal, sign: int) -> Kept:
    """A trailing stop follows the best price seen, and never goes back."""
    if "trail" not in kept or (mark - Decimal(kept["best"])) * sign <= 0:
        return kept
    stop = mark - sign * Decimal(kept["trail"])
    if (stop - Decimal(kept["stop"])) * sign < 0:  # it was moved to break-even, and is nearer than the trail
        stop = Decimal(kept["stop"])
    return kept | {"best": str(mark), "stop": str(stop)}


def split_exits(kept: Kept | None, ratio: Decimal) -> Kept | None:
    """The same exits after a split: there are `ratio` times as many pieces, and prices are a `ratio`th."""
    if not kept:
        return kept
    moved = _split(kept, ratio)
    if "take_profits" in kept:
        moved["take_profits"] = [_split(target, ratio) for target in kept["take_profits"]]
    if "firing" in kept:
        moved["firing"] = _split(kept["firing"], ratio)
    return moved


def _split(numbers: Kept, ratio: Decimal) -> Kept:
    prices = {
        name: str(Decimal(numbers[name]) / ratio)
        for name in ("stop", "limit", "trail", "best", "price")
        if numbers.get(name)
    }
    return (
        numbers
        | prices
        | {
            name: str(scaled(Decimal(numbers[name]), ratio))
            for name in ("size", "quantity")
            if numbers.get(name)
        }
    )


def fired(kept: Kept, mark: Decimal, position: Position, now: datetime) -> Fired | None:
    """The first that is reached. What the venue holds, the venue sets off; a time limit is DashTrade's
    everywhere."""
    sign = position.side.sign
    if "until" in kept and now >= datetime.fromisoformat(kept["until"]):
        return Fired(kind="time_limit", price=mark, quantity=None, limit=None, kept=kept)
    if "held_by" in kept:
        return None
    stop = kept.get("stop")
    if stop is not None and (mark - Decimal(stop)) * sign <= 0:
        limit = Decimal(kept["limit"]) if "limit" in kept else None
        return Fired(kind="stop_loss", price=Decimal(stop), quantity=None, limit=limit, kept=kept)
    targets = kept.get("take_profits", [])
    for number, target in enumerate(targets):
        if (mark - Decimal(target["price"])) * sign >= 0:
            rest = targets[:number] + targets[number + 1 :]
            return Fired(
                kind="take_profit",
                price=Decimal(target["price"]),
                quantity=_share(target, kept, position),
                limit=None,
                kept=kept | {"take_profits": rest},
            )
    return None


def _share(target: Kept, kept: Kept, position: Position) -> Decimal | None:
    """How much of the position one step gives up; None: all of it. Shares are of the position as it was
    entered."""
    held = abs(position.quantity)
    if target.get("quantity"):
        part = Decimal(target["quantity"])
    elif target["share"]:
        part = Decimal(kept.get("size", str(held))) * Decimal(target["share"]) / HUNDRED
    else:
        return None
    return part if part < held else None


# --- an exit under way --------------------------------------------------------------------------------------

# until an exit that was refused goes again
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600))
SELDOM = timedelta(hours=6)  # after these
TELL_AT = 3  # refusals in a row until its user is told that the position stands without it
FOLLOWED_UP = timedelta(seconds=60)  # after which a stop-limit that was not filled is told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An exit that was set off: it is asked for again until what it was to give up is given up."""

    kind: str
    price: Decimal
    quantity: Decimal | None  # still to give up; None: all of the position
    limit: Decimal | None
    signal_id: str
    tries: int
    since: datetime
    told: bool = False

    def written(self) -> Kept:
        return {
            "kind": self.kind,
            "price": str(self.price),
            "quantity": _maybe(self.quantity),
            "limit": _maybe(self.limit),
            "signal": self.signal_id,
            "tries": self.tries,
            "since": iso(self.since),
            "told": self.told,
        }

    @classmethod
    def read(cls, found: Kept) -> Firing:
        quantity, limit = found["quantity"], found["limit"]
        return cls(
            kind=found["kind"],
            price=Decimal(found["price"]),
            quantity=Decimal(quantity) if quantity else None,
            limit=Decimal(limit) if limit else None,
            signal_id=found["signal"],
            tries=found["tries"],
            since=datetime.fromisoformat(found["since"]),
            told=found["told"],
        )

    @property
    def name(self) -> str:
        return self.kind.replace("_", "-")

    def again_at(self, failed_at: datetime) -> datetime:
        return failed_at + (WAITS[self.tries - 1] if self.tries <= len(WAITS) else SELDOM)


def done(kept: Kept, position: Position, kind: str) -> Kept:
    """An exit has given up its part; where the bot asks for it, the stop moves to the entry price."""
    rest = {name: value for name, value in kept.items() if name != "firing"}
    if kind == "take_profit" and rest.pop("break_even", False):
        rest = at_break_even(rest, position)
    return rest


# --- for people ---------------------------------------------------------------------------------------------


def shown(kept: Kept | None, time_zone: str = "UTC") -> list[dict[str, Any]]:
    """What is kept, and by whom: held at the venue it works by itself, kept by DashTrade it works while
    DashTrade runs."""
    if not kept:
        return []
    return [
        {
            "kind": kind,
            "price": price,
            "share_percent": share,
            "quantity": quantity,
            "held_by": by,
            "words": f"{words} ({_by(by)})",
        }
        for kind, price, share, quantity, by, words in _lines(kept, time_zone)
    ]


def _by(holder: str) -> str:
    return "kept by DashTrade: works while it runs" if holder == "DashTrade" else f"held at {holder}"


def _lines(kept: Kept, time_zone: str) -> Iterator[tuple[str, str | None, str | None, str | None, str, str]]:
    holder = kept.get("held_by", "DashTrade")
    for target in kept.get("take_profits", []):
        price, share, quantity = plain(Decimal(target["price"])), target["share"], target.get("quantity")
        part = f"{plain(Decimal(quantity))} " if quantity else f"{plain(Decimal(share))}% " if share else ""
        yield (
            "take_profit",
            price,
            share and plain(Decimal(share)),
            quantity and plain(Decimal(quantity)),
            holder,
            f"take profit {part}at {price}",
        )
    if "stop" in kept:
        price = plain(Decimal(kept["stop"]))
        limit = f", limit {plain(Decimal(kept['limit']))}" if "limit" in kept else ""
        even = ", to break-even after the first step" if kept.get("break_even") else ""
        yield (
            "stop_loss",
            price,
            None,
            None,
            holder,
            f"{'trailing stop' if 'trail' in kept else 'stop'} at {price}{limit}{even}",
        )
    if "until" in kept:
        until = datetime.fromisoformat(kept["until"]).astimezone(ZoneInfo(time_zone))
        yield "time_limit", None, None, None, "DashTrade", f"closed at {until:%Y-%m-%d %H:%M} {time_zone}"
    if "firing" in kept:
        firing = Firing.read(kept["firing"])
        again = f", try {firing.tries}" if firing.tries > 1 else ""
        yield (
            firing.kind,
            plain(firing.price),
            None,
            None,
            "DashTrade",
            f"{firing.name} at {plain(firing.price)} was reached and is under way{again}",
        )


def said(kept: Kept | None) -> list[str]:
    return [line["words"] for line in shown(kept)]
