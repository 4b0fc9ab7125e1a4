"""Every operation of a graph: what it computes from a chunk, what it carries to the next, how many candles
back it looks and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from dashtrade.domain.record import record
from dashtrade.market.indicators import clock, compiled, elementwise, recurrences, windows
from dashtrade.market.indicators.columns import UNKNOWN, Array
from dashtrade.market.indicators.graph import Setting

State: TypeAlias = list[Any]
Inputs: TypeAlias = Sequence[Array]
Settings: TypeAlias = tuple[Setting, ...]

# After so many times n candles an average has, all but surely, forgotten what came before: at most 29 and 54
# in 7,200 trials each (bench.conditions counts those that had not).
EMA_FORGETS = 32
RMA_FORGETS = 64
SUPERTREND_FORGETS = 2_000  # candles; it waits for a move of twice its distance


@record
class Operation:
    run: Callable[[State, Inputs, Settings, bool], Array]  # the last: whether to use compiled code
    start: Callable[[bool], State] = lambda from_first: []
    reach: Callable[[Settings], int] = lambda settings: 0  # candles before this one that it needs
    sessions: int = 0  # and whole trading days before it
    cost: Callable[[Settings], float] = lambda settings: 2.0  # about ns a candle, uncompiled
    is_truth: bool = False


def unknown(like: np.dtype[Any], count: int) -> Array:
    return np.full(count, UNKNOWN if like == np.int8 else np.nan, like)


def _now(function: Callable[..., Array], *, is_truth: bool = False) -> Operation:
    """Looks at one candle at a time."""
    return Operation(run=lambda state, inputs, settings, fast: function(*inputs), is_truth=is_truth)


def _of_last(
    function: Callable[[Array, int], Array], *, cost: float = 10.0, each: float = 0.0, is_truth: bool = False
) -> Operation:
    """Looks at the last n candles, carried from chunk to chunk; before the first, nothing is known."""

    def run(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
        (values,), n = inputs, int(settings[0])
        tail = state[0] if state else unknown(values.dtype, n - 1)
        whole = np.concatenate((tail, values))
        state[:] = [whole[len(whole) - n + 1 :].copy()]
        return function(whole, n)

    return Operation(
        run=run,
        reach=lambda settings: int(settings[0]) - 1,
        cost=lambda settings: cost + each * float(settings[0]),
        is_truth=is_truth,
    )


def _lagged(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
    (values,), n = inputs, int(settings[0])
    whole = np.concatenate((state[0] if state else unknown(values.dtype, n), values))
    state[:] = [whole[len(whole) - n :].copy()]
    return whole[: len(values)]


def _smoothed(share: Callable[[float], float], forgets: int) -> Operation:
    def run(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
        n = float(settings[0])
        return compiled.run(recurrences.smooth, inputs, state, (n, share(n)), fast)

    return Operation(
        run=run,
        start=recurrences.smoothing_state,
        reach=lambda settings: forgets * int(settings[0]) + 16,  # very short ones take a little longer
        cost=lambda settings: 160.0,
    )


def _supertrend(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
    return compiled.run(recurrences.supertrend, inputs, state, (float(settings[0]),), fast)


def _vwap(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
    return compiled.run(recurrences.session_vwap, inputs, state, (), fast)


def _between(state: State, inputs: Inputs, settings: Settings, fast: bool) -> Array:
    start, end, zone = settings
    return clock.is_between(inputs[0], int(start), int(end), str(zone))


OPERATIONS: dict[str, Operation] = {
    "add": _now(elementwise.add),
    "subtract": _now(elementwise.subtract),
    "multiply": _now(elementwise.multiply),
    "divide": _now(elementwise.divide),
    "negative": _now(elementwise.negative),
    "absolute": _now(elementwise.absolute),
    "root": _now(elementwise.root),
    "sign": _now(elementwise.sign),
    "higher": _now(elementwise.higher),
    "lower": _now(elementwise.lower),
    **{name: _now(compare, is_truth=True) for name, compare in elementwise.COMPARISONS.items()},
    "and": _now(elementwise.both, is_truth=True),
    "or": _now(elementwise.either, is_truth=True),
    "not": _now(elementwise.opposite, is_truth=True),
    "lag": Operation(run=_lagged, reach=lambda settings: int(settings[0])),
    "total": _of_last(windows.total),
    "weighted_total": _of_last(windows.weighted_total, cost=30),
    "deviation": _of_last(windows.deviation, cost=40),
    "mean_deviation": _of_last(windows.mean_deviation, each=1.5),
    "highest": _of_last(windows.highest),
    "lowest": _of_last(windows.lowest),
    "since_highest": _of_last(windows.since_highest, cost=40),
    "since_lowest": _of_last(windows.since_lowest, cost=40),
    "always": _of_last(windows.lowest, is_truth=True),
    "ever": _of_last(windows.highest, is_truth=True),
    "ema": _smoothed(lambda n: 2.0 / (n + 1.0), EMA_FORGETS),
    "rma": _smoothed(lambda n: 1.0 / n, RMA_FORGETS),
    "supertrend": Operation(
        run=_supertrend,
        start=recurrences.supertrend_state,
        reach=lambda settings: SUPERTREND_FORGETS,
        cost=lambda settings: 2_000.0,
    ),
    "vwap": Operation(run=_vwap, start=recurrences.vwap_state, sessions=1, cost=lambda settings: 400.0),
    "between": Operation(run=_between, is_truth=True, cost=lambda settings: 20.0),
}
