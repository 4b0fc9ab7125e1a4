"""What the sources over the network share: what is refused before anything is sent, pages into bars, and
following by asking again."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from dashtrade.domain.ports import NotOffered, Quote, RetryLater
from dashtrade.domain.symbols import Symbol
from dashtrade.feeds.kinds import Around, Prices, SourceKind, Tier
from dashtrade.feeds.rows import Row, bars_of_rows
from dashtrade.feeds.web import Calls
from dashtrade.market.series import Series

if TYPE_CHECKING:
    from dashtrade.market.bars import Bars

Page: TypeAlias = tuple[list[Row | None], datetime]  # candles in any order, and when the answer was made
MOST_PAGES = 2000
LOOK_SECONDS = 2.0  # between two looks at whether a candle has ended
GRACE = timedelta(seconds=2)  # a source needs a moment to close a candle


class NetworkSource(ABC):
    """A source that is asked request by request. Its file says how pages of candles and a quote are read."""

    always_open = False

    def __init__(self, kind: SourceKind, tier: Tier, around: Around, calls: Calls, *, name: str = "") -> None:
        self.name, self.delay = name or kind.name, tier.delay
        self.kind, self.tier, self.around, self.calls = kind, tier, around, calls

    @abstractmethod
    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        """All candles that open in the range; those outside of it do no harm."""

    @abstractmethod
    def current(self, symbol: Symbol) -> Quote: ...

    def finest(self, series: Series) -> Series:
        self._must_trade(series.symbol)
        offered = self.tier.timeframes(series)
        fits = [one for one in offered if series.timeframe.seconds % one.seconds == 0]
        if not fits:
            raise self._not_offered(series)
        return series.with_timeframe(fits[0])

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        self._must_trade(series.symbol)
        if series.timeframe not in self.tier.timeframes(series):
            raise self._not_offered(series)
        rows: list[Row | None] = []
        ended_by = self.around.clock.now()
        if start < end:
            for number, (page, made_at) in enumerate(self.pages(series, start, end)):
                if number == MOST_PAGES:
                    raise self.calls.unavailable("its pages do not end")
                rows += page
                ended_by = min(ended_by, made_at)
        title, timeframe = self.kind.title, series.timeframe
        return self.calls.reading(
            lambda found: bars_of_rows(title, found, start, end, ended_by, timeframe), rows
        )

    def quote(self, symbol: Symbol) -> Quote:
        self._must_trade(symbol)
        if self.tier.quotes_of(symbol) is Prices.NONE:
            raise NotOffered(f"{self.kind.title} has candles and no current prices in this plan.")
        return self.current(symbol)

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        return polled(self, series, time.sleep)

    def close(self) -> None:
        self.calls.close()

    def _must_trade(self, symbol: Symbol) -> None:
        if not self.kind.trades(symbol):
            raise NotOffered(f"{self.kind.title} has no prices of {symbol.short}.")

    def _not_offered(self, series: Series) -> NotOffered:
        return NotOffered(
            f"{self.kind.title} has no candles of {series.symbol.short} of {series.timeframe.shown} "
            f"({series.adjustment} prices) in this plan."
        )


def polled(
    source: NetworkSource, series: Sequence[Series], wait: Callable[[float], None]
) -> Iterator[tuple[Series, Bars] | None]:
    """Where there is no stream: each candle is asked for when it has ended."""
    clock, delay = source.around.clock, source.tier.delay + GRACE
    since = {each: _opened(each, clock.now()) for each in series}
    due = {each: since[each] + each.timeframe.span + delay for each in series}
    while True:
        for each in [each for each in series if due[each] <= clock.now()]:
            now = clock.now()
            try:
                found = source.bars(each, since[each], now)
            except RetryLater as later:
                due[each] = now + later.after
                continue
            due[each] = _opened(each, now - delay) + each.timeframe.span + delay
            if len(found):
                since[each] = found.candle(len(found) - 1).at + timedelta(milliseconds=1)
                yield each, found
        yield None
        wait(LOOK_SECONDS)


def _opened(series: Series, moment: datetime) -> datetime:
    seconds = series.timeframe.seconds
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)
