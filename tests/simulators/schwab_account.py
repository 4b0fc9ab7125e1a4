"""Schwab's accounts as the simulator tells them: balances, positions and transactions."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.simulators.exchange_core import Order
from tests.simulators.exchanges import ExchangeFront, FakeRefusal, Request

NUMBER, HASH = "12345678", "0123456789ABCDEF"

STOCKS = ("AAPL", "MSFT", "BRK/B")

# Documented: `message` beside a list of errors. Recorded: `Invalid account number` and `Client not
# authorized`, word for word. Invented: the words below.
WRONG = "A validation error occurred while processing the request."


def iso(moment: float) -> str:
    """In whole seconds, as Schwab tells them."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class SchwabAccountRoutes(ExchangeFront):
    """What stands on an account."""

    # --- the account ---

    def numbers(self, request: Request) -> Any:
        return [{"accountNumber": number, "hashValue": hashed} for number, hashed in self.accounts.items()]

    def account(self, request: Request, hashed: str) -> Any:
        number = self._number(hashed)
        worth = {name: self.core.balances[name] * self.core.prices[f"{name}/USD"] for name in STOCKS}
        cash = self.core.balances["USD"]
        answer: dict[str, Any] = {
            "type": "MARGIN" if self.margin else "CASH",
            "accountNumber": number,
            "roundTrips": 0,
            "isDayTrader": False,
            "isClosingOnlyRestricted": False,
            "pfcbFlag": False,
            "currentBalances": self._balances(cash, sum(worth.values())),
        }
        if request.params.get("fields") == "positions":
            answer["positions"] = [
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
        return {"securitiesAccount": answer, "aggregatedBalance": {}}

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
            raise FakeRefusal(400, {"message": WRONG, "errors": [f"{sorted(missing)[0]} is required"]})
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
            "time": iso(trade.at),
            "accountNumber": NUMBER,
            "type": "TRADE",
            "status": "VALID",
            "subAccount": "CASH",
            "tradeDate": iso(trade.at),
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
            raise FakeRefusal(
                404, {"message": "Invalid account number"}
            )  # recorded; the status is documented
        return found
