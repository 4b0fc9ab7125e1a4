"""The watch over what is held: risk limits, the day's loss, and exits."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.domain.notices.trading import BotStopped
from dashtrade.tables import messages as message_table
from tests.engine.test_engine_actions import AAPL, D
from tests.support.databases import sqlite
from tests.support.fakes import ManualFeed
from tests.support.installation import Installation, Trader
from tests.support.orders import orders_of

# --- the watch over what is held ----------------------------------------------------------------------------


def events(trader: Trader) -> list[Any]:
    return trader.get("/risk-events")["items"]


@pytest.mark.parametrize(("side", "before", "past"), [("buy", "90.01", "90"), ("sell", "109.99", "110")])
def test_past_its_risk_limit_a_position_is_closed_and_its_bot_paused(
    trader: Trader, installation: Installation, feed: ManualFeed, side: str, before: str, past: str
):
    bot = trader.bot(risk_limit_percent="10")
    trader.trades(side)
    feed.set("AAPL", before)
    assert installation.look() == 0 and events(trader) == []
    feed.set("AAPL", past)
    assert installation.look() == 1
    shown = trader.get(f"/bots/{bot}")
    assert (
        trader.holds(bot) == 0
        and shown["is_active"] is False
        and "past its max loss of 10%" in shown["paused_reason"]
    )
    [event] = events(trader)
    assert (event["kind"], event["threshold"], event["actual"], event["bot_id"]) == (
        "risk_limit",
        "10",
        "10",
        bot,
    )
    assert event["action"] == "position closed, bot paused"
    story = trader.story(event["signal_id"])  # a signal like any other
    assert story["origin"] == "risk" and story["status"] == "filled" and orders_of(story)[0][1] == "close"
    assert trader.notices(BotStopped)
    assert installation.look() == 0 and len(events(trader)) == 1, "once"
    assert "the bot is paused" in trader.trades(side)["reason"]


@sqlite
def test_past_the_days_loss_an_open_position_is_closed(
    trader: Trader, installation: Installation, feed: ManualFeed
):
    bot = trader.bot(daily_loss_limit="250")
    trader.trades("buy")
    feed.set("AAPL", 97)
    trader.trades("close")  # 150 of it are gone
    trader.trades("buy")
    feed.set("AAPL", D("95.1"))  # 51.54 x 1.9: 97.93 more
    assert installation.look() == 0
    feed.set("AAPL", 95)
    assert installation.look() == 1
    [event] = events(trader)
    assert (event["kind"], event["threshold"]) == ("daily_loss", "250") and D(event["actual"]) >= 250
    assert trader.holds(bot) == 0 and trader.get(f"/bots/{bot}")["is_active"] is False


@sqlite
def test_the_stop_its_event_and_the_pause_are_one_step(
    trader: Trader, installation: Installation, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
):
    bot = trader.bot(risk_limit_percent="10")
    trader.trades("buy")
    feed.set("AAPL", 80)

    def power_cut(*given: Any, **named: Any) -> None:
        raise RuntimeError("gone at the last line")

    with monkeypatch.context() as broken:
        broken.setattr(message_table, "notify", power_cut)
        assert installation.watch.check_all() == []
    assert events(trader) == [] and trader.get(f"/bots/{bot}")["is_active"] is True
    assert len(trader.get("/signals")["items"]) == 1
    assert installation.look() == 1 and len(events(trader)) == 1 and trader.holds(bot) == 0


@sqlite
def test_one_bot_that_cannot_be_looked_at_does_not_keep_the_others_from_their_stop(
    trader: Trader, installation: Installation, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
):
    first, second = trader.bot("AAPL", risk_limit_percent="10"), trader.bot("MSFT", risk_limit_percent="10")
    trader.trades("buy", "AAPL")
    trader.trades("buy", "MSFT")
    feed.set("AAPL", 80)
    feed.set("MSFT", 80)
    look_at = installation.watch._check_bot
    monkeypatch.setattr(
        installation.watch, "_check_bot", lambda bot, quote: 1 / 0 if bot.id == first else look_at(bot, quote)
    )
    installation.look()
    assert trader.holds(first) > 0 and trader.holds(second) == 0


@sqlite
def test_a_quote_is_fetched_once_per_symbol(
    trader: Trader, installation: Installation, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
):
    for frame in ("5m", "15m", "1H"):
        trader.bot("AAPL", frame, risk_limit_percent="10")
        trader.trades("buy", timeframe=frame)
    trader.bot("MSFT", risk_limit_percent="10")
    trader.trades("buy", "MSFT")
    asked: list[str] = []
    monkeypatch.setattr(
        feed, "quote", lambda symbol, quote=feed.quote: (asked.append(symbol.short), quote(symbol))[1]
    )
    installation.watch.check_all()
    assert sorted(asked) == ["AAPL", "MSFT"]


@sqlite
def test_where_no_price_is_to_be_had_the_others_are_watched_all_the_same(
    trader: Trader, installation: Installation, feed: ManualFeed
):
    first, second = trader.bot("AAPL", risk_limit_percent="10"), trader.bot("MSFT", risk_limit_percent="10")
    trader.trades("buy")
    trader.trades("buy", "MSFT")
    feed.away.add(AAPL.text)
    feed.set("MSFT", 50)
    assert [lane.symbol.short for lane in installation.watch.check_all()] == ["MSFT"]
    feed.away.clear()
    installation.work()
    assert (trader.holds(first), trader.holds(second)) == (50, 0)


EXITS: list[tuple[dict[str, Any], list[tuple[str, int]]]] = [
    ({"takeProfit": {"percent": 5}}, [("104.99", 50), ("105", 0)]),
    ({"takeProfit": {"limitPrice": "107"}}, [("106.99", 50), ("107.2", 0)]),
    ({"stopLoss": {"type": "stop", "percent": 5}}, [("95.01", 50), ("95", 0)]),
    ({"stopLoss": {"type": "stop", "stopPrice": "97"}}, [("97.01", 50), ("90", 0)]),
    (
        {"stopLoss": {"type": "trailing_stop", "trailAmount": 4}},
        [("96.01", 50), ("110", 50), ("106.01", 50), ("106", 0)],
    ),
    (
        {"stopLoss": {"type": "trailing_stop", "trailPercent": 10}},
        [("90.01", 50), ("120", 50), ("110.01", 50), ("110", 0)],
    ),
    ({"takeProfit": [{"percent": 5, "share": 50}, {"percent": 10}]}, [("105", 25), ("105", 25), ("110", 0)]),
]


@pytest.mark.parametrize(
    ("exits", "course"),
    EXITS,
    ids=["profit %", "profit at", "stop %", "stop at", "trail", "trail %", "in steps"],
)
@sqlite
def test_exits_are_kept_from_the_moment_the_entry_is_filled(
    trader: Trader,
    installation: Installation,
    feed: ManualFeed,
    exits: dict[str, Any],
    course: list[tuple[str, int]],
):
    bot = trader.bot()
    trader.trades("buy", **exits)
    assert "managed by DashTrade" in trader.get(f"/bots/{bot}")["position"]["exits"][0]
    for price, owned in course:
        feed.set("AAPL", price)
        installation.look()
        assert trader.holds(bot) == owned, price
    shown = trader.get(f"/bots/{bot}")
    assert shown["is_active"] is True and shown["position"]["exits"] == []
    assert {event["kind"] for event in events(trader)} == {
        "take_profit" if "takeProfit" in exits else "stop_loss"
    }
