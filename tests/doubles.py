"""What tests put in the place of the outside world: a clock and a market that stand still until they are set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashtrade.domain.ports import Candle, Quote, Unavailable
from dashtrade.domain.values import Symbol, Timeframe

MORNING = datetime(2025, 6, 4, 15, 0, tzinfo=UTC)  # a Wednesday, New York's exchanges are open


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


class SetFeed:
    """Every symbol costs 100, bid and ask alike, until it is given another price; `away` symbols have none."""

    demo = True

    def __init__(self, clock: SetClock, price: str = "100") -> None:
        self._clock, self.price = clock, Decimal(price)
        self.prices: dict[str, Decimal] = {}
        self.spread = Decimal(0)
        self.away: set[str] = set()

    def set(self, symbol: str, price: Decimal | str | int) -> None:
        self.prices[Symbol.parse(symbol).text] = Decimal(price)

    def quote(self, symbol: Symbol) -> Quote:
        if symbol.text in self.away:
            raise Unavailable(f"no price for {symbol.short} now")
        price = self.prices.get(symbol.text, self.price)
        return Quote(symbol=symbol, bid=price - self.spread, ask=price + self.spread, at=self._clock.now(), demo=True)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        price = self.quote(symbol).mid
        return [
            Candle(at=end - timeframe.span * (count - n), open=price, high=price, low=price, close=price) for n in range(count)
        ]
