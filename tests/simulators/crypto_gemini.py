"""Gemini as ccxt calls it: /v1, the request in a signed header, limit orders only.

Each body says where it is from: [rec] recorded from Gemini by somebody who published it, [doc] in Gemini's
documentation, [invented] neither, so that it proves nothing about Gemini. `tests/recorded.md` has the list.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any, ClassVar

from tests.simulators.exchange_core import D, Market, Order, OrderRefusal, ms, text
from tests.simulators.exchanges import KEY, SECRET, ExchangeFront, FakeRefusal, FakeReply, Request

# Reasons and statuses [doc]: docs.gemini.com, "Error Codes". The words of InsufficientFunds, InvalidQuantity,
# InvalidPrice and InvalidNonce [rec]: public test suites of the sandbox. Those of the others, and what a
# repeat gets, are [invented].
_REFUSALS = {
    "funds": (
        406,
        "InsufficientFunds",
        (
            "Failed to place {side} order on symbol '{symbol}' for price ${price} and quantity {amount} "
            "due to insufficient funds"
        ),
    ),
    "min_quantity": (400, "InvalidQuantity", "Invalid quantity for symbol {symbol}: {amount}"),
    "step": (400, "InvalidQuantity", "Invalid quantity for symbol {symbol}: {amount}"),
    "tick": (400, "InvalidPrice", "Invalid price for symbol {symbol}: {price}"),
    "min_notional": (400, "InvalidQuantity", "Invalid quantity for symbol {symbol}: {amount}"),
    "symbol": (400, "InvalidSymbol", "Received a symbol that is not supported"),
    "not_found": (404, "OrderNotFound", "Order not found"),
    "ended": (404, "OrderNotFound", "Order not found"),
    "value": (400, "ClientOrderIdTooLong", "client_order_id is not valid"),
    "type": (400, "InvalidOrderType", "Invalid order type for symbol: only limit orders are accepted"),
    "duplicate": (400, "DuplicateOrder", "client_order_id is in use"),
}
# [doc] "All Cancellation Reasons"; an order that was cancelled by its owner says Requested [rec: ccxt].
_REASONS = {"canceled": "Requested", "expired": "ImmediateOrCancelWouldPost"}
_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1hr": 3600, "6hr": 21600, "1day": 86400}


def _said(status: int, reason: str, words: str) -> FakeRefusal:
    return FakeRefusal(status, {"result": "error", "reason": reason, "message": words})


class GeminiFront(ExchangeFront):
    quotes, money, fee_in, repeats = ("USD", "GUSD"), "USD", "quote", "never"
    cannot = frozenset({"unknown_status"})  # it tells a status by yes and no alone

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []  # the nonces of the key, as they came
        self.stale = 0  # how many came out of order
        self.core.reserved_fee = D("0.004")  # what an order to buy sets aside beside limit x quantity
        self.answers_in_list = False  # a look-up by our id may come as a list [invented]
        # of a market: open, closed, cancel_only, post_only, limit_only [doc]
        self.states: dict[str, str] = {}

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
            if self.taken and int(asked["nonce"]) <= self.taken[-1]:
                self.stale += 1
                raise _said(
                    400,
                    "InvalidNonce",
                    f"Nonce '{asked['nonce']}' has not increased since your last call to the Gemini API.",
                )
            self.taken.append(int(asked["nonce"]))

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        status, reason, words = _REFUSALS[refusal.kind]
        asked = {"symbol": "", "side": "", "amount": "", "price": ""} | _payload(request)
        return _said(status, reason, words.format(**asked | {"symbol": str(asked["symbol"]).upper()}))

    def bad_key(self) -> FakeReply:
        return _said(400, "InvalidApiKey", "Could not find the API key").answer

    def limited(self) -> Any:
        return {"result": "error", "reason": "RateLimit", "message": "Requests were made too frequently"}

    # --- public ---

    def symbols(self, request: Request) -> Any:
        """[rec] Names alone, those of perpetuals among them."""
        return [(market.base + market.quote).lower() for market in self.core.markets.values()] + [
            "btcgusdperp"
        ]

    def details(self, request: Request, named: str) -> Any:
        """[rec] of 111 symbols, [doc] too. A spot pair says in what it is paid for as well: that makes it no
        contract."""
        market = self._market(named)
        return {
            "symbol": market.base + market.quote,
            "base_currency": market.base,
            "quote_currency": market.quote,
            "tick_size": float(market.step),
            "quote_increment": float(market.tick),
            "min_order_size": text(market.least),
            "status": self.states.get(market.name, "open"),
            "wrap_enabled": False,
            "product_type": "spot",
            "contract_type": "vanilla",
            "contract_price_currency": market.quote,
        }

    def ticker(self, request: Request, named: str) -> Any:
        """[rec: ccxt]"""
        market = self._market(named)
        volume = {market.base: "3.5434218", market.quote: "259620.278863632", "timestamp": ms(self.now())}
        return {
            "bid": text(self.core.bid(market.name)),
            "ask": text(self.core.ask(market.name)),
            "last": text(self.core.prices[market.name]),
            "volume": volume,
        }

    def feed(self, request: Request) -> Any:
        """[doc]"""
        return [
            {
                "pair": market.base + market.quote,
                "price": text(self.core.prices[market.name]),
                "percentChange24h": "0.0",
            }
            for market in self.core.markets.values()
        ]

    def candles(self, request: Request, named: str, frame: str) -> Any:
        """[rec: ccxt] A fixed window up to now, newest first, whatever else is asked for."""
        seconds = _SECONDS[frame]
        rows = self.core.candles(self._market(named).name, seconds, self.now() - 500 * seconds, 500)
        return [[at * 1000, *map(float, values)] for at, *values in reversed(rows)]

    # --- the account ---

    def balances(self, request: Request) -> Any:
        """[doc]"""
        return [
            {
                "type": "exchange",
                "currency": coin,
                "amount": text(total),
                "available": text(self.core.free(coin)),
                "availableForWithdrawal": text(self.core.free(coin)),
            }
            for coin, total in self.core.balances.items()
        ]

    def roles(self, request: Request) -> Any:
        """[doc]"""
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
        # [doc] "No options can be applied to stop-limit orders"
        if asked.get("options") and "stop_price" in asked:
            raise OrderRefusal("type")
        if asked.get("type") not in ("exchange limit", "exchange stop limit") or not asked.get("price"):
            raise OrderRefusal("type")
        if not re.fullmatch(r"[:\-_.#a-zA-Z0-9]{1,100}", asked.get("client_order_id", "")):
            raise OrderRefusal("value")
        option = (asked.get("options") or [""])[0]
        order = self.core.place(
            client_id=asked["client_order_id"],
            name=self._market(asked["symbol"]).name,
            side=asked["side"],
            type="limit",
            quantity=D(asked["amount"]),
            limit=D(asked["price"]),
            stop=D(asked["stop_price"]) if "stop_price" in asked else None,
            tif={"immediate-or-cancel": "IOC", "fill-or-kill": "FOK"}.get(option, "GTC"),
        )
        return self._order(order)

    def status(self, request: Request) -> Any:
        asked = _payload(request)
        order = self.core.find(id=asked.get("order_id"), client_id=asked.get("client_order_id"))
        answer = self._order(order, trades=asked.get("include_trades") is True)
        return [answer] if self.answers_in_list and "client_order_id" in asked else answer

    def open_orders(self, request: Request) -> Any:
        return [self._order(order) for order in self.core.shown() if order.status == "open"]

    def cancel(self, request: Request) -> Any:
        order = self.core.find(id=_payload(request)["order_id"])
        return self._order(self.core.cancel(order) if order.status == "open" else order)

    def _order(self, order: Order, *, trades: bool = False) -> dict[str, Any]:
        """[rec: ccxt] field by field; the trades [rec: ccxt, /v1/mytrades], that they come with the status
        [doc]."""
        answer: dict[str, Any] = {
            "order_id": str(order.id),
            "id": str(order.id),
            "symbol": (order.market.base + order.market.quote).lower(),
            "exchange": "gemini",
            "avg_execution_price": text(order.average),
            "side": order.side,
            "type": "stop-limit" if order.stop is not None else "exchange limit",
            "timestamp": str(int(order.created)),
            "timestampms": ms(order.created),
            "is_live": order.status == "open",
            "is_cancelled": order.status in ("canceled", "expired"),
            "is_hidden": False,
            "was_forced": False,
            "executed_amount": text(order.filled),
            "client_order_id": order.client_id,
            "options": _options(order),
            "price": text(order.limit),
            "original_amount": text(order.quantity),
            "remaining_amount": text(order.quantity - order.filled),
        }
        if order.status in _REASONS:
            answer["reason"] = _REASONS[order.status]
        if order.stop is not None:
            answer["stop_price"] = text(order.stop)
        if trades:
            answer["trades"] = [
                {
                    "price": text(of.price),
                    "amount": text(of.quantity),
                    "timestamp": int(of.at),
                    "timestampms": ms(of.at),
                    "type": order.side.title(),
                    "aggressor": True,
                    "fee_currency": of.fee_coin,
                    "fee_amount": text(of.fee),
                    "tid": of.id,
                    "order_id": str(order.id),
                    "exchange": "gemini",
                    "is_auction_fill": False,
                    "is_clearing_fill": False,
                    "client_order_id": order.client_id,
                }
                for of in self.core.trades_of(order)
            ]
        return answer

    def _market(self, written: str) -> Market:
        return self.market_named(
            next(
                (name for name in self.core.markets if name.replace("/", "").lower() == written.lower()),
                written,
            )
        )

    routes: ClassVar = {
        ("GET", "/v1/symbols"): ("public", symbols),
        ("GET", "/v1/symbols/details/{symbol}"): ("public", details),
        ("GET", "/v1/pubticker/{symbol}"): ("public", ticker),
        ("GET", "/v1/pricefeed"): ("public", feed),
        ("GET", "/v2/candles/{symbol}/{frame}"): ("public", candles),
        ("POST", "/v1/balances"): ("read", balances),
        ("POST", "/v1/roles"): ("read", roles),
        ("POST", "/v1/order/new"): ("create", create),
        ("POST", "/v1/order/status"): ("read", status),
        ("POST", "/v1/orders"): ("read", open_orders),
        ("POST", "/v1/order/cancel"): ("cancel", cancel),
    }


def _options(order: Order) -> list[str]:
    return {"IOC": ["immediate-or-cancel"], "FOK": ["fill-or-kill"]}.get(order.tif, [])


def _payload(request: Request) -> dict[str, Any]:
    return json.loads(base64.b64decode(request.headers.get("x-gemini-payload", "")) or "{}")


FRONT = GeminiFront
