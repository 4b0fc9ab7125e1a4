"""Schwab on 127.0.0.1: sign-in, trader and market data, strict, with the faults of
`tests.simulators.exchanges`.

Which bodies are recorded, which documented and which invented is said at each;
tests/recorded.md names the sources.

    python -m tests.simulators.schwab --port 9003

Point an account at it with SCHWAB_URL=http://127.0.0.1:9003. It prints a key, a secret and a token to save
with the account."""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from tests.simulators.exchange_core import ExchangeCore, Market, Order, OrderRefusal
from tests.simulators.exchanges import ExchangeSimulator, FakeRefusal, FakeReply, Request
from tests.simulators.schwab_account import HASH, NUMBER, STOCKS, WRONG, SchwabAccountRoutes, iso
from tests.simulators.schwab_market import SchwabMarketRoutes

KEY, SECRET, CALLBACK, CODE = (
    "simulated-app-key",
    "simulated-app-secret",
    "https://127.0.0.1:8182/schwab",
    "C0.simulated@",
)
_STATUS = {"open": "WORKING", "filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED"}
_REFUSALS = {
    "funds": (400, "Your account does not hold enough for this order."),
    "step": (400, "Fractional shares are not accepted in this order."),
    "tick": (400, "The limit price has too many decimals."),
    "symbol": (400, "The symbol is not valid."),
    "not_found": (404, "Order not found"),
    "ended": (400, "Order cannot be canceled: it is not open."),
    "min_quantity": (400, "Quantity must be at least 1."),
}


class SchwabFront(SchwabMarketRoutes):
    money = "USD"
    cannot = frozenset({"cut_off"})  # an order's answer has no body

    def __init__(self) -> None:
        super().__init__()
        markets = [
            Market(base=name, quote="USD", step=Decimal(1), least=Decimal(1), least_cost=Decimal(0))
            for name in STOCKS
        ]
        self.core = ExchangeCore(markets, cash={"USD": Decimal(100_000)}, fee_rate="0")
        self.core.repeats = "never"
        self.access, self.refreshes = "access-1", 0
        self.refresh = "refresh-1"  # good for seven days, and the same all the time
        self.accounts = {NUMBER: HASH}
        self.silent_fills = False  # no Location where an order filled at once
        self.rejects_later = ""  # orders are taken with 201, and then rejected for this
        self.trades_today = True
        self.market_data = True  # the app has that product
        self.challenge = ""  # of the last sign-in that was begun
        self.margin = False  # a margin account, with other balances
        self.swept = False  # its cash lies in a fund
        self.fees_late = 0.0  # seconds until transactions are told
        self.others: list[dict[str, Any]] = []  # orders that others placed, as they are listed
        self.quotes_late = 0.0  # seconds: prices without the right to those of now
        self.closed_days = 1  # when it does not trade today: for how many days, today counted

    def token(self, *, created: datetime | None = None, life: timedelta = timedelta(minutes=30)) -> str:
        """As the app would keep it."""
        now = datetime.now(UTC)
        values = {
            "access_token": self.access,
            "refresh_token": self.refresh,
            "token_type": "Bearer",
            "expires_at": (now + life).timestamp(),
        }
        return json.dumps({"creation_timestamp": int((created or now).timestamp()), "token": values})

    def verify(self, request: Request) -> None:
        if request.path == "/v1/oauth/token":
            return
        if request.headers.get("authorization") != f"Bearer {self.access}":
            raise self.bad_key_refused()
        if not self.market_data and request.path.startswith("/marketdata"):
            raise FakeRefusal(
                401,
                {
                    "errors": [
                        {
                            "id": "1a2345b6-7c89-01de-2f34-5a6b7c8d9e0f",
                            "status": 401,
                            "title": "Unauthorized",
                            "detail": "Client not authorized",
                        }
                    ]
                },
            )

    @staticmethod
    def bad_key_refused() -> FakeRefusal:
        return FakeRefusal(401, {"errors": [{"status": 401, "title": "Unauthorized"}]})

    def bad_key(self) -> FakeReply:
        return self.bad_key_refused().answer

    def limited(self) -> Any:
        return {"message": "Too many requests"}

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        status, words = _REFUSALS.get(refusal.kind, (400, "The request is not valid."))
        return FakeRefusal(status, {"message": WRONG if status == 400 else words, "errors": [words]})

    # --- the sign-in ---

    def sent_back(self, link: str, code: str = CODE) -> str:
        """A person follows the link and signs in: the address that they are sent back to. Whoever exchanges
        the code has to know what the link's challenge is of."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        assert (
            asked["client_id"] == KEY
            and asked["response_type"] == "code"
            and asked.get("code_challenge_method", "S256") == "S256"
        )
        self.challenge = asked.get("code_challenge", "")
        state = f"&state={quote(asked['state'])}" if "state" in asked else ""
        return f"{asked['redirect_uri']}?code={quote(code)}&session=1{state}"

    def _knows_verifier(self, asked: dict[str, str]) -> bool:
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        return not self.challenge or base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.challenge

    def sign_in(self, request: Request) -> Any:
        asked = request.params
        right = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        by_code = (
            asked.get("grant_type") == "authorization_code"
            and asked.get("code") == CODE
            and asked.get("redirect_uri") == CALLBACK
            and self._knows_verifier(asked)
        )
        by_refresh = asked.get("grant_type") == "refresh_token" and asked.get("refresh_token") == self.refresh
        if request.headers.get("authorization") != right or not (by_code or by_refresh):
            raise FakeRefusal(
                400,
                {
                    "error": "unsupported_token_type",
                    "error_description": "refresh token invalid, expired or revoked",
                },
            )
        self.refreshes += 1
        self.access = f"access-{self.refreshes + 1}"
        return {
            "expires_in": 1800,
            "token_type": "Bearer",
            "scope": "api",
            "refresh_token": self.refresh,
            "access_token": self.access,
        }

    # --- orders ---

    def create(self, request: Request, hashed: str) -> Any:
        self._number(hashed)
        asked = request.json
        (leg,) = asked["orderLegCollection"]
        name = leg["instrument"]["symbol"]
        right = (
            asked["orderType"] in ("MARKET", "LIMIT")
            and asked["session"] == "NORMAL"
            and asked["duration"] in ("DAY", "GOOD_TILL_CANCEL")
            and asked["orderStrategyType"] == "SINGLE"
            and leg["instruction"] in ("BUY", "SELL")
            and leg["instrument"]["assetType"] == "EQUITY"
            and ("price" in asked) == (asked["orderType"] == "LIMIT")
        )
        if not right:
            raise OrderRefusal("type")
        order = self.core.place(
            client_id="",
            name=f"{name}/USD",
            side=leg["instruction"].lower(),
            type=asked["orderType"].lower(),
            quantity=Decimal(str(leg["quantity"])),
            limit=Decimal(str(asked["price"])) if "price" in asked else None,
        )
        heads = {
            "Location": f"http://{request.headers['host']}/trader/v1/accounts/{hashed}/orders/{order.id}"
        }
        return FakeReply(
            status=201, body="", headers={} if self.silent_fills and order.status == "filled" else heads
        )

    def listed(self, request: Request, hashed: str) -> Any:
        self._number(hashed)
        asked = request.params
        first, last = (
            datetime.fromisoformat(asked[name].replace("Z", "+00:00")).timestamp()
            for name in ("fromEnteredTime", "toEnteredTime")
        )
        if first < time.time() - 60 * 86_400 - 5:
            raise FakeRefusal(400, {"message": "fromEnteredTime must be within 60 days", "errors": []})
        ours = [order for order in reversed(self.core.shown()) if first <= int(order.created) <= last]
        return [*self.others, *(self._order(order) for order in ours)]

    def order(self, request: Request, hashed: str, number: str) -> Any:
        return self._order(self.core.find(id=number))

    def cancel(self, request: Request, hashed: str, number: str) -> Any:
        self.core.cancel(self.core.find(id=number))
        return FakeReply(body="")

    def _order(self, order: Order) -> dict[str, Any]:
        """Recorded of filled, working and cancelled orders: a cancellation is an activity EXECUTION of price
        0."""
        status = "REJECTED" if self.rejects_later and not order.trades else self.status_of(order, _STATUS)
        return {
            "session": "NORMAL",
            "duration": "DAY",
            "orderType": order.type.upper(),
            "complexOrderStrategyType": "NONE",
            "quantity": float(order.quantity),
            "filledQuantity": float(order.filled),
            "remainingQuantity": float(order.quantity - order.filled),
            "price": float(order.limit or 0),
            "orderStrategyType": "SINGLE",
            "orderId": order.id,
            "cancelable": order.status == "open",
            "requestedDestination": "AUTO",
            "destinationLinkName": "AutoRoute",
            "tag": "TA_simulated",
            **({} if order.status == "open" else {"closeTime": iso(order.updated)}),
            "editable": False,
            "status": status,
            "enteredTime": iso(order.created),
            "accountNumber": int(NUMBER),
            "statusDescription": self.rejects_later,
            "orderLegCollection": [
                {
                    "orderLegType": "EQUITY",
                    "legId": 1,
                    "instruction": order.side.upper(),
                    "positionEffect": "OPENING",
                    "quantity": float(order.quantity),
                    "instrument": {"assetType": "EQUITY", "symbol": order.market.base, "cusip": "037833100"},
                }
            ],
            "orderActivityCollection": [
                {
                    "activityType": "EXECUTION",
                    "activityId": trade.id,
                    "executionType": "FILL",
                    "quantity": float(trade.quantity),
                    "orderRemainingQuantity": 0.0,
                    "executionLegs": [
                        {
                            "legId": 1,
                            "quantity": float(trade.quantity),
                            "mismarkedQuantity": 0.0,
                            "price": float(trade.price),
                            "time": iso(trade.at),
                        }
                    ],
                }
                for trade in self.core.trades_of(order)
            ]
            + ([_cancellation(order)] if order.status == "canceled" else []),
        }

    routes: ClassVar = {
        ("POST", "/v1/oauth/token"): ("sign_in", sign_in),
        ("GET", "/trader/v1/accounts/accountNumbers"): ("read", SchwabAccountRoutes.numbers),
        ("GET", "/trader/v1/accounts/{hash}"): ("read", SchwabAccountRoutes.account),
        ("POST", "/trader/v1/accounts/{hash}/orders"): ("create", create),
        ("GET", "/trader/v1/accounts/{hash}/transactions"): ("read", SchwabAccountRoutes.transactions),
        ("GET", "/trader/v1/accounts/{hash}/orders"): ("read", listed),
        ("GET", "/trader/v1/accounts/{hash}/orders/{id}"): ("read", order),
        ("DELETE", "/trader/v1/accounts/{hash}/orders/{id}"): ("cancel", cancel),
        ("GET", "/marketdata/v1/quotes"): ("read", SchwabMarketRoutes.quoted),
        ("GET", "/marketdata/v1/pricehistory"): ("read", SchwabMarketRoutes.history),
        ("GET", "/marketdata/v1/markets"): ("read", SchwabMarketRoutes.hours),
    }


def _cancellation(order: Order) -> dict[str, Any]:
    left = float(order.quantity - order.filled)
    leg = {
        "legId": 1,
        "quantity": left,
        "mismarkedQuantity": 0.0,
        "price": 0.0,
        "time": iso(order.updated),
        "instrumentId": 4339891,
    }
    return {
        "activityType": "EXECUTION",
        "activityId": order.id + 1_000_000,
        "executionType": "CANCELED",
        "quantity": left,
        "orderRemainingQuantity": 0.0,
        "executionLegs": [leg],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Schwab on 127.0.0.1, with made-up money and faults on demand."
    )
    parser.add_argument("--port", type=int, required=True)
    front = SchwabFront()
    with ExchangeSimulator(front, parser.parse_args().port) as simulator:
        print(
            f"Schwab at {simulator.url}\n  key: {KEY}\n  secret: {SECRET}\n  token: {front.token()}",
            flush=True,
        )
        threading.Event().wait()


if __name__ == "__main__":
    # not this module a second time, under another name
    importlib.import_module("tests.simulators.schwab").main()
