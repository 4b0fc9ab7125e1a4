"""Alpha Vantage: candles of US stocks, 25 requests a day for free.

Every refusal comes with status 200 and a sentence, which may hold the key. Times are New York's, without an
offset, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import (
    BadCredentials,
    BrokerError,
    NotOffered,
    Quote,
    Rejected,
    RetryLater,
    Unavailable,
)
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import exact
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import NEW_YORK, Row, from_new_york, ms_of, row
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Reply, Web
from dashtrade.market.series import Adjustment, Series

T = TypeVar("T")
URL = "https://www.alphavantage.co"
_FIELDS = ("1. open", "2. high", "3. low", "4. close", "5. volume")
_INTERVALS = {60: "1min", 300: "5min", 900: "15min", 1800: "30min", 3600: "60min"}
_ZONES = ("US/Eastern", "America/New_York")
_COMPACT = timedelta(days=130)  # of calendar days, within the last hundred sessions


class AlphaVantageSource(NetworkSource):
    def __init__(self, kind: SourceKind, tier: Tier, key: str, around: Around) -> None:
        address = around.address("ALPHA_VANTAGE_URL") or URL
        self.web = Web(kind.title, address, around, secrets=(key,), refused=_refused)
        super().__init__(kind, tier, around, self.web)
        self._key = key
        self._ended_month: tuple[Series, str, Page] | None = None  # asked for last

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        if series.timeframe.seconds == 86_400:
            yield self._days(series, start)
            return
        for month in _months(start, min(end, self.around.clock.now())):
            yield self._kept_month(series, month)

    def _kept_month(self, series: Series, month: str) -> Page:
        """Who reads a month in several stretches has it for one request, of 25 a day."""
        kept = self._ended_month
        if kept is not None and kept[:2] == (series, month):
            return kept[2]
        page = self._month(series, month)
        if month < f"{page[1].astimezone(NEW_YORK):%Y-%m}":
            self._ended_month = series, month, page
        return page

    def _days(self, series: Series, start: datetime) -> Page:
        size = "compact" if self.around.clock.now() - start < _COMPACT else "full"
        asked = {"function": "TIME_SERIES_DAILY", "symbol": _name(series.symbol), "outputsize": size}

        def read(reply: Reply) -> Page:
            found = reply.json["Time Series (Daily)"].items()
            return [
                _row(datetime.fromisoformat(day).replace(tzinfo=UTC), each) for day, each in found
            ], reply.at

        return self._ask(asked, read)

    def _month(self, series: Series, month: str) -> Page:
        interval = _INTERVALS[series.timeframe.seconds]
        asked = {
            "function": "TIME_SERIES_INTRADAY",
            "symbol": _name(series.symbol),
            "interval": interval,
            "month": month,
            "outputsize": "full",
            "adjusted": "false" if series.adjustment is Adjustment.RAW else "true",
            "extended_hours": "true",
        }

        def read(reply: Reply) -> Page:
            zone = reply.json["Meta Data"]["6. Time Zone"]
            if zone not in _ZONES:
                raise ValueError("times of another zone")
            found = reply.json[f"Time Series ({interval})"].items()
            return [_row(from_new_york(at), each) for at, each in found], reply.at

        return self._ask(asked, read)

    def current(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            found = reply.json["Global Quote"]
            if not found or exact(found["05. price"]) <= 0:
                raise NotOffered(f"Alpha Vantage has no price of {symbol.short}: it may not know the symbol.")
            price = exact(found["05. price"])
            close = from_new_york(f"{found['07. latest trading day']} 16:00:00")
            at = min(close, reply.at)
            return Quote(symbol=symbol, bid=price, ask=price, at=at, note=Reason(Code.LAST_PRICE_USED))

        return self._ask({"function": "GLOBAL_QUOTE", "symbol": _name(symbol)}, read)

    def _ask(self, asked: dict[str, str], read: Callable[[Reply], T]) -> T:
        return self.web.ask("/query", asked | {"apikey": self._key}, read)


def _row(at: datetime, fields: Mapping[str, str]) -> Row | None:
    return row(ms_of(at), *(fields[name] for name in _FIELDS))


def _months(start: datetime, end: datetime) -> Iterator[str]:
    """Each month of New York's in which the stretch lies."""
    first, last = start.astimezone(NEW_YORK), end.astimezone(NEW_YORK)
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        yield f"{year}-{month:02}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _name(symbol: Symbol) -> str:
    return symbol.base.replace(".", "-")


def _refused(reply: Reply) -> BrokerError | None:
    """What it says decides: the status is 200. Which of the limits is meant shows in the words alone."""
    body = reply.json if isinstance(reply.json, dict) else {}
    if not {"Information", "Note", "Error Message"} & body.keys():
        return None
    said = reply.message
    low = said.lower()
    if "spreading out" in low or "per minute" in low or "call volume" in low:
        seconds = 2 if "per second" in low else 60
        return RetryLater(
            f"Alpha Vantage's rate limit is used up for {seconds} s. Asked again later.",
            timedelta(seconds=seconds),
        )
    if "requests per day" in low:
        return RetryLater(
            f"Alpha Vantage's requests of today are used up ({said}). Asked again in an hour.",
            timedelta(hours=1),
        )
    if "premium endpoint" in low or "premium feature" in low:
        return NotOffered(f"Alpha Vantage does not give this in your plan ({said}).")
    if "apikey" in low or "api key" in low:
        return BadCredentials(f"Alpha Vantage refused the key ({said}). Enter a valid one.")
    if "invalid api call" in low:
        return Rejected(f"Alpha Vantage does not know this symbol, or has nothing of that month ({said}).")
    return Unavailable(
        f"Alpha Vantage could not be read ({said}). No data from there now; DashTrade retries."
    )


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> AlphaVantageSource:
    return AlphaVantageSource(kind, tier, credentials["key"], around)


_INTRADAY = Candles(
    timeframes=timeframes("1m 5m 15m 30m 1h"), adjustments=frozenset({Adjustment.RAW, Adjustment.ALL})
)
SOURCE = SourceKind(
    name="alpha_vantage",
    title="Alpha Vantage",
    stocks=True,
    tiers=(
        Tier(
            name="free",
            candles=(_INTRADAY, Candles(timeframes=timeframes("1d"), reach=_COMPACT)),
            quotes=Prices.LAST,
            delay=timedelta(days=1),
            per_minute=5,
            per_day=25,
        ),
        Tier(
            name="premium",
            candles=(_INTRADAY, Candles(timeframes=timeframes("1d"))),
            quotes=Prices.LAST,
            per_minute=75,
        ),
    ),
    credentials=(Credential(name="key", label="API key", help="from alphavantage.co/support", secret=True),),
    addresses=(
        Address(
            setting="ALPHA_VANTAGE_URL",
            default="Alpha Vantage's own",
            meaning="address of Alpha Vantage's API",
        ),
    ),
    notes=(
        "A month of minutes is one request, of 25 a day for free. Candles hold trades outside regular hours.",
        "Quotes are the last price, without bid and ask.",
    ),
    make=_make,
)
