"""Coinbase Advanced Trade as ccxt calls it: /api/v3/brokerage, each request with a token that its key signs.

Which bodies are recorded, which documented and which invented is said at each; tests/recorded.md names the
sources."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

from tests.simulators.crypto_coinbase_market import CoinbaseMarket, iso
from tests.simulators.exchange_core import D, Order, OrderRefusal, text
from tests.simulators.exchanges import FakeRefusal, FakeReply, Request
from tests.simulators.p256 import key_from, signed_by

NAME = "organizations/5a0e/apiKeys/simulated"
PEM, PUBLIC = key_from("a Coinbase key that is worth nothing")
_STATUS = {"open": "OPEN", "filled": "FILLED", "canceled": "CANCELLED", "expired": "EXPIRED"}
# Recorded: the refusal for want of money, and the two of a stop on the wrong side (in `_STOPS`). The others
# are of the documented lists of reasons; which of them Coinbase gives for which mistake, and their messages,
# are invented.
_REFUSALS = {
    "funds": ("INSUFFICIENT_FUND", "Insufficient balance in source account", "PREVIEW_INSUFFICIENT_FUND"),
    "min_quantity": (
        "INVALID_SIZE_PRECISION",
        "Order size is below the minimum",
        "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
    ),
    "step": (
        "INVALID_SIZE_PRECISION",
        "Too many decimals in the order size",
        "PREVIEW_INVALID_SIZE_PRECISION",
    ),
    "tick": (
        "INVALID_PRICE_PRECISION",
        "Too many decimals in the order price",
        "PREVIEW_INVALID_PRICE_PRECISION",
    ),
    "min_notional": (
        "INVALID_SIZE_PRECISION",
        "Order size is below the minimum",
        "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL",
    ),
    "symbol": ("INVALID_PRODUCT_ID", "Product does not exist", "UNKNOWN_PREVIEW_FAILURE_REASON"),
}
_STOPS = {
    "SELL": "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
    "BUY": "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE",
}


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class CoinbaseFront(CoinbaseMarket):
    quotes, money, fee_in, repeats = ("USD", "USDC"), "USD", "quote", "return"
    keys: ClassVar = {"key": NAME, "secret": PEM, "passphrase": ""}
    page = 100

    def __init__(self) -> None:
        super().__init__()
        self.core.reserved_fee = self.core.fee_rate  # of a limit order to buy: a finding, not a recording

    def verify(self, request: Request) -> None:
        try:
            head, body, signature = request.headers["authorization"].removeprefix("Bearer ").split(".")
            named, claims = json.loads(_part(head)), json.loads(_part(body))
        except (KeyError, ValueError):
            raise self._unauthorized() from None
        where = f"{request.method} {request.headers['host']}{request.path}"
        right = (
            named["alg"] == "ES256"
            and named["kid"] == claims["sub"] == NAME
            and claims["uri"].replace("http://", "") == where
            and claims["nbf"] <= self.now() + 5
            and self.now() < claims["exp"] <= self.now() + 130
            and signed_by(PUBLIC, f"{head}.{body}".encode(), _part(signature))
        )
        if not right:
            raise self._unauthorized()

    @staticmethod
    def _unauthorized() -> FakeRefusal:
        return FakeRefusal(401, "Unauthorized\n")

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        if refusal.kind in ("not_found", "symbol") and request.method == "GET":
            words = (
                "order with this orderID was not found"
                if refusal.kind == "not_found"
                else "valid product_id is required"
            )
            return FakeRefusal(
                404 if refusal.kind == "not_found" else 400,
                {
                    "error": "NOT_FOUND" if refusal.kind == "not_found" else "INVALID_ARGUMENT",
                    "error_details": words,
                    "message": words,
                },
            )
        error, words, preview = _REFUSALS.get(
            refusal.kind, ("INVALID_ARGUMENT", "The request is not valid", "UNKNOWN_PREVIEW_FAILURE_REASON")
        )
        return self._failure(request, error, words, preview)

    @staticmethod
    def _failure(request: Request, error: str, words: str, preview: str) -> FakeRefusal:
        """Recorded in 2025; until 2024-07 `failure_reason` and `order_id` stood beside `success`, too."""
        inner = {"error": error, "message": words, "error_details": "", "preview_failure_reason": preview}
        asked = request.json.get("order_configuration") if request.body.startswith("{") else None
        return FakeRefusal(200, {"success": False, "error_response": inner, "order_configuration": asked})

    def bad_key(self) -> FakeReply:
        return self._unauthorized().answer

    def limited(self) -> Any:
        return {"error": "rate_limit_exceeded", "message": "too many requests", "error_details": ""}

    def fees(self, request: Request) -> Any:
        """Recorded; the rates are the simulator's own."""
        rate = text(self.core.fee_rate)
        tier = {
            "pricing_tier": "Advanced 1",
            "usd_from": "0",
            "usd_to": "1000",
            "taker_fee_rate": rate,
            "maker_fee_rate": rate,
            "aop_from": "",
            "aop_to": "",
        }
        return {
            "total_volume": "9.99",
            "total_fees": "0.07",
            "fee_tier": tier,
            "margin_rate": None,
            "goods_and_services_tax": None,
            "advanced_trade_only_volume": "9.99",
            "advanced_trade_only_fees": "0.07",
            "coinbase_pro_volume": "0",
            "coinbase_pro_fees": "0",
            "total_balance": "",
            "has_promo_fee": False,
        }

    # --- the account ---

    def accounts(self, request: Request) -> Any:
        coins = list(self.core.balances)
        first = int(request.params.get("cursor") or 0)
        page, more = coins[first : first + self.page], first + self.page < len(coins)
        return {
            "accounts": [self._account(coin) for coin in page],
            "has_next": more,
            "cursor": str(first + self.page) if more else "",
            "size": len(page),
        }

    def _account(self, coin: str) -> dict[str, Any]:
        """Documented."""
        return {
            "default": True,
            "created_at": "2023-01-19T14:58:29.123Z",
            "updated_at": "2024-04-08T13:15:33.456Z",
            "deleted_at": None,
            "retail_portfolio_id": "b87a2d3f-8a1e-49b3",
            "platform": "ACCOUNT_PLATFORM_CONSUMER",
            "uuid": f"8bfc20d7-{coin}",
            "name": f"{coin} Wallet",
            "currency": coin,
            "active": True,
            "ready": True,
            "type": "ACCOUNT_TYPE_FIAT" if coin == "USD" else "ACCOUNT_TYPE_CRYPTO",
            "available_balance": {"value": text(self.core.free(coin)), "currency": coin},
            "hold": {"value": text(self.core.held(coin)), "currency": coin},
        }

    def permissions(self, request: Request) -> Any:
        return {
            "can_view": True,
            "can_trade": True,
            "can_transfer": self.can_withdraw,
            "portfolio_uuid": "b87a2d3f-8a1e-49b3",
            "portfolio_type": "DEFAULT",
        }

    # --- orders ---

    def create(self, request: Request) -> Any:
        asked = request.json
        if not asked.get("client_order_id"):
            raise FakeRefusal(
                400,
                {
                    "error": "INVALID_ARGUMENT",
                    "error_details": "client_order_id is required",
                    "message": "client_order_id is required",
                },
            )
        ((kind, how),) = asked["order_configuration"].items()
        number = {
            name: D(how[name])
            for name in ("base_size", "quote_size", "limit_price", "stop_price")
            if name in how
        }
        if kind == "market_market_ioc" and asked["side"] == "BUY" and "quote_size" not in number:
            raise OrderRefusal("value")
        if "stop_price" in number and (asked["side"] == "SELL") != (
            how["stop_direction"] == "STOP_DIRECTION_STOP_DOWN"
        ):
            raise OrderRefusal("value")
        market, stop = self._market(asked["product_id"]), number.get("stop_price")
        sign = 1 if asked["side"] == "SELL" else -1
        if stop is not None and (stop - self.core.prices[market.name]) * sign > 0:
            raise self._failure(request, "UNKNOWN_FAILURE_REASON", "", _STOPS[asked["side"]])
        order = self.core.place(
            client_id=asked["client_order_id"],
            name=market.name,
            side=asked["side"].lower(),
            type="market" if kind.startswith("market") else "limit",
            quantity=number.get("base_size"),
            cost=number.get("quote_size"),
            limit=number.get("limit_price"),
            stop=stop,
            tif="IOC" if kind == "sor_limit_ioc" else kind[-3:].upper(),
        )
        done = {
            "order_id": str(order.id),
            "product_id": asked["product_id"],
            "side": asked["side"],
            "client_order_id": order.client_id,
        }
        how = asked["order_configuration"]
        return {"success": True, "success_response": done, "order_configuration": how}

    def order(self, request: Request, number: str) -> Any:
        return {"order": self._order(self.core.find(id=number))}

    def batch(self, request: Request) -> Any:
        """Newest first, by pages. A client id is not among what can be asked for."""
        asked = request.params
        wanted = asked.get("order_status")
        found = [
            of
            for of in reversed(self.core.shown())
            if wanted is None or self.status_of(of, _STATUS) == wanted
        ]
        first, size = int(asked.get("cursor") or 0), min(int(asked.get("limit", 100)), self.page)
        more = first + size < len(found)
        return {
            "orders": [self._order(of) for of in found[first : first + size]],
            "sequence": "0",
            "has_next": more,
            "cursor": str(first + size) if more else "",
        }

    def fills(self, request: Request) -> Any:
        wanted = request.params.get("order_ids")
        return {
            "fills": [
                self._fill(order, trade)
                for order in self.core.shown()
                if wanted in (None, str(order.id))
                for trade in self.core.trades_of(order)
            ],
            "cursor": "",
        }

    @staticmethod
    def _fill(order: Order, trade: Any) -> dict[str, Any]:
        """Recorded. The size of what was bought for an amount of money is told in money."""
        spent = order.quantity is None
        return {
            "entry_id": f"e{trade.id}",
            "trade_id": f"t{trade.id}",
            "order_id": str(order.id),
            "trade_time": iso(trade.at),
            "trade_type": "FILL",
            "price": text(trade.price),
            "size": text(trade.quantity * trade.price if spent else trade.quantity, 12),
            "commission": text(trade.fee),
            "product_id": f"{order.market.base}-{order.market.quote}",
            "sequence_timestamp": iso(trade.at),
            "liquidity_indicator": "TAKER",
            "size_in_quote": spent,
            "user_id": "dbcb91e7-2bc9-5152",
            "side": order.side.upper(),
        }

    def cancel(self, request: Request) -> Any:
        results = []
        for number in request.json["order_ids"]:
            try:
                self.core.cancel(self.core.find(id=number))
                results.append(
                    {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": number}
                )
            except OrderRefusal:
                results.append(
                    {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": number}
                )
        return {"results": results}

    def _order(self, order: Order) -> dict[str, Any]:
        """Recorded of a filled order, field by field. Invented: the words of a cancellation."""
        trigger = "STOP_PENDING" if order.waits else "STOP_TRIGGERED"
        trigger = trigger if order.stop is not None else "INVALID_ORDER_TYPE"
        kind, how = "limit_limit_gtc", {"base_size": text(order.quantity), "limit_price": text(order.limit)}
        if order.type == "market":
            kind = "market_market_ioc"
            how = (
                {"quote_size": text(order.cost)}
                if order.quantity is None
                else {"base_size": text(order.quantity)}
            )
        elif order.stop is not None:
            kind, how = "stop_limit_stop_limit_gtc", {**how, "stop_price": text(order.stop)}
        return {
            "order_id": str(order.id),
            "product_id": f"{order.market.base}-{order.market.quote}",
            "user_id": "u",
            "client_order_id": order.client_id,
            "order_configuration": {kind: how},
            "side": order.side.upper(),
            "status": self.status_of(order, _STATUS),
            "time_in_force": "IMMEDIATE_OR_CANCEL" if order.tif == "IOC" else "GOOD_UNTIL_CANCELLED",
            "created_time": iso(order.created),
            "completion_percentage": "100.00" if order.status == "filled" else "0",
            "filled_size": text(order.filled),
            "average_filled_price": text(order.average),
            "filled_value": text(order.spent),
            "total_fees": text(order.fee),
            "order_type": order.type.upper(),
            "reject_reason": "REJECT_REASON_UNSPECIFIED",
            "reject_message": "",
            "cancel_message": "User requested cancel" if order.status == "canceled" else "",
            "last_fill_time": iso(order.trades[-1].at) if order.trades else None,
            "fee": "",
            "number_of_fills": str(len(order.trades)),
            "pending_cancel": False,
            "size_in_quote": order.quantity is None,
            "size_inclusive_of_fees": False,
            "total_value_after_fees": text(order.spent + (order.fee if order.side == "buy" else -order.fee)),
            "trigger_status": trigger,
            "settled": order.status == "filled",
            "product_type": "SPOT",
            "order_placement_source": "RETAIL_ADVANCED",
            "outstanding_hold_amount": "0",
            "is_liquidation": False,
            "edit_history": [],
            "leverage": "",
            "margin_type": "UNKNOWN_MARGIN_TYPE",
        }

    routes: ClassVar = {
        ("GET", "/api/v3/brokerage/market/products"): ("public", CoinbaseMarket.products),
        ("GET", "/api/v3/brokerage/market/products/{id}/ticker"): ("public", CoinbaseMarket.ticker),
        ("GET", "/api/v3/brokerage/market/products/{id}/candles"): ("public", CoinbaseMarket.candles),
        ("GET", "/api/v3/brokerage/transaction_summary"): ("read", fees),
        ("GET", "/api/v3/brokerage/accounts"): ("read", accounts),
        ("GET", "/api/v3/brokerage/key_permissions"): ("read", permissions),
        ("POST", "/api/v3/brokerage/orders"): ("create", create),
        ("GET", "/api/v3/brokerage/orders/historical/batch"): ("read", batch),
        ("GET", "/api/v3/brokerage/orders/historical/fills"): ("read", fills),
        ("GET", "/api/v3/brokerage/orders/historical/{id}"): ("read", order),
        ("POST", "/api/v3/brokerage/orders/batch_cancel"): ("cancel", cancel),
    }


FRONT = CoinbaseFront
