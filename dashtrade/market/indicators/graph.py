"""What is to be computed, as a graph: each value once, however many conditions want it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from dashtrade.domain.record import record

Setting: TypeAlias = float | str


@record(kw_only=False)
class Frame:
    """Whose candles: empty texts stand for the symbol and the timeframe that the conditions are asked on."""

    symbol: str = ""
    timeframe: str = ""


OWN = Frame()


@record
class Node:
    """One operation on earlier nodes (by number). Operations are named in `operations.OPERATIONS`; `column`,
    `number`, `held` and `from_frame` are the executor's own."""

    operation: str
    inputs: tuple[int, ...] = ()
    settings: tuple[Setting, ...] = ()
    frame: Frame = OWN


@dataclass(slots=True)
class Graph:
    nodes: list[Node] = field(default_factory=list)
    _numbers: dict[Node, int] = field(default_factory=dict)

    def add(self, operation: str, *inputs: int, settings: Iterable[Setting] = (), frame: Frame = OWN) -> int:
        """Its number: the old one, where the same has been asked for before."""
        node = Node(operation=operation, inputs=inputs, settings=tuple(settings), frame=frame)
        found = self._numbers.setdefault(node, len(self.nodes))
        if found == len(self.nodes):
            self.nodes.append(node)
        return found

    def reachable(self, wanted: Iterable[int]) -> list[int]:
        """These nodes and all that they need, inputs first."""
        found, left = set[int](), list(wanted)
        while left:
            number = left.pop()
            if number not in found:
                found.add(number)
                left += self.nodes[number].inputs
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Line:
    """A node that is a series of numbers; arithmetic with it makes further nodes."""

    graph: Graph
    number: int
    frame: Frame

    def made(self, operation: str, *others: Line | float, settings: Iterable[Setting] = ()) -> Line:
        inputs = [self.number, *(self._line(other).number for other in others)]
        added = self.graph.add(operation, *inputs, settings=settings, frame=self.frame)
        return Line(self.graph, added, self.frame)

    def _line(self, other: Line | float) -> Line:
        return other if isinstance(other, Line) else constant(self.graph, other, self.frame)

    def __add__(self, other: Line | float) -> Line:
        return self.made("add", other)

    def __sub__(self, other: Line | float) -> Line:
        return self.made("subtract", other)

    def __mul__(self, other: Line | float) -> Line:
        return self.made("multiply", other)

    def __truediv__(self, other: Line | float) -> Line:
        return self.made("divide", other)

    def __rmul__(self, other: float) -> Line:
        return self._line(other) * self

    def __rsub__(self, other: float) -> Line:
        return self._line(other) - self

    def before(self, bars: int = 1) -> Line:
        """Its value so many candles ago."""
        if self.graph.nodes[self.number].operation == "number" or bars == 0:
            return self
        return self.made("lag", settings=[bars])


def constant(graph: Graph, value: float, frame: Frame = OWN) -> Line:
    return Line(graph, graph.add("number", settings=[float(value)], frame=frame), frame)


@dataclass(frozen=True, slots=True)
class Market:
    """The columns of one frame's candles as lines."""

    graph: Graph
    frame: Frame = OWN

    def line(self, name: str) -> Line:
        """A column, or a mean of columns (`PRICES`)."""
        return MEANS[name](self) if name in MEANS else self._column(name)

    def _column(self, name: str) -> Line:
        return Line(self.graph, self.graph.add("column", settings=[name], frame=self.frame), self.frame)


def _mean(market: Market, *names: str) -> Line:
    first, *others = (market.line(name) for name in names)
    total = first
    for other in others:
        total = total + other
    return total / len(names)


MEANS: dict[str, Callable[[Market], Line]] = {
    "hl2": lambda market: _mean(market, "high", "low"),
    "hlc3": lambda market: _mean(market, "high", "low", "close"),
    "ohlc4": lambda market: _mean(market, "open", "high", "low", "close"),
    "spread": lambda market: market.line("ask") - market.line("bid"),
}
