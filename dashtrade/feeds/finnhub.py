"""Finnhub: the last price of stocks and coins; candles for keys with a paid plan.

It has no bid and ask. An unknown symbol is answered with status 200 and a price of 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import NotOffered, Quote
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import exact
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import from_ms, row
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Reply, Web
from dashtrade.market.series import Adjustment, Series

URL = "https://finnhub.io/api/v1"
_RESOLUTIONS = {60: "1", 300: "5", 900: "15", 1800: "30", 3600: "60", 86_400: "D"}
_COLUMNS = ("t", "o", "h", "l", "c", "v")
# One request covers about a month of minutes; there are no pages.
_STRETCH, _DAILY_STRETCH = timedelta(days=28), timedelta(days=3650)


class FinnhubSource(NetworkSource):
    def __init__(self, kind: SourceKind, tier: Tier, key: str, around: Around) -> None:
        web = Web(
            kind.title,
            around.address("FINNHUB_URL") or URL,
            around,
            headers={"X-Finnhub-Token": key},  # and not in the address, which ends up in logs
            secrets=(key,),
        )
        self.web = web
        super().__init__(kind, tier, around, web)

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        stretch = _DAILY_STRETCH if series.timeframe.seconds == 86_400 else _STRETCH
        while start < end:
            until = min(start + stretch, end)
            yield self._stretch(series, start, until)
            start = until

    def _stretch(self, series: Series, start: datetime, end: datetime) -> Page:
        def read(reply: Reply) -> Page:
            if reply.json["s"] == "no_data":
                return [], reply.at
            if reply.json["s"] != "ok":
                raise ValueError("an answer that is neither")
            columns = [reply.json[name] for name in _COLUMNS]
            return [row(int(at) * 1000, *values) for at, *values in zip(*columns, strict=True)], reply.at

        path = "/crypto/candle" if series.symbol.is_crypto else "/stock/candle"
        asked = {
            "symbol": _name(series.symbol),
            "resolution": _RESOLUTIONS[series.timeframe.seconds],
            "from": str(int(start.timestamp())),
            "to": str(int((end + series.timeframe.span).timestamp())),
        }
        return self.web.ask(path, asked, read)

    def current(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            price, at = exact(reply.json["c"]), int(reply.json["t"])
            if price <= 0:
                raise NotOffered(f"Finnhub has no price of {symbol.short}: it may not know the symbol.")
            return Quote(
                symbol=symbol, bid=price, ask=price, at=from_ms(at * 1000), note=Reason(Code.LAST_PRICE_USED)
            )

        return self.web.ask("/quote", {"symbol": _name(symbol)}, read)


def _name(symbol: Symbol) -> str:
    return f"BINANCE:{symbol.base}{symbol.quote}" if symbol.is_crypto else symbol.base


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> FinnhubSource:
    return FinnhubSource(kind, tier, credentials["key"], around)


SOURCE = SourceKind(
    name="finnhub",
    title="Finnhub",
    stocks=True,
    crypto=True,
    tiers=(
        Tier(name="free", quotes=Prices.LAST, per_minute=60),
        Tier(
            name="paid",
            candles=(
                Candles(timeframes=timeframes("1m 5m 15m 30m 1h")),
                Candles(timeframes=timeframes("1d"), adjustments=frozenset({Adjustment.SPLIT})),
            ),
            quotes=Prices.LAST,
            per_minute=150,
        ),
    ),
    credentials=(
        Credential(name="key", label="API key", help="on the dashboard at finnhub.io", secret=True),
    ),
    addresses=(Address(setting="FINNHUB_URL", default="Finnhub's own", meaning="address of Finnhub's API"),),
    notes=(
        "Free keys have no candles. Quotes are the last price, without bid and ask.",
        "Daily candles of stocks are adjusted for splits, shorter ones are not.",
        "Coins are those of Binance.",
    ),
    make=_make,
)
