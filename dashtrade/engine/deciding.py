"""One decision: load everything under the account's lock, decide, and store decision and orders in one
commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import CancelFirst, Decision, Delay, decide, superseded
from dashtrade.domain.decisions.outcomes import Defer, Refused
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View
from dashtrade.domain.kernel import decided
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.crossing import ExitCandidate, cross, exit_candidate
from dashtrade.domain.kernel.new_orders import orders_of
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.record import record
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import ZERO
from dashtrade.engine import holdings, protection_checks
from dashtrade.engine.stored_books import StoredBooks, store
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import orders as order_table
from dashtrade.tables.lanes import Lane

# fills an order in this same transaction
CarryOut = Callable[[sa.Connection, Books, Order], Order]
SignalOf = Callable[[str], Signal]


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
    conn: sa.Connection,
    task: PendingDecision,
    signal_of: SignalOf,
    market: MarketSnapshot,
    now: datetime,
    carry_out: CarryOut | None = None,
) -> DecisionResult:
    """Decide and store the result."""
    account_table.lock_account(conn, task.account_id)
    books = Books(StoredBooks(conn))
    signal, view = signal_of(task.signal_id), load_view(conn, books.bot(task.bot_id), task, market, now)
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
            other = one and _counterpart(conn, one, signal_of, market, now)
            if one is not None and other is not None:
                cross(books, one, other, now)
                done = DecisionResult(other_signal_id=other.task.signal_id)
            else:
                orders = orders_of(task, view, approved.steps)
                decided.put_approved(books, task, view, approved, orders, now)
                order = orders[0].order
                done = DecisionResult(order=carry_out(conn, books, order) if carry_out is not None else order)
    store(conn, books)
    return done


def _may_differ_when_fresh(decision: Decision) -> bool:
    """Could fresh data change the result? Yes if it was refused, deferred, or entered for less than
    requested."""
    if isinstance(decision, Approved):
        return not all(check.ok for check in decision.checks)
    return isinstance(decision, Refused | Defer)


def load_view(
    conn: sa.Connection, bot: Bot, task: PendingDecision, market: MarketSnapshot, now: datetime
) -> View:
    """Everything the decision depends on. Read-only: a dry run uses it too."""
    account_problem = account_table.problem(conn, task.account_id, simulated=market.simulated)
    under_way = order_table.open_in_account(conn, task.account_id)
    restrictions, guards = protection_checks.load(conn, bot, now)
    drift = drift_table.unresolved_on(conn, task.account_id, task.symbol)
    others = tuple(o for o in under_way if o.bot_id != bot.id and o.symbol == bot.symbol)
    return View(
        bot=bot,
        working=tuple(o for o in under_way if o.bot_id == bot.id),
        reserved=sum((o.reserve for o in under_way), ZERO),
        day=bot.day(now.date()),
        switches=restrictions.switches,
        account_problem=account_problem,
        received_at=task.received_at,
        now=now,
        expires_at=task.expires_at,
        cancelled_count=task.cancelled_count,
        quote=market.quote,
        account=market.account,
        rules=market.rules,
        capabilities=market.capabilities,
        on_paper=market.on_paper,
        market_open=market.market_open,
        sole_bot_on_symbol=not market.capabilities.native_bracket or bot_positions.is_sole_bot(conn, bot),
        others_orders=others,
        shared=holdings.load(conn, bot.account_id, bot.symbol, bot.id, market.capabilities, drift, others),
        opens_at=market.opens_at,
        waiting=protection_checks.entries_waiting_for_open(conn, task, now),
        locks=restrictions.locks,
        guards=guards,
        drift=drift,
    )


def _counterpart(
    conn: sa.Connection, one: ExitCandidate, signal_of: SignalOf, market: MarketSnapshot, now: datetime
) -> ExitCandidate | None:
    """The first decision of another bot that waits in the same lane and closes in the opposite direction."""
    lane, seen = Lane(one.task.account_id, one.task.symbol), {one.task.bot_id}
    for task in decision_table.due_in_lane(conn, lane, now):
        if task.bot_id in seen:
            continue
        seen.add(task.bot_id)  # only a bot's first decision may be taken; the later ones wait for it
        if task.held_until is not None and task.held_until > now:
            continue
        bot = bot_positions.load(conn, task.bot_id)
        if bot.position.quantity * one.view.bot.position.quantity >= 0:
            continue
        view = load_view(conn, bot, task, market, now)
        decision = decide(signal_of(task.signal_id), view)
        other = (
            exit_candidate(task, view, decision)
            if isinstance(decision, Approved) and decision.steps
            else None
        )
        if other is not None and other.side is not one.side:
            return other
    return None
