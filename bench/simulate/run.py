"""Schedules one after another: each from its seed, in a world that is made once and reset."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from dataclasses import dataclass, field

from bench.crash_checks import Finding
from bench.simulate import chance
from bench.simulate.checks import check, check_closed, check_unchanged
from bench.simulate.memory import MemoryWorld
from bench.simulate.mutants import MUTANTS
from bench.simulate.plan import make_plan
from bench.simulate.store import CrashPoints, World, make_world
from bench.simulate.story import Story
from bench.simulate.venue import honest_broker


@dataclass(slots=True, kw_only=True)
class Outcome:
    seed: int
    findings: list[Finding]
    lines: list[str]
    counts: Counter[str] = field(default_factory=Counter)


class _Errors(logging.Handler):
    """An error in the log is a finding: the engine calls it unexpected itself."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.story: Story | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.story is not None:
            error = record.exc_info[1] if record.exc_info else None
            self.story.broken(f"{record.getMessage()}: {error!r}")


class Simulation:
    """One process's worlds. `run` may be called for any seeds in any order, with the same result."""

    def __init__(self, mutant: str | None = None, store: str = "memory") -> None:
        self._in_memory = store == "memory"
        gc.set_threshold(50_000, 20, 50)  # a schedule makes many small things, and few of them in circles
        self._clock, self._points = chance.Clock(), CrashPoints()
        chance.take_over(self._clock)
        self._worlds: dict[str, World] = {}
        if mutant is not None:
            MUTANTS[mutant]()
        self._errors = _Errors()
        log = logging.getLogger("dashtrade")
        log.setLevel(logging.ERROR)
        log.propagate = False
        log.handlers = [self._errors]

    def world(self, kind: str) -> World:
        if kind not in self._worlds:
            chance.start(0)
            made = make_world(
                kind, self._clock, self._points, lambda: honest_broker(self._points, self._clock)
            )
            self._worlds[kind] = MemoryWorld(made) if self._in_memory else made
        return self._worlds[kind]

    def run(self, seed: int, *, traced: bool = False) -> Outcome:
        plan = make_plan(seed, compares=not self._in_memory)
        world = self.world(plan.kind)
        world.feed.prices.clear()
        world.begin()
        try:
            story = Story(world, plan, chance.start(seed), [] if traced else None)
            self._errors.story = story
            findings = self._live(story)
            return Outcome(seed=seed, findings=findings, lines=story.lines or [], counts=_counts(story))
        finally:
            self._errors.story = None
            world.reset()

    @staticmethod
    def _live(story: Story) -> list[Finding]:
        story.run()
        quiet = story.come_to_rest()
        before = story.world.records()
        found = [*story.findings, *check(story, before)]
        if not quiet:
            found.append(("stuck", "it did not come to rest"))
        if found:
            return found
        story.restart_at_rest()
        found += check_unchanged(before, story.world.records())
        if not story.close_all():
            found.append(("stuck", "it did not come to rest after the close"))
        after = story.world.records()
        return [*found, *story.findings, *check_closed(after), *check(story, after)]

    def close(self) -> None:
        for world in self._worlds.values():
            world.app.close()


def _counts(story: Story) -> Counter[str]:
    counts = Counter(
        {
            "alerts": len(story.acknowledged),
            "orders": len(story.books.orders),
            "commits": story.world.commits,
            "crashes": story.crashed,
        }
    )
    counts.update({f"fault {name}": n for name, n in story.books.faults.items()})
    return counts
