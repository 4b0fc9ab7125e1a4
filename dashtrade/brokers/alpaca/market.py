"""Alpaca's prices, the rules of its symbols, and the hours of its market."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.alpaca import order_body, wire
from dashtrade.brokers.alpaca.connection import AlpacaConnection
from dashtrade.brokers.alpaca.sdk import bar_length
from dashtrade.domain.ports import (
    BadCredentials,
    BrokerError,
    Candle,
    NotOffered,
    Quote,
    Rejected,
    Rules,
    Unavailable,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe


class AlpacaMarket:
    """Prices, rules and market hours of Alpaca's symbols."""

    def __init__(self, api: AlpacaConnection, feed: str | None) -> None:
        self._api, self._feed = api, feed
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}
        # valid until; is it open; when that changes
        self._hours: tuple[datetime, bool, datetime | None] | None = None

    def rules(self, symbol: Symbol) -> Rules:
        now, known = self._api.clock.now(), self._rules.get(symbol)
        if known is not None and abs((now - known[0]).total_seconds()) < self._api.timeouts.assets:
            return known[1]
        try:
            asset = self._api.read(
                lambda: self._api.orders.get(f"/assets/{order_body.name_in_path(symbol)}"), dict, absent=True
            )
        except NotOffered:
            return known[1] if known is not None else wire.assumed_rules(symbol)
        except Unavailable:
            if known is None:
                raise
            return known[1]
        if asset is None:
            raise Rejected(
                f"Alpaca does not trade {symbol.short}. Check the spelling, or use another broker account."
            )
        price = None if symbol.is_crypto else self._approximate_price(symbol)
        rules = self._api.parse(lambda: wire.rules_of(asset, price))
        self._rules[symbol] = now, rules
        return rules

    def _approximate_price(self, symbol: Symbol) -> Decimal | None:
        try:
            return self.quote(symbol).mid
        # falls back to the step of a stock above a dollar; each order's own price decides in the end
        except BrokerError:
            return None

    def market_open(self, symbol: Symbol) -> bool:
        if symbol.is_crypto:
            return True
        now, known = self._api.clock.now(), self._hours
        if known is not None and known[0] - timedelta(seconds=self._api.timeouts.hours) <= now < known[0]:
            return known[1]
        try:
            body = self._api.read(self._api.orders.get_clock, dict)
        except NotOffered:  # then the order is queued or refused by the server
            body = {"is_open": True}
        is_open, remaining = self._api.parse(lambda: wire.hours_of(body))
        max_age = timedelta(seconds=self._api.timeouts.hours)
        self._hours = (
            now + (max_age if remaining is None else min(max_age, remaining)),
            is_open,
            None if remaining is None else now + remaining,
        )
        return is_open

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """From Alpaca's own calendar, as its clock endpoint returns it."""
        is_open, known = self.market_open(symbol), self._hours
        return known[2] if known is not None and not is_open else None

    def clock_skew(self) -> timedelta:
        """How far Alpaca's clock is ahead of ours; assumes that half of the round trip is the way back."""
        before = self._api.clock.now()
        body = self._api.read(self._api.orders.get_clock, dict)
        after = self._api.clock.now()
        return self._api.parse(lambda: wire.moment(body["timestamp"])) - (before + (after - before) / 2)

    def quote(self, symbol: Symbol) -> Quote:
        """Bid and ask; the last trade where they are not available."""
        for read in (self._bid_and_ask, self._last_trade):
            try:
                found = read(symbol)
            except NotOffered:
                continue
            if found is not None:
                return found
        raise Unavailable(
            f"Alpaca has no current price of {symbol.short}. Check the spelling, or wait until the symbol "
            "trades."
        )

    def _bid_and_ask(self, symbol: Symbol) -> Quote | None:
        from alpaca.data.requests import CryptoLatestQuoteRequest, StockLatestQuoteRequest

        name = order_body.name_at_alpaca(symbol)
        if symbol.is_crypto:
            coin = CryptoLatestQuoteRequest(symbol_or_symbols=name)
            found = self._api.read(lambda: self._api.coins.get_crypto_latest_quote(coin), dict)
        else:
            found = self._read_stock_data(
                lambda feed: self._api.stocks.get_stock_latest_quote(
                    StockLatestQuoteRequest(symbol_or_symbols=name, feed=feed)
                )
            )
        return (
            self._api.parse(lambda: wire.quote_of(symbol, found[name]))
            if isinstance(found.get(name), dict)
            else None
        )

    def _last_trade(self, symbol: Symbol) -> Quote | None:
        from alpaca.data.requests import CryptoLatestTradeRequest, StockLatestTradeRequest

        name = order_body.name_at_alpaca(symbol)
        if symbol.is_crypto:
            found = self._api.read(
                lambda: self._api.coins.get_crypto_latest_trade(
                    CryptoLatestTradeRequest(symbol_or_symbols=name)
                ),
                dict,
            )
        else:
            found = self._read_stock_data(
                lambda feed: self._api.stocks.get_stock_latest_trade(
                    StockLatestTradeRequest(symbol_or_symbols=name, feed=feed)
                )
            )
        return (
            self._api.parse(lambda: wire.last_trade(symbol, found[name]))
            if isinstance(found.get(name), dict)
            else None
        )

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        """Adjusted for splits, which a strategy would take for a crash. Requested newest first: how far back
        `count` candles reach over nights and holidays is unknown, so the start is generous and the limit cuts
        off the rest."""
        from alpaca.common.enums import Sort
        from alpaca.data.enums import Adjustment
        from alpaca.data.requests import CryptoBarsRequest, StockBarsRequest

        name = order_body.name_at_alpaca(symbol)
        start = end - timeframe.span * count * 8 - timedelta(days=10)
        span: dict[str, Any] = {
            "symbol_or_symbols": name,
            "timeframe": bar_length(timeframe),
            "start": start,
            "end": end,
            "limit": count,
            "sort": Sort.DESC,
        }
        if symbol.is_crypto:
            found = self._api.read(lambda: self._api.coins.get_crypto_bars(CryptoBarsRequest(**span)), dict)
        else:
            found = self._read_stock_data(
                lambda feed: self._api.stocks.get_stock_bars(
                    StockBarsRequest(**span, adjustment=Adjustment.SPLIT, feed=feed)
                )
            )
        return self._api.parse(
            lambda: sorted(
                (wire.candle_of(bar) for bar in found.get(name) or ()), key=lambda candle: candle.at
            )
        )

    def _read_stock_data(self, request: Callable[[Any], Any]) -> dict[str, Any]:
        """Without a paid plan Alpaca refuses the last minutes of the whole market (403), and offers those of
        one exchange."""
        from alpaca.data.enums import DataFeed

        feed = DataFeed(self._feed) if self._feed is not None else None
        try:
            return self._api.read(lambda: request(feed), dict)
        except BadCredentials as error:
            if "subscription" not in error.message:
                raise
            if self._feed is not None:
                raise Unavailable(
                    f"this Alpaca key has no {self._feed} prices. Set the account's option feed to iex."
                ) from error
            self._feed = "iex"
        return self._api.read(lambda: request("iex"), dict)
