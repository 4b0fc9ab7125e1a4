"""Massive's market data. Aggregates as its reference shows them ("Custom Bars"), the last quote and the
last trade of a coin as recorded by its client library's tests (`test_rest/mocks`), refusals as several
projects recorded them: 429 and 403 with a JSON body, and the same bodies with status 200."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.simulators.source_market import DAY, SourceMarket, TrueCandle, midnight_in_new_york
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

KEY = "massive-key-000000000000000000"
SPANS = {"minute": 60, "hour": 3600, "day": DAY}
_REQUEST = "6a7e466379af0a71039d60cc78e72282"
LIMIT_WORDS = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."
)
LIMITED = Fault(status=429, body={"status": "ERROR", "request_id": _REQUEST, "error": LIMIT_WORDS})
LIMITED_WITH_200 = Fault(body={"status": "ERROR", "request_id": _REQUEST, "error": LIMIT_WORDS})
NO_PLAN = Fault(
    status=403,
    body={
        "status": "NOT_AUTHORIZED",
        "request_id": _REQUEST,
        "message": "Your plan doesn't include this data timeframe. Please upgrade your plan at "
        "https://polygon.io/pricing",
    },
)
NO_PLAN_WITH_200 = Fault(body=NO_PLAN.body)
BAD_KEY = Fault(status=401, body={"status": "ERROR", "request_id": _REQUEST, "error": "Unknown API Key"})
ODD_WITH_200 = Fault(body={"status": "ERROR", "request_id": _REQUEST, "error": "something went wrong"})


class MassiveServer(SourceServer):
    page = 50_000

    def __init__(self, symbol: str, *, stocks: bool) -> None:
        super().__init__(SourceMarket(symbols={symbol}, stocks=stocks))
        self.status = "OK"

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return Answer(status=BAD_KEY.status, body=BAD_KEY.body)
        bars = re.fullmatch(r"/v2/aggs/ticker/([^/]+)/range/(\d+)/(\w+)/(\d+)/(\d+)", asked.path)
        if bars is not None:
            return self._bars(asked, *bars.groups())
        price, at = float(self.market.price(*self.market.symbols)), int(self.market.now.timestamp() * 1000)
        if asked.path.startswith("/v2/last/nbbo/"):
            found: dict[str, Any] = {"p": price, "s": 1, "x": 19, "P": price + 0.01, "S": 14, "X": 11, "z": 3}
            found |= {"T": "AAPL", "t": at * 1_000_000 + 171838500 % 1_000_000, "q": 26006043}
            return Answer(body={"results": found, "status": "OK", "request_id": _REQUEST})
        if asked.path.startswith("/v1/last/crypto/"):
            last = {"conditions": [2], "exchange": 2, "price": price, "size": 0.005, "timestamp": at}
            body = {"last": last, "request_id": _REQUEST, "status": "success", "symbol": "BTC-USD"}
            return Answer(body=body)
        return Answer(
            status=404, body={"status": "NOT_FOUND", "request_id": _REQUEST, "message": "page not found"}
        )

    def _bars(self, asked: Asked, ticker: str, count: str, span: str, start: str, end: str) -> Answer:
        seconds, daily = int(count) * SPANS[span], span == "day" and self.market.stocks
        found = [
            one
            for one in self.market.candles(ticker, seconds, int(start) / 1000 - DAY, int(end) / 1000 + 1)
            if int(start) <= _opened(one, daily) <= int(end)
        ]
        if ticker not in self.market.symbols:
            found = []
        first = int(asked.params.get("cursor", 0))
        rows = self.rows([_bar(one, daily) for one in found[first : first + self.page]])
        body: dict[str, Any] = {
            "ticker": ticker,
            "queryCount": len(rows),
            "resultsCount": len(rows),
            "adjusted": True,
            "status": self.status,
            "request_id": _REQUEST,
            "count": len(rows),
        }
        if rows:
            body["results"] = rows
        if first + self.page < len(found):
            # a host that is not ours: only the path is to be followed
            body["next_url"] = f"https://api.massive.com{asked.path}?cursor={first + self.page}"
        return Answer(body=body)

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        return [{**rows[0], "c": 0}, {**rows[1], "h": rows[1]["l"] - 1}, *rows[2:]]


def _opened(one: TrueCandle, daily: bool) -> int:
    at = midnight_in_new_york(one.at).timestamp() if daily else one.at
    return int(timedelta(seconds=at) / timedelta(milliseconds=1))


def _bar(one: TrueCandle, daily: bool) -> dict[str, Any]:
    prices = {"o": float(one.open), "c": float(one.close), "h": float(one.high), "l": float(one.low)}
    return {"v": one.volume, "vw": 131.6292, **prices, "t": _opened(one, daily), "n": 74}
