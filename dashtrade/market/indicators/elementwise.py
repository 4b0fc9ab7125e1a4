"""Operations that look at one candle at a time. What is no finite number is not known: NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dashtrade.market.indicators.columns import FALSE, TRUE, UNKNOWN, Array, Floats, Truths


def _finite(values: Floats) -> Floats:
    bad = np.isinf(values)
    if bad.any():
        values[bad] = np.nan
    return values


def add(left: Floats, right: Floats) -> Floats:
    return _finite(left + right)


def subtract(left: Floats, right: Floats) -> Floats:
    return _finite(left - right)


def multiply(left: Floats, right: Floats) -> Floats:
    return _finite(left * right)


def divide(left: Floats, right: Floats) -> Floats:
    """By zero: not known."""
    return _finite(left / right)  # 0 / 0 is NaN by itself


def negative(value: Floats) -> Floats:
    return -value


def absolute(value: Floats) -> Floats:
    return np.abs(value)


def root(value: Floats) -> Floats:
    return np.sqrt(value)


def sign(value: Floats) -> Floats:
    return np.sign(value)


def higher(left: Floats, right: Floats) -> Floats:
    return np.maximum(left, right)


def lower(left: Floats, right: Floats) -> Floats:
    return np.minimum(left, right)


def _compared(compare: Callable[[Floats, Floats], Array]) -> Callable[[Floats, Floats], Truths]:
    def truth(left: Floats, right: Floats) -> Truths:
        found = np.where(compare(left, right), np.int8(TRUE), np.int8(FALSE))
        unknown = np.isnan(left + right)  # infinite values do not occur
        if unknown.any():
            found[unknown] = UNKNOWN
        return found

    return truth


COMPARISONS: dict[str, Callable[[Floats, Floats], Truths]] = {
    "<": _compared(np.less),
    "<=": _compared(np.less_equal),
    ">": _compared(np.greater),
    ">=": _compared(np.greater_equal),
    "=": _compared(np.equal),
    "!=": _compared(np.not_equal),
}


def both(left: Truths, right: Truths) -> Truths:
    """Kleene's "and"."""
    return np.minimum(left, right)


def either(left: Truths, right: Truths) -> Truths:
    """Kleene's "or"."""
    return np.maximum(left, right)


def opposite(truth: Truths) -> Truths:
    return np.int8(TRUE) - truth
