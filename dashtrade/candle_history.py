"""Candles from the store, of every timeframe; and the store filled from the sources.

Stored is the finest timeframe that a source has. Whatever is read is made of it by one function, in the
worker, on a page and in a backtest alike. A gap is asked for at the source, and never filled in another
way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bot_database import Database
from dashtrade.domain.ports import Clock, NotOffered, Unavailable
from dashtrade.domain.sessions import Sessions
from dashtrade.market import timeframes
from dashtrade.market.bars import EPOCH, Bars, moment_of, ms_of, no_bars
from dashtrade.market.blocks import block_span
from dashtrade.market.calendar import calendar_of
from dashtrade.market.history import Gap, Source
from dashtrade.market.series import Series
from dashtrade.tables import candles

LATE = timedelta(minutes=10)  # a source may still add a bar for so long after its end
CATCH_UP = timedelta(days=7)  # the longest stretch that `follow` fills by itself at its start
PATIENCE = timedelta(seconds=90)  # for the last part of a longer bar: a quiet minute may have none

BLOCKS_AT_ONCE = 64  # 262,144 timeframes

_MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Followed:
    """A series that is followed, made of the stored one."""

    series: Series
    base: Series
    since: datetime  # the open time of the next bar to give


class CandleHistory:
    """`market.history.History` for one user: shared candles, and those that the user imported."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        owner: int,
        source_of: Callable[[str], Source | None],
        sessions_of: Callable[[str], Sessions],
    ) -> None:
        self._db, self._clock, self._owner = db, clock, owner
        self._source_of, self._sessions_of = source_of, sessions_of

    # --- reading ---

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        base, sessions = self.stored(series), self.sessions(series)
        if base is None:
            return no_bars()
        if base == series:
            return self._read(base, start, end)
        return self._higher(base, series, sessions, start, end)

    def _higher(
        self,
        base: Series,
        series: Series,
        sessions: Sessions | None,
        start: datetime,
        end: datetime,
        known_by: datetime | None = None,
    ) -> Bars:
        """`known_by`: until when all that there is of the base is stored; else as far as it was asked for."""
        first = moment_of(timeframes.opening(start, series.timeframe, sessions))
        last = moment_of(timeframes.opening(end - _MS, series.timeframe, sessions))
        until = moment_of(timeframes.ends(np.array([ms_of(last)]), series.timeframe, sessions)[0])
        fine = self._read(base, first, max(until, end))
        if not len(fine):
            return fine
        known = max(self._known_until(fine, base, sessions), known_by or EPOCH)
        made = timeframes.higher(fine, base.timeframe, series.timeframe, sessions)
        whole = timeframes.ended(made, series.timeframe, sessions, min(known, self._clock.now()))
        return whole[self._begins_late(fine, base, whole, sessions) :].between(start, end)

    def open_bar(self, series: Series) -> Bars:
        """The bar whose span goes on, of what is stored of it so far; empty before its first part has
        ended."""
        base, sessions, now = self.stored(series), self.sessions(series), self._clock.now()
        if base is None or base == series:
            return no_bars()
        opened = moment_of(timeframes.opening(now, series.timeframe, sessions))
        fine = self._read(base, opened, now)
        return timeframes.higher(fine, base.timeframe, series.timeframe, sessions).between(opened, now)

    def missing(self, series: Series, start: datetime, end: datetime) -> list[Gap]:
        base, sessions = self.stored(series), self.sessions(series)
        if base is None:
            return []
        with self._db.read() as conn:
            asked = candles.coverage(conn, self._owner, base)
        return [
            Gap(start=first, end=last, bars=bars, asked=any(a <= first and last <= b for a, b in asked))
            for first, last, bars in self._gaps(base, sessions, start, end)
        ]

    def stored(self, series: Series) -> Series | None:
        """The series in the store that this one is made of: the finest that its source has; of an import,
        the longest timeframe that fits."""
        source = self._source_of(series.source)
        if source is not None:
            return source.finest(series)
        with self._db.read() as conn:
            listed = [one.series for one in candles.list_series(conn, self._owner)]
        fits = [one for one in listed if one.with_timeframe(series.timeframe) == series]
        fits = [one for one in fits if timeframes.can_be_made(one.timeframe, series.timeframe)]
        return max(fits, key=lambda one: one.timeframe, default=None)

    def sessions(self, series: Series) -> Sessions | None:
        """The market's trading days; None where it is open at all hours."""
        source, calendar = self._source_of(series.source), calendar_of(series.symbol)
        if calendar is None or (source is not None and source.always_open):
            return None
        found = self._sessions_of(calendar)
        if not len(found):
            raise Unavailable(f"The trading days of {series.symbol.short} cannot be computed now; try again.")
        return found

    def _read(self, base: Series, start: datetime, end: datetime) -> Bars:
        with self._db.read() as conn:
            return candles.read(conn, self._owner, base, start, end)

    def _known_until(self, fine: Bars, base: Series, sessions: Sessions | None) -> datetime:
        """The end of the last bar, or of what the source was asked for about it."""
        ended = moment_of(timeframes.ends(fine.at[-1:], base.timeframe, sessions)[0])
        with self._db.read() as conn:
            covered = candles.coverage(conn, self._owner, base)
        return max([ended, *(last for first, last in covered if first <= ended <= last)])

    def _begins_late(self, fine: Bars, base: Series, made: Bars, sessions: Sessions | None) -> int:
        """1 if the first bar lacks its beginning, as nothing is stored of the series before it."""
        if not len(made):
            return 0
        opens, first = moment_of(made.at[0]), moment_of(fine.at[0])
        wanted = timeframes.expected(base.timeframe, sessions, opens, first)
        if not len(wanted):
            return 0
        with self._db.read() as conn:
            return int(not candles.has_before(conn, self._owner, base, opens))

    # --- filling ---

    def fill(self, series: Series, start: datetime, end: datetime, *, again: bool = False) -> int:
        source = self._source_of(series.source)
        if source is None:
            raise NotOffered(f"{series.source} is an import, or no source of yours: there is nothing to ask.")
        base, sessions, added = source.finest(series), self.sessions(series), 0
        end = min(end, self._clock.now())
        with self._db.read() as conn:
            asked = [] if again else candles.coverage(conn, self._owner, base)
        for first, last in _stretches(_outside(asked, start, end), base):
            for gap_start, gap_end in _in_pieces(self._gaps(base, sessions, first, last), base):
                added += self._ask(source, base, gap_start, gap_end)
            self._answered(base, first, last, source.delay)
        return added

    def _gaps(
        self, base: Series, sessions: Sessions | None, start: datetime, end: datetime
    ) -> list[tuple[datetime, datetime, int]]:
        """With the number of bars that are missing; only bars that have ended can be."""
        end = min(end, self._opened(base, sessions))
        at = self._read(base, start, end).at
        found = timeframes.gaps(at, base.timeframe, sessions, start, end)
        return [(moment_of(first), moment_of(last), bars) for first, last, bars in found]

    def _opened(self, base: Series, sessions: Sessions | None) -> datetime:
        """When the bar opened that is open now, or when the next one opens."""
        return moment_of(timeframes.opening(self._clock.now(), base.timeframe, sessions))

    def _ask(self, source: Source, base: Series, start: datetime, end: datetime) -> int:
        bars, now = source.bars(base, start, end), self._clock.now()
        if not len(bars):
            return 0
        return self._db.write(lambda conn: candles.write_shared(conn, base, bars, now)).added

    def _answered(self, base: Series, start: datetime, end: datetime, delay: timedelta) -> None:
        """The source has answered for all of this; what it may still add is asked for again."""
        now = self._clock.now()
        settled = min(end, now - delay - LATE - base.timeframe.span)
        if start < settled:
            self._db.write(lambda conn: candles.put_coverage(conn, base, start, settled, now))

    # --- following ---

    def follow(
        self, series: Sequence[Series], since: datetime | None = None
    ) -> Iterator[tuple[Series, Bars] | None]:
        source = self._source_of(series[0].source)
        if source is None or any(one.source != series[0].source for one in series):
            raise NotOffered("Only the series of one source can be followed together.")
        followed = [self._begun(source, one, since or self._clock.now()) for one in series]
        bases = list(dict.fromkeys(one.base for one in followed))
        for base in bases:  # once for all that is made of it
            self.fill(base, min(one.since for one in followed if one.base == base), self._clock.now())
        seen = {base: self._opened(base, self.sessions(base)) for base in bases}
        for news in source.follow(bases):
            if news is not None and len(news[1]):
                self._take(*news, seen)
            # News of one symbol end no bar of another; in between all are looked at.
            for one in [one for one in followed if news is None or one.base == news[0]]:
                if found := self._news_of(one, source.delay):
                    yield one.series, found
            yield None

    def _take(self, base: Series, bars: Bars, seen: dict[Series, datetime]) -> None:
        """Store them; and what came between, while the connection was made."""
        now, first = self._clock.now(), moment_of(bars.at[0])
        self._db.write(lambda conn: candles.write_shared(conn, base, bars, now))
        if first > seen[base]:
            self.fill(base, seen[base], first)
        seen[base] = moment_of(bars.at[-1]) + base.timeframe.span

    def _begun(self, source: Source, series: Series, since: datetime) -> _Followed:
        since = max(since, self._clock.now() - CATCH_UP)
        opened = moment_of(timeframes.opening(since, series.timeframe, self.sessions(series)))
        return _Followed(series=series, base=source.finest(series), since=opened)

    def _news_of(self, one: _Followed, delay: timedelta) -> Bars | None:
        """Its bars that have ended since it was last asked; nothing is read before one can have."""
        sessions, timeframe, now = self.sessions(one.series), one.series.timeframe, self._clock.now()
        is_stored = one.base == one.series
        end = timeframes.ends(np.array([ms_of(one.since)]), timeframe, None if is_stored else sessions)[0]
        if moment_of(end) > now:
            return None
        if is_stored:
            found = self._read(one.base, one.since, now)
        else:
            found = self._higher(one.base, one.series, sessions, one.since, now, now - delay - PATIENCE)
        if not len(found):
            return None
        ended = moment_of(timeframes.ends(found.at[-1:], timeframe, sessions)[0])
        one.since = ended if is_stored else moment_of(timeframes.opening(ended, timeframe, sessions))
        return found


def _stretches(
    parts: Iterator[tuple[datetime, datetime]], base: Series
) -> Iterator[tuple[datetime, datetime]]:
    """In pieces whose open times fit in memory, each of them answered by itself."""
    most = timedelta(milliseconds=BLOCKS_AT_ONCE * block_span(base.timeframe))
    for start, end in parts:
        while end - start > most:
            yield start, start + most
            start += most
        yield start, end


def _outside(
    covered: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """What is left of a stretch."""
    for first, last in covered:
        if last <= start or first >= end:
            continue
        if first > start:
            yield start, first
        start = last
    if start < end:
        yield start, end


def _in_pieces(
    gaps: Sequence[tuple[datetime, datetime, int]], base: Series
) -> Iterator[tuple[datetime, datetime]]:
    """Near gaps are asked for together, long ones in pieces that are stored as they come."""
    most = timedelta(milliseconds=block_span(base.timeframe))
    start = end = None
    for first, last, _ in gaps:
        if start is not None and end is not None and last - start > most:
            yield start, end
            start = None
        start, end = start or first, last
        while end - start > most:
            yield start, start + most
            start += most
    if start is not None and end is not None and start < end:
        yield start, end
