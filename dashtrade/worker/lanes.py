"""Drives the lanes that have work.

One thread drives all lanes step by step: writes that are ready together go into one commit, and network
calls wait in a pool of threads. (A thread per lane was measured first: SQLite's driver releases the GIL at
every statement, and sixteen threads passing it around took three times as long as one.)"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bot_database import DatabaseUnavailable
from bot_engine import log_accepted
from dashtrade.context import App
from dashtrade.domain.as_json import named_json, to_json
from dashtrade.domain.kernel.accepting import Alert
from dashtrade.domain.kernel.lane import Lane
from dashtrade.engine.at_once import Taken
from dashtrade.engine.batches import Batches
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.steps import AccountBusy, Step
from dashtrade.engine.workflow import Call, Workflow, Write
from dashtrade.failpoints import failpoint
from dashtrade.processes.worker_ipc import ClientConnection

log = logging.getLogger("dashtrade.worker")

WRITES_PER_COMMIT = 16  # lanes' writes in one commit
ALERTS_PER_COMMIT = 64

# concurrent network calls, in total and per account, so that a hanging broker blocks no other account
CALLS, CALLS_PER_ACCOUNT = 64, 4
STOP_SECONDS = 15.0  # for steps in progress at shutdown


class Lanes:
    """Drives the lanes that have work. `wake` is thread-safe, and cheap if there is nothing to do."""

    def __init__(self, app: App) -> None:
        self._db, self._engine = app.db, app.engine
        self.on_accepted: Callable[[ClientConnection, str, int | None], None] = (
            lambda connection, signal_id, owner: None
        )
        # run by the lanes' thread
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(CALLS, thread_name_prefix="call")
        self._running: dict[object, Workflow[None]] = {}  # by lane, or by a unique object
        self._rerun: set[object] = set()
        self._alerts: list[tuple[ClientConnection, int, Alert]] = []
        self._ready: deque[tuple[object, Any, BaseException | None]] = deque()
        self._calls_running: Counter[int] = Counter()  # by account
        # by account: calls waiting for a running one to end
        self._queued: dict[int, deque[tuple[Lane, Call]]] = {}
        self._writes: list[tuple[object, Step | Write]] = []
        self._batches = Batches(app.db)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lanes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self, lane: Lane) -> None:
        self._inbox.put(lambda: self._wake(lane))

    def accept(self, connection: ClientConnection, number: int, alert: Alert) -> None:
        """Store an alert from another process; the reply is sent once the alert is durable."""
        self._inbox.put(lambda: self._alerts.append((connection, number, alert)))

    def run_beside(self, steps: Workflow[None]) -> None:
        """Run steps that belong to no lane, such as booking a stream's report: their writes share the lanes'
        commits. Thread-safe."""
        self._inbox.put(lambda: None if self._stopping else self._begin(object(), steps))

    def stop(self) -> None:
        """Finish the steps in progress; work that has not begun stays in the database."""
        self._stopping = True
        self._inbox.put(lambda: None)
        self._thread.join(STOP_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not (self._stopping and not self._running):
            self._drain_inbox(block=not self._ready and not self._writes and not self._alerts)
            self._accept()
            while self._ready:
                self._step(*self._ready.popleft())
            self._commit()

    def _drain_inbox(self, *, block: bool) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get(block=block, timeout=1.0 if block else None)()
                block = False

    def _accept(self) -> None:
        """Store, decide and book as many of the received alerts as one commit has time for: before other
        writes, as their senders wait."""
        if not self._alerts:
            return
        at_once = self._engine.at_once
        jobs = [
            partial(at_once.take, alert=alert, is_busy=self._running.__contains__)
            for _, _, alert in self._alerts[:ALERTS_PER_COMMIT]
        ]
        done = self._batches.run(jobs)
        taken, self._alerts = self._alerts[: len(done)], self._alerts[len(done) :]
        for (connection, number, alert), one in zip(taken, done, strict=True):
            if one.error is not None:
                connection.tell("accepted", number, None)
                continue
            self._on_taken(connection, number, alert, one.result)

    def _on_taken(self, connection: ClientConnection, number: int, alert: Alert, taken: Taken) -> None:
        failpoint("after_accept_commit")
        receipt, host = taken.receipt, self._engine.host
        if taken.outcome is None:
            waits = alert.owner if alert.sender_waits else None
            self.on_accepted(connection, receipt.signal_id, waits)
        connection.tell("accepted", number, named_json(receipt))
        failpoint("after_decide_commit")
        for signal_id in taken.other_signals:
            host.on_change(signal_id)
        if taken.outcome is not None:
            connection.tell("change", receipt.signal_id, to_json(taken.outcome))
        else:
            host.on_change(receipt.signal_id)
        log_accepted(alert, receipt)
        for lane in taken.unfinished:
            self._wake(lane)

    def _wake(self, lane: Lane) -> None:
        if lane in self._running:
            self._rerun.add(lane)
        elif not self._stopping:
            self._begin(lane, self._engine.lane_steps(lane))

    def _begin(self, lane: object, steps: Workflow[None]) -> None:
        self._running[lane] = steps
        self._ready.append((lane, None, None))

    def _step(self, lane: object, value: Any, error: BaseException | None) -> None:
        """Advance the lane to its next write or call."""
        steps = self._running[lane]
        try:
            effect = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration:
            self._end(lane)
        except DatabaseUnavailable as unavailable:
            log.warning("lane %s waits: %s", lane, unavailable)
            self._end(lane, again=False)
        except Exception:
            log.exception("lane %s failed; it is tried again at the next look", lane)
            self._end(lane, again=False)
        else:
            if isinstance(effect, Call) and isinstance(lane, Lane):
                self._call_for_account(lane, effect)
            elif isinstance(effect, Call):
                self._pool.submit(self._call, lane, effect)
            elif self._db.is_sqlite or isinstance(effect, Step):
                self._writes.append((lane, effect))
            else:
                self._run_apart(lane, effect)

    def _run_apart(self, lane: object, effect: Step | Write) -> None:
        """In a transaction of its own, which may wait."""
        self._pool.submit(self._call, lane, Call(lambda: self._db.write(effect.run)))

    def _end(self, lane: object, *, again: bool = True) -> None:
        del self._running[lane]
        wanted = lane in self._rerun
        self._rerun.discard(lane)
        if wanted and again and isinstance(lane, Lane):
            self._wake(lane)

    def _call_for_account(self, lane: Lane, call: Call) -> None:
        """At most CALLS_PER_ACCOUNT at once for an account; further calls are queued."""
        if self._calls_running[lane.account_id] >= CALLS_PER_ACCOUNT:
            self._queued.setdefault(lane.account_id, deque()).append((lane, call))
            return
        self._calls_running[lane.account_id] += 1
        self._pool.submit(self._call, lane, call, lambda: self._call_ended(lane.account_id))

    def _call_ended(self, account_id: int) -> None:
        self._calls_running[account_id] -= 1
        queued = self._queued.get(account_id)
        if queued:
            self._call_for_account(*queued.popleft())
        else:
            self._queued.pop(account_id, None)

    def _call(self, lane: object, call: Call, after: Callable[[], None] = lambda: None) -> None:
        try:
            done: tuple[object, Any, BaseException | None] = lane, call.fn(), None
        except BaseException as error:
            done = lane, None, error

        def deliver_result() -> None:
            self._ready.append(done)
            after()

        self._inbox.put(deliver_result)

    def _commit(self) -> None:
        """Commit pending writes of several lanes together; few at a time, as alerts wait meanwhile."""
        if not self._writes:
            return
        wanted, self._writes = self._writes[:WRITES_PER_COMMIT], self._writes[WRITES_PER_COMMIT:]
        steps = [(lane, effect) for lane, effect in wanted if isinstance(effect, Step)]
        writes = [(lane, effect) for lane, effect in wanted if not isinstance(effect, Step)]
        if writes:
            works = self._db.write_all([write.run for _, write in writes])
            for (lane, _), work in zip(writes, works, strict=True):
                self._ready.append((lane, work.result, work.error))
        if steps:
            done = self._batches.run([partial(KeptBooks.run, step=step) for _, step in steps])
            for (lane, step), one in zip(steps, done, strict=False):
                if isinstance(one.error, AccountBusy):
                    self._run_apart(lane, step)
                else:
                    self._ready.append((lane, one.result, one.error))
            self._writes = [*steps[len(done) :], *self._writes]
