"""Candles and prices of any crypto exchange that ccxt knows, without a key.

ccxt differs by exchange: how many candles one answer has, whether `since` counts (Kraken gives the newest 720
whatever is asked), whether the candle of now is among them, and what becomes of a page of HTML: an empty
list. So what an answer is not is looked for in the answer itself."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import BrokerError, NotOffered, Quote, Rejected
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, finite
from dashtrade.feeds import web
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import ms_of, row
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Calls
from dashtrade.market.series import Series

T = TypeVar("T")
USUAL_PAGE = 100  # candles in an answer of an exchange of which ccxt does not say it
MARKETS_SECONDS = 86_400.0
_DAY_MS = 86_400_000


class ExchangeSource(NetworkSource):
    """One exchange; its series bear the name `ccxt-` and the exchange's."""

    def __init__(self, kind: SourceKind, tier: Tier, exchange: str, around: Around) -> None:
        self._client, self._lock, self._loaded_at = _client(exchange, around), threading.Lock(), 0.0
        lengths = {self._client.parse_timeframe(name): name for name in self._client.timeframes}
        offered = tuple(each for each in tier.candles[0].timeframes if each.seconds in lengths)
        self._names = {each: lengths[each.seconds] for each in offered}
        listed = (self._client.features or {}).get("spot") or {}
        self._page_size = (listed.get("fetchOHLCV") or {}).get("limit") or USUAL_PAGE
        calls = Calls(self._client.name, around)
        super().__init__(
            replace(kind, title=self._client.name),
            replace(tier, candles=(Candles(timeframes=offered),)),
            around,
            calls,
            name=f"ccxt-{exchange}",
        )

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        name, length = self._names[series.timeframe], series.timeframe.seconds * 1000
        since, until = ms_of(start), ms_of(end)
        while since < until:
            rows, made_at = self._candles(series.symbol, name, since)
            yield [row(*each) for each in rows], made_at
            newest = max((each[0] for each in rows), default=since - 1)
            since = newest + length if newest >= since else self._next_day(series.symbol, since, length)

    def _next_day(self, symbol: Symbol, since: int, length: int) -> int:
        """Nothing traded for a whole page: where trading goes on, as the days show it."""
        after = since + self._page_size * length
        if length >= _DAY_MS or "1d" not in self._client.timeframes:
            return after
        days, _ = self._candles(symbol, "1d", since - _DAY_MS)
        traded = [each[0] for each in days if each[0] > since - _DAY_MS]
        return max(since + length, min(traded)) if traded else max(after, since + self._page_size * _DAY_MS)

    def _candles(self, symbol: Symbol, name: str, since: int) -> tuple[list[tuple[Any, ...]], datetime]:
        def ask(client: Any) -> tuple[list[tuple[Any, ...]], datetime]:
            found = client.fetch_ohlcv(self._listed(symbol), name, since, self._page_size)
            return [(int(each[0]), *each[1:6]) for each in found], self._answered_at()

        return self._ask(ask)

    def current(self, symbol: Symbol) -> Quote:
        def ask(client: Any) -> Quote:
            found = client.fetch_ticker(self._listed(symbol))
            bid, ask, note = finite(found.get("bid")), finite(found.get("ask")), NO_REASON
            if not bid or not ask:
                bid = ask = finite(found.get("last"))
                note = Reason(Code.LAST_PRICE_USED)
            if not bid or not ask:
                raise NotOffered(f"{client.name} has no price of {symbol.short} now.")
            return Quote(symbol=symbol, bid=bid, ask=ask, at=self._answered_at(), note=note)

        return self._ask(ask)

    def load(self) -> None:
        """The exchange's markets, once a day."""
        if self._client.markets and time.monotonic() - self._loaded_at < MARKETS_SECONDS:
            return

        def ask(client: Any) -> None:
            markets = client.load_markets(True)
            if not any(market.get("spot") for market in markets.values()):
                raise self.calls.unavailable("it lists no market")

        self._carry_out(ask)
        self._loaded_at = time.monotonic()

    # --- one request ---

    def _ask(self, call: Callable[[Any], T]) -> T:
        self.load()
        return self._carry_out(call)

    def _carry_out(self, call: Callable[[Any], T]) -> T:
        """One at a time: a client of ccxt keeps its last answer."""
        if not self._lock.acquire(timeout=web.WHOLE_SECONDS):
            raise self.calls.limited(timedelta(seconds=2), "earlier requests are still running")
        try:
            self._client.last_status, self._client.last_json_response = None, None
            self._client.last_response_headers = {}
            return self.calls.carry_out(lambda: self._called(call))
        finally:
            self._lock.release()

    def _called(self, call: Callable[[Any], T]) -> T:
        try:
            found = call(self._client)
        except BrokerError:
            raise
        except Exception as error:
            raise self._error(error) from None
        if not isinstance(self._client.last_json_response, (dict, list)):
            raise self.calls.unavailable("its answer is no JSON")
        return found

    def _error(self, error: Exception) -> BrokerError:
        import ccxt

        said = web.clean(re.sub(r"https?://\S+", "", str(error)))
        status = self._client.last_status  # of the answer that ccxt took for this error
        if status in (418, 429) or isinstance(error, (ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
            headers = self._client.last_response_headers or {}
            return self.calls.limited(web.retry_after(headers, self._answered_at()))
        if isinstance(error, ccxt.BadSymbol):
            return Rejected(f"{self._client.name} does not trade this symbol.")
        if status == 451:
            return NotOffered(f"{self._client.name} serves no data to this country.")
        if isinstance(error, (ccxt.NotSupported, ccxt.PermissionDenied, ccxt.AuthenticationError)):
            return NotOffered(f"{self._client.name} does not give this without a key ({said}).")
        return self.calls.unavailable(type(error).__name__)

    def _listed(self, symbol: Symbol) -> str:
        name = f"{symbol.base}/{symbol.quote}"
        market = self._client.markets.get(name)
        if market is None or not market.get("spot", True):
            raise Rejected(f"{self._client.name} does not trade {symbol.short}.")
        return name

    def _answered_at(self) -> datetime:
        return self.calls.made_at(self._client.last_response_headers or {})

    def close(self) -> None:
        self._client.session.close()


def _client(exchange: str, around: Around) -> Any:
    import ccxt

    if exchange not in ccxt.exchanges:
        raise Malformed(f"there is no exchange {exchange[:30]!r}", where="exchange")
    client = getattr(ccxt, exchange)({"enableRateLimit": False, "timeout": int(web.READ_SECONDS * 1000)})
    if not client.has.get("fetchOHLCV"):
        raise Malformed(f"{client.name} has no candles in ccxt", where="exchange")
    client.enableLastJsonResponse = client.enableLastResponseHeaders = True
    client.number = str  # no float between the exchange and the candle
    client.has = {**client.has, "fetchCurrencies": False}
    client.options = {**client.options, "defaultType": "spot", "maxRetriesOnFailure": 0}
    client.session.max_redirects = 0
    client.session.request = _within_time(client, client.session.request)
    address = around.address(f"CCXT_URL_{exchange.upper()}")
    if address:
        client.urls["api"] = _moved(client.urls["api"], address.rstrip("/"))
    return client


def _within_time(client: Any, request: Callable[..., Any]) -> Callable[..., Any]:
    """ccxt's own time-out is one between two bytes."""

    def ask(*args: Any, **more: Any) -> Any:
        until = time.monotonic() + web.WHOLE_SECONDS
        response = request(*args, **{**more, "timeout": web.time_outs(), "stream": True})
        client.last_status = response.status_code
        response._content, response._content_consumed = web.read_body(response, until), True
        return response

    return ask


def _moved(urls: Any, base: str) -> Any:
    """Every address moved to another host; paths stay."""
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    return base + urlsplit(urls.replace("{hostname}", "host")).path.rstrip("/")


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> ExchangeSource:
    return ExchangeSource(kind, tier, credentials["exchange"], around)


SOURCE = SourceKind(
    name="ccxt",
    title="Any exchange of ccxt",
    crypto=True,
    tiers=(
        Tier(
            name="public",
            candles=(Candles(timeframes=timeframes("1m 5m 15m 30m 1h 4h 1d")),),
            quotes=Prices.BID_ASK,
            per_minute=60,
        ),
    ),
    credentials=(Credential(name="exchange", label="Exchange", help="its name in ccxt, such as kraken"),),
    addresses=(
        Address(
            setting="CCXT_URL_<EXCHANGE>",
            default="the exchange's own",
            meaning="address of a crypto exchange, such as `CCXT_URL_BINANCE`",
        ),
    ),
    notes=(
        "Which timeframes there are, and how far back, differs by exchange: Kraken has the newest 720.",
        "Where an exchange has no bid and ask, quotes are its last price.",
    ),
    make=_make,
)
