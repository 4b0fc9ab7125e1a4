"""What a schedule's seed decides instead of the world: ids, clocks, and the threads that do not exist.

The engine reads its ids and the monotonic clock from module-level names; they are put in place once a
process, and stand for the schedule that runs now."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from dashtrade.domain import values
from dashtrade.engine import lanes, market_snapshot, watch
from tests.support.fakes import MORNING

JULIAN_1970 = 2440587.5


class Clock:
    """Two clocks: `elapsed`, which only goes forward, and the wall clock of our machine, which may jump."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.elapsed, self.jumped = timedelta(0), timedelta(0)

    def now(self) -> datetime:
        return MORNING + self.elapsed + self.jumped

    def true_now(self) -> datetime:
        """What the venue's clock shows."""
        return MORNING + self.elapsed

    def seconds(self) -> float:
        return self.elapsed.total_seconds()

    def forward(self, seconds: float) -> None:
        self.elapsed += timedelta(seconds=seconds)


class InlinePool:
    """In the place of a pool of threads: done at once, in the caller's thread."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, fn: Callable[[], Any]) -> Future[Any]:
        coming: Future[Any] = Future()
        try:
            coming.set_result(fn())
        except Exception as error:
            coming.set_exception(error)
        return coming

    def shutdown(self, **_: Any) -> None:
        pass


class Chance:
    """The schedule's random numbers: one stream for what happens, one for ids."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.of_events = random.Random(f"events/{seed}")
        self.of_ids = random.Random(f"ids/{seed}")

    def token_hex(self, size: int) -> str:
        return f"{self.of_ids.getrandbits(8 * size):0{2 * size}x}"


_now: Chance = Chance(0)


def start(seed: int) -> Chance:
    global _now
    _now = Chance(seed)
    return _now


def take_over(clock: Clock) -> None:
    """Ids and monotonic time by the schedule, from now on, in this process."""
    ids: Any = SimpleNamespace(token_hex=lambda size: _now.token_hex(size))
    time: Any = SimpleNamespace(monotonic=clock.seconds)
    for module, name, stand_in in (
        (values, "secrets", ids),
        (lanes, "time", time),
        (watch, "time", time),
        (market_snapshot, "ThreadPoolExecutor", InlinePool),
    ):
        assert hasattr(module, name), f"{module.__name__} takes its {name} from elsewhere now"
        setattr(module, name, stand_in)
