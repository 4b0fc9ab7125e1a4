"""Conditions as a plan: one graph for all rules, what has to be loaded before the first decision, what a
candle costs. All of it is known before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from dashtrade.domain.record import record
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.conditions import names
from dashtrade.market.conditions.checks import check
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.tree import (
    AllOf,
    AnyOf,
    Arithmetic,
    Comparison,
    Condition,
    ConditionAt,
    Constant,
    Crossing,
    DayTime,
    Earlier,
    HeldValue,
    IndicatorValue,
    Lasting,
    Negation,
    Negative,
    Numeric,
    Parameter,
    PriceValue,
    Recent,
    SeriesAt,
)
from dashtrade.market.indicators.graph import OWN, Frame, Graph, Line, Market, constant
from dashtrade.market.indicators.operations import OPERATIONS
from dashtrade.market.indicators.registry import INDICATORS

DAY_SECONDS = 86_400
# A candle of a stock's hour passes for every 5.2 hours of the week (6.5 of 24 hours on 5 of 7 days).
HOURS_PER_TRADED_HOUR = 6

_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


@record
class PlannedTest:
    """One comparison, crossing or time within a rule. `values` are the two sides, then the two before."""

    test: Comparison | Crossing | DayTime
    truth: int
    values: tuple[int, ...]


@record(eq=False)
class ConditionPlan:
    rules: Mapping[str, Condition]
    timeframe: str
    graph: Graph
    roots: Mapping[str, int]
    tests: Mapping[str, tuple[PlannedTest, ...]]
    warm_up: Mapping[Frame, int]  # candles of each frame up to the first decision, that one included
    asks: tuple[bool, ...]  # by node: whether it depends on what is held
    nanoseconds: float  # of a candle, without compiled code, on a usual machine

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The other symbols and timeframes that it reads."""
        return tuple(frame for frame in self.warm_up if frame != OWN)


def plan_for(rules: Mapping[str, Condition], timeframe: str) -> ConditionPlan:
    """Raises ConditionError where a rule is malformed, too costly, looks too far back, reads candles that are
    shorter than its own, or has parameters without a value."""
    planner = _Planner(Timeframe.parse(timeframe))
    roots, tests = {}, {}
    for name, condition in rules.items():
        check(condition)
        planner.tests = []
        roots[name] = planner.condition(condition, OWN)
        tests[name] = tuple(planner.tests)
    warm_up = _warm_up(planner.graph, planner.timeframe)
    cost = sum(
        OPERATIONS[node.operation].cost(node.settings)
        for node in planner.graph.nodes
        if node.operation in OPERATIONS
    )
    if len(warm_up) - 1 > names.MOST_FRAMES:
        raise ConditionError(Fault.TOO_MANY_FRAMES, count=len(warm_up) - 1, most=names.MOST_FRAMES)
    if max(warm_up.values()) > names.MOST_WARM_UP_BARS:
        bars = max(warm_up.values())
        raise ConditionError(Fault.TOO_FAR_BACK, bars=bars, most=names.MOST_WARM_UP_BARS)
    if cost > names.MOST_NANOSECONDS:
        raise ConditionError(Fault.TOO_COSTLY, cost=round(cost), most=names.MOST_NANOSECONDS)
    return ConditionPlan(
        rules=dict(rules),
        timeframe=planner.timeframe.text,
        graph=planner.graph,
        roots=roots,
        tests=tests,
        warm_up=warm_up,
        asks=_asks(planner.graph),
        nanoseconds=cost,
    )


class _Planner:
    def __init__(self, timeframe: Timeframe) -> None:
        self.timeframe, self.graph = timeframe, Graph()
        self.tests: list[PlannedTest] = []

    def condition(self, node: Condition, frame: Frame) -> int:
        add = self.graph.add
        match node:
            case Comparison(operator=operator):
                left, right = self._number(node.left, frame), self._number(node.right, frame)
                truth = add(operator, left.number, right.number, frame=frame)
                return self._test(node, truth, (left, right))
            case Crossing():
                return self._crossing(node, frame)
            case AllOf(parts=parts) | AnyOf(parts=parts):
                operation = "and" if isinstance(node, AllOf) else "or"
                found, *others = (self.condition(part, frame) for part in parts)
                for other in others:
                    found = add(operation, found, other, frame=frame)
                return found
            case Negation(part=part):
                return add("not", self.condition(part, frame), frame=frame)
            case Lasting(part=part, bars=bars):
                return add("always", self.condition(part, frame), settings=[bars], frame=frame)
            case Recent(part=part, bars=bars):
                return add("ever", self.condition(part, frame), settings=[bars], frame=frame)
            case DayTime(start=start, end=end, zone=zone):
                closed_at = add("column", settings=["closed_at"], frame=frame)
                truth = add("between", closed_at, settings=[start, end, zone], frame=frame)
                return self._test(node, truth, ())
            case ConditionAt(part=part):
                return self._brought(self.condition(part, self._frame(node)))

    def _crossing(self, node: Crossing, frame: Frame) -> int:
        left, right = self._number(node.left, frame), self._number(node.right, frame)
        before = (left.before(), right.before())
        now, earlier = (">", "<=") if node.direction == "above" else ("<", ">=")
        is_now = self.graph.add(now, left.number, right.number, frame=frame)
        was_not = self.graph.add(earlier, before[0].number, before[1].number, frame=frame)
        truth = self.graph.add("and", is_now, was_not, frame=frame)
        return self._test(node, truth, (left, right, *before))

    def _number(self, node: Numeric, frame: Frame) -> Line:
        match node:
            case Constant(value=value):
                return constant(self.graph, value, frame)
            case Parameter(name=name):
                raise ConditionError(Fault.UNKNOWN_PARAMETER, name=name, known="none")
            case PriceValue(name=name):
                return Market(self.graph, frame).line(name)
            case HeldValue(name=name):
                return Line(self.graph, self.graph.add("held", settings=[name], frame=frame), frame)
            case IndicatorValue():
                return self._indicator(node, frame)
            case Earlier(series=series, bars=bars):
                return self._number(series, frame).before(bars)
            case SeriesAt(series=series):
                inner = self._number(series, self._frame(node))
                return Line(self.graph, self._brought(inner.number), OWN)
            case Arithmetic(operator=operator, left=left, right=right):
                return self._number(left, frame).made(_ARITHMETIC[operator], self._number(right, frame))
            case Negative(series=series):
                return self._number(series, frame).made("negative")

    def _indicator(self, node: IndicatorValue, frame: Frame) -> Line:
        kind, market = INDICATORS[node.name], Market(self.graph, frame)
        settings = []
        for value in node.settings:
            if isinstance(value, Parameter):
                raise ConditionError(Fault.UNKNOWN_PARAMETER, name=value.name, known="none")
            settings.append(value.value)
        source = market.line(kind.source or "close")
        series = source if node.series is None else self._number(node.series, frame)
        return kind.build(market, series, *settings)[node.output]

    def _frame(self, node: SeriesAt | ConditionAt) -> Frame:
        timeframe = node.timeframe
        if timeframe and Timeframe.parse(timeframe) < self.timeframe:
            raise ConditionError(Fault.FINER, timeframe=timeframe, own=self.timeframe.text)
        return Frame(node.symbol, "" if timeframe == self.timeframe.text else timeframe)

    def _brought(self, number: int) -> int:
        """To the own frame."""
        return number if self.graph.nodes[number].frame == OWN else self.graph.add("from_frame", number)

    def _test(self, node: Comparison | Crossing | DayTime, truth: int, values: tuple[Line, ...]) -> int:
        brought = tuple(self._brought(line.number) for line in values)
        self.tests.append(PlannedTest(test=node, truth=self._brought(truth), values=brought))
        return truth


def _asks(graph: Graph) -> tuple[bool, ...]:
    found: list[bool] = []
    for node in graph.nodes:
        found.append(node.operation == "held" or any(found[each] for each in node.inputs))
    return tuple(found)


def _warm_up(graph: Graph, own: Timeframe) -> dict[Frame, int]:
    """How many candles of each frame are needed for one value, from the results back to the columns."""
    back = [0] * len(graph.nodes)
    needed = {OWN: 1}
    for number in reversed(range(len(graph.nodes))):
        node = graph.nodes[number]
        reach = back[number] + _reach(node.operation, node.settings, _seconds(node.frame, own))
        needed[node.frame] = max(needed.get(node.frame, 1), reach + 1)
        for each in node.inputs:
            inner = graph.nodes[each].frame
            here = reach if inner == node.frame else _converted(reach, own.seconds, _seconds(inner, own))
            back[each] = max(back[each], here)
    return needed


def _seconds(frame: Frame, own: Timeframe) -> int:
    return Timeframe.parse(frame.timeframe).seconds if frame.timeframe else own.seconds


def _reach(operation: str, settings: tuple[float | str, ...], seconds: int) -> int:
    if operation not in OPERATIONS:
        return 0
    found = OPERATIONS[operation]
    return found.reach(settings) + found.sessions * (ceil(DAY_SECONDS / seconds) + 1)


def _converted(bars: int, own: int, other: int) -> int:
    """Candles of another frame that pass during these of the own: no more, as it has no shorter ones."""
    return min(bars, ceil(bars * own * HOURS_PER_TRADED_HOUR / other))
