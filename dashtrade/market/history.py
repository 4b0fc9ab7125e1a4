"""Where candles come from.

A `Source` is a feed that has history: it is asked, and keeps nothing. `History` is what everybody else reads:
stored candles, filled from the sources. Both fail as `domain.ports` says: `Unavailable`, `NotOffered` (this
source has no such series), `RetryLater` (its budget is spent), `BadCredentials`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from dashtrade.market.series import Series

if TYPE_CHECKING:  # numpy is loaded with the first bars, not with the table of sources
    from dashtrade.market.bars import Bars


class Source(Protocol):
    """One source of candles, by the name that its series bear. Every call has a time-out; methods may be
    called from several threads at once."""

    name: str
    always_open: bool  # it has stocks at night and on holidays too, as the demo market does
    delay: timedelta  # after its end, until a bar is given: a quarter of an hour, or a day, in free plans

    def finest(self, series: Series) -> Series:
        """The series to store, of which this one can be made: the shortest timeframe this source has of it.
        Raises NotOffered where it has none."""

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        """What it has that has ended, and opens at `start` or later and before `end`: all pages. Daily bars
        open at 00:00 UTC of the day of the session, weekly ones on Monday's, monthly ones on the first's
        (`market.timeframes`). A bar it does not have is left out, never made up."""

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        """Bars as they end, until the caller closes the iterator. None every few seconds while there is
        nothing, so that the caller can stop. Raises Unavailable when the connection is lost: the caller asks
        `bars` for what it missed, and follows again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch in which bars are expected and none is stored: from the first missing open time to the end of
    the last missing bar."""

    start: datetime
    end: datetime
    bars: int
    asked: bool  # the source was asked for all of it, and does not have them


class History(Protocol):
    """Stored candles, of any timeframe that the stored ones can be made into. Reading asks no source: `fill`
    does."""

    def fill(self, series: Series, start: datetime, end: datetime, *, again: bool = False) -> int:
        """Ask the source for what is missing of the stretch and was not asked for yet; `again`: for what is
        missing in any case. Returns how many bars are new. What was stored before an error stays."""

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        """Those that have ended and open at `start` or later and before `end`."""

    def open_bar(self, series: Series) -> Bars:
        """The bar whose span goes on, as far as it is stored: for charts, never for a decision."""

    def missing(self, series: Series, start: datetime, end: datetime) -> Sequence[Gap]:
        """The gaps of the stored series within a stretch."""

    def follow(
        self, series: Sequence[Series], since: datetime | None = None
    ) -> Iterator[tuple[Series, Bars] | None]:
        """Of one source: bars as they end, stored before they are given; None in between. The first are those
        that ended after `since`, or now. Fails as `Source.follow` does; called again with the end of the last
        bar that was given, it goes on from there."""
