"""Recurrences by numba where it is installed (the extra "fast") and there is enough to do. Same bits.

It costs half a second to load and some more to compile, so short histories and live candles go without it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from dashtrade.market.indicators.columns import Array, Floats
from dashtrade.market.indicators.recurrences import Kernel, Numbers

WORTH_IT_FROM_BARS = 300_000


def is_worth_it(bars: int) -> bool:
    return bars >= WORTH_IT_FROM_BARS and is_installed()


@cache
def is_installed() -> bool:
    return find_spec("numba") is not None


@cache
def _compiled(kernel: Kernel) -> Kernel:
    made: Kernel = import_module("numba").njit(kernel)
    return made


def run(
    kernel: Kernel, inputs: Sequence[Array], state: Numbers, settings: Sequence[float], fast: bool
) -> Floats:
    """One chunk; `state` is changed."""
    if fast:
        found = np.empty(len(inputs[0]))
        carried = np.array(state)
        floats = [np.ascontiguousarray(each, dtype=np.float64) for each in inputs]
        _compiled(kernel)(*floats, found, carried, *settings)
        state[:] = carried.tolist()
        return found
    listed = [0.0] * len(inputs[0])
    kernel(*(each.astype(np.float64).tolist() for each in inputs), listed, state, *settings)
    return np.array(listed)
