"""Coinbase's products and prices, as the simulator tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.simulators.exchange_core import Market, text
from tests.simulators.exchanges import ExchangeFront, FakeRefusal, Request

_SECONDS = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "SIX_HOUR": 21600,
    "ONE_DAY": 86400,
}


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class CoinbaseMarket(ExchangeFront):
    """What is traded, and at what price."""

    # --- public ---

    def products(self, request: Request) -> Any:
        if request.params.get("product_type") == "FUTURE":
            return {"products": [], "num_products": "0"}
        found = [self._product(market) for market in self.core.markets.values()]
        # Documented; ccxt reads no further pages.
        pages = {"prev_cursor": "", "next_cursor": "", "has_next": False, "has_prev": False}
        return {"products": found, "num_products": str(len(found)), "pagination": pages}

    def _product(self, market: Market) -> dict[str, Any]:
        """Recorded, field by field. BTC-USDC is the same book as BTC-USD under another name."""
        twin = f"{market.base}-{'USDC' if market.quote == 'USD' else 'USD'}"
        return {
            "product_id": f"{market.base}-{market.quote}",
            "price": text(self.core.prices[market.name]),
            "base_increment": text(market.step),
            "quote_increment": text(market.tick),
            "price_increment": text(market.tick),
            "quote_min_size": text(market.least_cost),
            "quote_max_size": "50000000",
            "base_min_size": text(market.least),
            "base_max_size": "3400",
            "base_currency_id": market.base,
            "quote_currency_id": market.quote,
            "product_type": "SPOT",
            "trading_disabled": False,
            "status": "online",
            "alias": twin if market.quote == "USDC" else "",
            "alias_to": [twin] if market.quote == "USD" else [],
            "price_percentage_change_24h": "3.3005",
            "volume_24h": "10967.87426597",
            "volume_percentage_change_24h": "141.73",
            "base_name": market.base,
            "quote_name": market.quote,
            "watched": False,
            "is_disabled": False,
            "new": False,
            "cancel_only": False,
            "limit_only": False,
            "post_only": False,
            "auction_mode": False,
            "fcm_trading_session_details": None,
            "mid_market_price": "",
            "base_display_symbol": market.base,
            "quote_display_symbol": "USD",
            "view_only": False,
            "product_venue": "CBE",
            "display_name": f"{market.base}-{market.quote}",
            "approximate_quote_24h_volume": "1096787.42",
        }

    def ticker(self, request: Request, product: str) -> Any:
        market = self._market(product)
        trade = {
            "trade_id": "1",
            "product_id": product,
            "price": text(self.core.prices[market.name]),
            "size": "1",
            "time": iso(self.now()),
            "side": "BUY",
            "bid": "",
            "ask": "",
        }
        return {
            "trades": [trade],
            "best_bid": text(self.core.bid(market.name)),
            "best_ask": text(self.core.ask(market.name)),
        }

    def candles(self, request: Request, product: str) -> Any:
        asked = request.params
        market, seconds = self._market(product), _SECONDS[asked["granularity"]]
        if (int(asked["end"]) - int(asked["start"])) / seconds > 350:
            raise FakeRefusal(
                400,
                {
                    "error": "INVALID_ARGUMENT",
                    "message": (
                        "start and end argument is invalid - number of candles requested should be less "
                        "than 350"
                    ),
                },
            )
        rows = [
            row
            for row in self.core.candles(market.name, seconds, int(asked["start"]), 350)
            if row[0] <= int(asked["end"])
        ]
        return {
            "candles": [
                {
                    "start": str(at),
                    "open": text(first),
                    "high": text(high),
                    "low": text(low),
                    "close": text(last),
                    "volume": text(volume),
                }
                for at, first, high, low, last, volume in reversed(rows)
            ]
        }

    def _market(self, written: str) -> Market:
        return self.market_named(written.replace("-", "/"))
