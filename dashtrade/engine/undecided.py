"""Decisions that cannot be made now: they wait, or end, with a reason.

Each is written under the lane's lease, so that a worker that lost its lane changes nothing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta

from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel import settlement
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.taking import DecidedElsewhere
from dashtrade.domain.notices.trading import AlertFailed, ExitWaitsForBroker
from dashtrade.domain.ports import BrokerError, Clock
from dashtrade.domain.reasons import Code, Reason, quoted, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Action
from dashtrade.engine.reconcile import NotReconciled
from dashtrade.engine.steps import Lease, Step
from dashtrade.engine.workflow import Workflow

log = logging.getLogger("dashtrade.engine")

GIVE_UP_ENTRY_AFTER = timedelta(seconds=60)  # with an unreachable broker; after that an entry is given up
MAX_TRIES = 4  # for a decision that fails unexpectedly
EXIT_ACTIONS = frozenset({Action.CLOSE, Action.REDUCE, Action.CANCEL})


class Undecided:
    def __init__(self, clock: Clock, on_signal_changed: Callable[[str], None]) -> None:
        self._clock, self._on_signal_changed = clock, on_signal_changed
        self._tries: dict[int, int] = {}  # by decision: number of unexpected failures

    def give_up(
        self, task: PendingDecision, lease: Lease, why: Reason, *, notify: bool = False
    ) -> Workflow[None]:
        now = self._clock.now()

        def step(books: Books) -> None:
            settlement.refuse(
                books, task.id, task.signal_id, why, sole_recipient=task.sole_recipient, now=now
            )
            if notify:
                failed = AlertFailed(symbol=task.symbol.text, reason=why)
                books.notify(task.user_id, failed, signal_id=task.signal_id, at=now)

        with contextlib.suppress(DecidedElsewhere):
            yield Step(task.account_id, step, lease)
        self._on_signal_changed(task.signal_id)

    def retry_or_give_up(self, task: PendingDecision, lease: Lease, error: Exception) -> Workflow[None]:
        """A fault of DashTrade: retried a few times, then given up with a clear reason, as others wait behind
        it."""
        log.exception("signal %s of bot %s could not be decided", task.signal_id, task.bot_id)
        tries = self._tries.pop(task.id, 0) + 1
        name = type(error).__name__
        if tries >= MAX_TRIES:
            yield from self.give_up(
                task, lease, reason(Code.UNEXPECTED, error=name, tries=tries), notify=True
            )
            return
        self._tries[task.id] = tries
        retry_at, why = (
            self._clock.now() + timedelta(seconds=tries),
            reason(Code.UNEXPECTED_RETRIED, error=name),
        )

        later = replace(task, held_until=retry_at, reason=why)
        yield Step(task.account_id, lambda books: books.put_pending(later), lease)

    def wait_for_broker(
        self, task: PendingDecision, lease: Lease, error: BrokerError, action: Action
    ) -> Workflow[None]:
        """The broker is unreachable: the decision waits, and those behind it too. After a minute an entry is
        given up with that reason; an exit keeps waiting, and its user is notified."""
        now = self._clock.now()
        problem = error.why if isinstance(error, NotReconciled) else error.message
        late = now - task.ready_at > GIVE_UP_ENTRY_AFTER
        if late and action not in EXIT_ACTIONS:
            yield from self.give_up(
                task,
                lease,
                reason(Code.BROKER_UNREACHABLE, seconds=GIVE_UP_ENTRY_AFTER.seconds, text=problem),
            )
            return
        delay = max(getattr(error, "after", timedelta(seconds=1)), timedelta(seconds=5 if late else 1))
        if late:
            why = reason(Code.WAITS_FOR_BROKER, text=problem)
        elif isinstance(error, NotReconciled):
            why = error.why
        else:
            why = reason(Code.BROKER_ASKED_AGAIN, text=error.message)

        def step(books: Books) -> None:
            books.put_pending(replace(task, held_until=now + delay, reason=why))
            if late and task.reason.code is not Code.WAITS_FOR_BROKER:
                notice = ExitWaitsForBroker(
                    symbol=task.symbol.text,
                    action=action,
                    problem=quoted(problem) if isinstance(problem, str) else problem,
                )
                books.notify(task.user_id, notice, signal_id=task.signal_id, at=now)

        yield Step(task.account_id, step, lease)
