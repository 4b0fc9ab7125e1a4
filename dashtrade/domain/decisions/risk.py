"""The risk rules. Only `review` creates an `Approved`, and only an `Approved` becomes an order.

Every rule is a function (entry, view) -> Check; a failed check carries its numbers. Rules apply to entries
only: reducing risk is never refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from dashtrade.domain.bots import Bot, Day, Stop, Switch, WhenClosed
from dashtrade.domain.decisions.netting import cannot_be_left
from dashtrade.domain.decisions.outcomes import Check, Defer, Proposal, Refused
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.orders import Effect
from dashtrade.domain.position_mismatch import DriftStatus
from dashtrade.domain.protections import Guard, MarketClosed, ProtectionInputs, ProtectionLock, Scope
from dashtrade.domain.reasons import NO_REASON, Code, Fact, Reason, reason, several
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO, OrderSide

_APPROVAL_KEY = object()

OPEN_MARGIN = timedelta(seconds=1)  # clocks differ: the market may open a moment late

RECHECK_OPEN_AFTER = timedelta(minutes=1)  # whether a market has opened, if its opening time is unknown


@record
class Approved:
    """What may be sent. Created only by `review`."""

    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    reason: Reason = NO_REASON
    new_exits: ExitState | None = None  # the position's new exits, if they change
    key: object = None

    def __post_init__(self) -> None:
        if self.key is not _APPROVAL_KEY:
            raise TypeError("only risk.review approves")


def review(proposal: Proposal, view: View) -> Approved | Refused | Defer:
    """Exits pass. An entry passes when every rule does; if one fails, the exits before it are still sent."""
    entry = proposal.entry
    checks = tuple(rule(entry, view) for rule in RULES) if entry else ()
    failed = next((check for check in checks if not check.ok), None)
    wait = _wait(proposal, failed, view) if not view.market_open else None
    if wait is not None and not view.account_problem:
        return wait
    if failed and proposal.exits and all(check.ok or _waits(check, view) for check in checks):
        # the exit is queued for the open, and the entry follows its fill as in any reversal
        failed = None
    steps = proposal.exits + ((entry,) if entry and not failed else ())
    if view.account_problem:
        counterfactual = counterfactual_of(entry or (steps[0] if steps else None))
        return Refused(reason=view.account_problem, counterfactual=counterfactual, checks=checks)
    if failed and not steps and not proposal.done:
        return Refused(reason=failed.reason, counterfactual=counterfactual_of(entry), checks=checks)
    why = reason(Code.EXIT_ONLY, because=failed.reason) if failed else proposal.done
    return Approved(steps=steps, checks=checks, reason=why, new_exits=proposal.new_exits, key=_APPROVAL_KEY)


def _wait(proposal: Proposal, failed: Check | None, view: View) -> Defer | Refused | None:
    """While the market is closed: an exit waits where the broker would not accept it; an entry waits if its
    bot is set to."""
    name, opens = view.bot.symbol.short, view.opens_at
    if proposal.exits and not view.capabilities.queues_when_closed:
        if opens is None:
            why = reason(Code.WAITS_FOR_OPEN_UNKNOWN, symbol=name)
            return Defer(until=view.now + RECHECK_OPEN_AFTER, reason=why, entry=False)
        why = reason(Code.QUEUED_FOR_OPEN, symbol=name, opens_at=opens)
        return Defer(until=max(opens, view.now + OPEN_MARGIN), reason=why, entry=False)
    if proposal.exits or failed is None or opens is None or not _waits(failed, view):
        return None
    if view.expires_at is not None and view.expires_at < opens:
        why = reason(Code.EXPIRES_BEFORE_OPEN, because=failed.reason, good_until=view.expires_at)
        return Refused(reason=why, counterfactual=counterfactual_of(proposal.entry))
    why = reason(Code.WAITS_FOR_OPEN, symbol=name, opens_at=opens)
    return Defer(until=max(opens, view.now + OPEN_MARGIN), reason=why, entry=True)


def _waits(check: Check, view: View) -> bool:
    """Is the closed market the only failed rule, and may the entry wait for the open?"""
    return check.name == _MARKET and view.bot.when_closed is WhenClosed.WAIT and view.opens_at is not None


def entry_still_allowed(bot: Bot, switches: tuple[Switch, ...]) -> Reason:
    """Checked again just before sending, so that a pause takes effect at once. No reason: it may be sent."""
    if not bot.is_active or bot.deleted_at:
        return Reason(Code.PAUSED_BEFORE_SENDING)
    on = next((switch for switch in switches if switch.stop is not Stop.NONE), None)
    if on is None:
        return NO_REASON
    return reason(Code.SWITCHED_BEFORE_SENDING, scope=on.scope, switch=str(on.stop))


def counterfactual_of(step: Step | None) -> Reason:
    """The order that would have been placed, for a refusal."""
    if step is None:
        return NO_REASON
    limit: dict[str, Fact] = {} if step.limit_price is None else {"limit": step.limit_price}
    return reason(Code.WOULD_HAVE, side=str(step.side), quantity=step.quantity, **limit)


# --- the rules ----------------------------------------------------------------------------------------------


@cache
def _passes(name: str, code: Code) -> Check:
    return Check(name=name, ok=True, reason=Reason(code))


def _fails(name: str, code: Code, **facts: Fact) -> Check:
    return Check(name=name, ok=False, reason=Reason(code, facts))


def _active(entry: Step, view: View) -> Check:
    if view.bot.is_active:
        return _passes("bot active", Code.BOT_ACTIVE)
    paused = view.bot.paused_reason
    because: dict[str, Fact] = {"because": paused} if paused else {}
    return _fails("bot active", Code.BOT_PAUSED, **because)


def _switches(entry: Step, view: View) -> Check:
    stop = view.stop
    if stop is None:
        return _passes("switches", Code.NO_SWITCH)
    return _fails("switches", Code.SWITCHED, scope=stop.scope, switch=str(stop.stop), note=stop.reason)


_MARKET = "market"

_MARKET_GUARD = Guard(id=0, scope=Scope.USER, scope_id=0, rule=MarketClosed())  # holds for all users


def _protection_inputs(guard: Guard, entry: Step, view: View) -> ProtectionInputs:
    bot = view.bot
    return ProtectionInputs(
        now=view.now,
        bot_id=bot.id,
        symbol=bot.symbol,
        quote=view.quote,
        equity=view.account.equity,
        market_open=view.market_open,
        owned=abs(bot.position.quantity) if entry.effect is Effect.ADD else ZERO,
        opens_at=view.opens_at,
        exits=guard.exits,
        sent=guard.sent,
        others=guard.others,
    )


def _market(entry: Step, view: View) -> Check:
    closed = _MARKET_GUARD.rule.judge(entry, _protection_inputs(_MARKET_GUARD, entry, view))
    if closed is not None:
        return Check(name=_MARKET, ok=False, reason=closed.reason)
    return _passes(_MARKET, Code.MARKET_OPEN if view.market_open else Code.OUTSIDE_HOURS_ORDER)


def _locks(entry: Step, view: View) -> Check:
    if not view.locks:
        return _passes("locks", Code.NOT_LOCKED)
    lock = max(view.locks, key=lambda one: (one.until is None, one.until or view.now, -one.id))
    facts: dict[str, Fact] = {"scope": str(lock.scope), "because": lock.reason}
    facts |= {"lock": lock.id, "protection": lock.kind}
    facts |= {"symbol": lock.symbol.short} if lock.symbol else {}
    return _fails("locks", Code.LOCKED, **facts, **({"until": lock.until} if lock.until else {}))


def _protections(entry: Step, view: View) -> Check:
    triggered = tuple(
        ProtectionLock(guard=one, lock=lock)
        for one in view.guards
        if (lock := one.rule.judge(entry, _protection_inputs(one, entry, view))) is not None
    )
    if not triggered:
        return _passes("protections", Code.NO_PROTECTION)
    why = several(tuple(one.lock.reason for one in triggered))
    return Check(name="protections", ok=False, reason=why, triggered=triggered)


def _window(entry: Step, view: View) -> Check:
    if view.bot.in_window(view.now):
        return _passes("trading window", Code.IN_WINDOW)
    return _fails(
        "trading window",
        Code.OUTSIDE_WINDOWS,
        zone=view.bot.time_zone,
        local=f"{view.now.astimezone(ZoneInfo(view.bot.time_zone)):%a %H:%M}",
        windows="; ".join(window.in_words() for window in view.bot.windows),
        now=view.now,
    )


def _cooldown(entry: Step, view: View) -> Check:
    bot = view.bot
    if not bot.cooldown_seconds or bot.last_entry_at is None or entry.effect is Effect.ADD:
        return _passes("cooldown", Code.NO_COOLDOWN)
    left = bot.cooldown_seconds - (view.now - bot.last_entry_at).total_seconds()
    if left <= 0:
        return _passes("cooldown", Code.COOLDOWN_OVER)
    return _fails("cooldown", Code.COOLDOWN_RUNS, cooldown=bot.cooldown_seconds, left=f"{left:.0f}")


def _orders_per_day(entry: Step, view: View) -> Check:
    limit, so_far = view.bot.orders_per_day, view.day.entries
    if limit is None:
        return _passes("orders per day", Code.NO_DAILY_ENTRIES_LIMIT)
    ok = so_far < limit
    return Check(
        name="orders per day",
        ok=ok,
        reason=reason(Code.DAILY_ENTRIES if ok else Code.DAILY_ENTRIES_REACHED, limit=limit, actual=so_far),
    )


def _max_position(entry: Step, view: View) -> Check:
    limit = view.bot.max_position_size
    if limit is None:
        return _passes("position size", Code.NO_POSITION_LIMIT)
    owned = abs(view.bot.position.quantity) if entry.effect is Effect.ADD else ZERO
    value = (owned + entry.quantity) * entry.price
    ok = value <= limit
    code = Code.POSITION_WITHIN_LIMIT if ok else Code.POSITION_PAST_LIMIT
    return Check(name="position size", ok=ok, reason=reason(code, value=value, limit=limit))


def day_result(bot: Bot, day: Day, mark: Decimal) -> Decimal:
    """The day's profit so far: realised less fees, plus unrealised."""
    return day.realized - day.fees + bot.position.unrealized(mark)


def _daily_loss(entry: Step, view: View) -> Check:
    limit = view.bot.daily_loss_limit
    if limit is None:
        return _passes("daily loss", Code.NO_DAILY_LOSS_LIMIT)
    loss = max(-day_result(view.bot, view.day, view.quote.mid), ZERO)
    ok = loss < limit
    code = Code.DAILY_LOSS_WITHIN if ok else Code.DAILY_LOSS_REACHED
    return Check(name="daily loss", ok=ok, reason=reason(code, loss=loss, limit=limit))


def loss_percent(bot: Bot, mark: Decimal) -> Decimal:
    """Unrealised loss in percent of the position's cost; 0 without a loss."""
    cost = abs(bot.position.cost)
    return max(-bot.position.unrealized(mark), ZERO) / cost * 100 if cost else ZERO


def risk_limit_price(bot: Bot) -> Decimal | None:
    """The price at which the max loss would close the position and pause the bot; None without a limit or a
    position."""
    entry, limit = bot.position.average_price, bot.risk_limit_percent
    return (
        entry - bot.position.side.sign * entry * limit / 100
        if entry is not None and limit is not None
        else None
    )


def _risk_limit(entry: Step, view: View) -> Check:
    limit = view.bot.risk_limit_percent
    if limit is None:
        return _passes("max loss", Code.NO_RISK_LIMIT)
    if entry.effect is not Effect.ADD:
        return Check(name="max loss", ok=True, reason=reason(Code.RISK_LIMIT_SET, limit_percent=limit))
    loss = loss_percent(view.bot, view.quote.mid)
    ok = loss < limit
    code = Code.LOSS_WITHIN_RISK_LIMIT if ok else Code.LOSS_PAST_RISK_LIMIT
    facts: dict[str, Fact] = {"loss_percent": f"{loss:.2f}", "limit_percent": limit}
    return Check(name="max loss", ok=ok, reason=Reason(code, facts))


def _buying_power(entry: Step, view: View) -> Check:
    need = entry.quantity * entry.price
    # a reversal closes first
    freed = abs(view.bot.position.quantity) * view.quote.mid if entry.effect is Effect.OPEN else ZERO
    have = view.account.buying_power - view.reserved + freed
    ok = need <= have
    facts: dict[str, Fact] = {"needs": need, "buying_power": have}
    facts |= {"reserved": view.reserved} if view.reserved else {}
    code = Code.MONEY_ENOUGH if ok else Code.MONEY_LACKS
    return Check(name="buying power", ok=ok, reason=Reason(code, facts))


def _venue(entry: Step, view: View) -> Check:
    why = _unsupported(entry, view)
    if why:
        return Check(name="venue", ok=False, reason=why)
    return Check(name="venue", ok=True, reason=reason(Code.BROKER_TAKES_IT, broker=view.capabilities.name))


def _unsupported(entry: Step, view: View) -> Reason:
    can, name = view.capabilities, view.bot.symbol.short
    if not view.rules.tradable:
        return reason(Code.NOT_TRADABLE, symbol=name, broker=can.name)
    if entry.type not in can.order_types:
        return reason(Code.NO_SUCH_ORDER_TYPE, broker=can.name, type=entry.type.replace("_", "-"))
    if entry.time_in_force not in can.times_in_force:
        return reason(Code.NO_SUCH_TIME_IN_FORCE, broker=can.name, time_in_force=str(entry.time_in_force))
    if entry.side is OrderSide.SELL and not (can.shorts and view.rules.shortable):
        return reason(Code.NO_SHORTS, broker=can.name, symbol=name)
    if view.shared is None:
        return NO_REASON
    owned = abs(view.bot.position.quantity) if entry.effect is Effect.ADD else ZERO
    return cannot_be_left(entry.side, entry.quantity, owned, view.shared, view.bot.symbol, view.rules, can)


def _frozen(entry: Step, view: View) -> Check:
    drift = view.drift
    if drift is None or drift.status is not DriftStatus.FROZEN:
        return _passes("frozen", Code.NOT_FROZEN)
    return _fails(
        "frozen",
        Code.FROZEN,
        symbol=view.bot.symbol.short,
        broker=drift.broker_quantity,
        bots=drift.bots_quantity,
        outside=drift.outside,
        drift=drift.id,
    )


Rule = Callable[[Step, View], Check]

RULES: tuple[Rule, ...] = (
    _active,
    _switches,
    _frozen,
    _market,
    _locks,
    _protections,
    _window,
    _cooldown,
    _orders_per_day,
    _max_position,
    _daily_loss,
    _risk_limit,
    _venue,
    _buying_power,
)
