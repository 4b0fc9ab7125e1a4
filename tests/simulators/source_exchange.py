"""The public market data of two exchanges, as ccxt asks for it. Bitstamp: bodies as ccxt recorded them in
`bitstamp.py` (markets, ohlc, ticker). Kraken: as ccxt recorded them in `kraken.py` (AssetPairs, OHLC); that
720 candles come, the newest, whatever `since` says, is documented by Kraken."""

from __future__ import annotations

from typing import Any

from tests.simulators.source_market import SourceMarket, TrueCandle
from tests.simulators.source_server import Answer, Asked, Fault, SourceServer

LIMITED = Fault(status=429, body={"error": "Too many requests"}, headers={"Retry-After": "7"})


class BitstampServer(SourceServer):
    page = 1000

    def __init__(self) -> None:
        super().__init__(SourceMarket(symbols={"BTC/USD"}, stocks=False))

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/api/v2/markets/":
            return Answer(body=[_bitstamp_market(symbol) for symbol in sorted(self.market.symbols)])
        if asked.path == "/api/v2/ohlc/btcusd/":
            start, end = int(asked.params["start"]), int(asked.params["end"])
            found = self.market.candles("BTC/USD", int(asked.params["step"]), start, end + 1)
            rows = self.rows([_bitstamp_row(one) for one in found[: self.page]])
            return Answer(body={"data": {"pair": "BTC/USD", "ohlc": rows}})
        if asked.path == "/api/v2/ticker/btcusd/":
            price = self.market.price("BTC/USD")
            book = {"bid": f"{price}", "ask": f"{price + 1 if price else 0}", "last": f"{price}"}
            day = {"high": "26252", "low": "25350", "open": "25730", "volume": "3563.13819902"}
            return Answer(body={"timestamp": str(int(self.market.now.timestamp())), **book, **day})
        return Answer(status=404, body={"error": "Not found"})

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        return [{**rows[0], "open": ""}, {**rows[1], "low": "999999"}, *rows[2:]]


def _bitstamp_market(symbol: str) -> dict[str, Any]:
    base, _, counter = symbol.partition("/")
    return {
        "name": symbol,
        "market_symbol": f"{base}{counter}".lower(),
        "base_currency": base,
        "base_decimals": 8,
        "counter_currency": counter,
        "counter_decimals": 0,
        "minimum_order_value": "10",
        "trading": "Enabled",
        "instant_order_counter_decimals": 2,
        "instant_and_market_orders": "Enabled",
        "description": "Bitcoin / U.S. dollar",
        "market_type": "SPOT",
    }


def _bitstamp_row(one: TrueCandle) -> dict[str, str]:
    prices = {"open": one.open, "high": one.high, "low": one.low, "close": one.close, "volume": one.volume}
    return {"timestamp": str(one.at)} | {name: str(value) for name, value in prices.items()}


class KrakenServer(SourceServer):
    page = 720

    def __init__(self) -> None:
        super().__init__(SourceMarket(symbols={"BTC/USD"}, stocks=False))

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/0/public/AssetPairs":
            return Answer(body={"error": [], "result": {"XXBTZUSD": _KRAKEN_PAIR}})
        if asked.path == "/0/public/OHLC":
            seconds, now = int(asked.params["interval"]) * 60, self.market.now.timestamp()
            found = self.market.candles("BTC/USD", seconds, now - (self.page + 1) * seconds, now + 1)
            after = [one for one in found if one.at > int(asked.params.get("since", 0))]
            rows = self.rows([_kraken_row(one) for one in after[-self.page :]])
            return Answer(body={"error": [], "result": {"XXBTZUSD": rows, "last": int(now)}})
        return Answer(body={"error": ["EGeneral:Unknown method"]})


def _kraken_row(one: TrueCandle) -> list[Any]:
    prices = (one.open, one.high, one.low, one.close)
    return [one.at, *map(str, prices), "0.02500", str(one.volume), 5]


_KRAKEN_PAIR: dict[str, Any] = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "lot": "unit",
    "cost_decimals": 5,
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.00005",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}
