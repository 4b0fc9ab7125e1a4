"""decide(signal, view): from a signal and the current state to actions and reasons. Pure.

First what the signal means for this position (`_propose`), then whether it is allowed (`risk.review`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dashtrade.domain.decisions import netting
from dashtrade.domain.decisions.building import closing_step, opening_step
from dashtrade.domain.decisions.outcomes import Defer, Proposal, Refused
from dashtrade.domain.decisions.risk import Approved, counterfactual_of, review
from dashtrade.domain.decisions.sizing import SizeRefused
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View, WaitingEntry
from dashtrade.domain.exits.state import ExitState, at_break_even, released
from dashtrade.domain.orders import Effect, Order
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action, Signal
from dashtrade.domain.values import ZERO, Side


@record
class CancelFirst:
    """Orders of this bot block the decision: cancel them, wait until they have ended, then decide again."""

    order_ids: tuple[str, ...]
    reason: Reason


@record
class Delay:
    """Wait: the bot delays its entries, or another bot's exit is in progress."""

    due_at: datetime
    reason: Reason = NO_REASON


Decision = Approved | Refused | CancelFirst | Delay | Defer

RECHECK_AFTER = timedelta(seconds=2)  # while another bot's exit blocks this bot's

ENTRIES = frozenset({Action.BUY, Action.SELL, Action.ADD, Action.REVERSE})


def decide(signal: Signal, view: View) -> Decision:
    too_old = _too_old(view)
    if too_old:
        return too_old
    if (
        (delay := view.bot.order_defaults.delay)
        and signal.action in ENTRIES
        and view.now < view.received_at + delay
    ):
        return Delay(due_at=view.received_at + delay)
    proposal = _cancelled_first(signal, view) or _propose(signal, view)
    return _cancel_others_first(view, review(proposal, view)) if isinstance(proposal, Proposal) else proposal


def superseded(signal: Signal, view: View) -> tuple[WaitingEntry, ...]:
    """Entries that wait for the open, and that this later signal replaces: a new direction, a close, a
    cancel."""
    if _too_old(view) or signal.action not in (Action.BUY, Action.SELL, Action.CLOSE, Action.CANCEL):
        return ()
    sides = {Action.BUY: Side.LONG, Action.SELL: Side.SHORT}
    return tuple(
        one for one in view.waiting if signal.only_side in (None, sides.get(one.action, signal.only_side))
    )


def _too_old(view: View) -> Refused | None:
    if view.expires_at is None or view.now <= view.expires_at:
        return None
    late = (view.now - view.expires_at).total_seconds()
    return Refused(reason=reason(Code.TOO_OLD, good_until=view.expires_at, late=f"{late:.0f}", now=view.now))


def _cancelled_first(signal: Signal, view: View) -> CancelFirst | None:
    """Unfilled orders to cancel, where the alert or the bot wants that. Exits at the broker stay, as
    protection."""
    standing = _unfilled(view)
    asked = signal.cancel_first or (view.bot.order_defaults.cancel_first and signal.action in ENTRIES)
    return (
        _cancel_first(standing, Code.CANCEL_ASKED_BY_ALERT if signal.cancel_first else Code.CANCEL_SET_BY_BOT)
        if asked and standing
        else None
    )


def _cancel_others_first(view: View, said: Approved | Refused | Defer) -> Decision:
    """Orders of the account's other bots at the broker can block this one: the broker would refuse it as a
    wash trade, or lacks the shares that it reserves for them. Their exits are cancelled, and DashTrade
    manages those instead. An exit passes regardless of other orders; it only waits for another bot's exit at
    market."""
    if not isinstance(said, Approved) or not said.steps:
        return said
    if any(not step.effect.reduces for step in said.steps) and (
        held := [order for order in view.others_orders if order.parent_id]
    ):
        return _cancel_first(held, Code.CANCEL_OTHERS_EXITS)
    first = said.steps[0]
    if not first.effect.reduces:
        return said
    net = view.shared.net if view.shared is not None else None
    found = netting.blocking_orders(view.others_orders, first.quantity, first.side, net, view.capabilities)
    if movable := [order for order in found if order.rests or not order.effect.reduces]:
        return _cancel_first(movable, Code.CANCEL_OTHERS_ORDER)
    if found:
        return Delay(due_at=view.now + RECHECK_AFTER, reason=Reason(Code.WAITS_FOR_OTHERS_EXIT))
    return said


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
            return _break_even(view)


def _enter(signal: Signal, view: View, side: Side) -> Proposal | Refused | CancelFirst:
    bot, owned = view.bot, ZERO if _is_dust(view) else view.bot.position.quantity
    entries = [order for order in view.working if not order.effect.reduces]
    same = [order for order in entries if order.side.sign == side.sign]
    against = [order.id for order in entries if order.side.sign != side.sign]
    if owned * side.sign > 0:
        return Refused(reason=reason(Code.ALREADY_OWNED, side=str(side), quantity=abs(owned)))
    if same:
        return Refused(reason=_working(same[0]))
    if against or (owned and view.working):
        return _cancel_first(view.working, Code.CANCEL_NEW_DIRECTION)
    exits = (closing_step(signal, view, None),) if owned else ()
    if exits and _missing(view):
        return _no_further(exits, view)
    if not bot.sides.allow(side):
        if exits:
            return Proposal(exits=exits, entry=None)
        return _wrong_side(signal, view, side)
    return _with_entry(signal, view, exits, opening_step(signal, view, side, Effect.OPEN, None))


def _wrong_side(signal: Signal, view: View, side: Side) -> Refused:
    entry = opening_step(signal, view, side, Effect.OPEN, None)
    return Refused(
        reason=reason(Code.SIDE_NOT_TRADED, sides=str(view.bot.sides), asked_for=str(side)),
        counterfactual=counterfactual_of(entry if isinstance(entry, Step) else None),
    )


def _exit(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    owned = view.bot.position.quantity
    if signal.only_side and owned and Side.of(owned) is not signal.only_side:
        return Refused(reason=reason(Code.OTHER_SIDE, side=str(Side.of(owned)), only=str(signal.only_side)))
    queued = [
        order
        for order in view.working
        if order.effect is Effect.CLOSE and not order.rests and not order.cancel_requested
    ]
    if queued and not view.market_open:
        return Refused(
            reason=reason(
                Code.CLOSE_QUEUED,
                side=str(queued[0].side),
                quantity=queued[0].quantity,
                broker=view.capabilities.name,
            )
        )
    if view.working:
        return _cancel_first(view.working, Code.CANCEL_FOR_CLOSE)
    if not owned:
        if view.cancelled_count:
            return Proposal(
                exits=(), entry=None, done=reason(Code.CANCELLED_AND_FLAT, count=view.cancelled_count)
            )
        if superseded(signal, view):
            return Proposal(exits=(), entry=None, done=Reason(Code.CANCELLED_WAITING_ENTRY))
        return Refused(reason=Reason(Code.NOTHING_TO_CLOSE))
    if _is_dust(view):
        least = max(view.rules.min_quantity, view.rules.quantity_step)
        return Refused(reason=reason(Code.DUST, left=abs(owned), least=least, dust=owned))
    step = closing_step(signal, view, signal)
    if step.quantity <= 0 and _missing(view):
        return _no_further((step,), view)
    if step.quantity <= 0:
        return Refused(reason=_nothing_to_close(signal, view))
    return Proposal(exits=(step,), entry=None)


def _nothing_to_close(signal: Signal, view: View) -> Reason:
    """Why no part of the position can be ordered."""
    owned, shared = view.bot.position.quantity, view.shared
    if signal.size is None and owned > 0 and shared is not None and shared.short:
        return reason(
            Code.FRACTION_BLOCKED_BY_SHORT,
            quantity=owned,
            symbol=view.bot.symbol.short,
            broker=view.capabilities.name,
        )
    return reason(Code.PART_TOO_SMALL, least=view.rules.quantity_step)


def _add(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    owned = view.bot.position.quantity
    if not owned:
        return Refused(reason=Reason(Code.NOTHING_TO_ADD_TO))
    entries = [order for order in view.working if not order.effect.reduces]
    if entries:
        return Refused(reason=_working(entries[0]))
    if legs := [order for order in view.working if order.parent_id]:
        return _cancel_first(legs, Code.CANCEL_FOR_ADD)
    return _with_entry(signal, view, (), opening_step(signal, view, Side.of(owned), Effect.ADD, None))


def _reverse(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    owned = view.bot.position.quantity
    if view.working:
        return _cancel_first(view.working, Code.CANCEL_FOR_REVERSE)
    if not owned:
        return Refused(reason=Reason(Code.NOTHING_TO_REVERSE))
    side = Side.SHORT if owned > 0 else Side.LONG
    exits = (closing_step(signal, view, None),)
    if _missing(view):
        return _no_further(exits, view)
    if not view.bot.sides.allow(side):
        return Proposal(exits=exits, entry=None)
    own_size = signal.size is not None and view.bot.allow_alert_size
    return _with_entry(
        signal, view, exits, opening_step(signal, view, side, Effect.OPEN, None if own_size else abs(owned))
    )


def _cancel(signal: Signal, view: View) -> Proposal | Refused | CancelFirst:
    if standing := _unfilled(view):
        return _cancel_first(standing, Code.CANCEL_ASKED_BY_ALERT)
    if view.cancelled_count:
        return Proposal(exits=(), entry=None, done=reason(Code.CANCELLED, count=view.cancelled_count))
    if superseded(signal, view):
        return Proposal(exits=(), entry=None, done=Reason(Code.CANCELLED_WAITING_ENTRY))
    return Refused(reason=Reason(Code.NOTHING_TO_CANCEL))


def _break_even(view: View) -> Proposal | Refused | CancelFirst:
    """Move the stop to the entry price. Where the broker holds it, DashTrade manages the exits from then
    on."""
    bot, price = view.bot, view.bot.position.average_price
    if price is None:
        return Refused(reason=Reason(Code.NO_POSITION_FOR_STOP))
    mark, sign = view.quote.bid if bot.position.quantity > 0 else view.quote.ask, bot.position.side.sign
    if (mark - price) * sign <= 0:
        return Refused(reason=reason(Code.BREAK_EVEN_NOT_REACHED, mark=mark, price=price))
    exits = at_break_even(bot.exits or ExitState(price_step=view.rules.price_step), bot.position)
    if exits == bot.exits and exits.stop is not None:
        return Refused(reason=reason(Code.BREAK_EVEN_ALREADY, stop=exits.stop.price))
    if legs := [order for order in view.working if order.parent_id]:
        return _cancel_first(legs, Code.CANCEL_FOR_STOP)
    return Proposal(
        exits=(), entry=None, done=reason(Code.STOP_TO_ENTRY_PRICE, price=price), new_exits=released(exits)
    )


def _unfilled(view: View) -> list[Order]:
    """Unfilled orders. Exits at the broker end with their own entry and otherwise stay as protection."""
    return [order for order in view.working if order.parent_id is None]


def _missing(view: View) -> Reason:
    """The part of the bot's position that the broker lacks, where their books differ."""
    owned, drift = view.bot.position.quantity, view.drift
    if drift is None or drift.left_for(owned) >= abs(owned):
        return NO_REASON
    return reason(
        Code.BROKER_HAS_LESS,
        left=drift.left_for(owned),
        owned=abs(owned),
        symbol=view.bot.symbol.short,
        broker=drift.broker_quantity,
        bots=drift.bots_quantity,
        drift=drift.id,
    )


def _no_further(exits: tuple[Step, ...], view: View) -> Proposal | Refused:
    """Close what the broker still has, and open nothing on top of what it lacks."""
    if exits[0].quantity > 0:
        return Proposal(exits=exits, entry=None, done=_missing(view))
    return Refused(reason=_missing(view))


def _is_dust(view: View) -> bool:
    """Less than the broker's minimum order, such as the remainder after a fee in the bought coin."""
    return ZERO < abs(view.bot.position.quantity) < max(view.rules.min_quantity, view.rules.quantity_step)


def _cancel_first(orders: Iterable[Order], why: Code) -> CancelFirst:
    return CancelFirst(order_ids=tuple(order.id for order in orders), reason=Reason(why))


def _working(order: Order) -> Reason:
    return reason(Code.ENTRY_WORKING, side=str(order.side), quantity=order.quantity)


def _with_entry(
    signal: Signal, view: View, exits: tuple[Step, ...], entry: Step | SizeRefused
) -> Proposal | Refused:
    if isinstance(entry, Step):
        return Proposal(exits=exits, entry=entry)
    if exits:
        return Proposal(exits=exits, entry=None, done=reason(Code.EXIT_ONLY, because=entry.reason))
    return Refused(reason=entry.reason)
