"""A worker as the simulation runs it: the real engine, its lanes advanced one half-step at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.simulate.store import World
from dashtrade.domain.accounts import Account
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.ports import Broker, BrokerError, OrderReport
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.host import Host
from dashtrade.engine.watch import Watch
from dashtrade.engine.workflow import Call, Effect, Workflow

Key = tuple[int, str] | int  # a lane, or the number of a stream's report


@dataclass(slots=True)
class Running:
    """A lane's steps: what they were last told, or the effect that they wait for."""

    steps: Workflow[Any]
    lane: Lane | None
    value: Any = None
    error: Exception | None = None
    effect: Effect | None = None
    since: float = 0.0  # when it came to that effect
    acts: bool = False  # the effect is being carried out


class _Host(Host):
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def wake(self, lane: Lane, signal_id: str) -> None:
        self._worker.wake(lane)

    def wait_reason(self, account_id: int, symbol: Symbol) -> Reason:
        if not self._worker.world.compares:
            return NO_REASON
        return self._worker.engine.reconciler.wait_reason(account_id, symbol)


def lane_key(lane: Lane) -> tuple[int, str]:
    return lane.account_id, lane.symbol.text


class Worker:
    """`broken` hears what the engine should never do: end a step with an exception."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        only: bool,
        broker_of: Callable[[Account], Broker],
        broken: Callable[[str], None],
    ) -> None:
        self.world, self.name, self.stalled = world, name, False
        self.engine = world.engine(name, broker_of, _Host(self))
        self._watch = Watch(world.db, world.clock, lambda account: world.feed) if world.compares else None
        self._broken = broken
        self.waited = 0.0  # seconds between the last effect's coming and its being carried out
        self.running: dict[Key, Running] = {}
        self._again: set[Key] = set()
        self._reports = 0
        if only:
            world.free_lanes()
        self.engine.leases.renew()
        self.compare()
        self.scan()

    def wake(self, lane: Lane) -> None:
        key = lane_key(lane)
        if key in self.running:
            self._again.add(key)
        else:
            self.running[key] = Running(self.engine.lane_steps(lane), lane)

    @property
    def free(self) -> list[Key]:
        return [key for key, run in self.running.items() if not run.acts]

    def wake_all(self, lanes: list[Lane]) -> bool:
        for lane in sorted(lanes, key=lane_key):
            self.wake(lane)
        return bool(lanes)

    def scan(self) -> bool:
        return self.wake_all(self.engine.open_lanes())

    def hear(self, account_id: int, report: OrderReport) -> None:
        self._reports += 1
        self.running[self._reports] = Running(self.engine.on_stream_report(account_id, report), None)

    def step(self, key: Key) -> None:
        """Half a step: up to the next effect, or that effect."""
        run = self.running[key]
        if run.effect is None:
            run.since = self.world.clock.seconds()
            try:
                run.effect = (
                    run.steps.throw(run.error) if run.error is not None else run.steps.send(run.value)
                )
            except StopIteration as end:
                self._ended(key, run, end.value)
            except Exception as error:
                self._broken(f"a lane failed: {error!r}")
                del self.running[key]
            return
        effect, run.effect, run.error, run.acts = run.effect, None, None, True
        self.waited = self.world.clock.seconds() - run.since
        try:
            run.value = effect.fn() if isinstance(effect, Call) else self.world.run(effect)
        except Exception as error:
            run.error = error
        run.acts = False

    def _ended(self, key: Key, run: Running, value: Any) -> None:
        del self.running[key]
        if isinstance(value, Lane):  # a report moved something there
            self.wake(value)
        if key in self._again:
            self._again.discard(key)
            if run.lane is not None:
                self.wake(run.lane)

    def run_dry(self, most: int = 2000) -> None:
        """Everything that has begun, to its end."""
        for _ in range(most):
            if not self.running:
                return
            self.step(next(iter(self.running)))
        self._broken("the lanes do not come to an end")

    def collect(self) -> bool:
        moved = False
        accounts = self.world.working_accounts()
        accounts |= {order.account_id for order in self.engine.sender.recently_ended()}
        for account_id in sorted(accounts):
            try:
                moved |= self.wake_all(self.engine.collect(account_id))
            except BrokerError:
                moved = True  # nothing is known, least of all that nothing moved
            except Exception as error:
                self._broken(f"collecting failed: {error!r}")
        return moved

    def compare(self) -> None:
        if not self.world.compares:
            return
        for account_id in self.engine.reconciler.due():
            try:
                self.engine.reconciler.reconcile(account_id)
            except Exception as error:
                self._broken(f"comparing failed: {error!r}")

    def watch_positions(self) -> bool:
        return self._watch is not None and self.wake_all(self._watch.check_all())
