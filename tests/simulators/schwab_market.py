"""Schwab's prices and hours, as the simulator tells them."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.simulators.exchange_core import OrderRefusal, ms
from tests.simulators.exchanges import Request
from tests.simulators.schwab_account import STOCKS, SchwabAccountRoutes


class SchwabMarketRoutes(SchwabAccountRoutes):
    """What a stock costs, and when it trades."""

    # --- market data ---

    def quoted(self, request: Request) -> Any:
        answer: dict[str, Any] = {}
        for name in request.params["symbols"].split(","):
            if name in STOCKS:
                at = f"{name}/USD"
                answer[name] = {
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
                answer.setdefault("errors", {}).setdefault("invalidSymbols", []).append(name)
        return answer

    def history(self, request: Request) -> Any:
        asked = request.params
        if (asked["periodType"], asked["frequencyType"]) not in (
            ("day", "minute"),
            ("year", "daily"),
            ("year", "weekly"),
            ("year", "monthly"),
        ):
            raise OrderRefusal("value")
        seconds = (
            int(asked["frequency"])
            * {"minute": 60, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}[asked["frequencyType"]]
        )
        if asked["frequencyType"] == "minute" and seconds // 60 not in (1, 5, 10, 15, 30):
            raise OrderRefusal("value")
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
