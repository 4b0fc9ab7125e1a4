"""One decision: load everything under the account's lock, decide, and store decision and orders in one
commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import CancelFirst, Decision, Delay, decide, superseded
from dashtrade.domain.decisions.netting import APART, split_at_zero, split_reason
from dashtrade.domain.decisions.outcomes import Check, Defer, Refused
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.sizing import reserve_for
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.kernel import settlement
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.notices.trading import OrderCancelledForExit
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.reasons import NO_REASON, Code, Reason, as_data, numbers_of, reason, several, told
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import ZERO, OrderSide, client_order_id, plain
from dashtrade.engine import crossing, holdings, protection_checks
from dashtrade.engine.stored_books import on_books
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables.decisions import PendingDecision

# fills an order in this same transaction, and saves its bot
CarryOut = Callable[[sa.Connection, Order, Bot], Order]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionResult:
    """The order to send now (already SUBMITTING), or as `carry_out` left it; and the other signal decided
    with it."""

    order: Order | None = None
    other_signal_id: str = ""


def decide_one(
    conn: sa.Connection,
    task: PendingDecision,
    signal_of: Callable[[str], Signal],
    market: MarketSnapshot,
    now: datetime,
    carry_out: CarryOut | None = None,
) -> DecisionResult:
    """Decide and store the result."""
    account_table.lock_account(conn, task.account_id)
    signal, view = signal_of(task.signal_id), load_view(conn, task, market, now)
    bot = view.bot
    decision = decide(signal, view)
    if market.from_cache and _may_differ_when_fresh(decision):
        raise StaleSnapshot
    protection_checks.supersede(conn, superseded(signal, view), now)
    match decision:
        case Defer() as wait:
            protection_checks.defer_entry(conn, bot, task, wait, now)
        case CancelFirst() as wait:
            order_table.request_cancel(conn, list(wait.order_ids))
            count = task.cancelled_count + len(wait.order_ids)
            decision_table.defer(conn, task.id, taken_back=count)
            _notify_other_bots(conn, view, wait, now)
        case Delay() as later:
            decision_table.defer(
                conn, task.id, due_at=later.due_at, **({"reason": later.reason} if later.reason else {})
            )
        case Refused() as refused:
            _finish(conn, task, view, "refused", refused.reason, refused.checks, now, refused.counterfactual)
        case Approved() as approved if not approved.steps:
            if approved.new_exits is not None:
                bot_table.change(conn, bot.user_id, bot.id, exits=approved.new_exits)
            _finish(conn, task, view, "filled", approved.reason, approved.checks, now)
        case Approved() as approved:
            one = crossing.exit_candidate(task, view, approved)
            other = one and crossing.counterpart(
                conn, one, signal_of, lambda found: load_view(conn, found, market, now), now
            )
            if one is not None and other is not None:
                _settle_internally(conn, one, other, now)
                return DecisionResult(other_signal_id=other.task.signal_id)
            return DecisionResult(order=_store_approved(conn, task, view, approved, now, carry_out))
    return DecisionResult()


def _may_differ_when_fresh(decision: Decision) -> bool:
    """Could fresh data change the result? Yes if it was refused, deferred, or entered for less than
    requested."""
    if isinstance(decision, Approved):
        return not all(check.ok for check in decision.checks)
    return isinstance(decision, Refused | Defer)


def _notify_other_bots(conn: sa.Connection, view: View, wait: CancelFirst, now: datetime) -> None:
    """Another bot's order is cancelled for this exit: its user is notified, as the order is not sent
    again."""
    by_id = {order.id: order for order in view.others_orders if order.parent_id is None}
    for order in (by_id[order_id] for order_id in wait.order_ids if order_id in by_id):
        other = bot_positions.load(conn, order.bot_id)
        why = reason(Code.CANCELLED_FOR_ANOTHER, bot=view.bot.name, broker=view.capabilities.name)
        order_events.log(conn, [(order, now, str(order.status), why)])
        message_table.notify(
            conn,
            order.user_id,
            OrderCancelledForExit(
                bot=other.name,
                side=order.side,
                quantity=order.remaining,
                symbol=order.symbol.text,
                exiting_bot=view.bot.name,
                broker=view.capabilities.name,
            ),
            now=now,
            signal_id=order.signal_id,
        )


def load_view(conn: sa.Connection, task: PendingDecision, market: MarketSnapshot, now: datetime) -> View:
    """Everything the decision depends on. Read-only: a dry run uses it too."""
    bot, account_problem = (
        bot_positions.load(conn, task.bot_id),
        account_table.problem(conn, task.account_id, simulated=market.simulated),
    )
    under_way = order_table.open_in_account(conn, task.account_id)
    restrictions, guards = protection_checks.load(conn, bot, now)
    drift = drift_table.on(conn, task.account_id, task.symbol)
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


def _finish(
    conn: sa.Connection,
    task: PendingDecision,
    view: View,
    status: str,
    why: Reason,
    checks: tuple[Check, ...],
    now: datetime,
    counterfactual: Reason = NO_REASON,
) -> None:
    """A decision with nothing to send."""
    if decision_table.decided(
        conn,
        task.id,
        status=status,
        reason=why,
        counterfactual=counterfactual,
        checks=_checks_as_data(checks),
        numbers=_numbers(view) | numbers_of(why),
        now=now,
        ended=now,
    ):
        protection_checks.store_locks(conn, view.bot, checks, task.signal_id, now)
        bot_positions.touch(conn, replace(view.bot, last_signal_at=task.received_at))
        on_books(
            conn,
            lambda books: settlement.end_signal(
                books, task.signal_id, Outcome(status, why), sole_recipient=task.sole_recipient, now=now
            ),
        )


def _store_approved(
    conn: sa.Connection,
    task: PendingDecision,
    view: View,
    approved: Approved,
    now: datetime,
    carry_out: CarryOut | None,
) -> Order | None:
    orders, reasons = _orders(task, view, approved.steps)
    bot = _store_decision(conn, task, view, approved, orders, reasons, now)
    if bot is None:
        return None
    if carry_out is not None:
        return carry_out(conn, orders[0], bot)
    bot_positions.touch(conn, bot)
    return orders[0]


def _store_decision(
    conn: sa.Connection,
    task: PendingDecision,
    view: View,
    approved: Approved,
    orders: list[Order],
    reasons: list[Reason],
    now: datetime,
) -> Bot | None:
    """Store the decision and its orders; return the bot to save. None if another worker decided it first."""
    if not decision_table.decided(
        conn,
        task.id,
        status="sending",
        reason=approved.reason,
        counterfactual=NO_REASON,
        checks=_checks_as_data(approved.checks),
        numbers=_numbers(view),
        now=now,
        ended=None,
    ):
        return None
    protection_checks.store_locks(conn, view.bot, approved.checks, task.signal_id, now)
    order_table.insert(conn, orders)
    notes = (approved.reason, told(view.rules.note), told(view.quote.note))
    reasons[-1] = several((reasons[-1], *(note for note in notes if note)))
    order_events.log(
        conn, [(order, now, str(order.status), why) for order, why in zip(orders, reasons, strict=True)]
    )
    bot, day = view.bot, view.day
    if any(not step.effect.reduces for step in approved.steps):
        bot = replace(bot, last_entry_at=now, last_day=replace(day, entries=day.entries + 1))
    return replace(bot, status="ORDER SUBMITTED", last_signal_at=task.received_at)


def _orders(task: PendingDecision, view: View, steps: Sequence[Step]) -> tuple[list[Order], list[Reason]]:
    """One order per step, the first to be sent now; it is split where it would take the account from long to
    short."""
    orders = [
        _order(
            task,
            view,
            step,
            number * APART,
            final=number == len(steps) - 1,
            status=OrderStatus.CREATED if number else OrderStatus.SUBMITTING,
        )
        for number, step in enumerate(steps)
    ]
    reasons = [step.explanation for step in steps]
    first, rest = (
        split_at_zero(orders[0], view.shared.net, view.capabilities)
        if view.shared is not None
        else (orders[0], None)
    )
    if rest is None:
        return [first, *orders[1:]], reasons
    return [first, rest, *orders[1:]], [
        several((reasons[0], split_reason(first, rest))),
        _rest_reason(rest.side, rest.quantity),
        *reasons[1:],
    ]


def _rest_reason(side: OrderSide, quantity: Decimal) -> Reason:
    return reason(Code.REST_OF_STEP, side=str(side), quantity=quantity)


def _settle_internally(
    conn: sa.Connection, one: crossing.ExitCandidate, other: crossing.ExitCandidate, now: datetime
) -> None:
    """Settle the matching part of both internally; what remains, and what follows, is sent as usual."""
    quantity, price = min(one.quantity, other.quantity), one.view.quote.mid
    ids = {each.task.id: client_order_id(each.task.signal_id, each.task.bot_id, 0) for each in (one, other)}
    booked: list[Order] = []
    # a fixed lock order prevents deadlocks
    for each, partner in sorted(((one, other), (other, one)), key=lambda pair: pair[0].task.signal_id):
        closing, *later = each.approved.steps
        left = closing.quantity - quantity
        if left >= max(each.view.rules.min_quantity, each.view.rules.quantity_step):
            rest = replace(closing, quantity=left, explanation=_rest_reason(closing.side, left))
            steps = [(0, replace(closing, quantity=quantity, effect=Effect.REDUCE)), (1, rest)]
        else:
            steps = [(0, replace(closing, quantity=quantity))]
        steps += [(number * APART, step) for number, step in enumerate(later, 1)]
        orders = [
            _order(
                each.task, each.view, step, number, final=number == steps[-1][0], status=OrderStatus.CREATED
            )
            for number, step in steps
        ]
        orders[0] = replace(
            orders[0], status=OrderStatus.WORKING, sends=0, sent_at=None, crossed_with=ids[partner.task.id]
        )
        reasons = [
            several((closing.explanation, crossing.crossing_reason(orders[0], partner, price))),
            *(step.explanation for _, step in steps[1:]),
        ]
        bot = _store_decision(conn, each.task, each.view, each.approved, orders, reasons, now)
        if bot is None:
            raise StaleSnapshot  # decided by another worker: roll all of this back and retry
        bot_positions.touch(conn, bot)
        booked.append(orders[0])
    crossing.settle(conn, booked, price, now)


def _order(
    task: PendingDecision, view: View, step: Step, number: int, *, final: bool, status: OrderStatus
) -> Order:
    now, sent = view.now, status is OrderStatus.SUBMITTING
    return Order(
        id=client_order_id(task.signal_id, task.bot_id, number),
        user_id=task.user_id,
        account_id=task.account_id,
        bot_id=task.bot_id,
        signal_id=task.signal_id,
        decision_id=task.id,
        step=number,
        final=final,
        sole_recipient=task.sole_recipient,
        symbol=task.symbol,
        side=step.side,
        effect=step.effect,
        type=step.type,
        quantity=step.quantity,
        limit_price=step.limit_price,
        stop_price=step.stop_price,
        trail_amount=step.trail_amount,
        trail_percent=step.trail_percent,
        time_in_force=step.time_in_force,
        extended_hours=step.extended_hours,
        status=status,
        reason=NO_REASON,
        broker_order_id=None,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        reserve=ZERO if step.effect.reduces else reserve_for(step.quantity, step.price),
        exits=step.exits,
        cancel_requested=False,
        sends=1 if sent else 0,
        due_at=None,
        sent_at=now if sent else None,
        created_at=now,
        updated_at=now,
        on_paper=view.on_paper,
    )


def _checks_as_data(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"check": c.name, "ok": c.ok} | as_data(c.reason) for c in checks]


def _numbers(view: View) -> dict[str, str]:
    return {
        "bid": plain(view.quote.bid),
        "ask": plain(view.quote.ask),
        "position": plain(view.bot.position.quantity),
        "equity": plain(view.account.equity),
        "prices": "demo" if view.quote.demo else "live",
    }
