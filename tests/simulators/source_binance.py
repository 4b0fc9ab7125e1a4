"""Binance's market data. REST bodies as `rest-api.md` of Binance's spot documents shows them
("Kline/Candlestick data", "Symbol order book ticker") and errors as in its `errors.md`; the refusal of a
country (451) as several projects recorded it. Stream messages as in `web-socket-streams.md`."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import UTC, datetime
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.simulators.source_market import SourceMarket, TrueCandle
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}
RESTRICTED = Fault(
    status=451,
    body={
        "code": 0,
        "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in "
        "https://www.binance.com/en/terms. Please contact customer service if you believe you received this "
        "message in error.",
    },
)
LIMITED = Fault(
    status=429,
    body={
        "code": -1003,
        "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE.",
    },
    headers={"Retry-After": "7"},
)


class BinanceServer(SourceServer):
    page = 1000

    def __init__(self) -> None:
        super().__init__(SourceMarket(symbols={"BTCUSDT", "ETHUSDT"}, stocks=False))

    def answer(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        if symbol not in self.market.symbols:
            return Answer(status=400, body={"code": -1121, "msg": "Invalid symbol."})
        if asked.path == "/api/v3/klines":
            return self._klines(symbol, asked.params)
        if asked.path == "/api/v3/ticker/bookTicker":
            price = self.market.price(symbol)
            return Answer(
                body={
                    "symbol": symbol,
                    "bidPrice": f"{price:.8f}",
                    "bidQty": "431.00000000",
                    "askPrice": f"{price + 1:.8f}",
                    "askQty": "9.00000000",
                }
            )
        return Answer(status=404, body="<html><body>404 Not found</body></html>")

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        return [
            [*rows[0][:1], "NaN", *rows[0][2:]],
            [*rows[1][:2], rows[1][3], "999999", *rows[1][4:]],
            *rows[2:],
        ]

    def _klines(self, symbol: str, params: dict[str, str]) -> Answer:
        if params.get("interval") not in SECONDS:
            return Answer(status=400, body={"code": -1120, "msg": "Invalid interval."})
        seconds = SECONDS[params["interval"]]
        start, end = int(params["startTime"]) / 1000, (int(params["endTime"]) + 1) / 1000
        found = self.market.candles(symbol, seconds, start, end)
        count = min(int(params.get("limit", 500)), self.page)
        return Answer(body=self.rows([kline(one, seconds) for one in found[:count]]))


def kline(one: TrueCandle, seconds: int) -> list[Any]:
    return [
        one.at * 1000,
        f"{one.open:.8f}",
        f"{one.high:.8f}",
        f"{one.low:.8f}",
        f"{one.close:.8f}",
        f"{one.volume:.8f}",
        (one.at + seconds) * 1000 - 1,
        "2434.19055334",
        308,
        "1756.87402397",
        "28.46694368",
        "0",
    ]


class BinanceStream:
    """The WebSocket of combined streams: a test says what is sent."""

    def __init__(self, market: SourceMarket) -> None:
        from websockets.sync.server import serve

        self.market = market
        self.paths: list[str] = []  # of each connection that was made
        self._connections: list[Any] = []
        self._connected = threading.Condition()
        self.refusing = False
        self._server = serve(self._talk, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> BinanceStream:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        self._server.shutdown()

    def _talk(self, connection: Any) -> None:
        if self.refusing:
            return
        with self._connected:
            self.paths.append(connection.request.path)
            self._connections.append(connection)
            self._connected.notify_all()
        with contextlib.suppress(ConnectionClosed):
            for _ in connection:
                pass

    def wait_for(self, count: int) -> None:
        """Until so many connections have been made."""
        with self._connected:
            assert self._connected.wait_for(lambda: len(self.paths) >= count, timeout=10)

    def send(self, message: object) -> None:
        self._connections[-1].send(message if isinstance(message, str) else json.dumps(message))

    def send_kline(self, symbol: str, at: datetime, *, closed: bool) -> None:
        one = self.market.candle(symbol, 60, int(at.timestamp()))
        self.send(
            {
                "stream": f"{symbol.lower()}@kline_1m",
                "data": {
                    "e": "kline",
                    "E": one.at * 1000 + 59_999,
                    "s": symbol,
                    "k": {
                        "t": one.at * 1000,
                        "T": one.at * 1000 + 59_999,
                        "s": symbol,
                        "i": "1m",
                        "f": 100,
                        "L": 200,
                        "o": f"{one.open:.8f}",
                        "c": f"{one.close:.8f}",
                        "h": f"{one.high:.8f}",
                        "l": f"{one.low:.8f}",
                        "v": f"{one.volume}",
                        "n": 100,
                        "x": closed,
                        "q": "1.0000",
                        "V": "500",
                        "Q": "0.500",
                        "B": "123456",
                    },
                },
            }
        )

    def send_book(self, symbol: str, bid: str, ask: str) -> None:
        data = {"u": 400900217, "s": symbol, "b": bid, "B": "31.21000000", "a": ask, "A": "40.66000000"}
        self.send({"stream": f"{symbol.lower()}@bookTicker", "data": data})

    def send_shutdown(self) -> None:
        self.send({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1770123456789}})

    def drop(self) -> None:
        """The connection breaks off, as networks do: no closing words."""
        for connection in self._connections:
            connection.close_socket()

    def close(self) -> None:
        """As after 24 hours: a closing frame."""
        self._connections[-1].close(1001, "going away")


def minute(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-11-05T{text}:00").replace(tzinfo=UTC)
