"""Where candles come from.

A `Source` is a feed that has history: it is asked, and keeps nothing. `History` is what everybody else reads:
stored candles, filled from the sources. Both fail as `domain.ports` says: `Unavailable`, `NotOffered` (this
source has no such series), `RetryLater` (its budget is spent), `BadCredentials`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from dashtrade.market.bars import Bars
from dashtrade.market.series import Series


class Source(Protocol):
    """One source of candles, by the name that its series bear. Every call has a time-out; methods may be
    called from several threads at once."""

    name: str
    always_open: bool  # it has stocks at night and on holidays too, as the demo market does

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


class History(Protocol):
    """Stored candles, of any timeframe that the stored ones can be made into."""

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        """Those that have ended and open at `start` or later and before `end`."""

    def missing(self, series: Series) -> Sequence[tuple[datetime, datetime]]:
        """Stretches within the stored candles in which bars are expected and there are none: each from the
        first missing open time to the one after the last."""

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        """Bars that have ended since it was last asked, stored before they are given; None in between."""
