"""Candles from an exchange; missing timeframes are built from shorter ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dashtrade.brokers.crypto.exchange import MAX_PAGES, Exchange
from dashtrade.domain.candles import by_span, merged_candle
from dashtrade.domain.ports import Candle, Unavailable
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, finite


def candles(
    client: Any, venue: Exchange, symbol: str, timeframe: Timeframe, end: datetime, count: int
) -> Sequence[Candle]:
    """A timeframe the exchange lacks (Kraken's 2h, Coinbase's 4h) is built from the longest one that divides
    it."""
    timeframes = {client.parse_timeframe(name): name for name in client.timeframes}
    unit = max((seconds for seconds in timeframes if timeframe.seconds % seconds == 0), default=None)
    if unit is None:
        raise Unavailable(
            f"{venue.name} has no candles of {timeframe.shown}. Choose one of {', '.join(client.timeframes)}."
        )
    since = int((end - timeframe.span * (count + 1)).timestamp() * 1000)
    rows = _rows(client, venue, symbol, timeframes[unit], since, int(end.timestamp() * 1000))
    found = [_candle(row) for row in rows]
    if unit != timeframe.seconds:
        found = [merged_candle(at, parts) for at, parts in by_span(found, timeframe.seconds)]
    return [candle for candle in found if candle.at < end][-count:]


def _rows(client: Any, venue: Exchange, symbol: str, name: str, since: int, end: int) -> list[Any]:
    """A page may be empty although there is more: nothing traded for that long."""
    rows: dict[int, Any] = {}
    length = client.parse_timeframe(name) * 1000
    for _ in range(MAX_PAGES):
        page = client.fetch_ohlcv(symbol, name, since, venue.candles_page)
        new_times = [int(row[0]) for row in page if int(row[0]) not in rows]
        rows.update({int(row[0]): row for row in page})
        since = max(new_times) + 1 if new_times else since + venue.candles_page * length
        if since + length > end:
            break
    return [rows[at] for at in sorted(rows)]


def _candle(row: Any) -> Candle:
    opening, high, low, closing, volume = (finite(value) or ZERO for value in row[1:6])
    return Candle(
        at=datetime.fromtimestamp(int(row[0]) / 1000, UTC),
        open=opening,
        high=high,
        low=low,
        close=closing,
        volume=volume,
    )
