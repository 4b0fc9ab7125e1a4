"""Which source is asked: the best one for a symbol that a user has, and the next one while that does not
answer.

An answer comes whole from one source, and says which, and how old it is: the same candle differs between
sources, so two are never mixed in one series."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from dashtrade.domain.ports import BrokerError, Clock, NotOffered, Quote, RetryLater, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.kinds import Prices, PriceSource
from dashtrade.feeds.rows import from_ms
from dashtrade.market.series import Adjustment, Series

if TYPE_CHECKING:
    from dashtrade.market.bars import Bars

T = TypeVar("T")
PATIENCE_SECONDS = 25.0  # after which no further source is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    value: T
    source: str  # its name in series
    at: datetime  # of the newest price in it
    age: timedelta
    passed_over: tuple[str, ...] = field(default=())  # better sources, and why each did not answer


class Router:
    """Over the sources that one user can use, in any order."""

    def __init__(
        self, sources: Sequence[PriceSource], clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources, self._clock, self._monotonic = list(sources), clock, monotonic

    def for_quotes(self, symbol: Symbol) -> list[PriceSource]:
        """Best first: bid and ask before a last price, then the newest, then one with a stream, then the
        largest budget."""
        fits = [
            each
            for each in self._sources
            if each.kind.trades(symbol) and each.tier.quotes_of(symbol) is not Prices.NONE
        ]
        return sorted(fits, key=lambda each: (each.tier.quotes_of(symbol) is Prices.LAST, *_rank(each)))

    def for_candles(
        self, symbol: Symbol, timeframe: Timeframe, adjustment: Adjustment, start: datetime
    ) -> list[tuple[PriceSource, Series]]:
        """Best first, each with its own series: one that reaches back far enough before one that does not,
        the whole market before one exchange."""
        now, found = self._clock.now(), []
        for each in self._sources:
            series = Series(source=each.name, symbol=symbol, timeframe=timeframe, adjustment=adjustment)
            if each.kind.trades(symbol) and timeframe in each.tier.timeframes(series):
                found.append((each, series))
        return sorted(
            found,
            key=lambda pair: (
                not pair[0].tier.reaches(pair[1], start, now),
                pair[0].tier.partial and not symbol.is_crypto,
                *_rank(pair[0]),
            ),
        )

    def quote(self, symbol: Symbol) -> Answer[Quote]:
        tries = [(each.name, lambda each=each: each.quote(symbol)) for each in self.for_quotes(symbol)]
        return self._first(tries, lambda quote: quote.at, f"current prices of {symbol.short}")

    def bars(
        self, symbol: Symbol, timeframe: Timeframe, adjustment: Adjustment, start: datetime, end: datetime
    ) -> Answer[Bars]:
        tries = [
            (each.name, lambda each=each, series=series: each.bars(series, start, end))
            for each, series in self.for_candles(symbol, timeframe, adjustment, start)
        ]

        def newest(bars: Bars) -> datetime | None:
            return from_ms(int(bars.at[-1])) + timeframe.span if len(bars) else None

        return self._first(tries, newest, f"candles of {symbol.short} of {timeframe.shown}")

    def _first(
        self, tries: Sequence[tuple[str, Callable[[], T]]], newest: Callable[[T], datetime | None], what: str
    ) -> Answer[T]:
        """`newest`: the time of the newest price in an answer; None: there is none in it, so another source
        may know the symbol."""
        if not tries:
            raise NotOffered(f"No source that you can use has {what}.")
        until, failed = self._monotonic() + PATIENCE_SECONDS, list[tuple[str, BrokerError]]()
        for source, ask in tries:
            if failed and self._monotonic() >= until:
                break
            try:
                found = ask()
                at = newest(found)
                if at is None:
                    raise NotOffered(f"{source} has no {what} there.")
            except BrokerError as error:
                failed.append((source, error))
                continue
            return Answer(
                value=found,
                source=source,
                at=at,
                age=max(self._clock.now() - at, timedelta(0)),
                passed_over=tuple(f"{name}: {error.message}" for name, error in failed),
            )
        raise _together([error for _, error in failed], what)


def _rank(source: PriceSource) -> tuple[timedelta, bool, float, float]:
    tier = source.tier
    return (
        tier.delay,
        not source.kind.streams,
        -(tier.per_day or float("inf")),
        -(tier.per_minute or float("inf")),
    )


def _together(errors: Sequence[BrokerError], what: str) -> BrokerError:
    """The reaction that the failures of all sources call for: come again when the first one may answer."""
    said = f"There are no {what} now. {' '.join(error.message for error in errors)}"
    later = [error.after for error in errors if isinstance(error, RetryLater)]
    if later:
        return RetryLater(said, min(later))
    if any(isinstance(error, Unavailable) and not isinstance(error, NotOffered) for error in errors):
        return Unavailable(said)
    return NotOffered(said)
