"""Binance's symbols and prices, as the simulator tells them."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators.exchange_core import Market, ms, text
from tests.simulators.exchanges import ExchangeFront, Request

_SECONDS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "1d": 86400,
}


class BinanceMarket(ExchangeFront):
    """What is traded, and at what price."""

    # --- public ---

    def info(self, request: Request) -> Any:
        return {
            "timezone": "UTC",
            "serverTime": ms(self.now()),
            "rateLimits": [],
            "symbols": [self._symbol(m) for m in self.core.markets.values()],
        }

    def _symbol(self, market: Market) -> dict[str, Any]:
        return {
            "symbol": market.base + market.quote,
            "status": "TRADING",
            "baseAsset": market.base,
            "quoteAsset": market.quote,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "isSpotTradingAllowed": True,
            "orderTypes": [
                "LIMIT",
                "LIMIT_MAKER",
                "MARKET",
                "STOP_LOSS",
                "STOP_LOSS_LIMIT",
                "TAKE_PROFIT",
                "TAKE_PROFIT_LIMIT",
            ],
            "permissions": [],
            "permissionSets": [["SPOT", "MARGIN", "TRD_GRP_004"]],
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "isMarginTradingAllowed": True,
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": text(market.tick),
                    "maxPrice": "1000000.00000000",
                    "tickSize": text(market.tick),
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": text(market.least),
                    "maxQty": "9000.00000000",
                    "stepSize": text(market.step),
                },
                {
                    "filterType": "NOTIONAL",
                    "minNotional": text(market.least_cost),
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.0",
                },
            ],
        }

    def time(self, request: Request) -> Any:
        return {"serverTime": ms(self.now())}

    def ticker(self, request: Request) -> Any:
        if "symbols" in request.params:
            return [self._ticker(self._market(named)) for named in json.loads(request.params["symbols"])]
        return self._ticker(self._market(request.params["symbol"]))

    def _ticker(self, market: Market) -> dict[str, Any]:
        price = text(self.core.prices[market.name])
        return {
            "symbol": market.base + market.quote,
            "lastPrice": price,
            "bidPrice": text(self.core.bid(market.name)),
            "bidQty": "10.0",
            "askPrice": text(self.core.ask(market.name)),
            "askQty": "10.0",
            "openPrice": price,
            "highPrice": price,
            "lowPrice": price,
            "volume": "1000.0",
            "quoteVolume": "100000.0",
            "openTime": ms(self.now()) - 86_400_000,
            "closeTime": ms(self.now()),
        }

    def book_ticker(self, request: Request) -> Any:
        answer = self.ticker(request)
        keep = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
        return (
            [{name: each[name] for name in keep} for each in answer]
            if isinstance(answer, list)
            else {name: answer[name] for name in keep}
        )

    def last_price(self, request: Request) -> Any:
        market = self._market(request.params["symbol"]) if "symbol" in request.params else None
        markets = [market] if market else list(self.core.markets.values())
        answer = [
            {"symbol": each.base + each.quote, "price": text(self.core.prices[each.name])} for each in markets
        ]
        return answer[0] if market else answer

    def depth(self, request: Request) -> Any:
        name = self._market(request.params["symbol"]).name
        return {
            "lastUpdateId": 1,
            "bids": [[text(self.core.bid(name)), "10.0"]],
            "asks": [[text(self.core.ask(name)), "10.0"]],
        }

    def klines(self, request: Request) -> Any:
        asked = request.params
        market, seconds = self._market(asked["symbol"]), _SECONDS[asked["interval"]]
        count = min(int(asked.get("limit", 500)), 1000)
        since = int(asked["startTime"]) / 1000 if "startTime" in asked else self.now() - count * seconds
        return [
            [
                at * 1000,
                *(text(value) for value in values),
                at * 1000 + seconds * 1000 - 1,
                "0",
                1,
                "0",
                "0",
                "0",
            ]
            for at, *values in self.core.candles(market.name, seconds, since, count)
        ]

    def _market(self, written: str) -> Market:
        return self.market_named(
            next((name for name in self.core.markets if name.replace("/", "") == written), written)
        )
