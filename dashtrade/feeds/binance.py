"""Binance's spot market: candles and best bid and ask over REST, and candles as they happen over a WebSocket.

Nothing needs a key: Binance serves market data alone at an address of its own. Prices are strings, so no
digit is lost. A minute without a trade is a flat candle here, and no candle at other sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dashtrade.domain.broker_kinds import Address
from dashtrade.domain.ports import BrokerError, NotOffered, Quote, Rejected
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import exact
from dashtrade.feeds.kinds import Around, Candles, Prices, SourceKind, Tier, timeframes
from dashtrade.feeds.rows import ms_of, row
from dashtrade.feeds.source import NetworkSource, Page
from dashtrade.feeds.web import Reply, Web
from dashtrade.market.series import Series

if TYPE_CHECKING:
    from dashtrade.market.bars import Bars

DATA_URL, STREAM_URL = "https://data-api.binance.vision", "wss://data-stream.binance.vision"
PAGE = 1000


class BinanceSource(NetworkSource):
    def __init__(self, kind: SourceKind, tier: Tier, around: Around) -> None:
        address = around.address("BINANCE_DATA_URL") or DATA_URL
        self.web = Web(kind.title, address, around, refused=_refused)
        super().__init__(kind, tier, around, self.web)
        self._stream_url = around.address("BINANCE_STREAM_URL") or STREAM_URL

    def pages(self, series: Series, start: datetime, end: datetime) -> Iterator[Page]:
        since, until, length = ms_of(start), ms_of(end), series.timeframe.seconds * 1000
        while since < until:
            rows, made_at = self._page(series, since, until)
            yield rows, made_at
            newest = max((each[0] for each in rows if each is not None), default=until)
            since = max(newest, since) + length

    def _page(self, series: Series, since: int, until: int) -> Page:
        asked = {
            "symbol": name_at_binance(series.symbol),
            "interval": series.timeframe.text,
            "startTime": str(since),
            "endTime": str(until - 1),
            "limit": str(PAGE),
        }

        def read(reply: Reply) -> Page:
            return [row(int(each[0]), *each[1:6]) for each in reply.json], reply.at

        return self.web.ask("/api/v3/klines", asked, read)

    def current(self, symbol: Symbol) -> Quote:
        def read(reply: Reply) -> Quote:
            bid, ask = exact(reply.json["bidPrice"]), exact(reply.json["askPrice"])
            if min(bid, ask) <= 0:
                raise NotOffered(f"Binance has no bid and ask of {symbol.short}: trading is halted there.")
            return Quote(symbol=symbol, bid=bid, ask=ask, at=reply.at)

        return self.web.ask("/api/v3/ticker/bookTicker", {"symbol": name_at_binance(symbol)}, read)

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        from dashtrade.feeds.binance_stream import followed

        return followed(self, self._stream_url, series)


def name_at_binance(symbol: Symbol) -> str:
    return f"{symbol.base}{symbol.quote}"


def _refused(reply: Reply) -> BrokerError | None:
    code = reply.json.get("code") if isinstance(reply.json, dict) else None
    if code == -1121:
        return Rejected("Binance does not trade this symbol. Choose another symbol or another source.")
    if reply.status == 451:
        return NotOffered("Binance serves no data to this country. Choose another source.")
    return None


def _make(kind: SourceKind, tier: Tier, credentials: Mapping[str, str], around: Around) -> BinanceSource:
    return BinanceSource(kind, tier, around)


SOURCE = SourceKind(
    name="binance",
    title="Binance",
    crypto=True,
    streams=True,
    tiers=(
        Tier(
            name="public",
            candles=(Candles(timeframes=timeframes("1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d")),),
            quotes=Prices.BID_ASK,
            # Binance allows an address 3,000 of these a minute, which orders from here share.
            per_minute=1000,
        ),
    ),
    addresses=(
        Address(setting="BINANCE_DATA_URL", default="Binance's own", meaning="address of Binance's prices"),
        Address(
            setting="BINANCE_STREAM_URL", default="Binance's own", meaning="address of Binance's price stream"
        ),
    ),
    notes=("Not served to some countries.",),
    make=_make,
)
