"""Indicators whose value follows from the one before: plain loops over floats.

The same source runs on lists in Python and, compiled by numba (without fast arithmetic), on arrays; both give
the same bits. A state is a list of floats that is carried from chunk to chunk, so one candle and a million
take the same path.

Where does such a value begin? Not where the process did. A run that does not know what came before goes on
from the lowest and from the highest value that there can have been, and the value is not known until both
have become the same number. As each step is monotone, rounding included, every other beginning has then
become that number too. An average of 20 takes about 24 x 20 candles for it, Wilder's of 14 about 46 x 14."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from math import inf, nan
from typing import TypeAlias

Numbers: TypeAlias = MutableSequence[float]
Kernel: TypeAlias = Callable[..., None]

EARLIER_VALUES_AT_MOST = 1024.0  # times the largest of the first n
TOO_SMALL_BY = 32.0  # one so much larger says that those were no measure: then it is


def smoothing_state(from_first: bool) -> list[float]:
    """known, lowest, highest, values seen, their total, the largest, from_first"""
    return [0.0, nan, nan, 0.0, 0.0, 0.0, float(from_first)]


def smooth(values: Sequence[float], found: Numbers, state: Numbers, n: float, share: float) -> None:
    """e = e (1 - share) + value share. From the first candle of all it begins with the mean of n values."""
    keep = 1.0 - share
    low, high = state[1], state[2]
    place = 0
    while place < len(values) and state[0] == 0.0:
        value = values[place]
        if value == value:
            if state[3] < n:
                state[3] += 1.0
                state[4] += value
                state[5] = max(state[5], abs(value))
                if state[3] == n and state[6] == 1.0:
                    low = high = state[4] / n
                elif state[3] == n:
                    high = EARLIER_VALUES_AT_MOST * state[5]
                    low = -high
                    if high == 0.0:  # n times nothing says nothing
                        state[3] = 0.0
            else:
                low = low * keep + value * share
                high = high * keep + value * share
                if abs(value) > TOO_SMALL_BY * state[5]:
                    state[5] = abs(value)
                    high = max(high, EARLIER_VALUES_AT_MOST * state[5])
                    low = min(low, -high)
            if low == high and state[3] == n:
                state[0] = 1.0
            found[place] = low if state[0] == 1.0 else nan
        else:
            found[place] = nan
        place += 1
    average = low
    for later in range(place, len(values)):
        value = values[later]
        if value == value:
            average = average * keep + value * share
            found[later] = average
        else:
            found[later] = nan
    state[1], state[2] = average, (average if state[0] == 1.0 else high)


def supertrend_state(from_first: bool) -> list[float]:
    """begun, the bands before, the lowest and highest that a stop below and one above can be, from_first"""
    return [0.0, nan, nan, inf, -inf, inf, -inf, float(from_first)]


def supertrend(
    close: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float],
    found: Numbers,
    state: Numbers,
    direction: float,
) -> None:
    """The trailing stop, or its direction: 1 below the price, -1 above it. A stop moves with the price alone,
    and changes sides when a close breaks it; a close beyond the band of the candle before sets it afresh. All
    stops that there can be are followed, and the value is known once there is but one."""
    begun, band_above, band_below, rise, rise_most, fall, fall_most, first = state
    for place in range(len(close)):
        price, above, below = close[place], upper[place], lower[place]
        found[place] = nan
        if not (price == price and above == above and below == below):
            continue
        under, under_most, over, over_most = inf, -inf, inf, -inf  # none, as yet
        if begun == 0.0:
            under, under_most = below, (below if first == 1.0 else inf)
            if first == 0.0:
                over, over_most = -inf, above
        if rise <= rise_most:
            if price > band_above:
                under, under_most = below, below
            else:
                if rise_most > price:
                    over, over_most = above, above
                if rise <= price:
                    under, under_most = max(below, rise), max(below, min(rise_most, price))
        if fall <= fall_most:
            if fall < price:
                under, under_most = min(under, below), max(under_most, below)
            if fall_most >= price and price < band_below:
                over, over_most = min(over, above), max(over_most, above)
            elif fall_most >= price:
                over = min(over, above, max(fall, price))
                over_most = max(over_most, min(above, fall_most))
        begun, band_above, band_below = 1.0, above, below
        rise, rise_most, fall, fall_most = under, under_most, over, over_most
        if over > over_most and under == under_most:
            found[place] = 1.0 if direction == 1.0 else under
        elif under > under_most and over == over_most:
            found[place] = -1.0 if direction == 1.0 else over
    state[0], state[1], state[2] = begun, band_above, band_below
    state[3], state[4], state[5], state[6] = rise, rise_most, fall, fall_most


def vwap_state(from_first: bool) -> list[float]:
    """session, price times volume, volume, known"""
    return [nan, 0.0, 0.0, float(from_first)]


def session_vwap(
    price: Sequence[float], volume: Sequence[float], session: Sequence[float], found: Numbers, state: Numbers
) -> None:
    """The mean price of the session so far, by volume; known once a session was seen from its beginning."""
    for place in range(len(price)):
        if session[place] != state[0]:
            state[3] = 1.0 if state[0] == state[0] else state[3]
            state[0], state[1], state[2] = session[place], 0.0, 0.0
        weight = price[place] * volume[place]
        if weight == weight:
            state[1] += weight
            state[2] += volume[place]
        found[place] = state[1] / state[2] if state[3] == 1.0 and state[2] > 0.0 else nan
