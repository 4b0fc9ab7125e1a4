"""Conditions over candles: as they close, or all at once. Both run the same plan through the same executor.

What the bot holds is not known to arrays: a rule that asks for it is left undecided there where it could be
true, and `outcome` (or `decided`, for a stretch of candles) decides with the values of the moment. Live it is
the same call."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isnan, nan

import numpy as np

from dashtrade.domain.record import record
from dashtrade.market.conditions.plan import ConditionPlan, PlannedTest
from dashtrade.market.conditions.tree import Comparison, Crossing, DayTime
from dashtrade.market.indicators.columns import FALSE, TRUE, UNKNOWN, Array, Columns, Floats, Moments, Truths
from dashtrade.market.indicators.executor import Executor, run_whole
from dashtrade.market.indicators.graph import OWN, Frame
from dashtrade.market.indicators.operations import OPERATIONS


class Truth(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


_TRUTHS = {FALSE: Truth.NO, UNKNOWN: Truth.UNKNOWN, TRUE: Truth.YES}


@record
class Finding:
    """One test with the numbers it was decided by; None where one is not known. A crossing has those of the
    candle before too."""

    test: Comparison | Crossing | DayTime
    truth: Truth
    left: float | None = None
    right: float | None = None
    left_before: float | None = None
    right_before: float | None = None


@record
class RuleOutcome:
    truth: Truth
    closed_at: int  # of the candle, milliseconds since 1970
    findings: tuple[Finding, ...]

    @property
    def fires(self) -> bool:
        """What is not known never does."""
        return self.truth is Truth.YES


class Trace:
    """What a plan came to at each candle of a chunk."""

    def __init__(self, plan: ConditionPlan, closed_at: Moments, values: Mapping[int, Array]) -> None:
        self._plan, self._closed_at, self._values = plan, closed_at, values

    def __len__(self) -> int:
        return len(self._closed_at)

    def truths(self, rule: str) -> Truths:
        """FALSE, UNKNOWN or TRUE at each candle, with nothing known of what is held."""
        return self._values[self._plan.roots[rule]]

    def candidates(self, rule: str) -> Array:
        """The candles at which it is true, or true for some holding: ask `outcome` there."""
        asks = self._plan.asks[self._plan.roots[rule]]
        truths = self.truths(rule)
        return np.flatnonzero(truths != FALSE if asks else truths == TRUE)

    def decided(self, rule: str, stretch: slice, held: Mapping[str, Floats]) -> Truths:
        """With what is held at each candle of a stretch, as a backtest knows it while a position is open."""
        return self._stretch(stretch, held).values(self._plan.roots[rule])

    def outcome(self, rule: str, place: int = -1, held: Mapping[str, float] | None = None) -> RuleOutcome:
        """With what it was decided by. `held` has values by the names of `names.HELD`."""
        first = range(len(self))[place]
        moment = {name: np.array([float(value)]) for name, value in (held or {}).items()}
        one = self._stretch(slice(first, first + 1), moment)
        return RuleOutcome(
            truth=_TRUTHS[int(one.values(self._plan.roots[rule])[0])],
            closed_at=int(self._closed_at[first]),
            findings=tuple(one.finding(test) for test in self._plan.tests[rule]),
        )

    def _stretch(self, stretch: slice, held: Mapping[str, Floats]) -> _Stretch:
        return _Stretch(self._plan, self._values, range(len(self))[stretch], held)


class Evaluator:
    """Live: give each closed candle once, after `plan.warm_up` earlier ones in one chunk."""

    def __init__(self, plan: ConditionPlan) -> None:
        self._plan, self._executor = plan, Executor(plan.graph, _kept(plan))

    def advance(self, chunks: Mapping[Frame, Columns]) -> Trace:
        return Trace(self._plan, chunks[OWN].closed_at, self._executor.advance(chunks))


def evaluate(plan: ConditionPlan, frames: Mapping[Frame, Columns]) -> Trace:
    """Over all candles of a history."""
    return Trace(plan, frames[OWN].closed_at, run_whole(plan.graph, _kept(plan), frames))


def _kept(plan: ConditionPlan) -> list[int]:
    """Nodes whose values `outcome` needs: the rules, their tests, and what is joined with what is held."""
    tests = [test for rule in plan.tests.values() for test in rule]
    kept = [*plan.roots.values()]
    kept += [number for test in tests for number in (test.truth, *test.values)]
    for node, is_asking in zip(plan.graph.nodes, plan.asks, strict=True):
        kept += [each for each in node.inputs if is_asking and not plan.asks[each]]
    fixed = ("number", "held")
    return [each for each in dict.fromkeys(kept) if plan.graph.nodes[each].operation not in fixed]


class _Stretch:
    """Some candles, with what is held at them. The operations are those of the whole."""

    def __init__(
        self, plan: ConditionPlan, values: Mapping[int, Array], places: range, held: Mapping[str, Floats]
    ) -> None:
        self._plan, self._held = plan, held
        stretch = slice(places.start, places.stop, places.step)
        self._known = {number: column[stretch] for number, column in values.items() if not plan.asks[number]}
        self._length = len(places)

    def values(self, number: int) -> Array:
        if number not in self._known:
            self._known[number] = self._computed(number)
        return self._known[number]

    def finding(self, test: PlannedTest) -> Finding:
        """At the first of them."""
        sides = [float(self.values(number)[0]) for number in test.values]
        known = [None if isnan(side) else side for side in sides] + [None] * (4 - len(sides))
        return Finding(
            test=test.test,
            truth=_TRUTHS[int(self.values(test.truth)[0])],
            left=known[0],
            right=known[1],
            left_before=known[2],
            right_before=known[3],
        )

    def _computed(self, number: int) -> Array:
        node = self._plan.graph.nodes[number]
        if node.operation == "number":
            return np.full(self._length, float(node.settings[0]))
        if node.operation == "held":
            column = self._held.get(str(node.settings[0]))
            return np.full(self._length, nan) if column is None else column
        inputs = [self.values(each) for each in node.inputs]
        with np.errstate(all="ignore"):
            return OPERATIONS[node.operation].run([], inputs, node.settings, False)
