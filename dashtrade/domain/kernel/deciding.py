"""One decision: everything it depends on, the decision, and what it changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import CancelFirst, Decision, Delay, decide, superseded
from dashtrade.domain.decisions.outcomes import Defer, Refused
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View
from dashtrade.domain.kernel import decided, guards
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.crossing import ExitCandidate, cross, exit_candidate
from dashtrade.domain.kernel.holdings import account_holdings
from dashtrade.domain.kernel.new_orders import orders_of
from dashtrade.domain.kernel.source import Source
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO

MAX_COUNTERPARTS = 50  # waiting decisions among which an opposite exit is looked for

# fills an order in this same transaction
CarryOut = Callable[[Books, Order], Order]


@record
class MarketSnapshot:
    """The broker's data for a decision, fetched before the transaction opens."""

    quote: Quote
    account: AccountState
    rules: Rules
    capabilities: Capabilities
    market_open: bool
    simulated: bool  # a live account, here traded on paper
    on_paper: bool  # data of the built-in paper broker
    from_cache: bool  # part of it was cached for another decision
    opens_at: datetime | None = None


class StaleSnapshot(Exception):
    """The decision failed on cached data. Funds may have become available since, so the data is fetched again
    and the decision repeated."""


@record
class DecisionResult:
    """The order to send now (already SUBMITTING), or as `carry_out` left it; and the other signal decided
    with it."""

    order: Order | None = None
    other_signal_id: str = ""


def decide_one(
    books: Books,
    task: PendingDecision,
    market: MarketSnapshot,
    now: datetime,
    carry_out: CarryOut | None = None,
) -> DecisionResult:
    """Decide, and change the books accordingly."""
    signal = books.source.signal(task.signal_id)
    view = load_view(books.source, books.bot(task.bot_id), task, market, now)
    books.remember((*view.working, *view.others_orders))
    decision = decide(signal, view)
    if market.from_cache and _may_differ_when_fresh(decision):
        raise StaleSnapshot
    decided.put_superseded(books, superseded(signal, view), now)
    done = DecisionResult()
    match decision:
        case Defer() as deferral:
            decided.put_deferred(books, view.bot, task, deferral, now)
        case CancelFirst() as wait:
            decided.put_cancel_first(books, task, view, wait, now)
        case Delay() as delay:
            decided.put_delayed(books, task, delay)
        case Refused() as refused:
            decided.put_refused(books, task, view, refused, now)
        case Approved() as approved if not approved.steps:
            decided.put_done(books, task, view, approved, now)
        case Approved() as approved:
            one = exit_candidate(task, view, approved)
            other = one and _counterpart(books.source, one, market, now)
            if one is not None and other is not None:
                cross(books, one, other, now)
                done = DecisionResult(other_signal_id=other.task.signal_id)
            else:
                orders = orders_of(task, view, approved.steps)
                decided.put_approved(books, task, view, approved, orders, now)
                order = orders[0].order
                done = DecisionResult(order=carry_out(books, order) if carry_out is not None else order)
    return done


def _may_differ_when_fresh(decision: Decision) -> bool:
    """Could fresh data change the result? Yes if it was refused, deferred, or entered for less than
    requested."""
    if isinstance(decision, Approved):
        return not all(check.ok for check in decision.checks)
    return isinstance(decision, Refused | Defer)


def load_view(source: Source, bot: Bot, task: PendingDecision, market: MarketSnapshot, now: datetime) -> View:
    """Everything the decision depends on. Read-only: a dry run uses it too."""
    under_way = source.open_orders(task.account_id)
    restrictions, active_guards = guards.load(source, bot, now)
    drift = source.drift(task.account_id, task.symbol)
    others = tuple(o for o in under_way if o.bot_id != bot.id and o.symbol == bot.symbol)
    can = market.capabilities
    return View(
        bot=bot,
        working=tuple(o for o in under_way if o.bot_id == bot.id),
        reserved=sum((o.reserve for o in under_way), ZERO),
        day=bot.day(now.date()),
        switches=restrictions.switches,
        account_problem=_account_problem(source, task.account_id, market),
        received_at=task.received_at,
        now=now,
        expires_at=task.expires_at,
        cancelled_count=task.cancelled_count,
        quote=market.quote,
        account=market.account,
        rules=market.rules,
        capabilities=can,
        on_paper=market.on_paper,
        market_open=market.market_open,
        sole_bot_on_symbol=not can.native_bracket or _is_sole_bot(source, bot),
        others_orders=others,
        shared=account_holdings(source, bot.account_id, bot.symbol, bot.id, can, drift, others),
        opens_at=market.opens_at,
        # the markets of coins do not close
        waiting=() if task.symbol.is_crypto else tuple(source.waiting_for_open(task, now)),
        locks=restrictions.locks,
        guards=active_guards,
        drift=drift,
    )


def _account_problem(source: Source, account_id: int, market: MarketSnapshot) -> Reason:
    """Why the account may not trade now; no reason if it may."""
    account = source.account(account_id)
    switched = account.simulated != market.simulated  # since the broker was chosen
    return account.problem or (Reason(Code.SIMULATION_SWITCHED) if switched else NO_REASON)


def _is_sole_bot(source: Source, bot: Bot) -> bool:
    """No other bot of its account trades its symbol."""
    others = source.bots_on(bot.account_id, bot.symbol)
    return not any(other.id != bot.id and other.deleted_at is None for other in others)


def _counterpart(
    source: Source, one: ExitCandidate, market: MarketSnapshot, now: datetime
) -> ExitCandidate | None:
    """The first decision of another bot that waits in the same lane and closes in the opposite direction."""
    seen = {one.task.bot_id}
    for task in source.due(one.task.account_id, one.task.symbol, now, MAX_COUNTERPARTS):
        if task.bot_id in seen:
            continue
        seen.add(task.bot_id)  # only a bot's first decision may be taken; the later ones wait for it
        if task.held_until is not None and task.held_until > now:
            continue
        bot = source.bot(task.bot_id)
        if bot.position.quantity * one.view.bot.position.quantity >= 0:
            continue
        view = load_view(source, bot, task, market, now)
        decision = decide(source.signal(task.signal_id), view)
        other = (
            exit_candidate(task, view, decision)
            if isinstance(decision, Approved) and decision.steps
            else None
        )
        if other is not None and other.side is not one.side:
            return other
    return None
