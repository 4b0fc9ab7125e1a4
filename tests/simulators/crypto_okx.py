"""OKX spot as ccxt calls it: /api/v5, orders through trade/batch-orders.

Which bodies are recorded, which documented and which invented is said at each; tests/recorded.md names the
sources."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import Any, ClassVar

from tests.simulators.exchange_core import D, Market, Order, OrderRefusal, ms, text
from tests.simulators.exchanges import KEY, PASSPHRASE, SECRET, ExchangeFront, FakeRefusal, FakeReply, Request

DAYS = 86_400.0
_FILLS_KNOW = {"instType", "instId", "ordId", "after", "before", "begin", "end", "limit"}
_STATUS = {"open": "live", "filled": "filled", "canceled": "canceled", "expired": "canceled"}
# Documented: the codes, each with one of its messages. Invented: which code OKX gives where two would fit.
_REFUSALS = {
    "funds": ("51008", "Order failed. Insufficient balance in account"),
    "min_quantity": ("51020", "Order quantity must be greater than the minimum"),
    "step": ("51121", "Order quantity must be a multiple of the lot size"),
    "tick": ("51006", "Order price is not within the price limit"),
    "min_notional": ("51020", "Order amount is below the minimum"),
    "symbol": ("51001", "Instrument ID does not exist"),
    "duplicate": ("51016", "Duplicated clOrdId"),
    "not_found": ("51603", "Order does not exist"),
    "value": ("51000", "Parameter clOrdId error"),
    "ended": ("51402", "Cancellation failed as the order has been completed"),
    "type": ("51000", "Parameter ordType error"),
}
_SECONDS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1H": 3600,
    "2H": 7200,
    "4H": 14400,
    "6H": 21600,
    "12H": 43200,
    "1D": 86400,
}


def _said(code: str, words: str, status: int = 200) -> FakeRefusal:
    return FakeRefusal(status, {"code": code, "msg": words, "data": []})


def _given(*data: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(data)}


class OkxFront(ExchangeFront):
    quotes, money, fee_in, repeats = ("USDT", "USDC"), "USDT", "bought", "open"
    demo_only = False  # refuse whatever does not carry the demo header
    elsewhere = False  # the key was made at another of OKX's sites
    page = 100

    def now(self) -> float:
        """Executions are asked for by their age: the books and the front keep one time."""
        return self.core.now() + self.clock_ahead

    def verify(self, request: Request) -> None:
        heads = request.headers
        if self.elsewhere:
            raise _said("50119", "API key doesn't exist", 401)  # documented
        if heads.get("ok-access-key") != KEY:
            raise _said("50111", "Invalid OK-ACCESS-KEY", 401)
        if heads.get("ok-access-passphrase") != PASSPHRASE:
            raise _said("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
        at = heads.get("ok-access-timestamp", "")
        path = request.path + (f"?{request.query}" if request.query else "")
        right = hmac.new(
            SECRET.encode(), f"{at}{request.method}{path}{request.body}".encode(), hashlib.sha256
        ).digest()
        if heads.get("ok-access-sign") != base64.b64encode(right).decode():
            raise _said("50113", "Invalid Sign", 401)
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at):
            raise _said("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)  # documented
        if abs(datetime.fromisoformat(at).timestamp() - self.now()) > 30:
            raise _said("50102", "Timestamp request expired", 401)
        if self.demo_only and heads.get("x-simulated-trading") != "1":
            raise _said("50101", "APIKey does not match current environment.", 401)

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        code, words = _REFUSALS[refusal.kind]
        if request.path.endswith(("batch-orders", "cancel-order")):
            return FakeRefusal(
                200,
                {
                    "code": "1",
                    "msg": "All operations failed",
                    "data": [{"ordId": "", "clOrdId": "", "sCode": code, "sMsg": words}],
                },
            )
        return _said(code, words)

    def bad_key(self) -> FakeReply:
        return _said("50111", "Invalid OK-ACCESS-KEY", 401).answer

    def limited(self) -> Any:
        return {"code": "50011", "msg": "Too Many Requests", "data": []}

    # --- public ---

    def instruments(self, request: Request) -> Any:
        if request.params.get("instType") != "SPOT":
            return _given()
        return _given(*(self._instrument(market) for market in self.core.markets.values()))

    @staticmethod
    def _instrument(market: Market) -> dict[str, Any]:
        return {
            "instType": "SPOT",
            "instId": f"{market.base}-{market.quote}",
            "baseCcy": market.base,
            "quoteCcy": market.quote,
            "settleCcy": "",
            "ctVal": "",
            "ctMult": "",
            "lever": "10",
            "tickSz": text(market.tick),
            "lotSz": text(market.step),
            "minSz": text(market.least),
            "state": "live",
            "maxLmtSz": "999999",
            "maxMktSz": "1000000",
            "uly": "",
            "instFamily": "",
            "listTime": "1548133413000",
        }

    def time(self, request: Request) -> Any:
        return _given({"ts": str(ms(self.now()))})

    def ticker(self, request: Request) -> Any:
        return _given(self._ticker(self._market(request.params["instId"])))

    def tickers(self, request: Request) -> Any:
        return _given(*(self._ticker(market) for market in self.core.markets.values()))

    def _ticker(self, market: Market) -> dict[str, Any]:
        price = text(self.core.prices[market.name])
        return {
            "instType": "SPOT",
            "instId": f"{market.base}-{market.quote}",
            "last": price,
            "bidPx": text(self.core.bid(market.name)),
            "bidSz": "9",
            "askPx": text(self.core.ask(market.name)),
            "askSz": "9",
            "open24h": price,
            "high24h": price,
            "low24h": price,
            "vol24h": "1000",
            "volCcy24h": "100000",
            "ts": str(ms(self.now())),
        }

    def candles(self, request: Request) -> Any:
        asked = request.params
        market, seconds = self._market(asked["instId"]), _SECONDS[asked["bar"].removesuffix("utc")]
        count = min(int(asked.get("limit", 100)), 300)
        since = int(asked["before"]) / 1000 + 0.001 if "before" in asked else self.now() - count * seconds
        rows = self.core.candles(market.name, seconds, since, count)
        return _given(
            *([str(at * 1000), *map(text, values), "0", "0", "1"] for at, *values in reversed(rows))
        )

    # --- the account ---

    def balance(self, request: Request) -> Any:
        """Recorded, without the fields of margin accounts."""
        details = [
            {
                "eqUsd": text(total),
                "disEq": text(total),
                "fixedBal": "0",
                "ordFrozen": text(self.core.held(coin)),
                "liab": "0",
                "interest": "0",
                "upl": "0",
                "spotBal": "",
                "rewardBal": "",
                "ccy": coin,
                "eq": text(total),
                "cashBal": text(total),
                "availBal": text(self.core.free(coin)),
                "availEq": text(self.core.free(coin)),
                "frozenBal": text(self.core.held(coin)),
                "uTime": str(ms(self.now())),
            }
            for coin, total in self.core.balances.items()
            if total
        ]
        return _given({"uTime": str(ms(self.now())), "totalEq": "100000", "details": details})

    def config(self, request: Request) -> Any:
        return _given(
            {
                "uid": "44705892343619584",
                "acctLv": "1",
                "perm": "read_only,trade" + (",withdraw" if self.can_withdraw else ""),
            }
        )

    # --- orders ---

    def create(self, request: Request) -> Any:
        (asked,) = request.json
        if not re.fullmatch(r"[A-Za-z0-9]{1,32}", asked.get("clOrdId", "")):
            raise OrderRefusal("value")
        if asked.get("tdMode") != "cash" or asked["ordType"] not in ("market", "limit", "ioc", "fok"):
            raise OrderRefusal("type")
        spends = (
            asked["ordType"] == "market"
            and asked["side"] == "buy"
            and asked.get("tgtCcy", "quote_ccy") == "quote_ccy"
        )
        market = asked["ordType"] == "market"
        order = self.core.place(
            client_id=asked["clOrdId"],
            name=self._market(asked["instId"]).name,
            side=asked["side"],
            type="market" if market else "limit",
            quantity=None if spends else D(asked["sz"]),
            cost=D(asked["sz"]) if spends else None,
            limit=None if market else D(asked["px"]),
            tif={"ioc": "IOC", "fok": "FOK"}.get(asked["ordType"], "GTC"),
        )
        return _given(
            {  # recorded
                "clOrdId": order.client_id,
                "ordId": str(order.id),
                "tag": "",
                "ts": str(ms(self.now())),
                "sCode": "0",
                "sMsg": "Order placed",
            }
        )

    def order(self, request: Request) -> Any:
        return _given(self._order(self._asked(request.params)))

    def pending(self, request: Request) -> Any:
        return _given(*(self._order(order) for order in self.core.shown() if order.status == "open"))

    def cancel(self, request: Request) -> Any:
        order = self.core.cancel(self._asked(request.json))
        return _given({"ordId": str(order.id), "clOrdId": order.client_id, "sCode": "0", "sMsg": ""})

    def fills(self, request: Request) -> Any:
        """Documented: of the last three days."""
        return self._fills(request, 3 * DAYS)

    def fills_history(self, request: Request) -> Any:
        """Documented: of the last three months; `instType` must be given."""
        if "instType" not in request.params:
            raise _said("50014", "Parameter instType can not be empty.", 400)
        return self._fills(request, 90 * DAYS)

    def _fills(self, request: Request, age: float) -> Any:
        """The newest first, a hundred at a time. The real one ignores a stray word; here it is to be
        found."""
        asked = request.params
        if stray := asked.keys() - _FILLS_KNOW:
            raise _said("51000", f"Parameter {sorted(stray)[0]} error", 400)
        orders = [
            order
            for order in reversed(self.core.shown())
            if asked.get("ordId", str(order.id)) == str(order.id)
        ]
        trades = [(order, trade) for order in orders for trade in reversed(self.core.trades_of(order))]
        told = [self._fill(*each) for each in trades if self.core.now() - each[1].at < age]
        told = [each for each in told if asked.get("instId", each["instId"]) == each["instId"]]
        told = [each for each in told if "after" not in asked or int(each["billId"]) < int(asked["after"])]
        return _given(*told[: self.page])

    @staticmethod
    def _fill(order: Order, trade: Any) -> dict[str, Any]:
        """Documented, field by field; ccxt recorded a shorter one."""
        return {
            "instType": "SPOT",
            "instId": f"{order.market.base}-{order.market.quote}",
            "tradeId": str(trade.id),
            "ordId": str(order.id),
            "clOrdId": order.client_id,
            "billId": str(trade.id),
            "fillPx": text(trade.price),
            "fillSz": text(trade.quantity),
            "side": order.side,
            "execType": "T",
            "feeCcy": trade.fee_coin,
            "fee": text(-trade.fee),
            "ts": str(ms(trade.at)),
            "fillTime": str(ms(trade.at)),
            "subType": "1" if order.side == "buy" else "2",
            "tag": "",
            "posSide": "net",
            "fillIdxPx": "",
            "fillPnl": "0",
            "fillPxVol": "",
            "fillPxUsd": "",
            "fillMarkVol": "",
            "fillFwdPx": "",
            "fillMarkPx": "",
            "tradeQuoteCcy": order.market.quote,
        }

    def _order(self, order: Order) -> dict[str, Any]:
        """Recorded of spot orders, live and filled; `fillPx` and `tradeId` are those of the last
        execution."""
        last = order.trades[-1] if order.trades else None
        state = (
            "partially_filled"
            if order.status == "open" and order.trades and not self.strange_status
            else self.status_of(order, _STATUS)
        )
        return {
            "instType": "SPOT",
            "instId": f"{order.market.base}-{order.market.quote}",
            "ordId": str(order.id),
            "clOrdId": order.client_id,
            "px": text(order.limit) if order.limit else "",
            "sz": text(order.quantity if order.quantity is not None else order.cost),
            "ordType": "market" if order.type == "market" else "limit",
            "side": order.side,
            "accFillSz": text(order.filled),
            "avgPx": text(order.average) if order.trades else "",
            "state": state,
            "fee": text(-order.fee),
            "feeCcy": order.trades[0].fee_coin if order.trades else "",
            "tgtCcy": "base_ccy" if order.type == "market" else "",
            "rebate": "0",
            "rebateCcy": order.market.quote if order.side == "buy" else order.market.base,
            "fillPx": text(last.price) if last else "",
            "fillSz": text(last.quantity) if last else "0",
            "fillTime": str(ms(last.at)) if last else "",
            "tradeId": str(last.id) if last else "",
            "ccy": "",
            "tag": "",
            "posSide": "net",
            "lever": "",
            "pnl": "0",
            "category": "normal",
            "source": "",
            "reduceOnly": "false",
            "algoId": "",
            "algoClOrdId": "",
            "attachAlgoClOrdId": "",
            "attachAlgoOrds": [],
            "linkedAlgoOrd": {"algoId": ""},
            "isTpLimit": "false",
            "stpId": "",
            "stpMode": "cancel_maker",
            "quickMgnType": "",
            "pxType": "",
            "pxUsd": "",
            "pxVol": "",
            "tradeQuoteCcy": order.market.quote,
            "cTime": str(ms(order.created)),
            "uTime": str(ms(order.updated)),
            "tdMode": "cash",
            "cancelSource": "",
            "cancelSourceReason": "",
        }

    def _asked(self, asked: dict[str, str]) -> Order:
        self._market(asked["instId"])
        return self.core.find(id=asked.get("ordId"), client_id=asked.get("clOrdId"))

    def _market(self, written: str) -> Market:
        return self.market_named(written.replace("-", "/"))

    routes: ClassVar = {
        ("GET", "/api/v5/public/instruments"): ("public", instruments),
        ("GET", "/api/v5/public/time"): ("public", time),
        ("GET", "/api/v5/market/ticker"): ("public", ticker),
        ("GET", "/api/v5/market/tickers"): ("public", tickers),
        ("GET", "/api/v5/market/candles"): ("public", candles),
        ("GET", "/api/v5/market/history-candles"): ("public", candles),
        ("GET", "/api/v5/account/balance"): ("read", balance),
        ("GET", "/api/v5/account/config"): ("read", config),
        ("POST", "/api/v5/trade/batch-orders"): ("create", create),
        ("GET", "/api/v5/trade/order"): ("read", order),
        ("GET", "/api/v5/trade/orders-pending"): ("read", pending),
        ("POST", "/api/v5/trade/cancel-order"): ("cancel", cancel),
        ("GET", "/api/v5/trade/fills"): ("read", fills),
        ("GET", "/api/v5/trade/fills-history"): ("read", fills_history),
    }


FRONT = OkxFront
