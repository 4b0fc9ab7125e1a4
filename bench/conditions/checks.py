"""One run: a random condition over random candles, and what it is held to. A finding: (check, difference)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np

from bench.conditions.made import OWN_TIMEFRAME, Maker, candles, held_values
from bench.conditions.reference import Reference
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.evaluation import Truth, evaluate
from dashtrade.market.conditions.json_face import from_json, to_json
from dashtrade.market.conditions.plan import ConditionPlan, plan_for
from dashtrade.market.conditions.reading import parse
from dashtrade.market.conditions.text import text_of
from dashtrade.market.conditions.tree import Condition
from dashtrade.market.indicators import compiled
from dashtrade.market.indicators.columns import FALSE, TRUE, UNKNOWN, Array, Columns
from dashtrade.market.indicators.executor import Executor, run_whole
from dashtrade.market.indicators.graph import OWN, Frame

BARS = 1500
RULE = "rule"
TRUTHS = {FALSE: False, UNKNOWN: None, TRUE: True}
TRUTH_NAMES = {Truth.NO: False, Truth.UNKNOWN: None, Truth.YES: True}
REFUSED = (Fault.TOO_DEEP, Fault.TOO_BIG, Fault.TOO_FAR_BACK, Fault.TOO_COSTLY, Fault.TOO_MANY_FRAMES)

Frames = Mapping[Frame, Columns]
Values = Mapping[int, Array]  # by node


class Run:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.counts, self.findings = Counter[str](), list[tuple[str, str]]()
        self.text = ""

    def run(self) -> Run:
        random = self._random
        self.text = Maker(random, with_held=random.random() < 0.4).condition()
        try:
            condition = parse(self.text)
            plan = plan_for({RULE: condition}, OWN_TIMEFRAME)
        except ConditionError as error:
            self._expect("refused", error.code in REFUSED, f"{error.code}: {error.message}")
            self.counts["refused"] += 1
            return self
        frames = candles(random, BARS)
        frames = {frame: frames[frame] for frame in (OWN, *plan.frames)}
        self.counts["conditions"] += 1
        self.counts["bars"] += len(frames[OWN])
        self._faces(condition)
        whole = evaluate(plan, frames)
        for truth in TRUTHS:
            self.counts[str(TRUTHS[truth])] += int(np.sum(whole.truths(RULE) == truth))
        values = all_values(plan, frames)
        self._live(plan, frames, values)
        self._compiled(plan, frames, values)
        self._prefix(plan, frames, values)
        self._gap(plan, frames, values)
        self._restart(plan, frames, values)
        self._meaning(plan, condition, frames)
        return self

    def _expect(self, check: str, holds: bool, difference: str) -> None:
        if not holds:
            self.findings.append((check, difference))

    def _faces(self, condition: Condition) -> None:
        canonical = text_of(condition)
        again = parse(canonical)
        self._expect("text", again == condition and text_of(again) == canonical, canonical)
        self._expect("json", from_json(to_json(condition)) == condition, canonical)

    def _live(self, plan: ConditionPlan, frames: Frames, whole: Values) -> None:
        """Candle by candle, or a few at a time; others as they close."""
        live, start, parts = Executor(plan.graph, own_nodes(plan)), 0, list[Values]()
        given = dict.fromkeys(plan.frames, 0)
        while start < len(frames[OWN]):
            end = min(start + self._random.choice([1, 1, 2, 30, 200]), len(frames[OWN]))
            own = frames[OWN][start:end]
            chunks = {OWN: own}
            for frame in plan.frames:
                closed = int(np.searchsorted(frames[frame].closed_at, own.closed_at[-1], side="right"))
                chunks[frame] = frames[frame][given[frame] : closed]
                given[frame] = closed
            parts.append(live.advance(chunks))
            start = end
        joined = {number: np.concatenate([part[number] for part in parts]) for number in parts[0]}
        self._same("drivers", plan, joined, whole)

    def _compiled(self, plan: ConditionPlan, frames: Frames, whole: Values) -> None:
        if compiled.is_installed():
            self.counts["compiled"] += 1
            fast = Executor(plan.graph, own_nodes(plan), fast=True).advance(frames)
            self._same("compiled", plan, fast, whole)

    def _prefix(self, plan: ConditionPlan, frames: Frames, whole: Values) -> None:
        """What comes later changes nothing."""
        length = self._random.randint(1, BARS - 1)
        last = frames[OWN].closed_at[length - 1]
        part = {
            frame: columns[: int(np.searchsorted(columns.closed_at, last, side="right"))]
            for frame, columns in frames.items()
        }
        before = {number: values[:length] for number, values in whole.items()}
        self._same("prefix", plan, all_values(plan, part), before)

    def _gap(self, plan: ConditionPlan, frames: Frames, whole: Values) -> None:
        """Nothing is known across one: what follows is as if the candles began there."""
        gaps = np.flatnonzero(frames[OWN].after_gap)
        if len(gaps):
            start = int(gaps[-1])
            self.counts["gaps"] += 1
            after = {number: values[start:] for number, values in whole.items()}
            self._same("gap", plan, all_values(plan, {**frames, OWN: frames[OWN][start:]}), after)

    def _restart(self, plan: ConditionPlan, frames: Frames, whole: Values) -> None:
        """Begun later, a value is the same or not known; and known once the planned warm-up was seen. (Until
        the whole has had its own warm-up, it may know a value some candles later than the part does.)"""
        start = self._random.randint(1, BARS // 3)
        first = frames[OWN].closed_at[start]
        part = {
            frame: columns[int(np.searchsorted(columns.closed_at, first)) :]
            for frame, columns in frames.items()
        }
        settled, whole_settled = self._settled(plan, part), self._settled(plan, frames)[start:]
        self.counts["settled"] += int(settled.sum())
        for number, later in all_values(plan, part).items():
            before = whole[number][start:]
            differ = differing(later, before)
            wrong = differ & is_known(later) & (is_known(before) | whole_settled)
            late = differ & settled
            name = plan.graph.nodes[number].operation
            self._expect("restart", not wrong.any(), f"{name} {start} + {first_of(wrong)}")
            self._expect("warm_up", not late.any(), f"{name} {start} + {first_of(late)}")

    def _settled(self, plan: ConditionPlan, frames: Frames) -> Array:
        """Own candles by which every frame has had its warm-up since its beginning or last gap."""
        own = frames[OWN]
        settled = np.ones(len(own), bool)
        for frame, bars in plan.warm_up.items():
            columns = frames[frame]
            gaps = np.zeros(len(columns), bool) if columns.after_gap is None else columns.after_gap
            places = np.arange(len(columns))
            since = places - np.maximum.accumulate(np.where(gaps, places, 0)) if len(columns) else places
            seen = np.concatenate(([False], since + 1 >= bars))
            settled &= seen[np.searchsorted(columns.closed_at, own.closed_at, side="right")]
        return settled

    def _meaning(self, plan: ConditionPlan, condition: Condition, frames: Frames) -> None:
        """Against the reference, at some candles; without gaps, of which it knows nothing."""
        plain = {frame: replace(columns, after_gap=None) for frame, columns in frames.items()}
        trace, reference = evaluate(plan, plain), Reference(plain)
        candidates = set(trace.candidates(RULE).tolist())
        for place in self._places(plain[OWN]):
            held = held_values(self._random)
            expected = reference.truth(condition, place, held)
            outcome = trace.outcome(RULE, place, held)
            found = TRUTH_NAMES[outcome.truth]
            self._expect("meaning", found is expected, f"{found} for {expected} at {place}")
            self._expect("candidates", found is not True or place in candidates, f"missed at {place}")
            self.counts["compared"] += 1

    def _places(self, own: Columns) -> list[int]:
        """Some at random, and some where candles have no range, by which others divide."""
        flat = np.flatnonzero(own.high == own.low).tolist()
        return self._random.sample(range(BARS), 24) + self._random.sample(flat, min(len(flat), 16))

    def _same(self, check: str, plan: ConditionPlan, found: Values, expected: Values) -> None:
        for number, values in found.items():
            differ = differing(values, expected[number])
            name = plan.graph.nodes[number].operation
            self._expect(check, not differ.any(), f"{name}: {differ.sum()}, first {first_of(differ)}")


def all_values(plan: ConditionPlan, frames: Frames) -> Values:
    """Of every node that stands at the own candles."""
    return run_whole(plan.graph, own_nodes(plan), frames)


def own_nodes(plan: ConditionPlan) -> list[int]:
    return [number for number, node in enumerate(plan.graph.nodes) if node.frame == OWN]


def is_known(values: Array) -> Array:
    return values != UNKNOWN if values.dtype == np.int8 else ~np.isnan(values)


def differing(left: Array, right: Array) -> Array:
    """To the last bit."""
    return (left != right) & (is_known(left) | is_known(right))


def first_of(places: Array) -> int:
    return int(places.argmax())
