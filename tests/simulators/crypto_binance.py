"""Binance spot as ccxt calls it: /api/v3 and the one /sapi call that tells what a key may do.

The bodies are documented, field by field: Binance keeps the documents of its spot API in a public repository.
What is not documented is said."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, ClassVar

from tests.simulators.crypto_binance_market import BinanceMarket
from tests.simulators.exchange_core import D, Order, OrderRefusal, ms, text
from tests.simulators.exchanges import KEY, SECRET, FakeRefusal, FakeReply, Request

_STATUS = {"open": "NEW", "filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED"}
# Documented: the codes and words. Invented: nothing but which filter is named first where an order fails two.
_REFUSALS = {
    "funds": (-2010, "Account has insufficient balance for requested action."),
    "min_quantity": (-1013, "Filter failure: LOT_SIZE"),
    "step": (-1013, "Filter failure: LOT_SIZE"),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
    "symbol": (-1121, "Invalid symbol."),
    "duplicate": (-2010, "Duplicate order sent."),
    "not_found": (-2013, "Order does not exist."),
    "ended": (-2011, "Unknown order sent."),
    "value": (-1100, "Illegal characters found in a parameter."),
    "type": (-1116, "Invalid orderType."),
}
_ACK = ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
_LOOKED_UP = ("time", "updateTime", "isWorking", "workingTime", "icebergQty")  # told by a look-up alone


def _said(code: int, words: str, status: int = 400) -> FakeRefusal:
    return FakeRefusal(status, {"code": code, "msg": words})


class BinanceFront(BinanceMarket):
    quotes, money, fee_in, repeats = ("USDT", "USDC"), "USDT", "bought", "open"

    def verify(self, request: Request) -> None:
        if request.headers.get("x-mbx-apikey") != KEY:
            raise _said(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, found, signature = (request.body or request.query).partition("&signature=")
        right = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not found or not hmac.compare_digest(signature, right):
            raise _said(-1022, "Signature for this request is not valid.")
        asked = request.params
        if abs(int(asked["timestamp"]) - self.now() * 1000) > int(asked.get("recvWindow", 5000)):
            raise _said(-1021, "Timestamp for this request is outside of the recvWindow.")

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        return _said(*_REFUSALS[refusal.kind])

    def bad_key(self) -> FakeReply:
        return _said(-2015, "Invalid API-key, IP, or permissions for action.", 401).answer

    def limited(self) -> Any:
        return {
            "code": -1003,
            "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE.",
        }

    # --- the account ---

    def account(self, request: Request) -> Any:
        coins = self.core.balances
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "accountType": "SPOT",
            "updateTime": ms(self.now()),
            "uid": 354937868,
            "permissions": ["SPOT"],
            "balances": [
                {"asset": coin, "free": text(self.core.free(coin)), "locked": text(self.core.held(coin))}
                for coin in coins
            ],
        }

    def restrictions(self, request: Request) -> Any:
        return {
            "ipRestrict": False,
            "enableReading": True,
            "enableSpotAndMarginTrading": True,
            "enableWithdrawals": self.can_withdraw,
        }

    # --- orders ---

    def create(self, request: Request) -> Any:
        asked = request.params
        kind = asked["type"]
        _need(
            asked,
            {
                "LIMIT": ("price", "quantity", "timeInForce"),
                "STOP_LOSS": ("stopPrice", "quantity"),
                "MARKET": (),
                "STOP_LOSS_LIMIT": ("stopPrice", "price", "quantity", "timeInForce"),
            }.get(kind),
        )
        if not re.fullmatch(r"[.A-Z:/a-z0-9_-]{1,36}", asked.get("newClientOrderId", "")):
            raise OrderRefusal("value")
        number = {
            name: D(asked[name])
            for name in ("quantity", "price", "stopPrice", "quoteOrderQty")
            if name in asked
        }
        order = self.core.place(
            client_id=asked["newClientOrderId"],
            name=self._market(asked["symbol"]).name,
            side=asked["side"].lower(),
            type="limit" if "price" in asked else "market",
            quantity=number.get("quantity"),
            cost=number.get("quoteOrderQty"),
            limit=number.get("price"),
            stop=number.get("stopPrice"),
            tif=asked.get("timeInForce", "GTC"),
        )
        usual = "FULL" if kind in ("MARKET", "LIMIT") else "ACK"
        return self._placed(order, asked.get("newOrderRespType", usual))

    def _placed(self, order: Order, form: str) -> dict[str, Any]:
        """It tells one time, `transactTime`; its short form tells nothing of the order's state."""
        answer = self._changed(order)
        if form == "ACK":
            return {name: answer[name] for name in _ACK}
        fills = {"fills": self._fills(order)} if form == "FULL" else {}
        return answer | {"workingTime": self._working(order)} | fills

    def _changed(self, order: Order) -> dict[str, Any]:
        answer = self._order(order)
        for name in (*_LOOKED_UP, *(() if order.stop else ("stopPrice",))):
            del answer[name]
        return answer | {"transactTime": ms(order.updated)}

    def _fills(self, order: Order) -> list[dict[str, Any]]:
        return [
            {
                "price": text(of.price),
                "qty": text(of.quantity),
                "commission": text(of.fee),
                "commissionAsset": of.fee_coin,
                "tradeId": of.id,
            }
            for of in self.core.trades_of(order)
        ]

    def order(self, request: Request) -> Any:
        return self._order(self._asked(request))

    def open_orders(self, request: Request) -> Any:
        return [self._order(order) for order in self.core.shown() if order.status == "open"]

    def all_orders(self, request: Request) -> Any:
        return [self._order(order) for order in self.core.shown()]

    def cancel(self, request: Request) -> Any:
        try:
            order = self._asked(request)
        except OrderRefusal:
            raise OrderRefusal("ended") from None
        named = {"origClientOrderId": order.client_id, "clientOrderId": "Yc4Hw1cancel"}
        return self._changed(self.core.cancel(order)) | named

    def trades(self, request: Request) -> Any:
        asked = request.params
        market = self._market(asked["symbol"])
        orders = [
            order
            for order in self.core.shown()
            if order.market == market and asked.get("orderId", str(order.id)) == str(order.id)
        ]
        return [self._trade(order, trade) for order in orders for trade in self.core.trades_of(order)]

    @staticmethod
    def _trade(order: Order, trade: Any) -> dict[str, Any]:
        return {
            "symbol": order.market.base + order.market.quote,
            "id": trade.id,
            "orderId": order.id,
            "price": text(trade.price),
            "qty": text(trade.quantity),
            "quoteQty": text(trade.quantity * trade.price),
            "commission": text(trade.fee),
            "commissionAsset": trade.fee_coin,
            "time": ms(trade.at),
            "isBuyer": order.side == "buy",
            "isMaker": False,
            "isBestMatch": True,
            "orderListId": -1,
        }

    def _order(self, order: Order) -> dict[str, Any]:
        status = (
            "PARTIALLY_FILLED"
            if order.status == "open" and order.trades and not self.strange_status
            else self.status_of(order, _STATUS)
        )
        kind = {
            (False, False): "MARKET",
            (True, False): "LIMIT",
            (False, True): "STOP_LOSS",
            (True, True): "STOP_LOSS_LIMIT",
        }
        return {
            "symbol": order.market.base + order.market.quote,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "price": text(order.limit),
            "origQty": text(order.quantity),
            "executedQty": text(order.filled),
            "cummulativeQuoteQty": text(order.spent),
            "status": status,
            "timeInForce": order.tif,
            "side": order.side.upper(),
            "type": kind[order.limit is not None, order.stop is not None],
            "stopPrice": text(order.stop),
            "time": ms(order.created),
            "updateTime": ms(order.updated),
            "isWorking": not order.waits,
            "workingTime": self._working(order),
            "icebergQty": "0.00000000",
            "origQuoteOrderQty": text(order.cost),
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }

    @staticmethod
    def _working(order: Order) -> int:
        """When it came into the book: -1 while it waits for its stop."""
        return -1 if order.waits else ms(order.created)

    def _asked(self, request: Request) -> Order:
        asked = request.params
        self._market(asked["symbol"])
        if "orderId" not in asked and "origClientOrderId" not in asked:
            raise _said(
                -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        found = self.core.find(id=asked.get("orderId"), client_id=asked.get("origClientOrderId"))
        if asked.get("origClientOrderId", found.client_id) != found.client_id:
            raise _said(-2039, "Client order ID is not correct for this order ID.")
        return found

    routes: ClassVar = {
        ("GET", "/api/v3/exchangeInfo"): ("public", BinanceMarket.info),
        ("GET", "/api/v3/time"): ("public", BinanceMarket.time),
        ("GET", "/api/v3/ticker/24hr"): ("public", BinanceMarket.ticker),
        ("GET", "/api/v3/ticker/bookTicker"): ("public", BinanceMarket.book_ticker),
        ("GET", "/api/v3/ticker/price"): ("public", BinanceMarket.last_price),
        ("GET", "/api/v3/depth"): ("public", BinanceMarket.depth),
        ("GET", "/api/v3/klines"): ("public", BinanceMarket.klines),
        ("GET", "/api/v3/account"): ("read", account),
        ("GET", "/sapi/v1/account/apiRestrictions"): ("read", restrictions),
        ("POST", "/api/v3/order"): ("create", create),
        ("GET", "/api/v3/order"): ("read", order),
        ("DELETE", "/api/v3/order"): ("cancel", cancel),
        ("GET", "/api/v3/openOrders"): ("read", open_orders),
        ("GET", "/api/v3/allOrders"): ("read", all_orders),
        ("GET", "/api/v3/myTrades"): ("read", trades),
    }


def _need(asked: dict[str, str], names: tuple[str, ...] | None) -> None:
    if names is None:
        raise OrderRefusal("type")
    for name in names:
        if name not in asked:
            raise _said(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


FRONT = BinanceFront
