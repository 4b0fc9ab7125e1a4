"""Runs a graph over candles, as they come or all at once: one candle is a chunk of one.

Other frames (a longer timeframe, another symbol) are read at their last candle that closed at or before the
own candle's close. What they have by then has to be given before or with the own candle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dashtrade.market.indicators import compiled
from dashtrade.market.indicators.columns import Array, Columns, Moments
from dashtrade.market.indicators.graph import OWN, Frame, Graph, Node
from dashtrade.market.indicators.operations import OPERATIONS, State, unknown

BLOCK_BARS = 16_384  # so that what a block computes stays in the processor's cache
TRUTH, NUMBER = np.dtype(np.int8), np.dtype(np.float64)


class _LastClosed:
    """Another frame's values, at the last candle that had closed."""

    def __init__(self, kinds: Mapping[int, np.dtype[np.int8] | np.dtype[np.float64]]) -> None:
        self._closed_at: Moments = np.array([np.iinfo(np.int64).min])
        self._values: dict[int, Array] = {number: unknown(kind, 1) for number, kind in kinds.items()}
        self._places = np.empty(0, np.int64)

    def add(self, closed_at: Moments, values: Mapping[int, Array]) -> None:
        self._closed_at = np.concatenate((self._closed_at, closed_at))
        for number, known in self._values.items():
            self._values[number] = np.concatenate((known, values[number]))

    def look(self, closed_at: Moments) -> None:
        """What was passed by an earlier look is let go."""
        if len(self._places):
            passed = int(self._places[-1])
            self._closed_at = self._closed_at[passed:]
            self._values = {number: values[passed:] for number, values in self._values.items()}
        self._places = np.searchsorted(self._closed_at, closed_at, side="right") - 1

    def seen(self, number: int) -> Array:
        return np.asarray(self._values[number][self._places])


class Executor:
    """Keeps what the last candles have left behind. `advance` answers the wanted nodes of the own frame."""

    def __init__(self, graph: Graph, wanted: Iterable[int], *, fast: bool = False) -> None:
        self._nodes, self._wanted, self._fast = graph.nodes, tuple(dict.fromkeys(wanted)), fast
        self._order: dict[Frame, list[int]] = {OWN: []}
        for number in graph.reachable(self._wanted):
            self._order.setdefault(graph.nodes[number].frame, []).append(number)
        read = {node.inputs[0] for node in map(graph.nodes.__getitem__, self._order[OWN]) if _reads(node)}
        self._others = {
            frame: _LastClosed({number: self._kind(number) for number in read.intersection(numbers)})
            for frame, numbers in self._order.items()
            if frame != OWN
        }
        self._exported = {frame: tuple(read.intersection(self._order[frame])) for frame in self._others}
        self._states: dict[int, State] = {}
        self._begun = set[Frame]()

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The other frames that have to be given."""
        return tuple(self._others)

    def advance(self, chunks: Mapping[Frame, Columns]) -> dict[int, Array]:
        """The next candles: of each other frame those that have closed since, of the own frame as many as
        there are."""
        with np.errstate(all="ignore"):
            for frame, last_closed in self._others.items():
                if frame in chunks and len(chunks[frame]):
                    values = self._run(frame, chunks[frame], self._exported[frame])
                    last_closed.add(chunks[frame].closed_at, values)
            return self._run(OWN, chunks[OWN], self._wanted)

    def _kind(self, number: int) -> np.dtype[np.int8] | np.dtype[np.float64]:
        operation = OPERATIONS.get(self._nodes[number].operation)
        return TRUTH if operation is not None and operation.is_truth else NUMBER

    def _run(self, frame: Frame, columns: Columns, wanted: tuple[int, ...]) -> dict[int, Array]:
        parts: list[dict[int, Array]] = []
        for stretch, after_gap in _stretches(columns):
            if after_gap or frame not in self._begun:
                self._begin(frame, stretch.from_first and not after_gap)
            values = self._computed(frame, stretch)
            parts.append({number: values[number] for number in wanted})
        if len(parts) == 1:
            return parts[0]
        return {number: np.concatenate([part[number] for part in parts]) for number in wanted}

    def _begin(self, frame: Frame, from_first: bool) -> None:
        self._begun.add(frame)
        for number in self._order[frame]:
            operation = OPERATIONS.get(self._nodes[number].operation)
            if operation is not None:
                self._states[number] = operation.start(from_first)

    def _computed(self, frame: Frame, columns: Columns) -> dict[int, Array]:
        if frame == OWN:
            for last_closed in self._others.values():
                last_closed.look(columns.closed_at)
        values: dict[int, Array] = {}
        for number in self._order[frame]:
            node = self._nodes[number]
            match node.operation:
                case "column":
                    values[number] = columns.column(str(node.settings[0]))
                case "number":
                    values[number] = np.full(len(columns), float(node.settings[0]))
                case "held":  # decided where it is known: `evaluation.Trace.verdict`
                    values[number] = np.full(len(columns), np.nan)
                case "from_frame":
                    source = node.inputs[0]
                    values[number] = self._others[self._nodes[source].frame].seen(source)
                case name:
                    inputs = [values[each] for each in node.inputs]
                    values[number] = OPERATIONS[name].run(
                        self._states[number], inputs, node.settings, self._fast
                    )
        return values


def run_whole(graph: Graph, wanted: Iterable[int], frames: Mapping[Frame, Columns]) -> dict[int, Array]:
    """Over all candles at once."""
    own, numbers = frames[OWN], tuple(dict.fromkeys(wanted))
    executor = Executor(graph, numbers, fast=compiled.is_worth_it(max(map(len, frames.values()))))
    others = {frame: columns for frame, columns in frames.items() if frame != OWN}
    parts = []
    for start in range(0, max(len(own), 1), BLOCK_BARS):
        parts.append(executor.advance({**others, OWN: own[start : start + BLOCK_BARS]}))
        others = {}
    return {number: np.concatenate([part[number] for part in parts]) for number in numbers}


def _reads(node: Node) -> bool:
    return node.operation == "from_frame"


def _stretches(columns: Columns) -> Iterator[tuple[Columns, bool]]:
    """Without gaps inside, each with whether one comes before it."""
    gaps = [] if columns.after_gap is None else np.flatnonzero(columns.after_gap).tolist()
    if not gaps:
        yield columns, False
        return
    edges = sorted({0, *gaps})
    for start, end in zip(edges, [*edges[1:], len(columns)], strict=True):
        yield columns[start:end], start in gaps
