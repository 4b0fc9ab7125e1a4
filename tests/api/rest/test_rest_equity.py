"""The equity by day: exact, in one currency at a time, worked back from that of now."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Trader

DAY = 86_400


def equity(trader: Trader, **asked: Any) -> list[tuple[datetime, Decimal]]:
    [line] = trader.get("/performance/equity", **asked)["currencies"]
    assert line["currency"] == "USD"
    return [(datetime.fromisoformat(one["at"]), Decimal(one["equity"])) for one in line["points"]]


def trade(trader: Trader, feed: ManualFeed, bought: str, sold: str) -> Decimal:
    """What it made after fees."""
    before = sum(Decimal(day["net_pnl"]) for day in trader.get("/performance")["items"])
    feed.price = Decimal(bought)
    assert trader.trades("buy")["status"] == "filled"
    feed.price = Decimal(sold)
    assert trader.trades("close")["status"] == "filled"
    return sum((Decimal(day["net_pnl"]) for day in trader.get("/performance")["items"]), Decimal(0)) - before


def test_the_points_add_up_to_the_cent_and_end_with_the_equity_of_now(
    trader: Trader, clock: ManualClock, feed: ManualFeed
):
    trader.bot()
    assert equity(trader) == [], "nothing was made yet"
    begin = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    won = trade(trader, feed, "100", "101.37")
    clock.forward(2 * DAY)
    lost = trade(trader, feed, "101.37", "99.99")
    assert won > 0 > lost
    trader.trades("buy")
    feed.price = Decimal("104.2")
    points = equity(trader)
    [now] = [Decimal(one["equity"]) for one in trader.get("/summary")["currencies"]]
    [opened] = [Decimal(one["unrealized_pnl"]) for one in trader.get("/summary")["currencies"]]
    first = points[0][1]
    today = sum(Decimal(day["net_pnl"]) for day in trader.get("/performance")["items"]) - won
    assert points == [
        (begin, first),
        (begin + timedelta(days=1), first + won),
        (clock.now(), first + won + today + opened),
    ]
    assert points[-1][1] == now


def test_only_the_requested_days_are_returned(trader: Trader, clock: ManualClock, feed: ManualFeed):
    trader.bot()
    trade(trader, feed, "100", "101")
    clock.forward(20 * DAY)
    trade(trader, feed, "100", "101")
    assert len(equity(trader, days=20)) == 2 and len(equity(trader)) == 3


@pytest.mark.parametrize("days", ["0", "367", "x"])
def test_a_span_that_is_none_is_refused(trader: Trader, days: str):
    response = trader.call("GET", "/performance/equity", days=days)
    assert response.status_code == 400 and response.json["field"] == "days"


def test_another_users_account_has_no_line_for_one(trader: Trader):
    other_trader = trader.installation.join("bob@example.com")
    trader.bot()
    trader.trades("buy")
    assert other_trader.call("GET", "/performance/equity", scope=str(trader.paper)).status_code == 400
    assert equity(other_trader) == []
