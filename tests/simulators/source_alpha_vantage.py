"""Alpha Vantage's market data. Series as its documentation shows them (`TIME_SERIES_INTRADAY`,
`TIME_SERIES_DAILY`) and as a public client's tests recorded them (alpha_vantage,
`test_data/mock_time_series`, `global_quote`); refusals, all with status 200, as many projects recorded
them: 25 requests a day with the key in the sentence, one a second, premium endpoints, `Error Message`, the
older `Note`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.source_market import DAY, NEW_YORK, SourceMarket, TrueCandle
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

KEY = "AVKEY00000000000"
SECONDS = {"1min": 60, "5min": 300, "15min": 900, "30min": 1800, "60min": 3600}
DAILY_LIMIT = Fault(
    body={
        "Information": f"We have detected your API key as {KEY} and our standard API rate limit is 25 "
        "requests per day. Please subscribe to any of the premium plans at "
        "https://www.alphavantage.co/premium/ to instantly remove all daily rate limits."
    }
)
TOO_FAST = Fault(
    body={
        "Information": "Thank you for using Alpha Vantage! Please consider spreading out your free API "
        "requests more sparingly (1 request per second). You may subscribe to any of the premium plans at "
        "https://www.alphavantage.co/premium/ to lift the free key rate limit (25 requests per day) and "
        "instantly remove all daily rate limits."
    }
)
OLD_NOTE = Fault(
    body={
        "Note": "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute "
        "and 500 calls per day. Please visit https://www.alphavantage.co/premium/ if you would like to "
        "target a higher API call frequency."
    }
)
PREMIUM = Fault(
    body={
        "Information": "Thank you for using Alpha Vantage! This is a premium endpoint. You may subscribe "
        "to any of the premium plans at https://www.alphavantage.co/premium/ to instantly unlock all premium "
        "endpoints"
    }
)
BAD_KEY = Fault(
    body={
        "Error Message": "the parameter apikey is invalid or missing. Please claim your free API key on "
        "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."
    }
)


class AlphaVantageServer(SourceServer):
    page = 1_000_000

    def __init__(self) -> None:
        super().__init__(SourceMarket(symbols={"IBM"}, stocks=True))

    def answer(self, asked: Asked) -> Answer:
        params = asked.params
        if asked.path != "/query" or params.get("apikey") != KEY:
            return Answer(body=BAD_KEY.body)
        if params["function"] == "GLOBAL_QUOTE":
            return self._quote(params["symbol"])
        if params["symbol"] not in self.market.symbols:
            words = "Invalid API call. Please retry or visit the documentation "
            words += f"(https://www.alphavantage.co/documentation/) for {params['function']}."
            return Answer(body={"Error Message": words})
        return self._minutes(params) if params["function"] == "TIME_SERIES_INTRADAY" else self._days(params)

    def _minutes(self, params: dict[str, str]) -> Answer:
        year, month = map(int, params["month"].split("-"))
        first = datetime(year, month, 1, tzinfo=NEW_YORK)
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=NEW_YORK)
        seconds = SECONDS[params["interval"]]
        found = self.market.candles(params["symbol"], seconds, first.timestamp(), after.timestamp())
        rows = self.rows([(_here(one), _fields(one)) for one in reversed(found)])
        meta = {
            "1. Information": f"Intraday ({params['interval']}) open, high, low, close prices and volume",
            "2. Symbol": params["symbol"],
            "3. Last Refreshed": rows[0][0] if rows else "",
            "4. Interval": params["interval"],
            "5. Output Size": "Full size",
            "6. Time Zone": "US/Eastern",
        }
        return Answer(body={"Meta Data": meta, f"Time Series ({params['interval']})": dict(rows)})

    def _days(self, params: dict[str, str]) -> Answer:
        now = self.market.now.timestamp()
        found = self.market.candles(params["symbol"], DAY, 0, now + 1)
        found = found[-100:] if params.get("outputsize", "compact") == "compact" else found
        days = [(f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d}", _fields(one)) for one in reversed(found)]
        meta = {
            "1. Information": "Daily Prices (open, high, low, close) and Volumes",
            "2. Symbol": params["symbol"],
            "3. Last Refreshed": days[0][0],
            "4. Output Size": "Compact",
            "5. Time Zone": "US/Eastern",
        }
        return Answer(body={"Meta Data": meta, "Time Series (Daily)": dict(self.rows(days))})

    def _quote(self, symbol: str) -> Answer:
        if symbol not in self.market.symbols:
            return Answer(body={"Global Quote": {}})
        day = (self.market.now.astimezone(NEW_YORK) - timedelta(days=1)).date()
        found = {
            "01. symbol": symbol,
            "02. open": "112.6300",
            "03. high": "113.1700",
            "04. low": "110.6400",
            "05. price": f"{self.market.price(symbol):.4f}",
            "06. volume": "29062853",
            "07. latest trading day": day.isoformat(),
            "08. previous close": "112.7900",
            "09. change": "-0.6600",
            "10. change percent": "-0.5852%",
        }
        return Answer(body={"Global Quote": found})

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        """Newest first: the earliest candles of the stretch a test asks for are found by their time."""
        return [self._broken(at, fields) for at, fields in rows]

    def _broken(self, at: str, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        if at in self.break_at[:1]:
            return at, {**fields, "1. open": "n/a"}
        return at, ({**fields, "3. low": "999999"} if at in self.break_at[1:] else fields)

    break_at: list[str] = []  # noqa: RUF012  # two times of New York


def _here(one: TrueCandle) -> str:
    return f"{datetime.fromtimestamp(one.at, NEW_YORK):%Y-%m-%d %H:%M:%S}"


def _fields(one: TrueCandle) -> dict[str, str]:
    names = ("1. open", "2. high", "3. low", "4. close")
    prices = {name: f"{price:.4f}" for name, price in zip(names, one.row[1:5], strict=True)}
    return prices | {"5. volume": str(one.volume)}
