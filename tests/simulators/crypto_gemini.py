"""Gemini as ccxt calls it: /v1, the request in a signed header, limit orders only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from tests.simulators.crypto import KEY, SECRET, Answer, Front, Refused, Request
from tests.simulators.crypto_core import D, Market, Order, Refusal, ms, text

_REFUSALS = {
    "funds": (406, "InsufficientFunds", "Failed to place order: insufficient funds"),
    "min_quantity": (400, "InvalidQuantity", "Invalid quantity for symbol: below the minimum"),
    "step": (400, "InvalidQuantity", "Invalid quantity for symbol: too many decimals"),
    "tick": (400, "InvalidPrice", "Invalid price for symbol: too many decimals"),
    "min_notional": (400, "InvalidQuantity", "Invalid quantity for symbol: below the minimum"),
    "symbol": (400, "InvalidSymbol", "Received a symbol that is not supported"), "not_found": (404, "OrderNotFound", "Order not found"),
    "ended": (404, "OrderNotFound", "Order not found"), "value": (400, "ClientOrderIdTooLong", "client_order_id is not valid"),
    "type": (400, "InvalidOrderType", "Invalid order type for symbol: only limit orders are accepted"),
    "duplicate": (400, "ConflictingOptions", "client_order_id is in use"),
}  # fmt: skip
_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1hr": 3600, "6hr": 21600, "1day": 86400}


def _said(status: int, reason: str, words: str) -> Refused:
    return Refused(status, {"result": "error", "reason": reason, "message": words})


class GeminiFront(Front):
    quotes, money, fee_in, repeats = ("USD", "GUSD"), "USD", "quote", "never"
    cannot = frozenset({"unknown_status"})  # it tells a status by yes and no alone

    def __init__(self) -> None:
        super().__init__()
        self._nonce = 0
        self.answers_in_list = False  # a look-up by our id may come as a list

    def verify(self, request: Request) -> None:
        heads = request.headers
        if heads.get("x-gemini-apikey") != KEY:
            raise _said(400, "InvalidApiKey", "Could not find the API key")
        payload = heads.get("x-gemini-payload", "")
        right = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha384).hexdigest()
        if heads.get("x-gemini-signature") != right:
            raise _said(400, "InvalidSignature", "InvalidSignature")
        asked = _payload(request)
        if asked["request"] != request.path:
            raise _said(400, "EndpointMismatch", "EndpointMismatch")
        with self.core.lock:
            if int(asked["nonce"]) <= self._nonce:
                raise _said(
                    400, "InvalidNonce", f"Nonce '{asked['nonce']}' has not increased since your last call to the Gemini API."
                )
            self._nonce = int(asked["nonce"])

    def refusal(self, request: Request, refusal: Refusal) -> Refused:
        return _said(*_REFUSALS[refusal.kind])

    def bad_key(self) -> Answer:
        return _said(400, "InvalidApiKey", "Could not find the API key").answer

    def limited(self) -> Any:
        return {"result": "error", "reason": "RateLimit", "message": "Requests were made too frequently"}

    # --- public ---

    def symbols(self, request: Request) -> Any:
        return [(market.base + market.quote).lower() for market in self.core.markets.values()]

    def details(self, request: Request, named: str) -> Any:
        market = self._market(named)
        return {
            "symbol": market.base + market.quote, "base_currency": market.base, "quote_currency": market.quote, "tick_size": float(market.step),
            "quote_increment": float(market.tick), "min_order_size": text(market.least), "status": "open", "wrap_enabled": False,
            "product_type": "spot", "contract_type": "vanilla",
        }  # fmt: skip

    def ticker(self, request: Request, named: str) -> Any:
        market = self._market(named)
        volume = {market.base: "10", market.quote: "1000", "timestamp": ms(self.now())}
        return {"bid": text(self.core.bid(market.name)), "ask": text(self.core.ask(market.name)), "last": text(self.core.prices[market.name]),
                "volume": volume}  # fmt: skip

    def feed(self, request: Request) -> Any:
        return [
            {"pair": market.base + market.quote, "price": text(self.core.prices[market.name]), "percentChange24h": "0.0"}
            for market in self.core.markets.values()
        ]

    def candles(self, request: Request, named: str, frame: str) -> Any:
        """A fixed window up to now, newest first, whatever else is asked for."""
        seconds = _SECONDS[frame]
        rows = self.core.candles(self._market(named).name, seconds, self.now() - 500 * seconds, 500)
        return [[at * 1000, *map(float, values)] for at, *values in reversed(rows)]

    # --- the account ---

    def balances(self, request: Request) -> Any:
        return [
            {"type": "exchange", "currency": coin, "amount": text(total), "available": text(self.core.free(coin)),
             "availableForWithdrawal": text(self.core.free(coin))}
            for coin, total in self.core.balances.items()
        ]  # fmt: skip

    def roles(self, request: Request) -> Any:
        return {
            "isAuditor": False,
            "isFundManager": self.can_withdraw,
            "isTrader": True,
            "counterparty_id": "EMONNYXJ",
            "isAccountAdmin": False,
        }

    # --- orders ---

    def create(self, request: Request) -> Any:
        asked = _payload(request)
        if asked.get("type") not in ("exchange limit", "exchange stop limit") or not asked.get("price"):
            raise Refusal("type")
        if not re.fullmatch(r"[:\-_.#a-zA-Z0-9]{1,100}", asked.get("client_order_id", "")):
            raise Refusal("value")
        option = (asked.get("options") or [""])[0]
        order = self.core.place(
            client_id=asked["client_order_id"], name=self._market(asked["symbol"]).name, side=asked["side"], type="limit",
            quantity=D(asked["amount"]), limit=D(asked["price"]), stop=D(asked["stop_price"]) if "stop_price" in asked else None,
            tif={"immediate-or-cancel": "IOC", "fill-or-kill": "FOK"}.get(option, "GTC"),
        )  # fmt: skip
        return self._order(order)

    def status(self, request: Request) -> Any:
        asked = _payload(request)
        order = self.core.find(id=asked.get("order_id"), client_id=asked.get("client_order_id"))
        said = self._order(order, trades=asked.get("include_trades") is True)
        return [said] if self.answers_in_list and "client_order_id" in asked else said

    def open_orders(self, request: Request) -> Any:
        return [self._order(order) for order in self.core.shown() if order.status == "open"]

    def cancel(self, request: Request) -> Any:
        order = self.core.find(id=_payload(request)["order_id"])
        return self._order(self.core.cancel(order) if order.status == "open" else order)

    def _order(self, order: Order, *, trades: bool = False) -> dict[str, Any]:
        said: dict[str, Any] = {
            "order_id": str(order.id), "id": str(order.id), "symbol": (order.market.base + order.market.quote).lower(), "exchange": "gemini",
            "avg_execution_price": text(order.average), "side": order.side, "type": "stop-limit" if order.stop is not None else "exchange limit",
            "timestamp": str(int(order.created)), "timestampms": ms(order.created), "is_live": order.status == "open",
            "is_cancelled": order.status in ("canceled", "expired"), "is_hidden": False, "was_forced": False,
            "executed_amount": text(order.filled), "client_order_id": order.client_id, "options": [], "price": text(order.limit),
            "original_amount": text(order.quantity), "remaining_amount": text(order.quantity - order.filled),
        }  # fmt: skip
        if trades:
            said["trades"] = [
                {"price": text(of.price), "amount": text(of.quantity), "timestamp": int(of.at), "timestampms": ms(of.at), "type": order.side.title(),
                 "aggressor": True, "fee_currency": of.fee_coin, "fee_amount": text(of.fee), "tid": of.id, "order_id": str(order.id)}
                for of in self.core.trades_of(order)
            ]  # fmt: skip
        return said

    def _market(self, written: str) -> Market:
        return self.market_named(
            next((name for name in self.core.markets if name.replace("/", "").lower() == written.lower()), written)
        )

    routes = {
        ("GET", "/v1/symbols"): ("public", symbols), ("GET", "/v1/symbols/details/{symbol}"): ("public", details),
        ("GET", "/v1/pubticker/{symbol}"): ("public", ticker), ("GET", "/v1/pricefeed"): ("public", feed),
        ("GET", "/v2/candles/{symbol}/{frame}"): ("public", candles),
        ("POST", "/v1/balances"): ("read", balances), ("POST", "/v1/roles"): ("read", roles), ("POST", "/v1/order/new"): ("create", create),
        ("POST", "/v1/order/status"): ("read", status), ("POST", "/v1/orders"): ("read", open_orders), ("POST", "/v1/order/cancel"): ("cancel", cancel),
    }  # fmt: skip


def _payload(request: Request) -> dict[str, Any]:
    return json.loads(base64.b64decode(request.headers.get("x-gemini-payload", "")) or "{}")


FRONT = GeminiFront
