"""Alpaca's market data: candles and best bid and ask of US stocks and of some coins.

Any Alpaca key has it, that of a broker account too. Without alpaca-py, which hides the pages and reads prices
as floats. The exchange IEX has a few percent of the volume, so its candles are a source of their own
(`alpaca-iex`) and never stand beside those of the whole market (`alpaca`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, Quote, Rejected
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, exact, iso
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import ms_of, row, session_day
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Reply, Web
from dashtrade.market.series import Adjustment, Series

T = TypeVar("T")
URL = "https://data.alpaca.markets"
PAGE = 10_000
# Without a plan for it, the whole market is there 15 minutes later; a minute more for clocks that differ.
DELAY = timedelta(minutes=16)
_UNITS = {"m": "Min", "h": "Hour", "d": "Day"}


class AlpacaSource(NetworkSource):
    def __init__(self, kind: SourceKind, tier: Tier, key: str, secret: str, around: Around) -> None:
        web = Web(
            kind.title,
            _address(around),
            around,
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            secrets=(key, secret),
            refused=_refused,
        )
        self.web = web
        super().__init__(kind, tier, around, web, name="alpaca-iex" if tier.name == "iex" else kind.name)
        self._feed = "iex" if tier.name == "iex" else "sip"

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        coin, name = series.symbol.is_crypto, _name(series.symbol)
        daily = series.timeframe.seconds == 86_400
        newest = self.around.clock.now() - self.tier.delay
        asked = {
            "symbols": name,
            "timeframe": f"{series.timeframe.text[:-1]}{_UNITS[series.timeframe.text[-1]]}",
            "start": iso(start),
            # the candle that `end` cuts would be made of a part of its minutes
            "end": iso(min(end + series.timeframe.span, newest)),
            "limit": str(PAGE),
            "sort": "asc",
        }
        if not coin:
            asked |= {"adjustment": series.adjustment.value, "feed": self._feed}
        token = ""

        def read(reply: Reply) -> tuple[Page, str]:
            rows = []
            for each in reply.json["bars"].get(name) or ():
                opened = datetime.fromisoformat(each["t"])
                at = session_day(opened) if daily else ms_of(opened)
                rows.append(row(at, *(each[column] for column in "ohlcv")))
            return (rows, min(reply.at, newest)), str(reply.json["next_page_token"] or "")

        path = "/v1beta3/crypto/us/bars" if coin else "/v2/stocks/bars"
        while start < newest:
            page, token = self.web.ask(path, asked | ({"page_token": token} if token else {}), read)
            yield page
            if not token:
                return

    def current(self, symbol: Symbol) -> Quote:
        """The last trade stands in where one side of the book is empty, as outside market hours."""
        return self._best(symbol) or self._last_trade(symbol)

    def _best(self, symbol: Symbol) -> Quote | None:
        def read(reply: Reply) -> Quote | None:
            found = reply.json["quotes"].get(_name(symbol))
            bid, ask = (exact(found["bp"]), exact(found["ap"])) if found else (ZERO, ZERO)
            if min(bid, ask) <= 0:
                return None
            return Quote(symbol=symbol, bid=bid, ask=ask, at=datetime.fromisoformat(found["t"]))

        return self._latest(symbol, "quotes", read)

    def _last_trade(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            found = reply.json["trades"].get(_name(symbol))
            price = exact(found["p"]) if found else ZERO
            if price <= 0:
                raise NotOffered(f"Alpaca has no price of {symbol.short}: it may not trade the symbol.")
            at = datetime.fromisoformat(found["t"])
            return Quote(symbol=symbol, bid=price, ask=price, at=at, note=Reason(Code.LAST_PRICE_USED))

        return self._latest(symbol, "trades", read)

    def _latest(self, symbol: Symbol, what: str, read: Callable[[Reply], T]) -> T:
        path = f"/v1beta3/crypto/us/latest/{what}" if symbol.is_crypto else f"/v2/stocks/{what}/latest"
        feed = {} if symbol.is_crypto else {"feed": self._feed}
        return self.web.ask(path, {"symbols": _name(symbol)} | feed, read)


def _name(symbol: Symbol) -> str:
    return f"{symbol.base}/{symbol.quote}" if symbol.is_crypto else symbol.base


def _address(around: Around) -> str:
    """Unless given, prices are on the custom trading server if there is one: its keys must not reach another
    server."""
    trading = around.address("ALPACA_API_URL") or ""
    own = trading if not (urlsplit(trading).hostname or "").endswith("alpaca.markets") else ""
    return (around.address("ALPACA_DATA_URL") or own or URL).rstrip("/").removesuffix("/v2")


def _refused(reply: Reply) -> BrokerError | None:
    said = reply.message
    if reply.status in (402, 403, 422) and "subscription" in said:
        return NotOffered(f"Alpaca does not give this in your plan: {said}.")
    if reply.status in (401, 403) and reply.json is not None:
        return BadCredentials(f"Alpaca refused the key{f' (it says: {said})' if said else ''}.")
    if reply.status == 400 and "invalid symbol" in said:
        return Rejected(f"Alpaca does not know this symbol: {said}.")
    return None


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> AlpacaSource:
    return AlpacaSource(kind, tier, credentials["key"], credentials["secret"], around)


_CANDLES = (
    Candles(timeframes=timeframes("1m 5m 15m 30m 1h 1d"), adjustments=frozenset(Adjustment), only="stocks"),
    Candles(timeframes=timeframes("1m 5m 15m 30m 1h"), only="coins"),
)
SOURCE = SourceKind(
    name="alpaca",
    title="Alpaca",
    stocks=True,
    crypto=True,
    tiers=(
        Tier(name="delayed", candles=_CANDLES, delay=DELAY, per_minute=150),
        Tier(name="iex", candles=_CANDLES, quotes=Prices.BID_ASK, per_minute=150, partial=True),
        Tier(name="sip", candles=_CANDLES, quotes=Prices.BID_ASK, per_minute=1000),
    ),
    credentials=(
        Credential(name="key", label="API key", help="the API key ID"),
        Credential(name="secret", label="API secret", help="the secret key, shown once", secret=True),
    ),
    addresses=(
        Address(
            setting="ALPACA_DATA_URL",
            default="Alpaca's own, or that of `ALPACA_API_URL`",
            meaning="address of Alpaca's market data",
        ),
    ),
    notes=(
        "Free keys: the whole market 16 minutes late (delayed), or the exchange IEX at once (iex).",
        "Candles of minutes and hours hold trades outside regular hours; a minute without a trade has none.",
    ),
    make=_make,
)
