"""Massive, formerly Polygon: candles and best bid and ask of US stocks, candles and last prices of coins.

An answer may be an error with status 200, and the end of a page says nothing of the end of the data: `limit`
counts the minutes of which longer candles are made, so pages are followed by `next_url` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, Quote, RetryLater, Unavailable
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import exact
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import from_ms, ms_of, row, session_day
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Reply, Web
from dashtrade.market.series import Adjustment, Series

URL = "https://api.massive.com"
PAGE = 50_000
_SPANS = {86_400: "day", 3600: "hour", 60: "minute"}


class MassiveSource(NetworkSource):
    def __init__(self, kind: SourceKind, tier: Tier, key: str, around: Around) -> None:
        web = Web(
            kind.title,
            around.address("MASSIVE_URL") or URL,
            around,
            headers={"Authorization": f"Bearer {key}"},
            secrets=(key,),
            refused=_refused,
        )
        self.web = web
        super().__init__(kind, tier, around, web)

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        daily = series.timeframe.seconds == 86_400 and not series.symbol.is_crypto
        first = start - timedelta(days=1) if daily else start
        count, span = _span(series.timeframe)
        stretch = f"{ms_of(first)}/{ms_of(end + series.timeframe.span)}"
        path = f"/v2/aggs/ticker/{_ticker(series.symbol)}/range/{count}/{span}/{stretch}"
        adjusted = "true" if series.adjustment is Adjustment.SPLIT else "false"
        params = {"adjusted": adjusted, "sort": "asc", "limit": str(PAGE)}

        def read(reply: Reply) -> tuple[Page, str]:
            found = reply.json["results"] if reply.json["resultsCount"] else []
            rows = [
                row(
                    session_day(from_ms(each["t"])) if daily else int(each["t"]),
                    *(each[name] for name in "ohlcv"),
                )
                for each in found
            ]
            return (rows, reply.at), str(reply.json.get("next_url") or "")

        while path:
            page, next_url = self.web.ask(path, params, read)
            yield page
            path, params = self.web.follow_up(next_url) if next_url else "", {}

    def current(self, symbol: Symbol) -> Quote:
        return self._last_trade(symbol) if symbol.is_crypto else self._best(symbol)

    def _best(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            found = reply.json["results"]
            bid, ask = exact(found["p"]), exact(found["P"])
            if min(bid, ask) <= 0:
                raise NotOffered(f"Massive has no bid and ask of {symbol.short} now.")
            return Quote(symbol=symbol, bid=bid, ask=ask, at=from_ms(int(found["t"]) // 1_000_000))

        return self.web.ask(f"/v2/last/nbbo/{_ticker(symbol)}", {}, read)

    def _last_trade(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            found = reply.json["last"]
            price = exact(found["price"])
            if price <= 0:
                raise NotOffered(f"Massive has no price of {symbol.short} now.")
            at = from_ms(int(found["timestamp"]))
            return Quote(symbol=symbol, bid=price, ask=price, at=at, note=Reason(Code.LAST_PRICE_USED))

        return self.web.ask(f"/v1/last/crypto/{symbol.base}/{symbol.quote}", {}, read)


def _ticker(symbol: Symbol) -> str:
    return f"X:{symbol.base}{symbol.quote}" if symbol.is_crypto else symbol.base


def _span(timeframe: Timeframe) -> tuple[int, str]:
    seconds = next(each for each in _SPANS if timeframe.seconds % each == 0)
    return timeframe.seconds // seconds, _SPANS[seconds]


def _refused(reply: Reply) -> BrokerError | None:
    """`DELAYED` is a good answer of a plan whose prices are 15 minutes old."""
    body = reply.json if isinstance(reply.json, dict) else {}
    status = str(body.get("status", "OK")).upper()
    if not body or status in ("OK", "DELAYED", "SUCCESS"):
        return None
    said = reply.message or status
    if "maximum requests" in said:
        return RetryLater("Massive's rate limit is used up. Asked again in a minute.", timedelta(seconds=60))
    if "api key" in said.lower():
        return BadCredentials(f"Massive refused the key: {said}. Enter a valid one.")
    if status in ("NOT_AUTHORIZED", "NOT_ENTITLED") or "plan" in said or "entitled" in said:
        return NotOffered(f"Massive does not give this in your plan: {said}.")
    if status == "NOT_FOUND":
        return NotOffered(f"Massive has nothing of this symbol: {said}.")
    return Unavailable(f"Massive could not be read ({said}). No data from there now; DashTrade retries.")


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> MassiveSource:
    return MassiveSource(kind, tier, credentials["key"], around)


_TIMEFRAMES, _ADJUSTMENTS = (timeframes("1m 5m 15m 30m 1h 1d"), frozenset({Adjustment.RAW, Adjustment.SPLIT}))
_CANDLES = (Candles(timeframes=_TIMEFRAMES, adjustments=_ADJUSTMENTS),)
_TWO_YEARS = (Candles(timeframes=_TIMEFRAMES, adjustments=_ADJUSTMENTS, reach=timedelta(days=729)),)
SOURCE = SourceKind(
    name="massive",
    title="Massive",
    stocks=True,
    crypto=True,
    tiers=(
        Tier(name="free", candles=_TWO_YEARS, delay=timedelta(days=1), per_minute=5),
        Tier(name="delayed", candles=_CANDLES, delay=timedelta(minutes=15), per_minute=600),
        Tier(
            name="real time", candles=_CANDLES, quotes=Prices.BID_ASK, coin_quotes=Prices.LAST, per_minute=600
        ),
    ),
    credentials=(Credential(name="key", label="API key", help="under API Keys at massive.com", secret=True),),
    addresses=(Address(setting="MASSIVE_URL", default="Massive's own", meaning="address of Massive's API"),),
    notes=(
        "Candles hold trades outside regular hours; hours begin at the full hour.",
        "The free plan has two years of history, up to the end of yesterday.",
        "Coins have a last price, no bid and ask.",
    ),
    make=_make,
)
