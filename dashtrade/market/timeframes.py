"""Longer candles from shorter ones, when each candle ends, and which ones there should be.

One function makes the higher timeframes wherever they are needed, live and in backtests alike:

- Where a market is open at all hours (`sessions` is None) candles begin at whole multiples of their length in
  UTC, weeks on Monday, months on the first.
- Where it has sessions, those shorter than a day begin at the opening and every length after it, and the last
  one ends at the close; what traded before the opening or after the close is in none of them. A day is a
  session. Days, weeks and months open, by their label, at 00:00 UTC of the session's date, of Monday, of the
  first; they end when their last session closes.

A timeframe of 30 days is a calendar month, one of 7 days a week (`domain.timeframes`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dashtrade.domain.sessions import Sessions
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import Bars, Column, ms_of

DAY = 86_400_000
WEEK = 7 * DAY
MONDAY = 4 * DAY  # the epoch was a Thursday
_MONTH = 30 * DAY
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """Sessions as arrays."""

    days: Column
    opens: Column
    closes: Column


def _arrays(sessions: Sessions) -> _Days:
    return _Days(
        *(np.frombuffer(part, np.int64) for part in (sessions.days, sessions.opens, sessions.closes))
    )


# --- longer ones from shorter ones --------------------------------------------------------------------------


def higher(bars: Bars, made_of: Timeframe, timeframe: Timeframe, sessions: Sessions | None) -> Bars:
    """The bars of a longer timeframe. The first and the last may be of a part of their span only: `ended`
    tells whether the last one is whole."""
    if timeframe == made_of:
        return bars
    if not can_be_made(made_of, timeframe):
        raise ValueError(f"{timeframe} cannot be made of {made_of}")
    labels, inside = _labels(bars.at, made_of, timeframe, sessions)
    if not bool(inside.all()):
        bars, labels = bars.where(inside), labels[inside]
    if not len(bars):
        return bars
    first = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(np.diff(labels)) + 1])
    last = np.append(first[1:], len(bars)) - 1
    if int(bars.volume.max()) * int((last - first + 1).max()) >= 2**63:
        raise OverflowError(f"the volume of a {timeframe} bar does not fit")
    return Bars(
        at=labels[first],
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume, first),
        price_step=bars.price_step,
        volume_step=bars.volume_step,
    )


def can_be_made(made_of: Timeframe, timeframe: Timeframe) -> bool:
    if made_of == timeframe or made_of.seconds * 1000 < DAY:
        whole = DAY // 1000 if _is_by_date(timeframe) else timeframe.seconds
        return made_of == timeframe or whole % made_of.seconds == 0
    if made_of.seconds * 1000 == DAY:
        return _is_by_date(timeframe)
    kinds = {
        (one.seconds * 1000 % _MONTH == 0, one.seconds * 1000 % WEEK == 0) for one in (made_of, timeframe)
    }
    return len(kinds) == 1 and timeframe.seconds % made_of.seconds == 0


def opening(moment: datetime, timeframe: Timeframe, sessions: Sessions | None) -> int:
    """The open time, in milliseconds, of the bar that `moment` lies in; outside sessions, of the next one."""
    at = ms_of(moment)
    if sessions is not None:
        index = min(sessions.ending_after(moment), len(sessions) - 1)
        at = max(at, sessions.opens[index])
    labels, _ = _labels(np.array([at]), Timeframe(1), timeframe, sessions)
    return int(labels[0])


def labels_by_date(at: Column, timeframe: Timeframe) -> Column:
    """Of dates as 00:00 UTC: the days, weeks or months that they are in."""
    span = timeframe.seconds * 1000
    return _dated(at, span) if span % WEEK == 0 or span % _MONTH == 0 else at


def _is_by_date(timeframe: Timeframe) -> bool:
    return timeframe.seconds * 1000 % DAY == 0


def _labels(
    at: Column, made_of: Timeframe, timeframe: Timeframe, sessions: Sessions | None
) -> tuple[Column, Flags]:
    """The open time of the longer bar that each shorter one belongs to, and whether it belongs to one."""
    span = timeframe.seconds * 1000
    if sessions is None:
        return _dated(at, span) if _is_by_date(timeframe) else at // span * span, np.ones(len(at), np.bool_)
    known = _arrays(sessions)
    if _is_by_date(made_of):  # its open time is a date
        index = np.searchsorted(known.days, at, "right") - 1
        inside = (index >= 0) & (known.days[index] == at)
    else:
        index = np.searchsorted(known.opens, at + made_of.seconds * 1000 - 1, "right") - 1
        inside = (index >= 0) & (at < known.closes[index])
    if not _is_by_date(timeframe):
        past = np.maximum(at - known.opens[index], 0)
        return known.opens[index] + past // span * span, inside
    return _session_labels(index, known, span), inside


def _session_labels(index: Column, known: _Days, span: int) -> Column:
    """Weeks and months go by the date; several days are that many sessions, counted from the first known."""
    if span % WEEK == 0 or span % _MONTH == 0:
        return _dated(known.days[index], span)
    count = span // DAY
    labels: Column = known.days[index // count * count]
    return labels


def _dated(at: Column, span: int) -> Column:
    """The label, in days at 00:00 UTC, of the month, week or number of days that each moment is in."""
    if span % _MONTH == 0:
        count = span // _MONTH
        return _first_of_month(_month(at) // count * count)
    anchor = MONDAY if span % WEEK == 0 else 0
    return (at - anchor) // span * span + anchor


def _month(at: Column) -> Column:
    return at.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def _first_of_month(months: Column) -> Column:
    return months.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)


# --- when they end ------------------------------------------------------------------------------------------


def ends(at: Column, timeframe: Timeframe, sessions: Sessions | None) -> Column:
    """When each bar ends, in milliseconds."""
    span = timeframe.seconds * 1000
    if sessions is None:
        return _next_label(at, span)
    known = _arrays(sessions)
    if not _is_by_date(timeframe):
        index = np.maximum(np.searchsorted(known.opens, at, "right") - 1, 0)
        inside = (at >= known.opens[index]) & (at < known.closes[index])
        return np.where(inside, np.minimum(at + span, known.closes[index]), at + span)
    if span % WEEK == 0 or span % _MONTH == 0:
        last = np.searchsorted(known.days, _next_label(at, span)) - 1
    else:
        last = np.searchsorted(known.days, at) + span // DAY - 1
    closes: Column = known.closes[np.clip(last, 0, len(known.closes) - 1)]
    return closes


def _next_label(at: Column, span: int) -> Column:
    return _first_of_month(_month(at) + span // _MONTH) if span % _MONTH == 0 else at + span


def ended(bars: Bars, timeframe: Timeframe, sessions: Sessions | None, by: datetime) -> Bars:
    """Without the last ones that had not ended by then."""
    return bars[: int(np.searchsorted(ends(bars.at, timeframe, sessions), ms_of(by), "right"))]


# --- which there should be ----------------------------------------------------------------------------------


def expected(timeframe: Timeframe, sessions: Sessions | None, start: datetime, end: datetime) -> Column:
    """The open times of all bars that should open at `start` or later, and before `end`."""
    first, last, span = ms_of(start), ms_of(end), timeframe.seconds * 1000
    if sessions is None:
        found = _expected_by_clock(first, last, span)
    elif _is_by_date(timeframe):
        known = _arrays(sessions)
        found = np.unique(_session_labels(np.arange(len(known.days)), known, span))
    else:
        found = _expected_in_sessions(_arrays(sessions), first, last, span)
    return found[(found >= first) & (found < last)]


def _expected_by_clock(first: int, last: int, span: int) -> Column:
    if span % _MONTH == 0:
        months = np.arange(_month(np.array([first]))[0], _month(np.array([last]))[0] + 1)
        return np.unique(_dated(_first_of_month(months), span))
    anchor = MONDAY if span % WEEK == 0 else 0
    return np.arange((first - anchor) // span * span + anchor, max(last, first), span)


def _expected_in_sessions(known: _Days, first: int, last: int, span: int) -> Column:
    part = slice(np.searchsorted(known.closes, first, "right"), np.searchsorted(known.opens, last))
    opens, closes = known.opens[part], known.closes[part]
    counts = -((opens - closes) // span)
    places = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    found: Column = np.repeat(opens, counts) + places * span
    return found


def gaps(
    at: Column, timeframe: Timeframe, sessions: Sessions | None, start: datetime, end: datetime
) -> list[tuple[int, int, int]]:
    """Stretches without a bar where there should be some, between the two moments: each from the first
    missing open time to the end of the last missing bar, and how many are missing."""
    wanted = expected(timeframe, sessions, start, end)
    missing = np.flatnonzero(~np.isin(wanted, at))
    if not len(missing):
        return []
    breaks = np.flatnonzero(np.diff(missing) > 1)
    firsts = missing[np.concatenate([np.zeros(1, np.int64), breaks + 1])]
    lasts = missing[np.append(breaks, len(missing) - 1)]
    closing = ends(wanted[lasts], timeframe, sessions)
    counts = np.diff(np.concatenate([[0], breaks + 1, [len(missing)]]))
    opens = wanted[firsts]
    return list(zip(opens.tolist(), closing.tolist(), counts.tolist(), strict=True))
