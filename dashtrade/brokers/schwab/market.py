"""Schwab's prices, the rules of its symbols, and the hours of its market."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.connection import SchwabConnection
from dashtrade.brokers.schwab.reports import candles_of, schwab_name
from dashtrade.domain.ports import Candle, Quote, Rejected, Rules, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import finite

RULES_MAX_AGE = timedelta(hours=1)
HOURS_MAX_AGE = timedelta(minutes=1)
DAYS_AHEAD = 6


class SchwabMarket:
    """Prices, rules and market hours of Schwab's symbols."""

    def __init__(self, api: SchwabConnection) -> None:
        self._api = api
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}
        self._hours: tuple[datetime, bool] | None = None
        self._opens_at: datetime | None = None

    def rules(self, symbol: Symbol) -> Rules:
        known, now = self._rules.get(symbol), self._api.clock.now()
        if known is None or now - known[0] > RULES_MAX_AGE:
            step = Decimal("0.01") if self.quote(symbol).mid >= 1 else Decimal("0.0001")
            known = (
                now,
                Rules(
                    quantity_step=Decimal(1),
                    price_step=step,
                    min_quantity=Decimal(1),
                    shortable=False,
                    fractionable=False,
                ),
            )
            self._rules[symbol] = known
        return known[1]

    @wire.read_errors_as_unavailable
    def market_open(self, symbol: Symbol) -> bool:
        now = self._api.clock.now()
        if self._hours is None or now - self._hours[0] > HOURS_MAX_AGE:
            self._hours = (now, any(start <= now < end for start, end in self._sessions()))
        return self._hours[1]

    @wire.read_errors_as_unavailable
    def opens_at(self, symbol: Symbol) -> datetime | None:
        """Schwab returns the hours of one day at a time: the days ahead are requested one by one, over a long
        weekend at most."""
        now = self._api.clock.now()
        if self._opens_at is None or self._opens_at <= now:
            days = (now + timedelta(days=ahead) for ahead in range(DAYS_AHEAD))
            self._opens_at = next(
                (start for day in days for start, _ in self._sessions(day) if start > now), None
            )
        return self._opens_at

    def _sessions(self, day: datetime | None = None) -> list[tuple[datetime, datetime]]:
        params = {"markets": "equity"} | ({"date": f"{day:%Y-%m-%d}"} if day else {})
        markets = self._api.ask("GET", "/marketdata/v1/markets", params=params).get("equity") or {}
        sessions = [
            each
            for kind in markets.values()
            for each in (kind.get("sessionHours") or {}).get("regularMarket") or ()
        ]
        return [(_moment(each["start"]), _moment(each["end"])) for each in sessions]

    @wire.read_errors_as_unavailable
    def quote(self, symbol: Symbol) -> Quote:
        name = schwab_name(symbol)
        answer = self._api.ask("GET", "/marketdata/v1/quotes", params={"symbols": name, "fields": "quote"})
        if name not in answer:
            raise Rejected(
                f"Schwab does not trade {symbol.short}. No order was placed; choose another symbol."
            )
        quote, now = answer[name].get("quote", {}), self._api.clock.now()
        bid, ask = (finite(quote.get(field)) for field in ("bidPrice", "askPrice"))
        if not bid or not ask:
            raise Unavailable(
                f"Schwab has no bid and ask for {symbol.short} now. No decision is made without a price."
            )
        # without real-time permission Schwab's quotes are 15 minutes old
        quote_time = quote.get("quoteTime")
        at = datetime.fromtimestamp(int(quote_time) / 1000, UTC) - self._api.ahead if quote_time else now
        return Quote(symbol=symbol, bid=bid, ask=ask, at=min(at, now))

    @wire.read_errors_as_unavailable
    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return candles_of(
            lambda params: self._api.ask("GET", "/marketdata/v1/pricehistory", params=params),
            symbol,
            timeframe,
            end,
            count,
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
