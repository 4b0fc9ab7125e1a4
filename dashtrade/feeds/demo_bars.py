"""The demo market's history as arrays: the candles of `feeds.demo` to the last digit, for a million at once.

The same path is drawn, octave by octave, for all candles of a stretch together; each operation on whole
numbers and floats is the scalar one, in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from dashtrade.domain.ports import Clock, NotOffered
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.demo import NODE, NOISE, TOP, UNIT, Track, track_of
from dashtrade.market.bars import Bars, Column, joined, moment_of, ms_of, no_bars
from dashtrade.market.series import Series

MINUTE, LONGEST = 60, 3600  # seconds
_NODES_AT_ONCE = 1 << 18  # 2 MB a column
LOOK_SECONDS = 1.0
_DAY_MS = 86_400_000


class DemoHistory:
    """The candles of every symbol since 1970, of minutes; or of 5 seconds, where a timeframe needs them."""

    name = "demo"
    always_open = True
    delay = timedelta(0)

    def __init__(self, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        self._clock, self._pause = clock, pause

    def finest(self, series: Series) -> Series:
        seconds = series.timeframe.seconds
        if seconds % 5:
            raise NotOffered("The demo market has candles of 5 seconds and of multiples of them.")
        return series.with_timeframe(Timeframe(5 if seconds % MINUTE else MINUTE))

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        seconds = series.timeframe.seconds
        if seconds % 5 or seconds > LONGEST or 86_400 % seconds:
            raise NotOffered(
                f"The demo market has no candles of {series.timeframe.shown}; ask for shorter ones."
            )
        span = seconds * 1000
        first = max(-(-ms_of(start) // span) * span, 0)
        last = min(-(-ms_of(end) // span) * span, ms_of(self._clock.now()) // span * span)
        track, step = track_of(series.symbol), max(_NODES_AT_ONCE * NODE // span, 1) * span
        parts = [_drawn(track, part, min(part + step, last), span) for part in range(first, last, step)]
        return joined(parts or [no_bars()])

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        since = dict.fromkeys(series, self._clock.now())
        since = {one: moment_of(ms_of(at) // _span(one) * _span(one)) for one, at in since.items()}
        while True:
            for one in series:
                found = self.bars(one, since[one], self._clock.now())
                if len(found):
                    since[one] = moment_of(found.at[-1]) + one.timeframe.span
                    yield one, found
            yield None
            self._pause(LOOK_SECONDS)


def _span(series: Series) -> int:
    return series.timeframe.seconds * 1000


def _drawn(track: Track, start: int, end: int, span: int) -> Bars:
    """Whole candles: their ends are where the next ones begin."""
    at = np.arange(start, end, span)
    base, levels = _levels(track, (start + track.phase) // NODE, (end + track.phase) // NODE)
    edges = _level_at(track, base, levels, np.append(at, end))
    opening, closing = edges[:-1], edges[1:]
    stretches = np.empty(2 * len(at), np.int64)  # the nodes within each candle
    stretches[::2] = -((-at - track.phase) // NODE) - base
    stretches[1::2] = (at + span + track.phase) // NODE + 1 - base
    high = np.maximum(np.maximum.reduceat(levels, stretches)[::2], np.maximum(opening, closing))
    low = np.minimum(np.minimum.reduceat(levels, stretches)[::2], np.minimum(opening, closing))
    return Bars(
        at=at,
        open=_mid(track, opening),
        high=_mid(track, high),
        low=_mid(track, low),
        close=_mid(track, closing),
        volume=_volume(track, at, span),
        price_step=track.step / 2,
        volume_step=Decimal(1).scaleb(-track.lot),
    )


def _levels(track: Track, first: int, last: int) -> tuple[int, Column]:
    """The path at the nodes from `first` to the one after `last`."""
    begin, finish = first >> 2 * TOP, (last >> 2 * TOP) + 1
    levels = _noise(track.seeds[TOP], np.arange(begin, finish + 1)) << TOP + UNIT
    for octave in range(TOP - 1, -1, -1):
        finer = np.empty(4 * len(levels) - 3, np.int64)
        finer[::4] = levels
        rise = np.diff(levels)
        for part in (1, 2, 3):
            place = 4 * np.arange(begin, begin + len(rise)) + part
            chance = _noise(track.seeds[octave], place) << octave + UNIT
            finer[part::4] = levels[:-1] + (rise * part >> 2) + chance
        wanted, until = first >> 2 * octave, (last >> 2 * octave) + 1
        levels = finer[wanted - 4 * begin : until - 4 * begin + 1]
        begin = wanted
    return begin, levels


def _noise(seed: int, index: Column) -> Column:
    mixed = (np.uint64(seed) + index.astype(np.uint64) * np.uint64(0x9E3779B1)).astype(np.uint32)
    mixed = (mixed ^ mixed >> np.uint32(16)) * np.uint32(0x7FEB352D)
    mixed = (mixed ^ mixed >> np.uint32(15)) * np.uint32(0x846CA68B)
    return (mixed >> np.uint32(16)).astype(np.int64) - 32_768


def _level_at(track: Track, base: int, levels: Column, moments: Column) -> Column:
    node, past = np.divmod(moments + track.phase, NODE)
    here, after = levels[node - base], levels[node - base + 1]
    between: Column = here + (after - here) * past // NODE
    return between


def _mid(track: Track, level: Column) -> Column:
    """Bid and ask together: the mid price in half steps."""
    growth = 1.0 + level * track.gain
    for _ in range(4):
        growth = growth * growth
    price = track.base * growth
    bid, ask = np.floor(price * track.below), np.ceil(price * track.above)
    return bid.astype(np.int64) + ask.astype(np.int64)


def _volume(track: Track, at: Column, span: int) -> Column:
    share = 1.2 + _noise(track.seeds[0], at // 1000) / (1 << NOISE)
    traded = track.daily * share * span / _DAY_MS * 10**track.lot
    return np.maximum(traded.astype(np.int64), 1)
