"""What tests put in the place of the outside world: a clock and a market that stand still until they are
set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from dashtrade.domain.ports import Candle, Quote, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.tables import people

MORNING = datetime(2025, 6, 4, 15, 0, tzinfo=UTC)  # a Wednesday, New York's exchanges are open


def add_user(app: App, email: str = "one@example.com") -> User:
    """A user without a password, as hashing one takes longer than most tests."""

    def work(conn: sa.Connection) -> User:
        user_id = people.add(
            conn,
            email=email,
            name=email.partition("@")[0],
            password_hash="-",
            role=Role.STANDARD,
            time_zone="UTC",
            created_at=MORNING,
            last_login_at=None,
        )
        user = people.by_id(conn, user_id)
        assert user is not None
        return user

    return app.db.write(work)


class ManualClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


class ManualFeed:
    """Every symbol costs 100, bid and ask alike, until it is given another price; `away` symbols have
    none."""

    demo = True

    def __init__(self, clock: ManualClock, price: str = "100") -> None:
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
        return Quote(
            symbol=symbol, bid=price - self.spread, ask=price + self.spread, at=self._clock.now(), demo=True
        )

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        price = self.quote(symbol).mid
        return [
            Candle(at=end - timeframe.span * (count - n), open=price, high=price, low=price, close=price)
            for n in range(count)
        ]
