"""Alpaca's market data. Bodies as Alpaca's reference shows them ("Historical bars", "Latest quotes", "Latest
trades", "Historical crypto bars"); `subscription does not permit querying recent SIP data` as many projects
recorded it; `forbidden.` as of its data server (2022 on), `unauthorized.` as of later ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.source_market import DAY, SourceMarket, TrueCandle, midnight_in_new_york
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

SECONDS = {"1Min": 60, "5Min": 300, "15Min": 900, "30Min": 1800, "1Hour": 3600, "1Day": DAY}
KEY, SECRET = "PKSOURCE0000000000000", "source-secret-0000000"
FORBIDDEN = Fault(status=403, body={"message": "forbidden."})
NO_SIP = Fault(status=403, body={"message": "subscription does not permit querying recent SIP data"})
LIMITED = Fault(
    status=429, body={"message": "too many requests."}, headers={"X-RateLimit-Reset": "1762354860"}
)


class AlpacaDataServer(SourceServer):
    page = 10_000

    def __init__(self, symbol: str, *, stocks: bool) -> None:
        super().__init__(SourceMarket(symbols={symbol}, stocks=stocks))

    def answer(self, asked: Asked) -> Answer:
        given = asked.headers.get("APCA-API-KEY-ID"), asked.headers.get("APCA-API-SECRET-KEY")
        if given != (KEY, SECRET):
            return Answer(status=401, body={"message": "unauthorized."})
        coin = asked.path.startswith("/v1beta3/crypto/us/")
        if asked.path in ("/v2/stocks/bars", "/v1beta3/crypto/us/bars") and coin != self.market.stocks:
            return self._bars(asked.params, coin)
        if asked.path in ("/v2/stocks/quotes/latest", "/v1beta3/crypto/us/latest/quotes"):
            return self._latest(asked.params["symbols"], "quotes")
        if asked.path in ("/v2/stocks/trades/latest", "/v1beta3/crypto/us/latest/trades"):
            return self._latest(asked.params["symbols"], "trades")
        return Answer(status=404, body="404 page not found")

    def _bars(self, params: dict[str, str], coin: bool) -> Answer:
        symbol, seconds = params["symbols"], SECONDS[params["timeframe"]]
        assert params["sort"] == "asc" and ("adjustment" in params) is not coin
        if symbol not in self.market.symbols:
            return Answer(body={"bars": {}, "next_page_token": None})
        start, end = (datetime.fromisoformat(params[name]).timestamp() for name in ("start", "end"))
        found = [
            one
            for one in self.market.candles(symbol, seconds, start - DAY, end + 1)
            if start <= _opened(one, seconds, coin).timestamp() <= end
        ]
        count, first = min(int(params["limit"]), self.page), int(params.get("page_token") or 0)
        rows = self.rows([_bar(one, seconds, coin) for one in found[first : first + count]])
        token = str(first + count) if first + count < len(found) else None
        return Answer(body={"bars": {symbol: rows}, "next_page_token": token})

    def _latest(self, symbol: str, what: str) -> Answer:
        if symbol not in self.market.symbols:
            return Answer(body={what: {}})
        price, at = (
            float(self.market.price(symbol)),
            f"{self.market.now - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}.130912345Z",
        )
        book = {
            "ap": price + 1 if price else 0,
            "as": 1,
            "ax": "V",
            "bp": price,
            "bs": 2,
            "bx": "V",
            "c": ["R"],
        }
        found = (
            book | {"t": at, "z": "C"} if what == "quotes" else {"c": ["@"], "p": price, "s": 100, "t": at}
        )
        return Answer(body={what: {symbol: found}})

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        return [{**rows[0], "o": None}, {**rows[1], "l": rows[1]["h"] + 1}, *rows[2:]]


def _opened(one: TrueCandle, seconds: int, coin: bool) -> datetime:
    daily = seconds == DAY and not coin
    return midnight_in_new_york(one.at) if daily else datetime.fromtimestamp(one.at, UTC)


def _bar(one: TrueCandle, seconds: int, coin: bool) -> dict[str, Any]:
    return {
        "t": f"{_opened(one, seconds, coin):%Y-%m-%dT%H:%M:%SZ}",
        "o": float(one.open),
        "h": float(one.high),
        "l": float(one.low),
        "c": float(one.close),
        "v": one.volume,
        "n": 65,
        "vw": 178.235733,
    }
