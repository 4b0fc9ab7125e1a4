"""Kraken spot as ccxt calls it: /0/public and /0/private, each private request under a higher nonce than the
last.

Each body says where it is from: [rec] recorded from Kraken by somebody who published it, [doc] in Kraken's
documentation, [meas] found with a live key by somebody who wrote it down, [invented] none of these.
`tests/recorded.md` has the list."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from decimal import Decimal
from typing import Any, ClassVar

from tests.simulators.crypto_kraken_market import KrakenMarket, altcoin, altname, asset, given, pair, said
from tests.simulators.exchange_core import D, Order, OrderRefusal, text
from tests.simulators.exchanges import KEY, SECRET, FakeRefusal, FakeReply, Request

_STATUS = {"open": "open", "filled": "closed", "canceled": "canceled", "expired": "canceled"}
# Words [doc]: docs.kraken.com, "Error messages" and "Spot Error Messages". That of a repeat [meas], and that
# an order never made is "Invalid order" and one that has ended "Unknown order" [meas]. What beside the
# category is wrong with a step or an id: [invented].
_REFUSALS = {
    "funds": "EOrder:Insufficient funds",
    "min_quantity": "EGeneral:Invalid arguments:volume minimum not met",
    "step": "EGeneral:Invalid arguments:volume",
    "tick": "EOrder:Invalid price",
    "min_notional": "EOrder:Cost minimum not met",
    "symbol": "EQuery:Unknown asset pair",
    "duplicate": "EGeneral:Invalid arguments:cl_ord_id not unique",
    "not_found": "EOrder:Invalid order",
    "ended": "EOrder:Unknown order",
    "value": "EGeneral:Invalid arguments:cl_ord_id",
    "type": "EGeneral:Invalid arguments:ordertype",
}
_TYPES = {
    (False, False): "market",
    (True, False): "limit",
    (False, True): "stop-loss",
    (True, True): "stop-loss-limit",
}


class KrakenFront(KrakenMarket):
    quotes, money, fee_in, repeats = ("USD", "EUR"), "USD", "quote", "open"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []  # the nonces of the key, as they came
        self.stale = 0  # how many came out of order
        self.earning: dict[str, Decimal] = {}  # what of a coin lies in Kraken Rewards, under its own name
        self.others: dict[str, str] = {}  # balances under other names: bonded, staked, held back
        self.page = 50  # orders at a time
        self.trades_asked: list[str] = []

    def verify(self, request: Request) -> None:
        if request.headers.get("api-key") != KEY:
            raise said("EAPI:Invalid key")
        nonce = request.params.get("nonce", "")
        hashed = hashlib.sha256(f"{nonce}{request.body}".encode()).digest()
        right = hmac.new(base64.b64decode(SECRET), request.path.encode() + hashed, hashlib.sha512).digest()
        if request.headers.get("api-sign") != base64.b64encode(right).decode():
            raise said("EAPI:Invalid signature")
        with self.core.lock:
            if self.taken and int(nonce) <= self.taken[-1]:
                self.stale += 1
                raise said("EAPI:Invalid nonce")  # [doc]
            self.taken.append(int(nonce))

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        return said(_REFUSALS[refusal.kind])

    def bad_key(self) -> FakeReply:
        return said("EAPI:Invalid key").answer

    def limited(self) -> Any:
        return {"error": ["EAPI:Rate limit exceeded"]}

    # --- the account ---

    def balance(self, request: Request) -> Any:
        """[doc] That .F is traded like the plain coin, .B, .S and .M are not: [doc, code ×2]. That what open
        orders hold is told of the plain coin alone, which may lie in .F: [invented]."""
        answer = {
            asset(coin): {
                "balance": text(total - self.earning.get(coin, D(0)), 10),
                "hold_trade": text(self.core.held(coin), 10),
            }
            for coin, total in self.core.balances.items()
        }
        moved = {altcoin(coin) + ".F": text(much, 10) for coin, much in self.earning.items()} | self.others
        return given(
            answer | {name: {"balance": much, "hold_trade": "0.0000000000"} for name, much in moved.items()}
        )

    def key_info(self, request: Request) -> Any:
        """[doc]"""
        granted = ["query-funds", "modify-trades", "query-open-trades", "query-closed-trades", "close-trades"]
        return given(
            {
                "api_key_name": "simulated",
                "iban": "AA88 N84G WYBA XJMQ",
                "permissions": granted + ["withdraw-funds"] * self.can_withdraw,
            }
        )

    # --- orders ---

    def create(self, request: Request) -> Any:
        asked = request.params
        kind = asked["ordertype"]
        if kind not in _TYPES.values():
            raise OrderRefusal("type")
        name = asked.get("cl_ord_id", "")
        if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f-]{36}|.{1,18}", name):
            raise OrderRefusal("value")
        first, second = (D(asked[field]) if field in asked else None for field in ("price", "price2"))
        limit = {"limit": first, "stop-loss-limit": second}.get(kind)
        order = self.core.place(
            client_id=name,
            name=self._market(asked["pair"]).name,
            side=asked["type"],
            type="limit" if limit else "market",
            quantity=D(asked["volume"]),
            limit=limit,
            stop=first if kind.startswith("stop") else None,
            tif=asked.get("timeinforce", "GTC").upper(),
        )
        return given({"txid": [_txid(order)], "descr": {"order": _words(order)}})  # [rec: ccxt]

    def query(self, request: Request) -> Any:
        return given(
            {named: self._order(self._asked(named), request) for named in request.params["txid"].split(",")}
        )

    def open_orders(self, request: Request) -> Any:
        return given(
            {
                "open": {
                    _txid(of): self._order(of, request) for of in self._named(request) if of.status == "open"
                }
            }
        )

    def closed_orders(self, request: Request) -> Any:
        """[doc] 50 at a time, the newest first, from `ofs` on; `count` is how many there are."""
        since, start = float(request.params.get("start", 0)), int(request.params.get("ofs", 0))
        ended = [of for of in self._named(request) if of.status != "open" and of.updated > since]
        ended.sort(key=lambda of: of.updated, reverse=True)
        told = {_txid(of): self._order(of, request) for of in ended[start : start + self.page]}
        return given({"closed": told, "count": len(ended)})

    def cancel(self, request: Request) -> Any:
        asked = request.params
        named = (
            self.core.find(client_id=asked["cl_ord_id"])
            if "cl_ord_id" in asked
            else self._asked(asked["txid"])
        )
        self.core.cancel(named)
        return given({"count": 1})  # [doc]

    def trades(self, request: Request) -> Any:
        """[doc] At most 20 at a time; what none or more get: [invented]."""
        wanted = request.params["txid"].split(",")
        if len(wanted) > 20 or not wanted[0]:
            raise said("EGeneral:Invalid arguments:txid")
        self.trades_asked += wanted
        return given(
            {
                _tid(trade): self._trade(order, trade)
                for order in self.core.shown()
                for trade in self.core.trades_of(order)
                if _tid(trade) in wanted
            }
        )

    @staticmethod
    def _trade(order: Order, trade: Any) -> dict[str, Any]:
        """[doc] "Query Trades Info"."""
        return {
            "ordertxid": _txid(order),
            "postxid": "T",
            "pair": pair(order.market),
            "time": trade.at,
            "type": order.side,
            "ordertype": order.type,
            "price": text(trade.price),
            "cost": text(trade.price * trade.quantity),
            "fee": text(trade.fee),
            "vol": text(trade.quantity),
            "margin": "0.00000",
            "leverage": "0",
            "misc": "",
            "trade_id": trade.id,
            "maker": False,
            "ledgers": [f"L{trade.id:05d}-SIMUL-BASE00", f"L{trade.id:05d}-SIMUL-QUOTE0"],
        }

    def _order(self, order: Order, request: Request) -> dict[str, Any]:
        """[rec: ccxt] open, closed and cancelled ones. Its executions are named only where they are asked for
        [doc]."""
        named = (
            {"trades": [_tid(trade) for trade in self.core.trades_of(order)]}
            if request.params.get("trades", "").lower() == "true"
            else {}
        )
        kind = _TYPES[order.limit is not None, order.stop is not None]
        first = order.stop if order.stop is not None else order.limit
        second = order.limit if order.stop is not None else None
        return {
            "refid": None,
            "userref": 0,
            "cl_ord_id": order.client_id,
            "status": self.status_of(order, _STATUS),
            "opentm": order.created,
            "expiretm": 0,
            **({"closetm": order.updated} if order.status != "open" else {}),
            "starttm": 0,
            "descr": {
                "pair": altname(order.market),
                "type": order.side,
                "ordertype": kind,
                "price": _descr(first),
                "price2": _descr(second),
                "leverage": "none",
                "order": _words(order),
                "close": "",
            },
            "vol": text(order.quantity),
            "vol_exec": text(order.filled),
            "cost": text(order.spent),
            "fee": text(order.fee),
            "price": text(order.average),
            "stopprice": "0.000000",
            "limitprice": "0.000000",
            "misc": "",
            "oflags": "fciq",
            "reason": "User requested" if order.status == "canceled" else None,
            **named,
        }

    def _named(self, request: Request) -> list[Order]:
        """`userref` is another thing than `cl_ord_id`: whoever looks our id up under it finds nothing."""
        name = request.params.get("cl_ord_id")
        if "userref" in request.params and not request.params["userref"].isdigit():
            raise said("EGeneral:Invalid arguments:userref")
        return [order for order in self.core.shown() if name in (None, order.client_id)]

    def _asked(self, txid: str) -> Order:
        if not re.fullmatch(r"O[0-9]{5}-SIMUL-ORDERS", txid):
            raise said("EOrder:Invalid order")
        return self.core.find(id=int(txid[1:6]))

    routes: ClassVar = {
        ("GET", "/0/public/AssetPairs"): ("public", KrakenMarket.pairs),
        ("GET", "/0/public/Time"): ("public", KrakenMarket.time),
        ("GET", "/0/public/Ticker"): ("public", KrakenMarket.ticker),
        ("GET", "/0/public/OHLC"): ("public", KrakenMarket.candles),
        ("POST", "/0/private/BalanceEx"): ("read", balance),
        ("POST", "/0/private/GetApiKeyInfo"): ("read", key_info),
        ("POST", "/0/private/AddOrder"): ("create", create),
        ("POST", "/0/private/QueryOrders"): ("read", query),
        ("POST", "/0/private/OpenOrders"): ("read", open_orders),
        ("POST", "/0/private/ClosedOrders"): ("read", closed_orders),
        ("POST", "/0/private/CancelOrder"): ("cancel", cancel),
        ("POST", "/0/private/QueryTrades"): ("read", trades),
    }


def _descr(price: Decimal | None) -> str:
    return text(price, 5) if price is not None else "0"


def _txid(order: Order) -> str:
    return f"O{order.id:05d}-SIMUL-ORDERS"


def _words(order: Order) -> str:
    """As Kraken describes an order; ccxt reads it word by word."""
    limit = f"limit {text(order.limit, 2)}" if order.limit is not None else "market"
    if order.stop is not None:
        limit = f"stop loss {text(order.stop, 2)}" + (f" -> {limit}" if order.limit is not None else "")
    return f"{order.side} {text(order.quantity)} {altname(order.market)} @ {limit}"


def _tid(trade: Any) -> str:
    return f"T{trade.id:05d}-SIMUL-TRADES"


FRONT = KrakenFront
