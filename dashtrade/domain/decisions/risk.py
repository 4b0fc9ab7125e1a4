"""What stands between a wish and an order. Only `review` makes an `Approved`, and only an `Approved` makes an
order.

Every rule is a function (entry, view) -> Check; a failed check carries its numbers. Rules apply to entries
alone: giving up risk is never refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dashtrade.domain.bots import Bot, Day, Stop, Switch, WhenClosed
from dashtrade.domain.decisions.netting import cannot_be_left
from dashtrade.domain.decisions.outcomes import Check, Proposal, Refused, Wait
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.orders import Effect
from dashtrade.domain.position_mismatch import DriftStatus
from dashtrade.domain.protections import Fired, Guard, MarketClosed, Scope, Seen, locked_words
from dashtrade.domain.values import ZERO, OrderSide, iso, money, plain

_KEY = object()

SOON = timedelta(seconds=1)  # clocks differ: a market whose time has come may be closed a moment longer

ASK_AGAIN = timedelta(minutes=1)  # whether a market has opened, where nobody can say when it will


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What may be sent. Cannot be made but by `review`."""

    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    reason: str = ""
    keeps: dict[str, Any] | None = None  # the exits the bot is to keep from now on, where they change
    key: object = None

    def __post_init__(self) -> None:
        if self.key is not _KEY:
            raise TypeError("only risk.review approves")


def review(proposal: Proposal, view: View) -> Approved | Refused | Wait:
    """Exits pass. An entry passes when every rule does; if one fails, the exits before it still go out."""
    entry = proposal.entry
    checks = tuple(rule(entry, view) for rule in RULES) if entry else ()
    failed = next((check for check in checks if not check.ok), None)
    wait = _wait(proposal, failed, view) if not view.market_open else None
    if wait is not None and not view.account_ok:
        return wait
    if failed and proposal.exits and all(check.ok or _waits(check, view) for check in checks):
        # the way out is queued for the open, and the entry follows its fill as in any change of sides
        failed = None
    steps = proposal.exits + ((entry,) if entry and not failed else ())
    if view.account_ok:
        return Refused(
            reason=view.account_ok, would=would_have(entry or (steps[0] if steps else None)), checks=checks
        )
    if failed and not steps and not proposal.done:
        return Refused(reason=failed.detail, numbers=failed.numbers, would=would_have(entry), checks=checks)
    reason = f"closes only: {failed.detail}" if failed else proposal.done
    return Approved(steps=steps, checks=checks, reason=reason, keeps=proposal.keeps, key=_KEY)


def _wait(proposal: Proposal, failed: Check | None, view: View) -> Wait | Refused | None:
    """At a closed market: a way out waits where the venue would not take it; an entry waits where its bot
    says so."""
    name, opens = view.bot.symbol.short, view.opens_at
    if proposal.exits and not view.capabilities.queues_when_closed:
        known = f", which is expected at {iso(opens)}" if opens else "; it is asked every minute"
        return Wait(
            until=max(opens, view.now + SOON) if opens else view.now + ASK_AGAIN,
            reason=f"waits for the market of {name} to open{known}",
            entry=False,
        )
    if proposal.exits or failed is None or opens is None or not _waits(failed, view):
        return None
    if view.expires_at is not None and view.expires_at < opens:
        return Refused(
            reason=f"{failed.detail}, and the alert is good until {iso(view.expires_at)} only",
            numbers=failed.numbers,
            would=would_have(proposal.entry),
        )
    return Wait(
        until=max(opens, view.now + SOON),
        reason=f"waits for the market of {name} to open at {iso(opens)}, and is then looked at anew",
        entry=True,
    )


def _waits(check: Check, view: View) -> bool:
    """Is the closed market all that stands in the way, and may that be waited out?"""
    return check.name == _MARKET and view.bot.when_closed is WhenClosed.WAIT and view.opens_at is not None


def entry_still_allowed(bot: Bot, switches: tuple[Switch, ...]) -> str:
    """Asked again at the moment of sending: what was paused meanwhile stops at once. Empty: it may go."""
    if not bot.is_active or bot.deleted_at:
        return "the bot was paused before the order was sent"
    on = next((switch for switch in switches if switch.stop is not Stop.NONE), None)
    return (
        f"{_SCOPES[on.scope]} was switched to {on.stop.replace('_', ' ')} before the order was sent"
        if on
        else ""
    )


def would_have(step: Step | None) -> str:
    """For a refusal: what would have been ordered."""
    if step is None:
        return ""
    at = f" at {plain(step.limit_price)}" if step.limit_price is not None else ""
    verb = "bought" if step.side is OrderSide.BUY else "sold"
    return f"would have {verb} {plain(step.quantity)}{at}"


# --- the rules ----------------------------------------------------------------------------------------------

_SCOPES = {"all": "all trading", "user": "your trading", "account": "this account", "bot": "this bot"}


def _active(entry: Step, view: View) -> Check:
    why = f" ({view.bot.paused_reason})" if view.bot.paused_reason else ""
    ok = view.bot.is_active
    return Check(
        name="bot active",
        ok=ok,
        detail="the bot is active" if ok else f"the bot is paused{why}: resume it to let it trade",
    )


def _switches(entry: Step, view: View) -> Check:
    stop = view.stop
    if stop is None:
        return Check(name="switches", ok=True, detail="no switch is on")
    why = f" ({stop.reason})" if stop.reason else ""
    return Check(
        name="switches",
        ok=False,
        detail=f"{_SCOPES[stop.scope]} is switched to {stop.stop.replace('_', ' ')}{why}",
        numbers={"scope": stop.scope, "switch": str(stop.stop)},
    )


_MARKET = "market"

_ALL = Guard(id=0, scope=Scope.USER, scope_id=0, rule=MarketClosed())  # holds for everybody


def _seen(guard: Guard, entry: Step, view: View) -> Seen:
    bot = view.bot
    return Seen(
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
    closed = _ALL.rule.judge(entry, _seen(_ALL, entry, view))
    if closed is None:
        return Check(
            name=_MARKET,
            ok=True,
            detail="the market is open"
            if view.market_open
            else "the order is one for outside of the market's hours",
        )
    return Check(name=_MARKET, ok=False, detail=closed.reason, numbers=closed.numbers)


def _locks(entry: Step, view: View) -> Check:
    if not view.locks:
        return Check(name="locks", ok=True, detail="nothing is locked")
    lock = max(view.locks, key=lambda one: (one.until is None, one.until or view.now))
    return Check(
        name="locks",
        ok=False,
        detail=f"{locked_words(lock.scope, lock.symbol, lock.until)}: {lock.reason}",
        numbers={"lock": str(lock.id), "protection": lock.kind}
        | ({"until": iso(lock.until)} if lock.until else {}),
    )


def _protections(entry: Step, view: View) -> Check:
    fired = tuple(
        Fired(guard=one, lock=lock)
        for one in view.guards
        if (lock := one.rule.judge(entry, _seen(one, entry, view))) is not None
    )
    if not fired:
        return Check(name="protections", ok=True, detail="no protection objects")
    lock = fired[0].lock
    numbers = {
        "protection": fired[0].guard.rule.kind,
        "actual": plain(lock.actual),
        "limit": plain(lock.limit),
    } | lock.numbers
    return Check(
        name="protections",
        ok=False,
        detail="; ".join(one.lock.reason for one in fired),
        numbers=numbers,
        fired=fired,
    )


def _window(entry: Step, view: View) -> Check:
    ok = view.bot.in_window(view.now)
    if ok:
        return Check(name="trading window", ok=True, detail="inside the trading window")
    local, windows = (
        f"{view.now.astimezone(ZoneInfo(view.bot.time_zone)):%a %H:%M}",
        "; ".join(window.said() for window in view.bot.windows),
    )
    said = (
        f"outside the bot's trading windows ({view.bot.time_zone}): it is {local} there, and they are "
        f"{windows}"
    )
    return Check(
        name="trading window",
        ok=False,
        detail=said,
        numbers={"now": iso(view.now), "local": local, "windows": windows},
    )


def _cooldown(entry: Step, view: View) -> Check:
    bot = view.bot
    if not bot.cooldown_seconds or bot.last_entry_at is None or entry.effect is Effect.ADD:
        return Check(name="cooldown", ok=True, detail="no cooldown is running")
    left = bot.cooldown_seconds - (view.now - bot.last_entry_at).total_seconds()
    ok = left <= 0
    said = (
        "the cooldown is over" if ok else f"the cooldown of {bot.cooldown_seconds} s has {left:.0f} s to go"
    )
    return Check(
        name="cooldown",
        ok=ok,
        detail=said,
        numbers={} if ok else {"cooldown": str(bot.cooldown_seconds), "left": f"{left:.0f}"},
    )


def _orders_per_day(entry: Step, view: View) -> Check:
    limit, so_far = view.bot.orders_per_day, view.day.entries
    ok = limit is None or so_far < limit
    said = f"{so_far} of {limit} entries of the day" if limit is not None else "no limit on entries a day"
    return Check(
        name="orders per day",
        ok=ok,
        detail=said if ok else f"the limit of {limit} entries a day is reached",
        numbers={} if ok else {"limit": str(limit), "actual": str(so_far)},
    )


def _max_position(entry: Step, view: View) -> Check:
    limit = view.bot.max_position_size
    if limit is None:
        return Check(name="position size", ok=True, detail="no limit on the position's size")
    owned = abs(view.bot.position.quantity) if entry.effect is Effect.ADD else ZERO
    value = (owned + entry.quantity) * entry.price
    ok = value <= limit
    said = f"a position of {money(value)} {'is within' if ok else 'passes'} the limit {money(limit)}"
    return Check(
        name="position size", ok=ok, detail=said, numbers={"value": money(value), "limit": money(limit)}
    )


def day_result(bot: Bot, day: Day, mark: Decimal) -> Decimal:
    """What the day made so far: realised less fees, and what is open."""
    return day.realized - day.fees + bot.position.unrealized(mark)


def _daily_loss(entry: Step, view: View) -> Check:
    limit = view.bot.daily_loss_limit
    if limit is None:
        return Check(name="daily loss", ok=True, detail="no daily loss limit")
    loss = max(-day_result(view.bot, view.day, view.quote.mid), ZERO)
    ok = loss < limit
    said = f"daily loss {money(loss)} {'is under' if ok else 'reached'} the limit {money(limit)}"
    return Check(name="daily loss", ok=ok, detail=said, numbers={"loss": money(loss), "limit": money(limit)})


def loss_percent(bot: Bot, mark: Decimal) -> Decimal:
    """Unrealised loss in percent of what the position cost; 0 when it is not losing."""
    cost = abs(bot.position.cost)
    return max(-bot.position.unrealized(mark), ZERO) / cost * 100 if cost else ZERO


def risk_limit_price(bot: Bot) -> Decimal | None:
    """Where the risk limit would close the position and pause the bot; None without a limit or a position."""
    entry, limit = bot.position.average_price, bot.risk_limit_percent
    return (
        entry - bot.position.side.sign * entry * limit / 100
        if entry is not None and limit is not None
        else None
    )


def _risk_limit(entry: Step, view: View) -> Check:
    limit = view.bot.risk_limit_percent
    if limit is None or entry.effect is not Effect.ADD:
        return Check(
            name="risk limit",
            ok=True,
            detail=f"risk limit {plain(limit)}%" if limit is not None else "no risk limit",
        )
    loss = loss_percent(view.bot, view.quote.mid)
    ok = loss < limit
    said = f"the position is {loss:.2f}% down, {'under' if ok else 'past'} the risk limit {plain(limit)}%"
    return Check(
        name="risk limit",
        ok=ok,
        detail=said,
        numbers={"loss_percent": f"{loss:.2f}", "limit_percent": plain(limit)},
    )


def _buying_power(entry: Step, view: View) -> Check:
    need = entry.quantity * entry.price
    # a flip closes first
    freed = abs(view.bot.position.quantity) * view.quote.mid if entry.effect is Effect.OPEN else ZERO
    have = view.account.buying_power - view.reserved + freed
    ok = need <= have
    held = f" ({money(view.reserved)} held for orders under way)" if view.reserved else ""
    said = f"needs {money(need)} of {money(have)} buying power{held}"
    return Check(
        name="buying power",
        ok=ok,
        detail=said if ok else f"{said}: reduce the size or close something",
        numbers={"needs": money(need), "buying_power": money(have)},
    )


def _venue(entry: Step, view: View) -> Check:
    can = view.capabilities
    problem = ""
    if not view.rules.tradable:
        problem = f"{view.bot.symbol.short} cannot be traded at {can.name}"
    elif entry.type not in can.order_types:
        problem = f"{can.name} has no {entry.type.replace('_', '-')} orders"
    elif entry.time_in_force not in can.times_in_force:
        problem = f"{can.name} takes no {entry.time_in_force} orders"
    elif entry.side is OrderSide.SELL and not (can.shorts and view.rules.shortable):
        problem = f"{can.name} cannot sell {view.bot.symbol.short} short"
    elif view.shared is not None:
        owned = abs(view.bot.position.quantity) if entry.effect is Effect.ADD else ZERO
        problem = cannot_be_left(
            entry.side, entry.quantity, owned, view.shared, view.bot.symbol, view.rules, can
        )
    return Check(name="venue", ok=not problem, detail=problem or f"{can.name} takes this order")


def _frozen(entry: Step, view: View) -> Check:
    drift = view.drift
    if drift is None or drift.status is not DriftStatus.FROZEN:
        return Check(name="frozen", ok=True, detail="the symbol is not frozen")
    numbers = {
        "broker": plain(drift.theirs),
        "bots": plain(drift.ours),
        "outside": plain(drift.outside),
        "drift": str(drift.id),
    }
    said = (
        f"{view.bot.symbol.short} is frozen: the broker has {numbers['broker']}, the bots own "
        f"{numbers['bots']}"
    )
    return Check(
        name="frozen",
        ok=False,
        detail=f"{said}. Resolve the difference, or unfreeze the symbol",
        numbers=numbers,
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
