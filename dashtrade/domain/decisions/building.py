"""The orders of a decision, one step each: quantity, price, time in force, exits."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.decisions import netting
from dashtrade.domain.decisions.sizing import SizeRefused, entry_size, exit_quantity
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.exits.broker_held import Entry, Held, exits_broker_can_hold
from dashtrade.domain.exits.plan import OrderExits, misplaced, plan_for
from dashtrade.domain.orders import Effect
from dashtrade.domain.ports import Rules
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import ExitPlan, Signal, Target
from dashtrade.domain.values import (
    ZERO,
    OrderSide,
    OrderType,
    Side,
    TimeInForce,
    floor_to,
    given,
    plain,
    round_to,
)

ONE = Decimal(1)

# --- steps --------------------------------------------------------------------------------------------------


def closing_step(signal: Signal, view: View, sized_by: Signal | None) -> Step:
    """Closes the bot's position: at market, unless the alert names a price for the exit."""
    owned = view.bot.position.quantity
    side = OrderSide.SELL if owned > 0 else OrderSide.BUY
    size = sized_by.size if sized_by else None
    sized = exit_quantity(
        size, owned=abs(owned), price=view.quote.mid, rules=view.rules, part_step=_part_step(view)
    )
    kind = sized_by.order_type if sized_by and sized_by.order_type else OrderType.MARKET
    quantity, explanation, notes = sized.quantity, sized.explanation, []
    if (
        view.drift is not None
        and (left := floor_to(view.drift.left_for(owned), view.rules.quantity_step)) < quantity
    ):
        quantity, explanation = left, reason(Code.ALL_THE_BROKER_HAS, quantity=left, owned=abs(owned))
    if view.shared is not None:
        can = netting.sendable(quantity, side, view.shared.net, view.bot.symbol, view.capabilities)
        if can < quantity:
            quantity = can
            notes.append(reason(Code.ONLY_PART_SENDABLE, quantity=can))
    limit = (
        round_to(signal.limit_price, view.rules.price_step)
        if kind is not OrderType.MARKET and signal.limit_price
        else None
    )
    if kind is OrderType.MARKET and _outside_hours(signal, view):
        kind, limit = OrderType.LIMIT, _reaching(view, side)
        notes.append(reason(Code.LIMIT_OUTSIDE_HOURS, limit=limit))
    whole = abs(owned) - quantity < max(view.rules.min_quantity, view.rules.quantity_step)
    return make_step(
        signal,
        view,
        side=side,
        effect=Effect.CLOSE if whole else Effect.REDUCE,
        quantity=quantity,
        kind=kind,
        limit=limit,
        explanation=explanation,
        notes=notes,
    )


def _part_step(view: View) -> Decimal:
    """Part of a position. A short position stays a whole number of shares, or other bots could not exit
    beside it; next to a short position, the remainder must be sold in whole shares, too."""
    short = view.bot.position.quantity < 0 or (view.shared is not None and view.shared.short)
    whole = short and netting.wants_whole_shorts(view.bot.symbol, view.capabilities)
    return max(view.rules.quantity_step, ONE) if whole else view.rules.quantity_step


def _outside_hours(signal: Signal, view: View) -> bool:
    """Is it to trade outside the regular hours, at a time outside them?"""
    wanted = signal.extended_hours or view.bot.order_defaults.extended_hours
    return (
        wanted and not view.market_open and not view.bot.symbol.is_crypto and view.capabilities.extended_hours
    )


def _reaching(view: View, side: OrderSide) -> Decimal:
    """A limit 1 % beyond the market: there are no market orders outside the regular hours, and an exit has to
    fill."""
    price = view.quote.price_for(side)
    return round_to(price + side.sign * price / 100, view.rules.price_step)


def opening_step(
    signal: Signal, view: View, side: Side, effect: Effect, fixed: Decimal | None
) -> Step | SizeRefused:
    bot = view.bot
    order_side = OrderSide.BUY if side is Side.LONG else OrderSide.SELL
    kind = signal.order_type or bot.order_type
    price, limit = _prices(signal, view, order_side, kind)
    plan = plan_for(signal, ExitPlan() if effect is Effect.ADD else bot.exit_plan)
    if why := misplaced(plan, price, side) or _no_hours(signal, view, kind):
        return SizeRefused(reason=why)
    notes = _limit_rounded(signal, limit)
    if fixed is not None:
        quantity, explanation = fixed, reason(Code.SAME_SIZE, quantity=fixed)
    else:
        own = signal.size if bot.allow_alert_size else None
        sized = entry_size(
            own or bot.size,
            price=price,
            equity=view.account.equity,
            owned=abs(bot.position.quantity),
            rules=_rules_for(signal, view, order_side, kind),
            stop_distance=_stop_distance(plan.stop_loss, price),
        )
        if isinstance(sized, SizeRefused):
            return sized
        if signal.size is not None and not own:
            notes.append(Reason(Code.ALERT_SIZE_IGNORED))
        quantity, explanation = sized.quantity, sized.explanation
    step = make_step(
        signal,
        view,
        side=order_side,
        effect=effect,
        quantity=quantity,
        kind=kind,
        limit=limit,
        price=price,
        explanation=explanation,
        notes=notes,
        entry=True,
    )
    return _with_exits(step, plan, view)


def _rules_for(signal: Signal, view: View, side: OrderSide, kind: OrderType) -> Rules:
    """The rules for an entry: some brokers accept fractions of a share only in day orders, and never
    short."""
    by_the_day = kind is OrderType.MARKET or _lasts(signal, view, kind, entry=True) is TimeInForce.DAY
    kinds = _fractions_by_the_day(view)
    if not kinds or (kind in kinds and by_the_day and side is OrderSide.BUY):
        return view.rules
    return replace(
        view.rules,
        quantity_step=max(view.rules.quantity_step, ONE),
        min_quantity=max(view.rules.min_quantity, ONE),
    )


def _no_hours(signal: Signal, view: View, kind: OrderType) -> Reason:
    """Why an entry cannot trade outside the regular hours, if requested."""
    can = view.capabilities
    wanted = signal.extended_hours or view.bot.order_defaults.extended_hours
    if not wanted or view.market_open or view.bot.symbol.is_crypto:
        return NO_REASON
    if not can.extended_hours:
        return reason(Code.NO_EXTENDED_HOURS, broker=can.name)
    return NO_REASON if kind is OrderType.LIMIT else reason(Code.LIMIT_ONLY_OUTSIDE_HOURS, broker=can.name)


def _limit_rounded(signal: Signal, limit: Decimal | None) -> list[Reason]:
    """How a limit was rounded: before and after."""
    if limit is None or signal.limit_price is None or signal.limit_price == limit:
        return []
    return [reason(Code.LIMIT_ROUNDED, given=signal.limit_price, limit=limit)]


def _with_exits(step: Step, plan: ExitPlan, view: View) -> Step:
    """The entry with its exits: at the broker where possible, else managed by DashTrade."""
    if plan.is_empty:
        return step
    can = view.capabilities
    held = exits_broker_can_hold(
        plan,
        Entry(
            symbol=view.bot.symbol,
            side=step.side,
            type=step.type,
            quantity=step.quantity,
            price=step.price,
            price_step=view.rules.price_step,
            time_in_force=step.time_in_force,
            extended_hours=step.extended_hours,
            sole_bot_on_symbol=view.sole_bot_on_symbol,
            opens=step.effect is Effect.OPEN
            and (view.shared is None or netting.opens(step.side, view.shared.net)),
        ),
        can,
    )
    if isinstance(held, Held):
        targets = [t for t in (*held.plan.take_profits, held.plan.stop_loss) if t is not None]
        prices = " and ".join(plain(given(t.price, "price")) for t in targets)
        explanation = _with_note(
            step.explanation, reason(Code.EXITS_AT_BROKER, prices=prices, broker=can.name)
        )
        exits = OrderExits(plan=held.plan, held_by=can.name, price_step=view.rules.price_step)
        return replace(step, exits=exits, time_in_force=held.time_in_force, explanation=explanation)
    note = reason(Code.EXITS_BY_DASHTRADE, because=held) if held else Reason(Code.EXITS_BY_DASHTRADE)
    exits = OrderExits(plan=plan, price_step=view.rules.price_step)
    return replace(step, exits=exits, explanation=_with_note(step.explanation, note))


def _with_note(explanation: Reason, note: Reason) -> Reason:
    notes = explanation.facts["notes"]
    assert isinstance(notes, tuple)
    return Reason(explanation.code, {**explanation.facts, "notes": (*notes, note)})


def _prices(signal: Signal, view: View, side: OrderSide, kind: OrderType) -> tuple[Decimal, Decimal | None]:
    """(expected price per unit, the limit to send)."""
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


def make_step(
    signal: Signal,
    view: View,
    *,
    side: OrderSide,
    effect: Effect,
    quantity: Decimal,
    kind: OrderType,
    limit: Decimal | None,
    explanation: Reason,
    notes: list[Reason],
    price: Decimal | None = None,
    entry: bool = False,
) -> Step:
    stops = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    trails = kind is OrderType.TRAILING_STOP
    lasts = _lasts(signal, view, kind, entry=entry)
    if not entry and kind is OrderType.MARKET and lasts not in view.capabilities.times_in_force:
        asked, lasts = lasts, _patience(view, kind)  # an exit passes; the risk rules refuse an entry
        facts = {"broker": view.capabilities.name, "asked": str(asked), "sent": str(lasts)}
        notes = [*notes, reason(Code.OTHER_TIME_IN_FORCE, **facts)]
    waits = lasts is not TimeInForce.DAY and kind is not OrderType.MARKET
    if quantity % 1 and waits and kind in _fractions_by_the_day(view):  # an exit: entries are sized by it
        lasts = TimeInForce.DAY
        notes = [*notes, reason(Code.DAY_ORDER_FOR_FRACTION, broker=view.capabilities.name)]
    extended = (
        (signal.extended_hours or view.bot.order_defaults.extended_hours)
        and kind is OrderType.LIMIT
        and view.capabilities.extended_hours
    )
    return Step(
        side=side,
        effect=effect,
        quantity=quantity,
        type=kind,
        price=price or view.quote.price_for(side),
        limit_price=limit,
        stop_price=signal.stop_price if stops else None,
        trail_amount=signal.trail_amount if trails else None,
        trail_percent=signal.trail_percent if trails else None,
        time_in_force=lasts,
        extended_hours=extended and not view.bot.symbol.is_crypto,
        explanation=reason(Code.STEP, side=str(side), size=explanation, notes=tuple(notes)),
    )


def _lasts(signal: Signal, view: View, kind: OrderType, *, entry: bool) -> TimeInForce:
    default = view.bot.order_defaults.time_in_force if entry else None
    return signal.time_in_force or default or _patience(view, kind)


def _fractions_by_the_day(view: View) -> frozenset[OrderType]:
    return frozenset() if view.bot.symbol.is_crypto else view.capabilities.fractions_by_the_day


def _patience(view: View, kind: OrderType) -> TimeInForce:
    """A crypto market has no day; a resting order there stays until it is cancelled."""
    rests = kind is not OrderType.MARKET
    wanted = TimeInForce.GTC if view.bot.symbol.is_crypto and rests else TimeInForce.DAY
    return wanted if wanted in view.capabilities.times_in_force else TimeInForce.GTC
