"""The candles that the simulated sources of market data serve: the truth that their adapters' answers are
held against.

A price is a function of symbol and time alone. Coins trade always, stocks from 09:30 to 16:00 New York,
Monday to Friday. Whole cents, so that what a source writes as a JSON number is what it meant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCandle:
    at: int  # seconds since 1970
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int

    @property
    def row(self) -> tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]:
        return self.at * 1000, self.open, self.high, self.low, self.close, Decimal(self.volume)


@dataclass(slots=True)
class SourceMarket:
    """`holes` are open times that no source has."""

    symbols: set[str]
    stocks: bool
    now: datetime = datetime(2025, 11, 5, 15, 0, 30, tzinfo=UTC)
    holes: set[int] = field(default_factory=set)
    worthless: bool = False  # every price is 0
    begins: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def candles(self, symbol: str, seconds: int, start: float, end: float) -> list[TrueCandle]:
        """Those that open from `start` on and before `end`, the unfinished one too."""
        last = min(end, self.now.timestamp() + 1)
        return [
            self.candle(symbol, seconds, at)
            for at in self._opens(seconds, max(start, self.begins.timestamp()), last)
            if at not in self.holes
        ]

    def candle(self, symbol: str, seconds: int, at: int) -> TrueCandle:
        chance = hashlib.sha256(f"{symbol} {seconds} {at}".encode()).digest()
        first, last, over, under = (10_000 + chance[0] * 3, 10_000 + chance[1] * 3, chance[2], chance[3])
        prices = (first, max(first, last) + over, min(first, last) - under, last)
        opening, high, low, close = (Decimal(cents) / 100 for cents in prices)
        return TrueCandle(at=at, open=opening, high=high, low=low, close=close, volume=100 + chance[4])

    def price(self, symbol: str) -> Decimal:
        if self.worthless:
            return Decimal(0)
        return self.candle(symbol, 60, int(self.now.timestamp()) // 60 * 60).close

    def _opens(self, seconds: int, start: float, end: float) -> Iterator[int]:
        if self.stocks and seconds >= DAY:
            yield from self._days(start, end)
            return
        at = -int(-start // seconds) * seconds
        while at < end:
            if not self.stocks or self.trading(at):
                yield at
            at += seconds

    def _days(self, start: float, end: float) -> Iterator[int]:
        """By 00:00 UTC of the day of the session; the simulators write it in each source's own way."""
        at = -int(-start // DAY) * DAY
        while at < end:
            if datetime.fromtimestamp(at, UTC).weekday() < 5:
                yield at
            at += DAY

    @staticmethod
    def trading(at: float) -> bool:
        here = datetime.fromtimestamp(at, NEW_YORK)
        minutes = here.hour * 60 + here.minute
        return here.weekday() < 5 and 570 <= minutes < 960


def midnight_in_new_york(at: int) -> datetime:
    """Of the day whose 00:00 UTC this is."""
    day = datetime.fromtimestamp(at, UTC)
    return day.replace(tzinfo=NEW_YORK).astimezone(UTC)


def ended(candles: list[TrueCandle], seconds: int, now: datetime) -> list[TrueCandle]:
    return [one for one in candles if one.at + seconds <= now.timestamp()]


def hours(start: datetime, count: float) -> tuple[datetime, datetime]:
    return start, start + timedelta(hours=count)
