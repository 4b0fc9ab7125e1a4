"""What a condition means, said a second time and differently: one candle at a time, in plain Python, looking
back by index. Indicators are taken from the product, one by one over all candles: pandas-ta-classic is the
second opinion on those."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite, isnan, nan
from zoneinfo import ZoneInfo

import numpy as np

from dashtrade.market.conditions import tree
from dashtrade.market.indicators.columns import Columns
from dashtrade.market.indicators.executor import Executor
from dashtrade.market.indicators.graph import OWN, Frame, Graph, Market

Held = Mapping[str, float]


class Reference:
    """Candles without gaps in them."""

    def __init__(self, frames: Mapping[Frame, Columns]) -> None:
        self._frames = frames
        self._closes = {frame: columns.closed_at.tolist() for frame, columns in frames.items()}
        self._series: dict[tuple[Frame, tree.Numeric], list[float]] = {}

    def truth(self, node: tree.Condition, place: int, held: Held, frame: Frame = OWN) -> bool | None:
        if place < 0:
            return None
        match node:
            case tree.Comparison():
                sides = (self.number(side, place, held, frame) for side in (node.left, node.right))
                return compared(node.operator, *sides)
            case tree.Crossing():
                return self._crosses(node, place, held, frame)
            case tree.AllOf(parts=parts):
                return all_of([self.truth(part, place, held, frame) for part in parts])
            case tree.AnyOf(parts=parts):
                return any_of([self.truth(part, place, held, frame) for part in parts])
            case tree.Negation(part=part):
                found = self.truth(part, place, held, frame)
                return None if found is None else not found
            case tree.Lasting(part=part, bars=bars):
                return all_of([self.truth(part, place - back, held, frame) for back in range(bars)])
            case tree.Recent(part=part, bars=bars):
                return any_of([self.truth(part, place - back, held, frame) for back in range(bars)])
            case tree.DayTime():
                closed = datetime.fromtimestamp(self._closes[frame][place] / 1000, UTC)
                local = closed.astimezone(ZoneInfo(node.zone))
                minute = local.hour * 60 + local.minute
                if node.start <= node.end:
                    return node.start <= minute <= node.end
                return not node.end < minute < node.start
            case tree.ConditionAt(part=part):
                there = Frame(node.symbol, node.timeframe)
                return self.truth(part, self._last_closed(there, place), held, there)

    def number(self, node: tree.Numeric, place: int, held: Held, frame: Frame = OWN) -> float:
        """NaN: not known."""
        match node:
            case tree.Constant(value=value):
                return value
            case _ if place < 0:
                return nan
            case tree.HeldValue(name=name):
                return held.get(name, nan)
            case tree.Earlier(series=series, bars=bars):
                return self.number(series, place - bars, held, frame)
            case tree.SeriesAt(series=series):
                there = Frame(node.symbol, node.timeframe)
                return self.number(series, self._last_closed(there, place), held, there)
            case tree.Negative(series=series):
                return -self.number(series, place, held, frame)
            case tree.Arithmetic(operator=operator):
                return calculated(
                    operator,
                    self.number(node.left, place, held, frame),
                    self.number(node.right, place, held, frame),
                )
        return self._whole(node, frame)[place]

    def _crosses(self, node: tree.Crossing, place: int, held: Held, frame: Frame) -> bool | None:
        now, before = (">", "<=") if node.direction == "above" else ("<", ">=")
        at = [self.number(side, place, held, frame) for side in (node.left, node.right)]
        was = [self.number(side, place - 1, held, frame) for side in (node.left, node.right)]
        return all_of([compared(now, *at), compared(before, *was)])

    def _last_closed(self, there: Frame, place: int) -> int:
        return bisect_right(self._closes[there], self._closes[OWN][place]) - 1

    def _whole(self, node: tree.Numeric, frame: Frame) -> list[float]:
        """A price or an indicator at all candles of a frame."""
        if (frame, node) not in self._series:
            self._series[frame, node] = self._computed(node, frame)
        return self._series[frame, node]

    def _computed(self, node: tree.Numeric, frame: Frame) -> list[float]:
        columns, graph = self._frames[frame], Graph()
        market = Market(graph)
        if isinstance(node, tree.IndicatorValue):
            from dashtrade.market.indicators.registry import INDICATORS

            kind = INDICATORS[node.name]
            source = market.line(kind.source or "close")
            if node.series is not None:  # given in place of the bids, which no indicator reads
                values = [self.number(node.series, place, {}, frame) for place in range(len(columns))]
                columns = _with_bid(columns, values)
                source = market.line("bid")
            settings = [each.value for each in node.settings if isinstance(each, tree.Constant)]
            line = kind.build(market, source, *settings)[node.output]
        else:
            assert isinstance(node, tree.PriceValue)
            line = market.line(node.name)
        found = Executor(graph, [line.number]).advance({OWN: columns})[line.number]
        return [float(value) for value in found]


def _with_bid(columns: Columns, values: list[float]) -> Columns:
    from dataclasses import replace

    return replace(columns, bid=np.array(values))


def compared(operator: str, left: float, right: float) -> bool | None:
    if isnan(left) or isnan(right):
        return None
    return {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "=": left == right,
        "!=": left != right,
    }[operator]


def calculated(operator: str, left: float, right: float) -> float:
    if isnan(left) or isnan(right) or (operator == "/" and right == 0):
        return nan
    found = {"+": left + right, "-": left - right, "*": left * right}.get(operator)
    found = left / right if found is None else found
    return found if isfinite(found) else nan


def all_of(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True


def any_of(truths: list[bool | None]) -> bool | None:
    if True in truths:
        return True
    return None if None in truths else False
