"""Deliberate faults of the engine, each put in place for a whole process: proof that the simulation finds
such.

A mutant that is not found within `WITHIN` schedules means that the simulation has gone blind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bot_engine
from bench.simulate.memory import MemoryStore
from bench.simulate.store import Memory
from dashtrade.domain.decisions import risk
from dashtrade.domain.kernel import lane, next_states, reports
from dashtrade.domain.kernel import sending as kernel_sending
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.memory_books import MemoryBooks
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.reasons import NO_REASON
from dashtrade.engine import order_recovery, sending, unconfirmed
from dashtrade.engine.lanes import Leases
from dashtrade.engine.order_requests import request_of
from dashtrade.engine.steps import Step
from dashtrade.engine.workflow import Call
from dashtrade.tables import fills as fill_table
from dashtrade.tables import signals as signal_table

WITHIN = 10_000


def _put(owner: Any, name: str, fault: Any) -> None:
    """In the place of what has that name now: a mutant of nothing would prove nothing."""
    assert hasattr(owner, name), f"{owner} has no {name}"
    setattr(owner, name, fault)


def drop_a_commit() -> None:
    """Every now and then a commit says that it happened, and did not."""
    for store in (Memory, MemoryStore):
        _put(store, "drops_commit", lambda self: self.commits % 25 == 24)


def send_before_the_commit() -> None:
    """The order goes out first, and the decision is stored after it."""
    decide: Any = bot_engine.Engine._decide_with
    send: Any = sending.Sender._send
    answers: dict[str, Any] = {}

    class NotYet(Exception):
        pass

    def dry_run(engine: Any, write: Step) -> Any:
        if isinstance(engine._store, MemoryStore):
            return write.fn(Books(engine._store.books))
        found: list[Any] = []

        def work(conn: Any) -> None:
            found.append(write.run(conn))
            raise NotYet

        try:
            engine.db.write(work)
        except NotYet:
            return found[0]

    def sends_first(self: Any, task: Any, account: Any, *given: Any) -> Any:
        broker, steps = self.broker(account.id), decide(self, task, account, *given)
        effect, value = next(steps), None
        while True:
            if isinstance(effect, Step) and not broker.offers.local:
                order = dry_run(self, effect).order
                if order is not None and order.status is OrderStatus.SUBMITTING:
                    answers[order.id] = yield Call(lambda order=order: broker.submit(request_of(order)))
            try:
                value = yield effect
            except Exception as error:
                effect = steps.throw(error)
                continue
            try:
                effect = steps.send(value)
            except StopIteration as end:
                return end.value

    def sent_already(self: Any, order: Any, broker: Any) -> Any:
        report = answers.pop(order.id, None)
        return (yield from (send(self, order, broker) if report is None else self.book(order, report)))

    _put(bot_engine.Engine, "_decide_with", sends_first)
    _put(sending.Sender, "_send", sent_already)


def book_a_report_twice() -> None:
    """What is booked of an order is forgotten when the next report comes."""
    _put(fill_table, "known_fills", lambda conn, order_id: {})
    _put(MemoryBooks, "booked_fills", lambda self, order_id: {})


def skip_the_look_for_repeats() -> None:
    _put(signal_table, "repeat_of", lambda conn, owner, key: None)
    _put(MemoryBooks, "repeat_of", lambda self, owner, key: None)


def _without(*names: str) -> None:
    left = tuple(rule for rule in risk.RULES if getattr(rule, "__name__", "") not in names)
    assert len(left) == len(risk.RULES) - len(names), "a rule has another name"
    _put(risk, "RULES", left)


def skip_the_pause() -> None:
    """A paused bot, or one under a switch, is decided for like any other."""
    _without("_active", "_switches")


def skip_the_pause_before_sending() -> None:
    _put(kernel_sending, "entry_still_allowed", lambda bot, switches: NO_REASON)


def skip_the_largest_position() -> None:
    _without("_max_position")


def resend_without_a_look() -> None:
    """An order without an answer is sent again at once."""

    def again(self: Any, order: Any, lease: Any) -> Any:
        order = yield from self._states.change(
            order, lease, lambda current: next_states.submitting(current, self.clock.now())
        )
        if order.status is OrderStatus.SUBMITTING and order.sends < next_states.MAX_SENDS:
            order = yield from self._sender.send(order)
        return order

    _put(unconfirmed.UnconfirmedOrders, "look_up", again)


def forget_the_lease() -> None:
    """A worker that was away past its lease goes on as if it still had the lane."""
    _put(Step, "check", lambda self, token: None)
    _put(Leases, "is_fresh", lambda self, lane: lane in self._held)


def forget_late_fills() -> None:
    """Nobody asks about an order that has ended."""
    _put(sending.Sender, "recently_ended", lambda self, account_id=None: [])
    _put(order_recovery.OrderRecovery, "recover", lambda self, account, broker, listing, since: False)


def believe_an_end_without_its_fills() -> None:
    _put(reports, "_complete", lambda status, report, filled: True)


def open_before_the_close() -> None:
    """The two orders of a reversal do not wait for each other."""
    _put(lane, "_waits_its_turn", lambda order, orders: False)


MUTANTS: dict[str, Callable[[], None]] = {
    made.__name__.replace("_", "-"): made
    for made in (
        drop_a_commit,
        send_before_the_commit,
        book_a_report_twice,
        skip_the_look_for_repeats,
        skip_the_pause,
        skip_the_pause_before_sending,
        skip_the_largest_position,
        resend_without_a_look,
        forget_the_lease,
        forget_late_fills,
        believe_an_end_without_its_fills,
        open_before_the_close,
    )
}
