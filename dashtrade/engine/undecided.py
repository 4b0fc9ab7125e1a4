"""Decisions that cannot be made now: they wait, or end, with a reason.

Each is written under the lane's lease, so that a worker that lost its lane changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.notices.trading import AlertFailed, ExitWaitsForBroker
from dashtrade.domain.ports import BrokerError, Clock
from dashtrade.domain.reasons import Code, Reason, quoted, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Action
from dashtrade.engine.lanes import Leases
from dashtrade.engine.reconcile import NotReconciled
from dashtrade.engine.settlement import refuse_undecided
from dashtrade.engine.workflow import Workflow, Write
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import messages as message_table
from dashtrade.tables.lanes import Lane

log = logging.getLogger("dashtrade.engine")

GIVE_UP_ENTRY_AFTER = timedelta(seconds=60)  # with an unreachable broker; after that an entry is given up
MAX_TRIES = 4  # for a decision that fails unexpectedly
EXIT_ACTIONS = frozenset({Action.CLOSE, Action.REDUCE, Action.CANCEL})


class Undecided:
    def __init__(
        self, db: Database, clock: Clock, leases: Leases, on_signal_changed: Callable[[str], None]
    ) -> None:
        self._db, self._clock, self._leases, self._on_signal_changed = db, clock, leases, on_signal_changed
        self._tries: dict[int, int] = {}  # by decision: number of unexpected failures

    def give_up(
        self, task: PendingDecision, lane: Lane, token: int, why: Reason, *, notify: bool = False
    ) -> Workflow[None]:
        now = self._clock.now()

        def work(conn: sa.Connection) -> None:
            self._leases.check(conn, lane, token)
            refused = refuse_undecided(
                conn, task.id, task.signal_id, sole_recipient=task.sole_recipient, reason=why, now=now
            )
            if refused and notify:
                message_table.notify(
                    conn,
                    task.user_id,
                    AlertFailed(symbol=task.symbol.text, reason=why),
                    now=now,
                    signal_id=task.signal_id,
                )

        yield Write(work)
        self._on_signal_changed(task.signal_id)

    def retry_or_give_up(
        self, task: PendingDecision, lane: Lane, token: int, error: Exception
    ) -> Workflow[None]:
        """A fault of DashTrade: retried a few times, then given up with a clear reason, as others wait behind
        it."""
        log.exception("signal %s of bot %s could not be decided", task.signal_id, task.bot_id)
        tries = self._tries.pop(task.id, 0) + 1
        name = type(error).__name__
        if tries >= MAX_TRIES:
            yield from self.give_up(
                task, lane, token, reason(Code.UNEXPECTED, error=name, tries=tries), notify=True
            )
            return
        self._tries[task.id] = tries
        retry_at, why = (
            self._clock.now() + timedelta(seconds=tries),
            reason(Code.UNEXPECTED_RETRIED, error=name),
        )

        def work(conn: sa.Connection) -> None:
            self._leases.check(conn, lane, token)
            decision_table.put_pending(conn, replace(task, held_until=retry_at, reason=why))

        yield Write(work)

    def wait_for_broker(
        self, task: PendingDecision, lane: Lane, token: int, error: BrokerError, action: Action
    ) -> Workflow[None]:
        """The broker is unreachable: the decision waits, and those behind it too. After a minute an entry is
        given up with that reason; an exit keeps waiting, and its user is notified."""
        now = self._clock.now()
        problem = error.why if isinstance(error, NotReconciled) else error.message
        late = now - task.ready_at > GIVE_UP_ENTRY_AFTER
        if late and action not in EXIT_ACTIONS:
            yield from self.give_up(
                task,
                lane,
                token,
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

        def work(conn: sa.Connection) -> None:
            self._leases.check(conn, lane, token)
            decision_table.put_pending(conn, replace(task, held_until=now + delay, reason=why))
            if late and task.reason.code is not Code.WAITS_FOR_BROKER:
                message_table.notify(
                    conn,
                    task.user_id,
                    ExitWaitsForBroker(
                        symbol=task.symbol.text,
                        action=action,
                        problem=quoted(problem) if isinstance(problem, str) else problem,
                    ),
                    now=now,
                    signal_id=task.signal_id,
                )

        yield Write(work)
