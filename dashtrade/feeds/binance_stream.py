"""Binance's WebSocket: candles, and best bid and ask, as they happen.

A connection lives 24 hours at most, may be told to go (`serverShutdown`), and breaks like any other;
nothing is replayed on the next one. So it is made again, and candles that were missed are asked for over
REST, from the last closed one on, before anything newer is given."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from dashtrade.domain.ports import Clock, NotOffered, Quote, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import finite
from dashtrade.feeds.rows import Row, from_ms, row
from dashtrade.market.series import Series

if TYPE_CHECKING:
    from datetime import datetime

    from dashtrade.market.bars import Bars

log = logging.getLogger("dashtrade.feeds")

MOST_STREAMS = 1024  # on one connection
QUIET_SECONDS = 30.0  # candles come every two seconds: a connection that is quiet for so long is dead
LOOK_SECONDS = 2.0
OPEN_SECONDS = 10.0
MOST_TRIES = 6  # to connect, with growing pauses, before the caller is told
FILL_TRIES = 3  # a candle that has just closed may take a moment to be there over REST


class RestBars(Protocol):
    def bars(self, series: Series, start: datetime, end: datetime) -> Bars: ...


def followed(rest: RestBars, url: str, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
    """Candles that have ended, each once and in order. The open one, which comes every two seconds, shows
    what was missed, and is not given: it would be stored."""
    by_stream = {f"{_name(each.symbol)}@kline_{each.timeframe.text}": each for each in series}
    followers = {each: _Follower(each) for each in series}
    for message in messages(url, list(by_stream)):
        if message is None:
            yield None
            continue
        found, kline = by_stream.get(message["stream"]), _kline(message["data"])
        if found is not None and kline is not None:
            for bars in followers[found].take(*kline, rest):
                yield found, bars


def quotes(url: str, symbols: Sequence[Symbol], clock: Clock) -> Iterator[Quote | None]:
    """Best bid and ask at each change. Binance sends no time with them: it is that of their arrival."""
    by_stream = {f"{_name(symbol)}@bookTicker": symbol for symbol in symbols}
    for message in messages(url, list(by_stream), patience=10):
        symbol = by_stream.get(message["stream"]) if message is not None else None
        if message is None or symbol is None:
            yield None
            continue
        bid, ask = finite(message["data"].get("b")), finite(message["data"].get("a"))
        if bid and ask:
            yield Quote(symbol=symbol, bid=bid, ask=ask, at=clock.now())


@dataclass(slots=True)
class _Follower:
    """One series: what was given last, so that a gap shows."""

    series: Series
    closed: int | None = None  # open time of the last closed candle
    fills: dict[int, int] = field(
        default_factory=dict
    )  # open time that showed a gap: how often it was asked for

    def take(self, read: Row, has_closed: bool, rest: RestBars) -> Iterator[Bars]:
        from dashtrade.market.bars import bars_of

        length = self.series.timeframe.seconds * 1000
        if self.closed is not None and read[0] <= self.closed:
            return  # told late, or again
        if self.closed is None:
            self.closed = read[0] - length
        if self.closed < read[0] - length:
            yield from self._missed(read, rest)
        if has_closed:
            self.closed = read[0]
            yield bars_of([read])

    def _missed(self, now: Row, rest: RestBars) -> Iterator[Bars]:
        assert self.closed is not None
        tried = self.fills.get(now[0], 0) + 1
        self.fills = {now[0]: tried}
        found = rest.bars(self.series, from_ms(self.closed + 1), from_ms(now[0]))
        if len(found):
            self.closed = int(found.at[-1])
            yield found
        if tried == FILL_TRIES:  # Binance itself has none: a gap, which `History.missing` names
            self.closed = max(self.closed, now[0] - self.series.timeframe.seconds * 1000)


def messages(url: str, streams: Sequence[str], *, patience: float = 1) -> Iterator[dict[str, Any] | None]:
    """What comes over one connection after another, each `{"stream": …, "data": …}`; None while there is
    nothing. Raises Unavailable when no connection can be made."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    if len(streams) > MOST_STREAMS:
        raise NotOffered(f"Binance streams at most {MOST_STREAMS} series at once.")
    address, failed = f"{url.rstrip('/')}/stream?streams={'/'.join(streams)}", 0
    while True:
        try:
            with connect(address, open_timeout=OPEN_SECONDS, close_timeout=1, max_size=2**20) as connection:
                for message in _received(connection, patience * QUIET_SECONDS):
                    failed = failed if message is None else 0
                    yield message
        except (WebSocketException, OSError) as error:
            log.info("Binance's stream broke off: %s", type(error).__name__)
        failed += 1
        if failed >= MOST_TRIES:
            raise Unavailable("Binance's stream cannot be reached. No live candles now; DashTrade retries.")
        yield from _pause(0 if failed == 1 else 2 ** (failed - 2))


def _received(connection: Any, quiet_seconds: float) -> Iterator[dict[str, Any] | None]:
    """Until the connection has to be left: Binance says so, or says nothing at all."""
    heard = time.monotonic()
    while time.monotonic() - heard < quiet_seconds:
        try:
            text = connection.recv(timeout=LOOK_SECONDS)
        except TimeoutError:
            yield None
            continue
        heard = time.monotonic()
        message = _read(text)
        if message is None:
            continue
        if message["data"].get("e") == "serverShutdown":
            return
        yield message


def _read(text: str | bytes) -> dict[str, Any] | None:
    """None: an answer to a request, or nothing that can be read."""
    try:
        message = json.loads(text, parse_float=Decimal)
        usable = isinstance(message["stream"], str) and isinstance(message["data"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        usable = False
    return message if usable else None


def _kline(data: dict[str, Any]) -> tuple[Row, bool] | None:
    """The candle, and whether it has closed; None: no candle, or none that can be one."""
    try:
        kline = data["k"]
        read = row(int(kline["t"]), kline["o"], kline["h"], kline["l"], kline["c"], kline["v"])
        return None if read is None else (read, kline["x"] is True)
    except (ValueError, KeyError, TypeError):
        return None


def _pause(seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        yield None


def _name(symbol: Symbol) -> str:
    return f"{symbol.base}{symbol.quote}".lower()
