"""What risk refuses, with its numbers: entries, never exits."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.domain.reasons import quoted
from dashtrade.tables import accounts
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Trader
from tests.support.orders import CLOSED, check, orders_of

# --- what risk refuses: entries, with the numbers -----------------------------------------------------------


def switched(trader: Trader, bot: int, mode: str = "pause_entries", scope: str = "bot") -> None:
    trader.request(
        "PUT",
        "/switches",
        {"scope": scope, "id": bot if scope == "bot" else trader.paper, "mode": mode, "reason": "holiday"},
    )


RULES: dict[str, tuple[dict[str, Any], Any, str, dict[str, str]]] = {
    "bot active": (
        {},
        lambda trader, bot: trader.request("POST", f"/bots/{bot}/pause"),
        "the bot is paused (paused by the user)",
        {},
    ),
    "switches": (
        {},
        switched,
        "this bot is switched to pause entries (holiday)",
        {"scope": "bot", "switch": "pause_entries"},
    ),
    "trading window": (
        {"windows": [{"days": ["mon"], "from": "09:30", "to": "16:00"}], "time_zone": "America/New_York"},
        None,
        (
            "outside the bot's trading windows (America/New_York): local time Wed 11:00, windows Mon "
            "09:30–16:00"
        ),
        {"now": "2025-06-04T15:00:00.000Z", "local": "Wed 11:00", "windows": "Mon 09:30–16:00"},
    ),
    "cooldown": (
        {"cooldown_seconds": 600},
        lambda trader, bot: (trader.trades("buy"), trader.trades("close")),
        "the cooldown of 600 s has 600 s left",
        {"cooldown": "600", "left": "600"},
    ),
    "orders per day": (
        {"orders_per_day": 1},
        lambda trader, bot: (trader.trades("buy"), trader.trades("close")),
        "the limit of 1 entries a day is reached",
        {"limit": "1", "actual": "1"},
    ),
    "position size": (
        {"max_position_size": "4000"},
        None,
        "a position of 5,000.00 exceeds the limit 4,000.00",
        {"value": "5000", "limit": "4000"},
    ),
    "buying power": (
        {"position_size": "100001"},
        None,
        "needs 100,001.00 of 100,000.00 buying power",
        {"needs": "100001", "buying_power": "100000"},
    ),
    "venue": (
        {},
        lambda trader, bot: trader.request(
            "PATCH", f"/accounts/{trader.paper}", {"options": {"shorting": False}}
        ),
        "Paper cannot sell AAPL short",
        {},
    ),
}


@pytest.mark.parametrize("rule", RULES)
@sqlite
def test_a_rule_refuses_an_entry_with_its_numbers_and_what_would_have_been_ordered(trader: Trader, rule: str):
    fields, before, reason, numbers = RULES[rule]
    bot = trader.bot(**fields)
    if before is not None:
        before(trader, bot)
    story = trader.trades("sell" if rule == "venue" else "buy")
    answer = story["bots"][0]
    assert story["status"] == "refused" and reason in story["reason"] and story["orders"] == []
    assert check(story, rule)["ok"] is False
    assert answer["would"].startswith("blocked order: sell 50" if rule == "venue" else "blocked order: buy ")
    assert (
        numbers.items() <= answer["numbers"].items() and {"bid", "ask", "equity"} <= answer["numbers"].keys()
    )
    assert any(line["step"] == "refused" and answer["would"] in line["detail"] for line in story["timeline"])
    assert trader.holds(bot) == 0


def test_a_daily_loss_stops_entries_until_the_next_day(trader: Trader, feed: ManualFeed, clock: ManualClock):
    bot = trader.bot(daily_loss_limit="100")
    trader.trades("buy")
    feed.set("AAPL", 98)
    trader.trades("close")  # 50 x -2: exactly the limit
    story = trader.trades("buy")
    assert story["status"] == "refused" and story["reason"] == "daily loss 100.00 reached the limit 100.00"
    assert story["bots"][0]["would"].startswith("blocked order: buy 51.02")
    clock.forward(86400)
    assert trader.trades("buy")["status"] == "filled" and trader.holds(bot) > 0


@sqlite
def test_nothing_is_added_to_a_position_past_its_risk_limit(trader: Trader, feed: ManualFeed):
    trader.bot(risk_limit_percent="10")
    trader.trades("buy")
    feed.set("AAPL", 90)
    assert "10.00% down, past its max loss of 10%" in trader.trades("add")["reason"]


@sqlite
def test_a_rule_that_no_longer_stands_in_the_way_lets_entries_pass(trader: Trader, clock: ManualClock):
    bot = trader.bot(
        cooldown_seconds=600,
        orders_per_day=2,
        windows=[{"days": ["wed"], "from": "09:30", "to": "16:00"}],
        time_zone="America/New_York",
    )
    trader.trades("buy")
    trader.trades("close")
    clock.forward(600)
    assert trader.trades("buy")["status"] == "filled"
    trader.trades("close")
    clock.forward(86400 - 600)  # Thursday: a day's two entries are over, and so is the window
    assert "outside" in trader.trades("buy")["reason"]
    trader.request("PATCH", f"/bots/{bot}", {"windows": []})
    assert trader.trades("buy")["status"] == "filled"


@pytest.mark.parametrize("way", ["close", "sell", "reduce"])
@sqlite
def test_exits_pass_where_entries_do_not(trader: Trader, feed: ManualFeed, way: str):
    hurdles = {
        "cooldown_seconds": 600,
        "orders_per_day": 1,
        "max_position_size": "1",
        "daily_loss_limit": "1",
        "risk_limit_percent": "1",
        "windows": [{"days": ["mon"], "from": "09:30", "to": "09:31"}],
    }
    bot = trader.bot(sides="long")
    trader.trades("buy")
    trader.request("PATCH", f"/bots/{bot}", hurdles)
    feed.set("AAPL", 50)
    switched(trader, bot, "halt")
    trader.request("PUT", "/switches", {"scope": "user", "mode": "halt"})
    assert trader.get(f"/bots/{bot}")["is_active"] is False
    story = trader.trades(way, **({"quantity": "50%"} if way == "reduce" else {}))
    assert story["status"] == "filled" and trader.holds(bot) == (25 if way == "reduce" else 0)


@sqlite
def test_a_flip_that_may_not_open_still_closes(trader: Trader):
    bot = trader.bot(orders_per_day=1)
    trader.trades("buy")
    story = trader.trades("sell")
    assert orders_of(story) == [CLOSED] and trader.holds(bot) == 0
    assert check(story, "orders per day")["ok"] is False
    assert any(
        "exit only (entry blocked: the limit of 1 entries a day is reached" in line["detail"]
        for line in story["timeline"]
    )


@pytest.mark.parametrize("action", ["buy", "close"])
def test_an_account_that_may_not_trade_refuses_with_the_code_of_it(trader: Trader, action: str):
    trader.bot()
    trader.trades("buy")

    def disable(conn: Any) -> None:
        accounts.change(
            conn, trader.user.id, trader.paper, is_active=False, disabled_reason=quoted("its key ended")
        )

    trader.installation.app.db.write(disable)
    story = trader.trades(action)
    assert story["status"] == "refused" and not story["orders"]
    because = {"code": "text", "facts": {"text": "its key ended"}}
    for answer in (story, *story["bots"]):
        assert (answer["reason_code"], answer["facts"]) == ("account_disabled", {"because": because})
