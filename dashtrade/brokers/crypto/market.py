"""The symbols of an exchange, their rules and prices, and what the account holds of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from dashtrade.brokers.crypto import candles, market_data
from dashtrade.brokers.crypto.errors import read_error
from dashtrade.brokers.crypto.wire import Wire
from dashtrade.domain.ports import Candle, Clock, Quote, Rejected, Rules, Unavailable
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import finite

T = TypeVar("T")
QUOTE_MAX_AGE = timedelta(seconds=5)  # for valuation, never for decisions
RULES_MAX_AGE = timedelta(hours=1)


class CryptoMarket:
    """The exchange's symbols, their rules and prices, and the account's coins."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self.venue, self._wire, self._clock = wire.venue, wire, clock
        self._quotes: dict[Symbol, Quote] = {}
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}

    def ask(self, call: Callable[[Any], T]) -> T:
        with self._wire.borrow() as client:
            try:
                return call(client)
            except Exception as error:
                raise read_error(self._wire, client, error) from error

    def listed(self, client: Any, symbol: Symbol, *, refresh: bool = False) -> Any:
        name = f"{symbol.base}/{symbol.quote}"
        market = client.markets.get(name) if symbol.is_crypto else None
        if market is None or not market.get("spot", True):
            other_quotes = sorted(
                each["quote"]
                for each in client.markets.values()
                if each["base"] == symbol.base and each.get("spot")
            )
            hint = (
                f" It trades {symbol.base} against {', '.join(other_quotes[:6])}."
                if symbol.is_crypto and other_quotes
                else ""
            )
            raise Rejected(
                f"{self.venue.name} does not trade {symbol.short}.{hint} No order was placed; choose "
                "another symbol."
            )
        needs_detail = refresh or market["precision"].get("amount") is None
        return (
            market_data.complete_market(client, market)
            if needs_detail and self.venue.details_on_demand
            else market
        )

    def rules(self, symbol: Symbol) -> Rules:
        known, now = self._rules.get(symbol), self._clock.now()
        if known is None or now - known[0] > RULES_MAX_AGE:
            known = (
                now,
                market_data.rules_of(self.ask(lambda client: self.listed(client, symbol, refresh=True))),
            )
            self._rules[symbol] = known
        return known[1]

    def balances(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        return self.ask(lambda client: market_data.balances(client, self.venue))

    def clock_skew(self) -> timedelta | None:
        """How far the exchange's clock is ahead of ours, if known."""

        def ask(client: Any) -> timedelta | None:
            if not client.has.get("fetchTime"):
                return None
            before = self._clock.now()
            exchange_time = datetime.fromtimestamp(int(client.fetch_time()) / 1000, UTC)
            return exchange_time - (before + (self._clock.now() - before) / 2)

        return self.ask(ask)

    def quote(self, symbol: Symbol) -> Quote:
        ticker = self.ask(lambda client: market_data.ticker(client, self.listed(client, symbol)["symbol"]))
        bid, ask = finite(ticker.get("bid")), finite(ticker.get("ask"))
        note = NO_REASON
        if "bid" not in ticker and "ask" not in ticker:
            bid = ask = finite(ticker.get("last"))
            note = Reason(Code.LAST_PRICE_USED)
        if not bid or not ask:
            raise Unavailable(
                f"{self.venue.name} has no bid and ask for {symbol.short} now. No decision is made "
                "without a price."
            )
        found = Quote(symbol=symbol, bid=bid, ask=ask, at=self._clock.now(), note=note)
        self._quotes[symbol] = found
        return found

    def recent_quote(self, symbol: Symbol) -> Quote:
        cached = self._quotes.get(symbol)
        return cached if cached and abs(self._clock.now() - cached.at) < QUOTE_MAX_AGE else self.quote(symbol)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return self.ask(
            lambda client: candles.candles(
                client, self.venue, self.listed(client, symbol)["symbol"], timeframe, end, count
            )
        )
