"""The time of day at which a candle closed, on the clock of a place."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from dashtrade.market.indicators.columns import DAY_MS, FALSE, TRUE, Moments, Truths

QUARTER_MS = 900_000  # clocks are changed at a full quarter of an hour
MINUTE_MS = 60_000


def is_between(closed_at: Moments, start: int, end: int, zone: str) -> Truths:
    """Minutes of the day, both included. An end before the start is on the next day."""
    minute = (closed_at + _offsets(closed_at, zone)) % DAY_MS // MINUTE_MS
    after, before = minute >= start, minute <= end
    inside = after & before if start <= end else after | before
    return np.where(inside, np.int8(TRUE), np.int8(FALSE))


def _offsets(closed_at: Moments, zone: str) -> Moments:
    """The place's distance from UTC in ms at each moment: asked a day at a time, and every quarter of an
    hour on days on which it changes."""
    days, which = np.unique(closed_at // DAY_MS, return_inverse=True)
    starts = np.array([_offset(int(day) * DAY_MS, zone) for day in days], np.int64)
    ends = np.array([_offset(int(day + 1) * DAY_MS - 1, zone) for day in days], np.int64)
    found = starts[which]
    for place in np.flatnonzero((starts != ends)[which]):
        found[place] = _offset(int(closed_at[place]) // QUARTER_MS * QUARTER_MS, zone)
    return np.asarray(found)


@lru_cache(maxsize=20_000)
def _offset(moment_ms: int, zone: str) -> int:
    offset = datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)
