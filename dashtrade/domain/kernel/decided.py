"""What a decision changes: itself and its signal, its orders, its bot; or when it is decided again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import CancelFirst, Delay
from dashtrade.domain.decisions.outcomes import Check, Defer, Refused
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View, WaitingEntry
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.new_orders import NewOrder
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.protecting import put_locks
from dashtrade.domain.kernel.records import MadeDecision
from dashtrade.domain.kernel.settlement import end_signal, refuse
from dashtrade.domain.notices.trading import CloseWaitsForMarket, EntryWaitsForMarket, OrderCancelledForExit
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import NO_REASON, Code, Reason, as_data, numbers_of, reason, several
from dashtrade.domain.record import replace
from dashtrade.domain.values import plain

_WAITS_FOR_OPEN = (Code.WAITS_FOR_OPEN, Code.QUEUED_FOR_OPEN, Code.WAITS_FOR_OPEN_UNKNOWN)


# --- not yet ------------------------------------------------------------------------------------------------


def put_deferred(books: Books, bot: Bot, task: PendingDecision, deferral: Defer, now: datetime) -> None:
    """Wait for the market. The user is notified once, however often it is deferred."""
    # an entry gives up its place until the open: recognised by both times being equal
    due_at = deferral.until if deferral.entry else task.due_at
    books.put_pending(replace(task, due_at=due_at, held_until=deferral.until, reason=deferral.reason))
    if task.reason.code not in _WAITS_FOR_OPEN:
        waits = EntryWaitsForMarket if deferral.entry else CloseWaitsForMarket
        notice = waits(bot=bot.name, symbol=bot.symbol.text, retry_at=deferral.until)
        books.notify(bot.user_id, notice, signal_id=task.signal_id, at=now)


def put_delayed(books: Books, task: PendingDecision, delay: Delay) -> None:
    books.put_pending(replace(task, due_at=delay.due_at, reason=delay.reason or task.reason))


def put_cancel_first(
    books: Books, task: PendingDecision, view: View, wait: CancelFirst, now: datetime
) -> None:
    books.request_cancel([books.order(order_id) for order_id in wait.order_ids])
    books.put_pending(replace(task, cancelled_count=task.cancelled_count + len(wait.order_ids)))
    for order in view.others_orders:
        if order.id in wait.order_ids and order.parent_id is None:
            _notify_other_bot(books, order, view, now)


def _notify_other_bot(books: Books, order: Order, view: View, now: datetime) -> None:
    """Another bot's order is cancelled for this exit: its user is notified, as the order is not sent
    again."""
    why = reason(Code.CANCELLED_FOR_ANOTHER, bot=view.bot.name, broker=view.capabilities.name)
    books.log(order, now, str(order.status), why)
    notice = OrderCancelledForExit(
        bot=books.bot(order.bot_id).name,
        side=order.side,
        quantity=order.remaining,
        symbol=order.symbol.text,
        exiting_bot=view.bot.name,
        broker=view.capabilities.name,
    )
    books.notify(order.user_id, notice, signal_id=order.signal_id, at=now)


# --- decided ------------------------------------------------------------------------------------------------


def put_superseded(books: Books, waiting: Sequence[WaitingEntry], now: datetime) -> None:
    """A later signal replaces entries that were waiting for the open."""
    for one in waiting:
        refuse(
            books,
            one.decision_id,
            one.signal_id,
            Reason(Code.SUPERSEDED),
            sole_recipient=one.sole_recipient,
            now=now,
        )


def put_refused(books: Books, task: PendingDecision, view: View, refused: Refused, now: datetime) -> None:
    outcome = Outcome("refused", refused.reason)
    _finish(books, task, view, outcome, refused.checks, refused.counterfactual, now)


def put_done(books: Books, task: PendingDecision, view: View, approved: Approved, now: datetime) -> None:
    """Approved, with nothing left to send."""
    if approved.new_exits is not None:
        books.put_bot(replace(books.bot(view.bot.id), exits=approved.new_exits, updated_at=now))
    _finish(books, task, view, Outcome("filled", approved.reason), approved.checks, NO_REASON, now)


def _finish(
    books: Books,
    task: PendingDecision,
    view: View,
    outcome: Outcome,
    checks: tuple[Check, ...],
    counterfactual: Reason,
    now: datetime,
) -> None:
    numbers = _numbers(view) | numbers_of(outcome.reason)
    made = MadeDecision(counterfactual=counterfactual, checks=_written(checks), numbers=numbers, at=now)
    books.make_decision(task.id, outcome.status, outcome.reason, made, ended_at=now)
    put_locks(books, view.bot, checks, task.signal_id, now)
    books.put_bot(replace(books.bot(view.bot.id), last_signal_at=task.received_at))
    end_signal(books, task.signal_id, outcome, sole_recipient=task.sole_recipient, now=now)


def put_approved(
    books: Books,
    task: PendingDecision,
    view: View,
    approved: Approved,
    orders: Sequence[NewOrder],
    now: datetime,
) -> None:
    """The decision with its orders, and their bot."""
    made = MadeDecision(
        counterfactual=NO_REASON, checks=_written(approved.checks), numbers=_numbers(view), at=now
    )
    books.make_decision(task.id, "sending", approved.reason, made, ended_at=None)
    put_locks(books, view.bot, approved.checks, task.signal_id, now)
    notes = [why for why in (approved.reason, view.rules.note, view.quote.note) if why]
    for new in orders:
        books.add_order(new.order)
        explanation = several((new.explanation, *notes)) if new is orders[-1] else new.explanation
        books.log(new.order, now, str(new.order.status), explanation)
    bot, day = books.bot(view.bot.id), view.day
    if any(not step.effect.reduces for step in approved.steps):
        bot = replace(bot, last_entry_at=now, last_day=replace(day, entries=day.entries + 1))
    books.put_bot(replace(bot, status="ORDER SUBMITTED", last_signal_at=task.received_at))


def _written(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"check": c.name, "ok": c.ok} | as_data(c.reason) for c in checks]


def _numbers(view: View) -> dict[str, str]:
    return {
        "bid": plain(view.quote.bid),
        "ask": plain(view.quote.ask),
        "position": plain(view.bot.position.quantity),
        "equity": plain(view.account.equity),
        "prices": "demo" if view.quote.demo else "live",
    }
