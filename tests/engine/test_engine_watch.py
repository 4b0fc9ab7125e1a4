"""The watch over what is held: risk limits, the day's loss, and exits."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.domain.notices.trading import BotStopped
from dashtrade.tables import messages as message_table
from tests.engine.test_engine_actions import AAPL, D
from tests.support.databases import sqlite
from tests.support.fakes import SetFeed
from tests.support.installation import House, Person
from tests.support.orders import orders_of

# --- the watch over what is held ----------------------------------------------------------------------------


def events(ann: Person) -> list[Any]:
    return ann.get("/risk-events")["items"]


@pytest.mark.parametrize(("side", "before", "past"), [("buy", "90.01", "90"), ("sell", "109.99", "110")])
def test_past_its_risk_limit_a_position_is_closed_and_its_bot_paused(
    ann: Person, house: House, feed: SetFeed, side: str, before: str, past: str
):
    bot = ann.bot(risk_limit_percent="10")
    ann.trades(side)
    feed.set("AAPL", before)
    assert house.look() == 0 and events(ann) == []
    feed.set("AAPL", past)
    assert house.look() == 1
    shown = ann.get(f"/bots/{bot}")
    assert (
        ann.holds(bot) == 0
        and shown["is_active"] is False
        and "past the risk limit of 10%" in shown["paused_reason"]
    )
    [event] = events(ann)
    assert (event["kind"], event["threshold"], event["actual"], event["bot_id"]) == (
        "risk_limit",
        "10",
        "10",
        bot,
    )
    assert event["action"] == "position closed, bot paused"
    story = ann.story(event["signal_id"])  # a signal like any other
    assert story["origin"] == "risk" and story["status"] == "filled" and orders_of(story)[0][1] == "close"
    assert ann.told(BotStopped)
    assert house.look() == 0 and len(events(ann)) == 1, "once"
    assert "the bot is paused" in ann.trades(side)["reason"]


@sqlite
def test_past_the_days_loss_an_open_position_is_closed(ann: Person, house: House, feed: SetFeed):
    bot = ann.bot(daily_loss_limit="250")
    ann.trades("buy")
    feed.set("AAPL", 97)
    ann.trades("close")  # 150 of it are gone
    ann.trades("buy")
    feed.set("AAPL", D("95.1"))  # 51.54 x 1.9: 97.93 more
    assert house.look() == 0
    feed.set("AAPL", 95)
    assert house.look() == 1
    [event] = events(ann)
    assert (event["kind"], event["threshold"]) == ("daily_loss", "250") and D(event["actual"]) >= 250
    assert ann.holds(bot) == 0 and ann.get(f"/bots/{bot}")["is_active"] is False


@sqlite
def test_the_stop_its_event_and_the_pause_are_one_step(
    ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch
):
    bot = ann.bot(risk_limit_percent="10")
    ann.trades("buy")
    feed.set("AAPL", 80)

    def power_cut(*given: Any, **named: Any) -> None:
        raise RuntimeError("gone at the last line")

    with monkeypatch.context() as broken:
        broken.setattr(message_table, "notify", power_cut)
        assert house.watch.look() == []
    assert events(ann) == [] and ann.get(f"/bots/{bot}")["is_active"] is True
    assert len(ann.get("/signals")["items"]) == 1
    assert house.look() == 1 and len(events(ann)) == 1 and ann.holds(bot) == 0


@sqlite
def test_one_bot_that_cannot_be_looked_at_does_not_keep_the_others_from_their_stop(
    ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch
):
    first, second = ann.bot("AAPL", risk_limit_percent="10"), ann.bot("MSFT", risk_limit_percent="10")
    ann.trades("buy", "AAPL")
    ann.trades("buy", "MSFT")
    feed.set("AAPL", 80)
    feed.set("MSFT", 80)
    look_at = house.watch._look_at
    monkeypatch.setattr(
        house.watch, "_look_at", lambda bot, quote: 1 / 0 if bot.id == first else look_at(bot, quote)
    )
    house.look()
    assert ann.holds(first) > 0 and ann.holds(second) == 0


@sqlite
def test_a_quote_is_fetched_once_per_symbol(
    ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch
):
    for frame in ("5m", "15m", "1H"):
        ann.bot("AAPL", frame, risk_limit_percent="10")
        ann.trades("buy", timeframe=frame)
    ann.bot("MSFT", risk_limit_percent="10")
    ann.trades("buy", "MSFT")
    asked: list[str] = []
    monkeypatch.setattr(
        feed, "quote", lambda symbol, quote=feed.quote: (asked.append(symbol.short), quote(symbol))[1]
    )
    house.watch.look()
    assert sorted(asked) == ["AAPL", "MSFT"]


@sqlite
def test_where_no_price_is_to_be_had_the_others_are_watched_all_the_same(
    ann: Person, house: House, feed: SetFeed
):
    first, second = ann.bot("AAPL", risk_limit_percent="10"), ann.bot("MSFT", risk_limit_percent="10")
    ann.trades("buy")
    ann.trades("buy", "MSFT")
    feed.away.add(AAPL.text)
    feed.set("MSFT", 50)
    assert [lane.symbol.short for lane in house.watch.look()] == ["MSFT"]
    feed.away.clear()
    house.work()
    assert (ann.holds(first), ann.holds(second)) == (50, 0)


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
    ann: Person, house: House, feed: SetFeed, exits: dict[str, Any], course: list[tuple[str, int]]
):
    bot = ann.bot()
    ann.trades("buy", **exits)
    assert "managed by DashTrade" in ann.get(f"/bots/{bot}")["position"]["exits"][0]
    for price, owned in course:
        feed.set("AAPL", price)
        house.look()
        assert ann.holds(bot) == owned, price
    shown = ann.get(f"/bots/{bot}")
    assert shown["is_active"] is True and shown["position"]["exits"] == []
    assert {event["kind"] for event in events(ann)} == {
        "take_profit" if "takeProfit" in exits else "stop_loss"
    }
