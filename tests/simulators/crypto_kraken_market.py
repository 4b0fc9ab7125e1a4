"""Kraken's pairs and prices, as the simulator tells them."""

from __future__ import annotations

from typing import Any

from tests.simulators.exchange_core import Market, text
from tests.simulators.exchanges import ExchangeFront, FakeRefusal, Request

_ASSETS = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD"}


def asset(coin: str) -> str:
    return _ASSETS.get(coin, coin)


def altcoin(coin: str) -> str:
    return coin.replace("BTC", "XBT")


def pair(market: Market) -> str:
    return asset(market.base) + asset(market.quote) if market.base in _ASSETS else market.base + market.quote


def altname(market: Market) -> str:
    return altcoin(market.base) + market.quote


def said(words: str) -> FakeRefusal:
    return FakeRefusal(200, {"error": [words]})


def given(result: Any) -> dict[str, Any]:
    return {"error": [], "result": result}


class KrakenMarket(ExchangeFront):
    """What is traded, and at what price."""

    # --- public ---

    def pairs(self, request: Request) -> Any:
        """[rec: ccxt] The names of the fields; the figures are the simulated market's."""
        return given({pair(market): self._listed(market) for market in self.core.markets.values()})

    @staticmethod
    def _listed(market: Market) -> dict[str, Any]:
        return {
            "altname": altname(market),
            "wsname": market.name,
            "aclass_base": "currency",
            "base": asset(market.base),
            "aclass_quote": "currency",
            "quote": asset(market.quote),
            "lot": "unit",
            "cost_decimals": 5,
            "pair_decimals": 2,
            "lot_decimals": 5,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": text(market.least),
            "costmin": text(market.least_cost),
            "tick_size": "0.01",
            "status": "online",
        }

    def time(self, request: Request) -> Any:
        """[doc]"""
        return given({"unixtime": int(self.now()), "rfc1123": ""})

    def ticker(self, request: Request) -> Any:
        return given(
            {
                pair(market): self._ticker(market)
                for market in map(self._market, request.params["pair"].split(","))
            }
        )

    def _ticker(self, market: Market) -> dict[str, Any]:
        """[rec: ccxt]"""
        price, bid, ask = (
            text(at)
            for at in (self.core.prices[market.name], self.core.bid(market.name), self.core.ask(market.name))
        )
        two = [price, price]
        return {
            "a": [ask, "1", "1.0"],
            "b": [bid, "1", "1.0"],
            "c": [price, "0.1"],
            "v": ["10", "10"],
            "p": two,
            "t": [5, 5],
            "l": two,
            "h": two,
            "o": price,
        }

    def candles(self, request: Request) -> Any:
        """[rec: ccxt], 720 of them [doc]."""
        asked = request.params
        market, seconds = self._market(asked["pair"]), int(asked.get("interval", 1)) * 60
        if seconds // 60 not in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600):
            raise said("EGeneral:Invalid arguments:interval")
        since = max(float(asked.get("since", 0)) + 1, self.now() - 720 * seconds)
        rows = [
            [at, *map(text, values[:4]), "0", text(values[4]), 1]
            for at, *values in self.core.candles(market.name, seconds, since, 720)
        ]
        return given({pair(market): rows, "last": int(self.now())})

    def _market(self, written: str) -> Market:
        found = next(
            (market for market in self.core.markets.values() if written in (pair(market), altname(market))),
            None,
        )
        return found or self.market_named(written)
