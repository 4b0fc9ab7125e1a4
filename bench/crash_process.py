"""The process that is crashed: forked from one that has loaded everything, so that a start costs
milliseconds.

Time is a number in shared memory that only the engine's process moves on, and only when there is nothing else
to do. The lanes' steps, the collecting of fills and the coming in of signals are mixed at random, from the
run's seed: as a worker's threads would mix them, but the same way each time."""

from __future__ import annotations

import contextlib
import importlib
import json
import mmap
import os
import random
import struct
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.crash_venues import kind
from bench.crash_world import open_app
from dashtrade import failpoints
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.ports import BrokerError
from dashtrade.domain.signals import Origin
from dashtrade.engine.host import Host
from dashtrade.engine.workflow import Call, Workflow
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.trading import orders as order_service
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import people as people_table

HORIZON_SECONDS = 900.0  # seconds of the run's own time in which all must have come to rest
NOT_AT_REST, BROKEN = 3, 4  # exit codes


class SharedClock:
    """Seconds since 1970, the same for the venue and for every engine process forked later."""

    def __init__(self, start: datetime) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.set(start)

    def set(self, moment: datetime) -> None:
        self._memory[:8] = struct.pack("d", moment.timestamp())

    def now(self) -> datetime:
        return datetime.fromtimestamp(struct.unpack("d", self._memory[:8])[0], UTC)

    def forward(self, seconds: float) -> None:
        self.set(self.now() + timedelta(seconds=seconds))


class Zygote:
    """Forked before its owner starts any thread. `run(job)` forks once more, and tells how that process
    ended."""

    def __init__(self, clock: SharedClock, libraries: Sequence[str] = ()) -> None:
        (there, self._jobs), (self._codes, back) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._jobs)
            os.close(self._codes)
            for library in libraries:
                importlib.import_module(library)
            _serve(there, back, clock)
        os.close(there)
        os.close(back)
        self._answers = os.fdopen(self._codes, "r")

    def run(self, job: dict[str, Any]) -> int:
        os.write(self._jobs, (json.dumps(job) + "\n").encode())
        return int(self._answers.readline())

    def close(self) -> None:
        os.close(self._jobs)
        os.waitpid(self._pid, 0)


def _serve(there: int, back: int, clock: SharedClock) -> None:
    with os.fdopen(there, "r") as jobs:
        for line in jobs:
            child = os.fork()
            if child == 0:
                os._exit(_live(json.loads(line), clock))
            os.write(back, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    os._exit(0)


def _live(job: dict[str, Any], clock: SharedClock) -> int:
    """One life of the engine, from a start like any other to its crash or to rest."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    try:
        home = Path(job["home"])
        app = open_app(
            home,
            job["database_url"],
            kind(job["broker"], job["port"], refuses_repeats=job["refuses_repeats"]),
            clock,
        )
        failpoints.arm(*job["crash"])
        return 0 if WorkerLife(app, clock, job).run() else NOT_AT_REST
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return BROKEN


class _Host(Host):
    def __init__(self, life: WorkerLife) -> None:
        self._life = life

    def wake(self, lane: Lane, signal_id: str) -> None:
        self._life.wake(lane)


class WorkerLife:
    def __init__(self, app: App, clock: SharedClock, job: dict[str, Any]) -> None:
        self.app, self.clock, self.engine = app, clock, app.engine
        self.user_id, self.account_id = job["user_id"], job["account_id"]
        self.to_come: list[tuple[int, str]] = [tuple(one) for one in job["to_come"]]
        self.bots, self.busy = job["bots"], job["busy"]
        self.rng = random.Random(job["seed"])
        self.end = clock.now() + timedelta(seconds=HORIZON_SECONDS)
        self.running: dict[Lane, tuple[Workflow[None], Any, BaseException | None]] = {}
        self.again: set[Lane] = set()
        self.receipts = os.open(job["receipts"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.engine.host = _Host(self)

    def run(self) -> bool:
        """True: at rest. A worker's start first: whoever held the lanes is dead."""
        self.app.db.write(lane_table.free_lanes)
        self.engine.leases.renew()
        self._scan()
        still = 0
        while still < 3:
            if self.clock.now() > self.end:
                return False
            if not self._do_something():
                still = still + 1 if self._wait() else 0
        return True

    def _scan(self) -> None:
        for lane in self.engine.open_lanes():
            self.wake(lane)

    def wake(self, lane: Lane) -> None:
        if lane in self.running:
            self.again.add(lane)
        else:
            self.running[lane] = (self.engine.lane_steps(lane), None, None)

    def _do_something(self) -> bool:
        what = self.rng.random()
        if self.to_come and (what < 0.2 or not self.running):
            self._accept()
        elif what < 0.3:
            self._collect()
        elif what < 0.34 and self.busy:
            self._user()
        elif self.running:
            self._step(self.rng.choice(list(self.running)))
        else:
            return False
        return True

    def _wait(self) -> bool:
        """Nothing can go on now: time does. Is everything at rest?"""
        moved = self._collect()
        at_rest = not moved and self._at_rest()
        self.clock.forward(self.rng.choice([0.2, 1, 2, 5]))
        self._scan()
        return at_rest

    def _accept(self) -> None:
        number, body = self.to_come.pop(0)
        if self.rng.random() < 0.4:
            self.clock.forward(self.rng.choice([0.1, 1, 5, 20]))
        answer = self.engine.accept(
            self.user_id, parse(body.encode()).signal, raw=body, origin=Origin.WEBHOOK
        )
        os.write(self.receipts, (json.dumps([number, answer.signal_id]) + "\n").encode())
        if self.rng.random() < 0.15:
            self.to_come.insert(self.rng.randint(0, len(self.to_come)), (number, body))  # it is sent again

    def _user(self) -> None:
        """Their user stops or resumes a bot, or takes an order back."""
        with self.app.db.read() as conn:
            user = people_table.by_id(conn, self.user_id)
            orders = order_table.open_in_account(conn, self.account_id)
        if orders and self.rng.random() < 0.4:
            order_service.cancel(self.app, user, self.rng.choice(orders).id)
        else:
            bot_service.set_active(self.app, user, self.rng.choice(self.bots), self.rng.random() < 0.6)

    def _collect(self) -> bool:
        try:
            moved = self.engine.collect(self.account_id)
        except BrokerError:
            return True  # nothing is known, least of all that nothing moved
        for lane in moved:
            self.wake(lane)
        return bool(moved)

    def _step(self, lane: Lane) -> None:
        """The lane's next effect, as the worker would carry it out."""
        steps, value, error = self.running.pop(lane)
        try:
            effect = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration:
            if lane in self.again:
                self.again.discard(lane)
                self.wake(lane)
            return
        try:
            done = effect.fn() if isinstance(effect, Call) else self.app.db.write(effect.run)
            self.running[lane] = (steps, done, None)
        except Exception as failure:
            self.running[lane] = (steps, None, failure)

    def _at_rest(self) -> bool:
        """Every order ended, rests at the venue or needs attention, and nothing waits but behind such a
        one."""
        with self.app.db.read() as conn:
            orders = order_table.open_in_account(conn, self.account_id)
            waiting = decision_table.open_lanes(conn, self.clock.now() + timedelta(days=1))
        stopped = {o.symbol for o in orders if o.status is OrderStatus.ATTENTION}
        resting = {
            o.id for o in orders if o.status is OrderStatus.WORKING and o.rests and not o.cancel_requested
        }
        return all(o.id in resting or o.symbol in stopped for o in orders) and all(
            lane.symbol in stopped for lane in waiting
        )


def receipts(path: Path) -> list[tuple[int, str]]:
    """What was answered, in a file that outlives the process that answered."""
    with contextlib.suppress(FileNotFoundError):
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()]
    return []
