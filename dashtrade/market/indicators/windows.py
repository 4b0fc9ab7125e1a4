"""Operations on the last n candles.

Each takes n - 1 values more than it answers. Sums are made by doubling (2, 4, 8 … values, then the parts that
n needs), so a value depends on its n numbers alone, to the last bit: a running sum would carry the rounding
of everything before it. One that is not known makes the window not known, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dashtrade.market.indicators.columns import Array, Floats

Part = TypeVar("Part")


def total(values: Floats, n: int) -> Floats:
    return _by_doubling(values, n, lambda a, b, _na, _nb: a + b, _cut)


def weighted_total(values: Floats, n: int) -> Floats:
    """The oldest once, the next twice, the newest n times."""

    def join(a: tuple[Floats, Floats], b: tuple[Floats, Floats], na: int, _nb: int) -> tuple[Floats, Floats]:
        return a[0] + b[0], a[1] + b[1] + na * b[0]

    return _by_doubling((values, values), n, join, _cut_two)[1]


def deviation(values: Floats, n: int) -> Floats:
    """The standard deviation of the n values themselves (not of a sample)."""

    def join(a: tuple[Floats, Floats], b: tuple[Floats, Floats], na: int, nb: int) -> tuple[Floats, Floats]:
        apart = b[0] / nb - a[0] / na
        return a[0] + b[0], a[1] + b[1] + apart * apart * (na * nb / (na + nb))

    squares = _by_doubling((values, np.zeros(len(values))), n, join, _cut_two)[1]
    return np.sqrt(squares / n)


def mean_deviation(values: Floats, n: int) -> Floats:
    """How far the n values lie from their mean, on average."""
    count = len(values) - n + 1
    mean, found = total(values, n) / n, np.zeros(count)
    for place in range(n):
        found += np.abs(values[place : place + count] - mean)
    return found / n


def highest(values: Array, n: int) -> Array:
    return _extreme(values, n, np.maximum)


def lowest(values: Array, n: int) -> Array:
    return _extreme(values, n, np.minimum)


def since_highest(values: Floats, n: int) -> Floats:
    """How many candles ago the highest of the n was; of equal ones the newest."""

    def join(a: tuple[Floats, Floats], b: tuple[Floats, Floats], _na: int, nb: int) -> tuple[Floats, Floats]:
        newer = b[0] >= a[0]
        return np.maximum(a[0], b[0]), np.where(newer, b[1], a[1] + nb)

    top, ago = _by_doubling((values, np.zeros(len(values))), n, join, _cut_two)
    return np.where(np.isnan(top), np.nan, ago)


def since_lowest(values: Floats, n: int) -> Floats:
    return since_highest(-values, n)


def earlier(values: Array, n: int) -> Array:
    """The value n - 1 candles ago."""
    return values[: len(values) - n + 1]


def _extreme(values: Array, n: int, wins: Any) -> Array:
    """Two overlapping windows of a power of two cover any length."""
    width, level = 1, values
    while 2 * width <= n:
        level = wins(level[:-width], level[width:])
        width *= 2
    count = len(values) - n + 1
    return np.asarray(wins(level[:count], level[n - width : n - width + count]))


def _cut(values: Floats, start: int, end: int) -> Floats:
    return values[start:end]


def _cut_two(pair: tuple[Floats, Floats], start: int, end: int) -> tuple[Floats, Floats]:
    return pair[0][start:end], pair[1][start:end]


def _by_doubling(
    level: Part, n: int, join: Callable[[Part, Part, int, int], Part], cut: Callable[[Part, int, int], Part]
) -> Part:
    """`join(older, newer, their lengths)` of neighbouring windows, oldest first."""
    size = len(level[0]) if isinstance(level, tuple) else len(level)  # type: ignore[arg-type]
    count, width, done = size - n + 1, 1, 0
    found: Part | None = None
    while True:
        if n & width:
            part = cut(level, done, done + count)
            found = part if found is None else join(found, part, done, width)
            done += width
        if 2 * width > n:
            assert found is not None
            return found
        windows = size - 2 * width + 1
        level = join(cut(level, 0, windows), cut(level, width, width + windows), width, width)
        width *= 2
