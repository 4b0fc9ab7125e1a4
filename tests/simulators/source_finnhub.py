"""Finnhub's market data. Quote and candles as its documentation shows them ("Quote", "Stock Candles"); an
unknown symbol's zeros (finnhubio/Finnhub-API #54, #363), `You don't have access to this resource.` and `API
limit reached.` as recorded there and by several projects; `Invalid API key` likewise."""

from __future__ import annotations

from typing import Any

from tests.simulators.source_market import DAY, SourceMarket
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

KEY = "finnhub0key0000000000"
SECONDS = {"1": 60, "5": 300, "15": 900, "30": 1800, "60": 3600, "D": DAY}
LIMITED = Fault(status=429, body={"error": "API limit reached. Please try again later. Remaining Limit: 0"})
NO_PLAN = Fault(status=403, body={"error": "You don't have access to this resource."})
BAD_KEY = Fault(status=401, body={"error": "Invalid API key"})


class FinnhubServer(SourceServer):
    page = 1_000_000

    def __init__(self, symbol: str, *, stocks: bool) -> None:
        super().__init__(SourceMarket(symbols={symbol}, stocks=stocks))

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("X-Finnhub-Token") != KEY:
            return Answer(status=BAD_KEY.status, body=BAD_KEY.body)
        symbol = asked.params["symbol"]
        if asked.path == "/quote":
            return self._quote(symbol)
        if asked.path == ("/stock/candle" if self.market.stocks else "/crypto/candle"):
            return self._candles(symbol, asked.params)
        return Answer(status=404, body={"error": "Not found"})

    def _quote(self, symbol: str) -> Answer:
        price = float(self.market.price(symbol)) if symbol in self.market.symbols else 0
        if not price:
            return Answer(body={"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0})
        day = {"d": 0.5, "dp": 0.2, "h": price + 2, "l": price - 2, "o": price, "pc": price - 0.5}
        return Answer(body={"c": price, **day, "t": int(self.market.now.timestamp())})

    def _candles(self, symbol: str, params: dict[str, str]) -> Answer:
        seconds, start, end = SECONDS[params["resolution"]], int(params["from"]), int(params["to"])
        found = self.market.candles(symbol, seconds, start, end + 1)
        if symbol not in self.market.symbols or not found:
            return Answer(body={"s": "no_data"})
        rows = self.rows([[one.at, *(float(price) for price in one.row[1:5]), one.volume] for one in found])
        columns = zip(*rows, strict=True)
        return Answer(body=dict(zip("tohlcv", map(list, columns), strict=True)) | {"s": "ok"})

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        return [[rows[0][0], -1, *rows[0][2:]], [*rows[1][:2], rows[1][3] - 1, *rows[1][3:]], *rows[2:]]
