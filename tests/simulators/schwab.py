"""Schwab on 127.0.0.1: sign-in, trader and market data, strict, with the faults of `tests.simulators.crypto`.

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
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from tests.simulators.crypto import Answer, Front, Refused, Request, Simulator
from tests.simulators.crypto_core import Core, Market, Order, Refusal, ms

KEY, SECRET, CALLBACK, CODE = (
    "simulated-app-key",
    "simulated-app-secret",
    "https://127.0.0.1:8182/schwab",
    "C0.simulated@",
)
NUMBER, HASH = "12345678", "0123456789ABCDEF"
STOCKS = ("AAPL", "MSFT", "BRK/B")
_STATUS = {"open": "WORKING", "filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED"}
# Documented: `message` beside a list of errors. Recorded: `Invalid account number` and `Client not
# authorized`, word for word. Invented: the words below.
WRONG = "A validation error occurred while processing the request."
_REFUSALS = {
    "funds": (400, "Your account does not hold enough for this order."),
    "step": (400, "Fractional shares are not accepted in this order."),
    "tick": (400, "The limit price has too many decimals."),
    "symbol": (400, "The symbol is not valid."),
    "not_found": (404, "Order not found"),
    "ended": (400, "Order cannot be canceled: it is not open."),
    "min_quantity": (400, "Quantity must be at least 1."),
}


def _iso(moment: float) -> str:
    """In whole seconds, as Schwab tells them."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class SchwabFront(Front):
    money = "USD"
    cannot = frozenset({"cut_off"})  # an order's answer has no body

    def __init__(self) -> None:
        super().__init__()
        markets = [
            Market(base=name, quote="USD", step=Decimal(1), least=Decimal(1), least_cost=Decimal(0))
            for name in STOCKS
        ]
        self.core = Core(markets, cash={"USD": Decimal(100_000)}, fee_rate="0")
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
            raise Refused(
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
    def bad_key_refused() -> Refused:
        return Refused(401, {"errors": [{"status": 401, "title": "Unauthorized"}]})

    def bad_key(self) -> Answer:
        return self.bad_key_refused().answer

    def limited(self) -> Any:
        return {"message": "Too many requests"}

    def refusal(self, request: Request, refusal: Refusal) -> Refused:
        status, words = _REFUSALS.get(refusal.kind, (400, "The request is not valid."))
        return Refused(status, {"message": WRONG if status == 400 else words, "errors": [words]})

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
            raise Refused(
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

    # --- the account ---

    def numbers(self, request: Request) -> Any:
        return [{"accountNumber": number, "hashValue": hashed} for number, hashed in self.accounts.items()]

    def account(self, request: Request, hashed: str) -> Any:
        number = self._number(hashed)
        worth = {name: self.core.balances[name] * self.core.prices[f"{name}/USD"] for name in STOCKS}
        cash = self.core.balances["USD"]
        said: dict[str, Any] = {
            "type": "MARGIN" if self.margin else "CASH",
            "accountNumber": number,
            "roundTrips": 0,
            "isDayTrader": False,
            "isClosingOnlyRestricted": False,
            "pfcbFlag": False,
            "currentBalances": self._balances(cash, sum(worth.values())),
        }
        if request.params.get("fields") == "positions":
            said["positions"] = [
                {
                    "longQuantity": float(self.core.balances[name]),
                    "shortQuantity": 0.0,
                    "averagePrice": 100.01,
                    "marketValue": float(value),
                    "instrument": {"assetType": "EQUITY", "cusip": "037833100", "symbol": name},
                }
                for name, value in worth.items()
                if self.core.balances[name]
            ]
        return {"securitiesAccount": said, "aggregatedBalance": {}}

    def _balances(self, cash: Decimal, worth: Decimal) -> dict[str, Any]:
        """Recorded of a cash and of a margin account, field by field: the cash account tells no
        `buyingPower`. Invented: what lies in `moneyMarketFund` where cash is swept; that `cashBalance` is 0
        then is a finding."""
        free, told = float(self.core.free("USD")), 0.0 if self.swept else float(cash)
        both = {
            "accruedInterest": 0.0,
            "cashBalance": told,
            "cashReceipts": 0.0,
            "longOptionMarketValue": 0.0,
            "liquidationValue": float(cash + worth),
            "longMarketValue": float(worth),
            "moneyMarketFund": float(cash) if self.swept else 0.0,
            "savings": 0.0,
            "shortMarketValue": 0.0,
            "pendingDeposits": 0.0,
            "mutualFundValue": 0.0,
            "bondValue": 0.0,
            "shortOptionMarketValue": 0.0,
        }
        if self.margin:
            return both | {
                "availableFunds": free,
                "availableFundsNonMarginableTrade": free,
                "buyingPower": 2 * free,
                "buyingPowerNonMarginableTrade": free,
                "dayTradingBuyingPower": 4 * free,
                "equity": float(cash + worth),
                "equityPercentage": 100.0,
                "longMarginValue": float(worth),
                "maintenanceCall": 0.0,
                "maintenanceRequirement": 0.0,
                "marginBalance": 0.0,
                "regTCall": 0.0,
                "shortBalance": 0.0,
                "shortMarginValue": 0.0,
                "sma": free,
            }
        return both | {
            "cashAvailableForTrading": free,
            "cashAvailableForWithdrawal": free,
            "cashCall": 0.0,
            "longNonMarginableMarketValue": told,
            "totalCash": told,
            "cashDebitCallValue": 0.0,
            "unsettledCash": 0.0,
        }

    def transactions(self, request: Request, hashed: str) -> Any:
        """Recorded, without the currency's description. The rates are the simulator's own: 20 and 1 in a
        million."""
        self._number(hashed)
        asked = request.params
        if missing := {"startDate", "endDate", "types"} - asked.keys():
            raise Refused(400, {"message": WRONG, "errors": [f"{sorted(missing)[0]} is required"]})
        wanted = [
            order for order in self.core.orders if asked.get("symbol", order.market.base) == order.market.base
        ]
        told = [(order, trade) for order in wanted for trade in self.core.trades_of(order)]
        return [self._transaction(*each) for each in told if each[1].at + self.fees_late <= time.time()]

    @staticmethod
    def _transaction(order: Order, trade: Any) -> dict[str, Any]:
        sells, worth = order.side == "sell", trade.quantity * trade.price
        taken = float(worth) if sells else 0.0
        fees = {
            "COMMISSION": 0.0,
            "SEC_FEE": taken / 50_000,
            "OPT_REG_FEE": 0.0,
            "TAF_FEE": taken / 1_000_000,
        }
        dollars = {
            "assetType": "CURRENCY",
            "status": "ACTIVE",
            "symbol": "CURRENCY_USD",
            "instrumentId": 1,
            "closingPrice": 0.0,
        }
        cost = float(worth if sells else -worth)
        return {
            "activityId": trade.id,
            "time": _iso(trade.at),
            "accountNumber": NUMBER,
            "type": "TRADE",
            "status": "VALID",
            "subAccount": "CASH",
            "tradeDate": _iso(trade.at),
            "positionId": 12345678,
            "orderId": order.id,
            "netAmount": cost - sum(fees.values()),
            "transferItems": [
                *(
                    {"instrument": dollars, "amount": fee, "cost": -fee, "feeType": kind}
                    for kind, fee in fees.items()
                ),
                {
                    "instrument": {
                        "assetType": "EQUITY",
                        "status": "ACTIVE",
                        "symbol": order.market.base,
                        "instrumentId": 5215623,
                        "closingPrice": 100.0,
                    },
                    "amount": float(-trade.quantity if sells else trade.quantity),
                    "cost": cost,
                    "price": float(trade.price),
                    "positionEffect": "CLOSING" if sells else "OPENING",
                },
            ],
        }

    def _number(self, hashed: str) -> str:
        found = next((number for number, known in self.accounts.items() if known == hashed), None)
        if found is None:
            raise Refused(404, {"message": "Invalid account number"})  # recorded; the status is documented
        return found

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
            raise Refusal("type")
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
        return Answer(
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
            raise Refused(400, {"message": "fromEnteredTime must be within 60 days", "errors": []})
        ours = [order for order in reversed(self.core.shown()) if first <= int(order.created) <= last]
        return [*self.others, *(self._order(order) for order in ours)]

    def order(self, request: Request, hashed: str, number: str) -> Any:
        return self._order(self.core.find(id=number))

    def cancel(self, request: Request, hashed: str, number: str) -> Any:
        self.core.cancel(self.core.find(id=number))
        return Answer(body="")

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
            **({} if order.status == "open" else {"closeTime": _iso(order.updated)}),
            "editable": False,
            "status": status,
            "enteredTime": _iso(order.created),
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
                            "time": _iso(trade.at),
                        }
                    ],
                }
                for trade in self.core.trades_of(order)
            ]
            + ([_cancellation(order)] if order.status == "canceled" else []),
        }

    # --- market data ---

    def quoted(self, request: Request) -> Any:
        said: dict[str, Any] = {}
        for name in request.params["symbols"].split(","):
            if name in STOCKS:
                at = f"{name}/USD"
                said[name] = {
                    "assetMainType": "EQUITY",
                    "symbol": name,
                    "realtime": True,
                    "quote": {
                        "bidPrice": float(self.core.bid(at)),
                        "askPrice": float(self.core.ask(at)),
                        "lastPrice": float(self.core.prices[at]),
                        "quoteTime": ms(time.time() - self.quotes_late),
                    },
                }
            else:
                said.setdefault("errors", {}).setdefault("invalidSymbols", []).append(name)
        return said

    def history(self, request: Request) -> Any:
        asked = request.params
        if (asked["periodType"], asked["frequencyType"]) not in (
            ("day", "minute"),
            ("year", "daily"),
            ("year", "weekly"),
            ("year", "monthly"),
        ):
            raise Refusal("value")
        seconds = (
            int(asked["frequency"])
            * {"minute": 60, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}[asked["frequencyType"]]
        )
        if asked["frequencyType"] == "minute" and seconds // 60 not in (1, 5, 10, 15, 30):
            raise Refusal("value")
        rows = self.core.candles(f"{asked['symbol']}/USD", seconds, int(asked["startDate"]) / 1000, 100_000)
        return {
            "symbol": asked["symbol"],
            "empty": False,
            "candles": [
                {
                    "open": float(first),
                    "high": float(high),
                    "low": float(low),
                    "close": float(last),
                    "volume": int(volume),
                    "datetime": at * 1000,
                }
                for at, first, high, low, last, volume in rows
                if at * 1000 <= int(asked["endDate"])
            ],
        }

    def hours(self, request: Request) -> Any:
        now = datetime.now(UTC)
        begins, ends = ((now + timedelta(hours=by)).isoformat(timespec="seconds") for by in (-1, 1))
        day = request.params.get("date")
        ahead = (date.fromisoformat(day) - now.date()).days if day else 0
        if ahead:
            begins, ends = (
                (now + timedelta(days=ahead, hours=by)).isoformat(timespec="seconds") for by in (-1, 1)
            )
        if not self.trades_today and ahead < self.closed_days:
            return {"equity": {"equity": {"isOpen": False, "marketType": "EQUITY"}}}
        return {
            "equity": {
                "EQ": {
                    "isOpen": True,
                    "marketType": "EQUITY",
                    "sessionHours": {"regularMarket": [{"start": begins, "end": ends}]},
                }
            }
        }

    routes: ClassVar = {
        ("POST", "/v1/oauth/token"): ("sign_in", sign_in),
        ("GET", "/trader/v1/accounts/accountNumbers"): ("read", numbers),
        ("GET", "/trader/v1/accounts/{hash}"): ("read", account),
        ("POST", "/trader/v1/accounts/{hash}/orders"): ("create", create),
        ("GET", "/trader/v1/accounts/{hash}/transactions"): ("read", transactions),
        ("GET", "/trader/v1/accounts/{hash}/orders"): ("read", listed),
        ("GET", "/trader/v1/accounts/{hash}/orders/{id}"): ("read", order),
        ("DELETE", "/trader/v1/accounts/{hash}/orders/{id}"): ("cancel", cancel),
        ("GET", "/marketdata/v1/quotes"): ("read", quoted),
        ("GET", "/marketdata/v1/pricehistory"): ("read", history),
        ("GET", "/marketdata/v1/markets"): ("read", hours),
    }


def _cancellation(order: Order) -> dict[str, Any]:
    left = float(order.quantity - order.filled)
    leg = {
        "legId": 1,
        "quantity": left,
        "mismarkedQuantity": 0.0,
        "price": 0.0,
        "time": _iso(order.updated),
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
    with Simulator(front, parser.parse_args().port) as simulator:
        print(
            f"Schwab at {simulator.url}\n  key: {KEY}\n  secret: {SECRET}\n  token: {front.token()}",
            flush=True,
        )
        threading.Event().wait()


if __name__ == "__main__":
    # not this module a second time, under another name
    importlib.import_module("tests.simulators.schwab").main()
