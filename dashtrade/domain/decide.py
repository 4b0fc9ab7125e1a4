"""decide(signal, view): from what was asked and what is so, to what is done and why. Pure.

First what the signal means for this position (`_propose`), then whether it may (`risk.review`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dashtrade.domain.orders import Effect
from dashtrade.domain.risk import Approved, Proposal, Refused, Step, View, review
from dashtrade.domain.signals import Action, Signal, Target
from dashtrade.domain.sizing import NoSize, entry_size, exit_quantity
from dashtrade.domain.values import ZERO, OrderSide, OrderType, Side, TimeInForce, iso, plain, round_to


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFirst:
    """Orders of this bot that stand in the way: take them back, wait until they have ended, then decide again."""

    order_ids: tuple[str, ...]
    reason: str


Decision = Approved | Refused | CancelFirst


def decide(signal: Signal, view: View) -> Decision:
    too_old = _too_old(view)
    if too_old:
        return too_old
    proposal = _propose(signal, view)
    return review(proposal, view) if isinstance(proposal, Proposal) else proposal


def _too_old(view: View) -> Refused | None:
    if view.expires_at is None or view.now <= view.expires_at:
        return None
    late = (view.now - view.expires_at).total_seconds()
    return Refused(
        reason=f"the alert is too old: it was good until {iso(view.expires_at)}, {late:.0f} s ago",
        numbers={"good_until": iso(view.expires_at), "now": iso(view.now)},
    )


def _propose(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    match signal.action:
        case Action.BUY:
            return _enter(signal, view, Side.LONG)
        case Action.SELL:
            return _enter(signal, view, Side.SHORT)
        case Action.CLOSE | Action.REDUCE:
            return _exit(signal, view)
        case Action.ADD:
            return _add(signal, view)
        case Action.REVERSE:
            return _reverse(signal, view)
        case Action.CANCEL:
            return _cancel(signal, view)
        case Action.BREAKEVEN:
            return Refused(reason="there is no stop to move to break-even: send the alert with a stop-loss first")


def _enter(signal: Signal, view: View, side: Side) -> Proposal | Refused | CancelFirst:
    bot, owned = view.bot, ZERO if _is_dust(view) else view.bot.position.quantity
    entries = [order for order in view.working if not order.effect.reduces]
    same = [order for order in entries if order.side.sign == side.sign]
    against = [order.id for order in entries if order.side.sign != side.sign]
    if owned * side.sign > 0:
        return Refused(reason=f"already {side} {plain(abs(owned))}: nothing to do (send ADD to add to it)")
    if same:
        return Refused(
            reason=f"an order to {same[0].side} {plain(same[0].quantity)} is still working: a second one is not stacked on it"
        )
    if against or (owned and view.working):
        return _take_back(view, "a new direction")
    exits = (_closing(signal, view, None),) if owned else ()
    if not bot.sides.allow(side):
        if exits:
            return Proposal(exits=exits, entry=None)
        return Refused(reason=f"the bot trades {bot.sides} only, and there is no position to close")
    return _with_entry(signal, view, exits, _opening(signal, view, side, Effect.OPEN, None))


def _exit(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    owned = view.bot.position.quantity
    if signal.only_side and owned and Side.of(owned) is not signal.only_side:
        return Refused(reason=f"the bot is {Side.of(owned)}, and the alert closes a {signal.only_side} only")
    if view.working:
        return _take_back(view, "the position is being closed")
    if not owned:
        if view.taken_back:
            return Proposal(exits=(), entry=None, done=f"took back {view.taken_back} order(s); nothing was filled")
        return Refused(reason="nothing to close: the bot owns nothing")
    if _is_dust(view):
        least = max(view.rules.min_quantity, view.rules.quantity_step)
        return Refused(
            reason=f"what is left, {plain(abs(owned))}, is less than the smallest order here, {plain(least)}: it stays, and counts as nothing"
        )
    step = _closing(signal, view, signal)
    if step.quantity <= 0:
        return Refused(reason=f"the part to close is smaller than the smallest order here, {plain(view.rules.quantity_step)}")
    return Proposal(exits=(step,), entry=None)


def _add(signal: Signal, view: View) -> Proposal | Refused:
    owned = view.bot.position.quantity
    if not owned:
        return Refused(reason="nothing to add to: the bot owns nothing")
    entries = [order for order in view.working if not order.effect.reduces]
    if entries:
        return Refused(reason=f"an order to {entries[0].side} {plain(entries[0].quantity)} is still working")
    return _with_entry(signal, view, (), _opening(signal, view, Side.of(owned), Effect.ADD, None))


def _reverse(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    owned = view.bot.position.quantity
    if view.working:
        return _take_back(view, "the position is being reversed")
    if not owned:
        return Refused(reason="nothing to reverse: the bot owns nothing")
    side = Side.SHORT if owned > 0 else Side.LONG
    exits = (_closing(signal, view, None),)
    if not view.bot.sides.allow(side):
        return Proposal(exits=exits, entry=None)
    own_size = signal.size is not None and view.bot.size_override
    return _with_entry(signal, view, exits, _opening(signal, view, side, Effect.OPEN, None if own_size else abs(owned)))


def _cancel(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    if view.working:
        return _take_back(view, "the alert asked for it")
    if view.taken_back:
        return Proposal(exits=(), entry=None, done=f"took back {view.taken_back} order(s)")
    return Refused(reason="nothing to take back: no order is working")


def _is_dust(view: View) -> bool:
    """Less than the venue takes in one order, as a fee paid in the bought coin leaves behind."""
    return ZERO < abs(view.bot.position.quantity) < max(view.rules.min_quantity, view.rules.quantity_step)


def _take_back(view: View, why: str) -> CancelFirst:
    return CancelFirst(order_ids=tuple(order.id for order in view.working), reason=why)


def _with_entry(signal: Signal, view: View, exits: tuple[Step, ...], entry: Step | NoSize) -> Proposal | Refused:
    if isinstance(entry, Step):
        return Proposal(exits=exits, entry=entry)
    if exits:
        return Proposal(exits=exits, entry=None, done=f"closes only: {entry.reason}")
    return Refused(reason=entry.reason, numbers=entry.numbers)


# --- steps -------------------------------------------------------------------------------------------------------------


def _closing(signal: Signal, view: View, sized_by: Signal | None) -> Step:
    """Out of what the bot owns: at market, unless the alert itself names a price for its exit."""
    owned = view.bot.position.quantity
    side = OrderSide.SELL if owned > 0 else OrderSide.BUY
    sized = exit_quantity(sized_by.size if sized_by else None, owned=abs(owned), price=view.quote.mid, rules=view.rules)
    kind = sized_by.order_type if sized_by and sized_by.order_type else OrderType.MARKET
    whole = abs(owned) - sized.quantity < max(view.rules.min_quantity, view.rules.quantity_step)
    return _step(
        signal, view, side=side, effect=Effect.CLOSE if whole else Effect.REDUCE, quantity=sized.quantity, kind=kind,
        limit=signal.limit_price if kind is not OrderType.MARKET else None, words=f"{side} {sized.words}",
    )


def _opening(signal: Signal, view: View, side: Side, effect: Effect, fixed: Decimal | None) -> Step | NoSize:
    bot = view.bot
    order_side = OrderSide.BUY if side is Side.LONG else OrderSide.SELL
    kind = signal.order_type or bot.order_type
    price, limit = _prices(signal, view, order_side, kind)
    quantity, words = fixed, f"the same {plain(fixed)}" if fixed else ""
    if quantity is None:
        own = signal.size is not None and bot.size_override
        sized = entry_size(
            signal.size if own else bot.size, price=price, equity=view.account.equity, owned=abs(bot.position.quantity),
            rules=view.rules, stop_distance=_stop_distance(signal.stop_loss, price),
        )
        if isinstance(sized, NoSize):
            return sized
        ignored = " (the alert's own size is not allowed by the bot)" if signal.size is not None and not own else ""
        quantity, words = sized.quantity, sized.words + ignored
    return _step(
        signal, view, side=order_side, effect=effect, quantity=quantity, kind=kind, limit=limit, price=price,
        words=f"{order_side} {words}", exits=True,
    )


def _prices(signal: Signal, view: View, side: OrderSide, kind: OrderType) -> tuple[Decimal, Decimal | None]:
    """(what a piece is expected to cost, the limit to send)."""
    market = view.quote.price_for(side)
    if kind not in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        return (signal.stop_price or market), None
    limit = signal.limit_price
    if limit is None:
        better = market * view.bot.limit_offset_percent / 100
        limit = market - better if side is OrderSide.BUY else market + better
    limit = round_to(limit, view.rules.price_step)
    return limit, limit


def _stop_distance(stop: Target | None, price: Decimal) -> Decimal | None:
    if stop is None:
        return None
    if stop.price is not None:
        return abs(price - stop.price)
    return stop.amount if stop.amount is not None else price * (stop.percent or ZERO) / 100


def _step(
    signal: Signal, view: View, *, side: OrderSide, effect: Effect, quantity: Decimal, kind: OrderType, limit: Decimal | None,
    words: str, price: Decimal | None = None, exits: bool = False,
) -> Step:
    stops = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    trails = kind is OrderType.TRAILING_STOP
    return Step(
        side=side, effect=effect, quantity=quantity, type=kind, price=price or view.quote.price_for(side), limit_price=limit,
        stop_price=signal.stop_price if stops else None, trail_amount=signal.trail_amount if trails else None,
        trail_percent=signal.trail_percent if trails else None, time_in_force=signal.time_in_force or _patience(view, kind),
        extended_hours=signal.extended_hours, words=words,
        take_profits=signal.take_profits if exits else (), stop_loss=signal.stop_loss if exits else None,
    )


def _patience(view: View, kind: OrderType) -> TimeInForce:
    """A crypto market has no day; a resting order there stands until it is taken back."""
    rests = kind is not OrderType.MARKET
    wanted = TimeInForce.GTC if view.bot.symbol.is_crypto and rests else TimeInForce.DAY
    return wanted if wanted in view.capabilities.times_in_force else TimeInForce.GTC
