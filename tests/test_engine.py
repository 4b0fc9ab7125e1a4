"""The engine from an alert to booked fills: what each action does, what risk refuses, and what it makes of a venue's faults."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from bot_engine import Lane
from dashtrade.app import App
from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unknown, VenueStatus
from dashtrade.domain.values import Symbol
from dashtrade.engine.effects import drive
from dashtrade.engine.ending import end_decision, end_signal
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as signal_table
from dashtrade.worker import Lanes, Worker
from tests.conftest import MakeApp
from tests.doubles import SetClock, SetFeed
from tests.house import GONE, House, Person, Venue, lost, until

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AAPL = Symbol.parse("AAPL")
D = Decimal


@pytest.fixture
def house(app: App) -> House:
    return House(app)


@pytest.fixture
def ann(house: House) -> Person:
    return house.join()


def orders_of(story: Any) -> list[tuple[str, str, str]]:
    return [(order["side"], order["effect"], order["filled_quantity"]) for order in story["orders"]]


def check(story: Any, name: str) -> Any:
    return next(c for c in story["bots"][0]["checks"] if c["check"] == name)


# --- what each action does: 50 shares at 100, long, short, or ordered and not yet filled ------------------------------------------

RESTING = {"order_type": "limit", "limit_price": "90"}
STARTS: dict[str, dict[str, Any] | None] = {
    "flat": None, "long": {"action": "buy"}, "short": {"action": "sell"}, "ordered": {"action": "buy"} | RESTING,
}  # fmt: skip
OPEN, CLOSED, SHORT, COVER = ("buy", "open", "50"), ("sell", "close", "50"), ("sell", "open", "50"), ("buy", "close", "50")
MATRIX: list[tuple[str, dict[str, Any], str, str, list[tuple[str, str, str]], int]] = [
    ("flat", {"action": "buy"}, "filled", "", [OPEN], 50),
    ("flat", {"action": "sell"}, "filled", "", [SHORT], -50),
    ("flat", {"action": "close"}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "exit_short"}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "reduce", "quantity": 5}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "add"}, "refused", "nothing to add to", [], 0),
    ("flat", {"action": "reverse"}, "refused", "nothing to reverse", [], 0),
    ("flat", {"action": "cancel"}, "refused", "nothing to take back", [], 0),
    ("flat", {"action": "breakeven"}, "refused", "there is no stop", [], 0),
    ("long", {"action": "buy"}, "refused", "already long 50", [], 50),
    ("long", {"action": "sell"}, "filled", "", [CLOSED, SHORT], -50),
    ("long", {"action": "close"}, "filled", "", [CLOSED], 0),
    ("long", {"sentiment": "flat"}, "filled", "", [CLOSED], 0),
    ("long", {"market_position": "flat", "prev_market_position": "long"}, "filled", "", [CLOSED], 0),
    ("long", {"action": "exit_long"}, "filled", "", [CLOSED], 0),
    ("long", {"action": "exit_short"}, "refused", "closes a short only", [], 50),
    ("long", {"action": "reduce", "quantity": 20}, "filled", "", [("sell", "reduce", "20")], 30),
    ("long", {"action": "reduce", "quantity": "30%"}, "filled", "", [("sell", "reduce", "15")], 35),
    ("long", {"action": "close", "quantity": 70}, "filled", "", [CLOSED], 0),
    ("long", {"action": "add"}, "filled", "", [("buy", "add", "50")], 100),
    ("long", {"action": "reverse"}, "filled", "", [CLOSED, SHORT], -50),
    ("long", {"action": "cancel"}, "refused", "nothing to take back", [], 50),
    ("short", {"action": "sell"}, "refused", "already short 50", [], -50),
    ("short", {"action": "buy"}, "filled", "", [COVER, OPEN], 50),
    ("short", {"action": "close"}, "filled", "", [COVER], 0),
    ("short", {"action": "exit_long"}, "refused", "closes a long only", [], -50),
    ("short", {"action": "reduce", "quantity": 20}, "filled", "", [("buy", "reduce", "20")], -30),
    ("short", {"action": "add"}, "filled", "", [("sell", "add", "50")], -100),
    ("short", {"action": "reverse"}, "filled", "", [COVER, OPEN], 50),
    ("ordered", {"action": "buy"}, "refused", "still working", [], 0),
    ("ordered", {"action": "sell"}, "filled", "", [SHORT], -50),
    ("ordered", {"action": "close"}, "filled", "took back 1 order(s)", [], 0),
    ("ordered", {"action": "cancel"}, "filled", "took back 1 order(s)", [], 0),
    ("ordered", {"action": "add"}, "refused", "nothing to add to", [], 0),
    ("ordered", {"action": "reverse"}, "refused", "nothing to reverse", [], 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "alert", "status", "reason", "orders", "owned"), MATRIX, ids=[f"{m[0]} {' '.join(map(str, m[1].values()))}" for m in MATRIX]
)
@sqlite
def test_what_an_alert_does(
    ann: Person, start: str, alert: dict[str, Any], status: str, reason: str, orders: list[tuple[str, str, str]], owned: int
):
    bot = ann.bot()
    first = STARTS[start]
    opened = ann.trades(**first) if first else None
    signal_id = ann.sends({"symbol": "AAPL"} | alert)
    ann.house.work()
    story = ann.story(signal_id)
    assert (story["status"], orders_of(story)) == (status, orders) and reason in story["reason"]
    assert ann.holds(bot) == owned
    shown = ann.get(f"/bots/{bot}")
    still_out = start == "ordered" and "take" not in reason and alert["action"] in ("buy", "add")
    assert shown["status"] == ("FILLED" if owned else "ORDER SUBMITTED" if still_out else "READY")
    if start == "ordered" and not still_out:
        assert ann.story(opened["id"])["orders"][0]["status"] == "canceled"


@pytest.mark.parametrize(("sides", "entry", "other"), [("long", "buy", "sell"), ("short", "sell", "buy")])
@sqlite
def test_a_bot_of_one_side_closes_on_the_other_and_opens_nothing(ann: Person, sides: str, entry: str, other: str):
    bot = ann.bot(sides=sides)
    refused = ann.trades(other)
    assert f"trades {sides} only" in refused["reason"]
    assert refused["bots"][0]["would"].startswith(f"would have {'sold' if other == 'sell' else 'bought'} 5")
    assert refused["bots"][0]["numbers"]["sides"] == sides
    assert ann.trades(entry)["status"] == "filled"
    assert [effect for _, effect, _ in orders_of(ann.trades(other))] == ["close"]
    assert ann.holds(bot) == 0


@sqlite
def test_sizes_may_be_dollars_a_quantity_or_a_share_of_the_equity(ann: Person):
    sizes = {"2500": ("dollars", 25), "7.5": ("quantity", D("7.5")), "10": ("percent_of_equity", 100)}
    for n, (size, (kind, expected)) in enumerate(sizes.items()):
        bot = ann.bot(timeframe=f"{n + 1}H", account=ann.account(), position_size=size, position_size_type=kind)
        ann.trades("buy", timeframe=f"{n + 1}H")
        assert ann.holds(bot) == expected, kind


@pytest.mark.parametrize(("allowed", "owned"), [(True, 3), (False, 50)])
@sqlite
def test_the_alert_decides_the_size_where_the_bot_allows_it(ann: Person, allowed: bool, owned: int):
    bot = ann.bot(size_override=allowed)
    story = ann.trades("buy", quantity=3)
    assert ann.holds(bot) == owned
    ignored = any("not allowed by the bot" in line["detail"] for line in story["timeline"])
    assert ignored is not allowed


@sqlite
def test_limit_orders_rest_at_the_bots_offset_and_fill_when_the_price_comes(ann: Person, house: House, feed: SetFeed):
    bot = ann.bot(order_type="limit", limit_offset_percent="1")
    story = ann.trades("buy")
    assert story["status"] == "working" and story["orders"][0]["limit_price"] == "99" and ann.holds(bot) == 0
    assert "still working" in ann.trades("buy")["reason"]
    feed.set("AAPL", "98.5")
    house.work()
    assert ann.story(story["id"])["status"] == "filled" and ann.get(f"/bots/{bot}")["status"] == "FILLED"
    assert ann.holds(bot) == D(5000) / 99 // D("0.000001") * D("0.000001")


def test_two_bots_on_one_symbol_and_account_own_only_their_own(ann: Person):
    slow = ann.bot("AAPL", "1H")
    fast = ann.bot("AAPL", "5m", position_size="3000")
    ann.trades("buy", timeframe="1H")
    ann.trades("sell", timeframe="5m")
    [held] = ann.get("/positions")["items"]
    assert (held["quantity"], held["broker_quantity"], held["outside"]) == ("20", "20", "0")
    assert (ann.holds(slow), ann.holds(fast)) == (50, -30)
    ann.trades("close", timeframe="1H")
    assert (ann.holds(slow), ann.holds(fast)) == (0, -30)
    [held] = ann.get("/positions")["items"]
    assert (held["quantity"], held["broker_quantity"], held["outside"]) == ("-30", "-30", "0")


def test_symbols_of_one_account_that_turn_at_once_never_block_each_other(ann: Person, feed: SetFeed, app: App):
    """On PostgreSQL every lock is taken in one order; else two turns wait for each other until the database ends one of them."""
    symbols = ("AAPL", "MSFT", "NVDA", "TSLA")
    for symbol in symbols:
        feed.set(symbol, 100)
        ann.bot(symbol, position_size="100")
    sent = [ann.sends(symbol=symbol, action=action) for action in ("buy", "sell") * 5 for symbol in symbols]
    with ThreadPoolExecutor(len(symbols)) as pool:
        list(pool.map(app.engine.run_lane, app.engine.open_lanes()))
    assert {ann.story(signal_id)["status"] for signal_id in sent} == {"filled"}
    assert len(ann.get("/orders", limit=500)["items"]) == len(symbols) * (1 + 9 * 2)


def test_two_bots_of_one_alert_that_end_at_the_same_moment_end_the_signal(ann: Person, app: App):
    ann.bot()
    ann.bot(account=ann.account())
    signal_id = ann.sends(action="close")
    with app.db.read() as conn:
        one, other = signal_table.decisions_of(conn, signal_id)
    now = app.clock.now()

    def end(conn: sa.Connection, decision_id: int) -> None:
        end_decision(conn, decision_id, status="refused", reason="nothing to close", now=now)
        end_signal(conn, signal_id, alone=False, status="refused", reason="nothing to close", now=now)

    def first(conn: sa.Connection) -> threading.Thread:
        end(conn, one.id)
        beside = threading.Thread(target=lambda: app.db.write(lambda conn: end(conn, other.id)))
        beside.start()
        beside.join(0.3)  # it comes as far as it can while this is not committed
        return beside

    app.db.write(first).join()
    assert ann.story(signal_id)["status"] == "refused"


def test_after_the_days_of_retention_what_was_sent_is_forgotten_and_what_came_of_it_is_not(
    ann: Person, app: App, clock: SetClock, monkeypatch: pytest.MonkeyPatch
):
    ann.bot()
    ended = ann.trades("buy", comment="a private remark")["id"]
    resting = ann.trades("add", order_type="limit", limit_price="1", time_in_force="gtc")["id"]
    before = (ann.get("/trades"), ann.get("/orders"), ann.get("/performance"))
    monkeypatch.setattr(app, "settings", replace(app.settings, retention_days=2))
    clock.forward(2 * 86400 - 60)
    Worker(app).tidy()
    assert "a private remark" in ann.story(ended)["raw"]
    clock.forward(120)
    app.settings.logs.mkdir(parents=True, exist_ok=True)
    for name, days in (("receiver.log", 3), ("receiver.log.1", 1), ("receiver.log.2", 3)):
        (app.settings.logs / name).touch()
        at = (clock.now() - timedelta(days=days)).timestamp()
        os.utime(app.settings.logs / name, times=(at, at))
    Worker(app).tidy()
    assert ann.story(ended)["raw"] is None and ann.story(ended)["timeline"] and ann.story(resting)["raw"], "what is not over keeps its words"
    assert (ann.get("/trades"), ann.get("/orders"), ann.get("/performance")) == before
    assert sorted(file.name for file in app.settings.logs.glob("receiver*")) == ["receiver.log", "receiver.log.1"]


def test_profit_fees_and_the_days_figures_are_those_of_the_fills(ann: Person, feed: SetFeed):
    bot = ann.bot(account=ann.account(fee_per_order="1"))
    ann.trades("buy")
    feed.set("AAPL", 103)
    ann.trades("sell")  # +150
    feed.set("AAPL", 104)
    ann.trades("close")  # short 5000 / 103 from 103 to 104
    fills = ann.get("/trades")["items"]
    shown = ann.get(f"/bots/{bot}")
    short = D(fills[0]["quantity"])
    assert D(shown["realized_pnl"]) == 150 - short and D(shown["fees"]) == 4 and D(shown["total_pnl"]) == 146 - short
    assert sum(D(t["realized_pnl"]) for t in fills) == D(shown["realized_pnl"]) and shown["total_trades"] == len(fills) == 4
    [day] = ann.get("/performance")["items"]
    assert (day["trades"], day["wins"], day["losses"]) == (4, 1, 1)
    assert D(day["volume"]) == sum(D(t["notional"]) for t in fills)


def test_a_close_that_fills_in_parts_is_lost_or_won_once(ann: Person, feed: SetFeed, clock: SetClock):
    bot = ann.bot(account=ann.account(fill_percent=40))
    for price in (100, 103):
        feed.set("AAPL", price)
        ann.trades("buy" if price == 100 else "close")
        for _ in range(3):
            clock.forward(2)
            ann.house.work()
    assert ann.holds(bot) == 0 and len(ann.get("/orders", bot_id=bot)["items"]) == 2
    [day] = ann.get("/performance")["items"]
    assert (day["trades"], day["wins"], day["losses"]) == (2, 1, 0)


# --- what risk refuses: entries, with the numbers -------------------------------------------------------------------------------


def switched(ann: Person, bot: int, mode: str = "pause_entries", scope: str = "bot") -> None:
    ann.does("PUT", "/switches", {"scope": scope, "id": bot if scope == "bot" else ann.paper, "mode": mode, "reason": "holiday"})


RULES: dict[str, tuple[dict[str, Any], Any, str, dict[str, str]]] = {
    "bot active": ({}, lambda ann, bot: ann.does("POST", f"/bots/{bot}/pause"), "the bot is paused (paused by its user)", {}),
    "switches": ({}, switched, "this bot is switched to pause entries (holiday)", {"scope": "bot", "switch": "pause_entries"}),
    "trading window": (
        {"windows": [{"days": ["mon"], "from": "09:30", "to": "16:00"}], "time_zone": "America/New_York"}, None,
        "outside the bot's trading windows (America/New_York): it is Wed 11:00 there, and they are Mon 09:30–16:00",
        {"now": "2025-06-04T15:00:00.000Z", "local": "Wed 11:00", "windows": "Mon 09:30–16:00"}),
    "cooldown": ({"cooldown_seconds": 600}, lambda ann, bot: (ann.trades("buy"), ann.trades("close")),
                 "the cooldown of 600 s has 600 s to go", {"cooldown": "600", "left": "600"}),
    "orders per day": ({"orders_per_day": 1}, lambda ann, bot: (ann.trades("buy"), ann.trades("close")),
                       "the limit of 1 entries a day is reached", {"limit": "1", "actual": "1"}),
    "position size": ({"max_position_size": "4000"}, None, "a position of 5,000.00 passes the limit 4,000.00",
                      {"value": "5,000.00", "limit": "4,000.00"}),
    "buying power": ({"position_size": "100001"}, None, "needs 100,001.00 of 100,000.00 buying power",
                     {"needs": "100,001.00", "buying_power": "100,000.00"}),
    "venue": ({}, lambda ann, bot: ann.does("PATCH", f"/accounts/{ann.paper}", {"options": {"shorting": False}}),
              "Paper cannot sell AAPL short", {}),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@sqlite
def test_a_rule_refuses_an_entry_with_its_numbers_and_what_would_have_been_ordered(ann: Person, rule: str):
    fields, before, reason, numbers = RULES[rule]
    bot = ann.bot(**fields)
    if before is not None:
        before(ann, bot)
    story = ann.trades("sell" if rule == "venue" else "buy")
    said = story["bots"][0]
    assert story["status"] == "refused" and reason in story["reason"] and story["orders"] == []
    assert check(story, rule)["ok"] is False
    assert said["would"].startswith("would have sold 50" if rule == "venue" else "would have bought ")
    assert numbers.items() <= said["numbers"].items() and {"bid", "ask", "equity"} <= said["numbers"].keys()
    assert any(line["step"] == "refused" and said["would"] in line["detail"] for line in story["timeline"])
    assert ann.holds(bot) == 0


def test_a_daily_loss_stops_entries_until_the_next_day(ann: Person, feed: SetFeed, clock: SetClock):
    bot = ann.bot(daily_loss_limit="100")
    ann.trades("buy")
    feed.set("AAPL", 98)
    ann.trades("close")  # 50 x -2: exactly the limit
    story = ann.trades("buy")
    assert story["status"] == "refused" and story["reason"] == "daily loss 100.00 reached the limit 100.00"
    assert story["bots"][0]["would"].startswith("would have bought 51.02")
    clock.forward(86400)
    assert ann.trades("buy")["status"] == "filled" and ann.holds(bot) > 0


@sqlite
def test_nothing_is_added_to_a_position_past_its_risk_limit(ann: Person, feed: SetFeed):
    ann.bot(risk_limit_percent="10")
    ann.trades("buy")
    feed.set("AAPL", 90)
    assert "10.00% down, past the risk limit 10%" in ann.trades("add")["reason"]


@sqlite
def test_a_rule_that_no_longer_stands_in_the_way_lets_entries_pass(ann: Person, clock: SetClock):
    bot = ann.bot(cooldown_seconds=600, orders_per_day=2, windows=[{"days": ["wed"], "from": "09:30", "to": "16:00"}], time_zone="America/New_York")
    ann.trades("buy")
    ann.trades("close")
    clock.forward(600)
    assert ann.trades("buy")["status"] == "filled"
    ann.trades("close")
    clock.forward(86400 - 600)  # Thursday: a day's two entries are over, and so is the window
    assert "outside" in ann.trades("buy")["reason"]
    ann.does("PATCH", f"/bots/{bot}", {"windows": []})
    assert ann.trades("buy")["status"] == "filled"


@pytest.mark.parametrize("way", ["close", "sell", "reduce"])
@sqlite
def test_exits_pass_where_entries_do_not(ann: Person, feed: SetFeed, way: str):
    hurdles = {
        "cooldown_seconds": 600, "orders_per_day": 1, "max_position_size": "1", "daily_loss_limit": "1", "risk_limit_percent": "1",
        "windows": [{"days": ["mon"], "from": "09:30", "to": "09:31"}],
    }  # fmt: skip
    bot = ann.bot(sides="long")
    ann.trades("buy")
    ann.does("PATCH", f"/bots/{bot}", hurdles)
    feed.set("AAPL", 50)
    switched(ann, bot, "halt")
    ann.does("PUT", "/switches", {"scope": "user", "mode": "halt"})
    assert ann.get(f"/bots/{bot}")["is_active"] is False
    story = ann.trades(way, **({"quantity": "50%"} if way == "reduce" else {}))
    assert story["status"] == "filled" and ann.holds(bot) == (25 if way == "reduce" else 0)


@sqlite
def test_a_flip_that_may_not_open_still_closes(ann: Person):
    bot = ann.bot(orders_per_day=1)
    ann.trades("buy")
    story = ann.trades("sell")
    assert orders_of(story) == [CLOSED] and ann.holds(bot) == 0
    assert check(story, "orders per day")["ok"] is False
    assert any("closes only: the limit of 1 entries a day is reached" in line["detail"] for line in story["timeline"])


# --- the watch over what is held --------------------------------------------------------------------------------------------------


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
    assert ann.holds(bot) == 0 and shown["is_active"] is False and "past the risk limit of 10%" in shown["paused_reason"]
    [event] = events(ann)
    assert (event["kind"], event["threshold"], event["actual"], event["bot_id"]) == ("risk_limit", "10", "10", bot)
    assert event["action"] == "position closed, bot paused"
    story = ann.story(event["signal_id"])  # a signal like any other
    assert story["origin"] == "risk" and story["status"] == "filled" and orders_of(story)[0][1] == "close"
    assert any("was stopped" in message for message in ann.messages())
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
def test_the_stop_its_event_and_the_pause_are_one_step(ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch):
    bot = ann.bot(risk_limit_percent="10")
    ann.trades("buy")
    feed.set("AAPL", 80)

    def power_cut(*given: Any, **named: Any) -> None:
        raise RuntimeError("gone at the last line")

    with monkeypatch.context() as broken:
        broken.setattr(message_table, "send", power_cut)
        assert house.watch.look() == []
    assert events(ann) == [] and ann.get(f"/bots/{bot}")["is_active"] is True
    assert len(ann.get("/signals")["items"]) == 1
    assert house.look() == 1 and len(events(ann)) == 1 and ann.holds(bot) == 0


@sqlite
def test_one_bot_that_cannot_be_looked_at_does_not_keep_the_others_from_their_stop(ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch):
    first, second = ann.bot("AAPL", risk_limit_percent="10"), ann.bot("MSFT", risk_limit_percent="10")
    ann.trades("buy", "AAPL")
    ann.trades("buy", "MSFT")
    feed.set("AAPL", 80)
    feed.set("MSFT", 80)
    look_at = house.watch._look_at
    monkeypatch.setattr(house.watch, "_look_at", lambda bot, quote: 1 / 0 if bot.id == first else look_at(bot, quote))
    house.look()
    assert ann.holds(first) > 0 and ann.holds(second) == 0


@sqlite
def test_a_quote_is_fetched_once_per_symbol(ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch):
    for frame in ("5m", "15m", "1H"):
        ann.bot("AAPL", frame, risk_limit_percent="10")
        ann.trades("buy", timeframe=frame)
    ann.bot("MSFT", risk_limit_percent="10")
    ann.trades("buy", "MSFT")
    asked: list[str] = []
    monkeypatch.setattr(feed, "quote", lambda symbol, quote=feed.quote: (asked.append(symbol.short), quote(symbol))[1])
    house.watch.look()
    assert sorted(asked) == ["AAPL", "MSFT"]


@sqlite
def test_where_no_price_is_to_be_had_the_others_are_watched_all_the_same(ann: Person, house: House, feed: SetFeed):
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
    ({"stopLoss": {"type": "trailing_stop", "trailAmount": 4}}, [("96.01", 50), ("110", 50), ("106.01", 50), ("106", 0)]),
    ({"stopLoss": {"type": "trailing_stop", "trailPercent": 10}}, [("90.01", 50), ("120", 50), ("110.01", 50), ("110", 0)]),
    ({"takeProfit": [{"percent": 5, "share": 50}, {"percent": 10}]}, [("105", 25), ("105", 25), ("110", 0)]),
]


@pytest.mark.parametrize(("exits", "course"), EXITS, ids=["profit %", "profit at", "stop %", "stop at", "trail", "trail %", "in steps"])
@sqlite
def test_exits_are_kept_from_the_moment_the_entry_is_filled(
    ann: Person, house: House, feed: SetFeed, exits: dict[str, Any], course: list[tuple[str, int]]
):
    bot = ann.bot()
    ann.trades("buy", **exits)
    assert "kept by DashTrade" in ann.get(f"/bots/{bot}")["position"]["exits"][0]
    for price, owned in course:
        feed.set("AAPL", price)
        house.look()
        assert ann.holds(bot) == owned, price
    shown = ann.get(f"/bots/{bot}")
    assert shown["is_active"] is True and shown["position"]["exits"] == []
    assert {event["kind"] for event in events(ann)} == {"take_profit" if "takeProfit" in exits else "stop_loss"}


# --- a venue that does as it is told ------------------------------------------------------------------------------------------------


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def away(make_app: MakeApp, clock: SetClock, feed: SetFeed, venue: Venue) -> Person:
    """Her bot trades at the venue."""
    person = House(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    person.paper = person.account("venue")
    person.bot()
    return person


@pytest.fixture
def bot(away: Person) -> int:
    return away.get("/bots")["items"][0]["id"]


def first_order(story: Any) -> Any:
    return story["orders"][0]


def test_parts_late_repeated_and_out_of_order_are_each_booked_once(away: Person, bot: int, venue: Venue):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    assert story["status"] == "working" and away.get("/trades")["items"] == []
    one, two = venue.execution(name, 20, 100, 1), venue.execution(name, 30, 101, 2)
    for report in (
        venue.report(name, VenueStatus.WORKING, two), venue.report(name, VenueStatus.WORKING, two),
        venue.report(name, VenueStatus.WORKING), venue.report(name, VenueStatus.FILLED, one, two),
    ):  # fmt: skip
        venue.reports[name] = report
        away.house.collect()
        if report.status is VenueStatus.WORKING:
            assert away.holds(bot) == 30 and away.get("/trades")["items"][0]["status"] == "partial"
    away.house.app.engine.collect(away.paper)  # nothing is working any more
    assert away.holds(bot) == 50 and away.story(story["id"])["status"] == "filled"
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")
    assert [line["step"] for line in away.story(story["id"])["timeline"]].count("filled") == 2
    assert away.get(f"/bots/{bot}")["total_trades"] == 1


@sqlite
def test_where_a_venue_tells_totals_alone_the_difference_is_booked(away: Person, bot: int, venue: Venue):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    for quantity, average, owned in ((20, "100", 20), (20, "100", 20), (50, "100.6", 50)):
        venue.reports[name] = replace(venue.report(name, VenueStatus.WORKING), filled_quantity=D(quantity), average_price=D(average))
        away.house.collect()
        assert away.holds(bot) == owned
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")


def test_a_fill_after_the_cancel_counts(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    clock.forward(16)  # a market order is waited for, but not for ever
    away.trades("cancel")
    assert first_order(away.story(story["id"]))["status"] == "canceled" and away.holds(bot) == 0
    engine = away.house.app.engine
    with engine.db.read() as conn:
        order = order_table.load(conn, name)
    late = venue.report(name, VenueStatus.CANCELED, venue.execution(name, 20))
    drive(engine.db, engine.sender.book(order, late))
    drive(engine.db, engine.sender.book(order, late))
    assert away.holds(bot) == 20 and first_order(away.story(story["id"]))["filled_quantity"] == "20"
    assert away.story(story["id"])["status"] == "filled" and away.get(f"/bots/{bot}")["status"] == "FILLED"


def test_a_flip_waits_for_its_closing_fill_and_the_next_alert_waits_behind_it(away: Person, bot: int, venue: Venue):
    away.trades("buy")
    venue.plan += ["work", "fill", "fill"]
    flip = away.trades("sell")
    assert [order["status"] for order in flip["orders"]] == ["working", "created"] and len(venue.sent) == 2
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [] and away.holds(bot) == 50
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.house.work()
    assert orders_of(away.story(flip["id"])) == [CLOSED, SHORT]
    assert orders_of(away.story(behind["id"])) == [COVER] and away.holds(bot) == 0
    assert [request.reduces for request in venue.sent] == [False, True, False, True]


@sqlite
def test_a_flip_whose_close_is_refused_opens_nothing(away: Person, bot: int, venue: Venue):
    away.trades("buy")
    venue.plan.append(Rejected("the market is closed"))
    flip = away.trades("sell")
    assert flip["status"] == "failed" and [order["status"] for order in flip["orders"]] == ["rejected", "canceled"]
    assert away.holds(bot) == 50 and len(venue.sent) == 2


@sqlite
def test_what_is_paused_meanwhile_stops_at_once(away: Person, bot: int, venue: Venue):
    away.trades("buy")
    venue.plan.append("work")
    flip = away.trades("sell")
    away.does("POST", f"/bots/{bot}/pause")
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.house.work()
    after = away.story(flip["id"])["orders"][1]
    assert after["status"] == "canceled" and "paused before the order was sent" in after["reason"]
    assert len(venue.sent) == 2 and away.holds(bot) == 0


@sqlite
def test_a_close_takes_the_working_order_back_and_then_closes_what_was_filled(away: Person, bot: int, venue: Venue):
    venue.plan.append("work")
    entry = away.trades("buy", **RESTING)
    name = first_order(entry)["client_order_id"]
    venue.report(name, VenueStatus.WORKING, venue.execution(name, 20))
    story = away.trades("close")
    assert first_order(away.story(entry["id"]))["status"] == "canceled"
    assert orders_of(story) == [("sell", "close", "20")] and away.holds(bot) == 0


@sqlite
def test_a_venue_that_does_not_cancel_is_asked_again_and_nothing_passes(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append("work")
    entry = away.trades("buy", **RESTING)
    venue.cancels = False
    story = away.trades("close")
    assert story["status"] == "working" and story["orders"] == []
    lines = len(away.story(entry["id"])["timeline"])
    for _ in range(5):
        away.house.work()
    assert len(away.story(entry["id"])["timeline"]) == lines, "asking after it is no news"
    venue.cancels = True
    clock.forward(6)
    away.house.work()
    assert away.story(story["id"])["reason"] == "took back 1 order(s); nothing is left to close"


@sqlite
def test_an_alert_may_be_carried_out_later(away: Person, bot: int, clock: SetClock):
    story = away.trades("buy", delay=30)
    assert story["status"] == "working" and away.holds(bot) == 0
    clock.forward(29)
    away.house.work()
    assert away.holds(bot) == 0
    clock.forward(1)
    away.house.work()
    assert away.holds(bot) == 50


# --- and its faults -----------------------------------------------------------------------------------------------------------------


@sqlite
def test_a_refusal_ends_the_order_frees_the_bot_and_is_told(away: Person, bot: int, venue: Venue):
    venue.plan.append(Rejected("AAPL is halted"))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"], first_order(story)["reason"]) == ("failed", "rejected", "AAPL is halted")
    assert away.get(f"/bots/{bot}")["status"] == "READY" and any("AAPL is halted" in message for message in away.messages())
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_when_told_to_wait_the_same_order_goes_again_when_it_may(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(RetryLater("too many requests", after=timedelta(seconds=30)))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"]) == ("working", "created")
    clock.forward(29)
    away.house.work()
    assert len(venue.sent) == 1
    clock.forward(1)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len({request.client_order_id for request in venue.sent}) == 1 and len(venue.sent) == 2


@sqlite
def test_an_entry_that_is_never_taken_is_given_up_and_an_exit_is_not(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan += [RetryLater("too many requests")] * 30
    story = away.trades("buy")
    for _ in range(10):
        clock.forward(2)
        away.house.work()
    assert away.story(story["id"])["status"] == "failed" and len(venue.sent) == 6
    venue.plan.clear()
    away.trades("buy")
    venue.plan += [RetryLater("too many requests")] * 9
    story = away.trades("close")
    for _ in range(10):
        clock.forward(2)
        away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0


def test_a_refused_key_stops_the_account_once_and_for_all_its_bots(away: Person, bot: int, venue: Venue):
    other = away.bot("MSFT")
    venue.plan += [BadCredentials("the key was revoked"), BadCredentials("the key was revoked")]
    assert away.trades("buy")["status"] == "failed"
    account = away.get(f"/accounts/{away.paper}")
    assert account["is_active"] is False and "revoked" in account["disabled_reason"]
    assert [away.get(f"/bots/{b}")["is_active"] for b in (bot, other)] == [False, False]
    assert "disabled" in away.trades("buy", "MSFT")["reason"] and "disabled" in away.trades("buy")["reason"]
    assert len(venue.sent) == 1, "no storm"
    assert sum("refused the key" in message for message in away.messages()) == 1
    away.does("PATCH", f"/accounts/{away.paper}", {"credentials": {"key": "new"}})
    away.does("POST", f"/bots/{bot}/resume")
    venue.plan.clear()
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_a_key_that_is_refused_while_reading_stops_the_account_too(away: Person, bot: int, venue: Venue):
    venue.away = BadCredentials("the key was revoked")
    assert away.trades("buy")["status"] == "refused"
    assert away.get(f"/accounts/{away.paper}")["is_active"] is False and venue.sent == []


TIME_OUT = Unknown("no answer in time")


def test_an_order_in_doubt_that_was_placed_is_adopted(away: Person, bot: int, venue: Venue):
    venue.plan.append(lost(TIME_OUT))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1
    steps = [line["step"] for line in story["timeline"]]
    assert steps.index("order unknown") < steps.index("order filled")


@sqlite
def test_not_found_is_not_believed_before_the_venue_has_settled(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(lost(TIME_OUT))
    venue.hidden.add("all of it")
    story_id = away.sends(action="buy", symbol="AAPL")
    venue.hidden = set()
    venue.find = lambda order, find=venue.find: None if clock.now() < shown else find(order)  # type: ignore[method-assign]
    shown = clock.now() + timedelta(seconds=1.5)
    away.house.work()
    assert first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1
    clock.forward(2)
    away.house.work()
    assert away.story(story_id)["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


def test_what_was_surely_not_placed_is_sent_again_under_the_same_id(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    assert first_order(story)["status"] == "unknown"
    clock.forward(2)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len(venue.sent) == 2 and len({request.client_order_id for request in venue.sent}) == 1


@sqlite
def test_a_second_try_that_is_refused_as_a_repeat_is_the_first_one_and_adopted(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(lost(TIME_OUT))
    story_id = away.sends(action="buy", symbol="AAPL")
    find, late = venue.find, clock.now() + timedelta(seconds=2)
    venue.find = lambda order: None if clock.now() <= late and len(venue.sent) < 2 else find(order)  # type: ignore[method-assign]
    away.house.work()
    clock.forward(2)
    away.house.work()
    assert len(venue.sent) == 2, "it was sent again, and refused: the id must be unique"
    story = away.story(story_id)
    assert story["status"] == "filled" and away.holds(bot) == 50


@pytest.mark.parametrize("venue", [Venue(refuses_repeats=False), Venue(client_ids=False)], ids=["takes repeats", "knows no ids"])
def test_where_it_cannot_be_known_a_person_decides_and_the_symbol_waits(away: Person, bot: int, venue: Venue, clock: SetClock):
    away.bot("MSFT")
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.house.work()
    story = away.story(story["id"])
    assert story["status"] == "attention" and first_order(story)["status"] == "attention" and len(venue.sent) == 1
    assert any("Look at your broker" in message for message in away.messages())
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [], "nothing more is sent for this symbol"
    assert away.trades("buy", "MSFT")["status"] == "filled", "other symbols go on"
    order_id = first_order(story)["order_id"]
    again = away.does("POST", f"/orders/{order_id}/resolve", {"outcome": "look_again"})
    assert again["status"] == "unknown"
    away.house.work()
    assert first_order(away.story(story["id"]))["status"] == "attention"
    assert away.does("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"})["status"] == "canceled"
    away.house.work()
    assert away.story(story["id"])["status"] == "failed" and "nothing to close" in away.story(behind["id"])["reason"]
    assert away.get(f"/bots/{bot}")["status"] == "READY"
    assert away.call("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"}).status_code == 409


@pytest.mark.parametrize("venue", [Venue(refuses_repeats=False)], ids=["takes repeats"])
@sqlite
def test_an_order_that_turns_up_by_itself_needs_no_attention_any_more(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.house.work()
    name = first_order(story)["client_order_id"]
    venue.fill(name, 50)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50


@sqlite
def test_a_look_up_that_fails_proves_nothing(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(lost(TIME_OUT))
    story_id = away.sends(action="buy", symbol="AAPL")
    find, calls = venue.find, []

    def garbage(order: Any) -> Any:
        calls.append(order)
        raise [GONE, ValueError("half a JSON"), RetryLater("429", after=timedelta(seconds=3))][min(len(calls), 3) - 1]

    venue.find = garbage  # type: ignore[method-assign]
    for _ in range(4):
        away.house.work()
        clock.forward(6)
    assert first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1 and len(calls) >= 3
    venue.find = find  # type: ignore[method-assign]
    away.house.work()
    assert away.story(story_id)["status"] == "filled" and len(venue.sent) == 1


@sqlite
def test_an_adapters_own_fault_is_a_doubt_and_no_refusal(away: Person, bot: int, venue: Venue):
    venue.plan.append(("fill", ValueError("an unknown status")))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


@sqlite
def test_a_venue_that_cannot_be_asked_holds_the_decision_for_a_minute(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.away = GONE
    story = away.trades("buy")
    assert story["status"] == "working" and venue.sent == []
    venue.away = None
    clock.forward(2)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled"
    away.trades("close")
    venue.away = GONE
    story = away.trades("buy")
    clock.forward(61)
    away.house.work()
    assert away.story(story["id"])["status"] == "refused" and "could not be reached" in away.story(story["id"])["reason"]


def test_a_way_out_waits_for_a_venue_that_cannot_be_asked_and_its_user_is_told_once(away: Person, bot: int, venue: Venue, clock: SetClock):
    away.trades("buy")
    venue.away = GONE
    story = away.trades("close")
    for _ in range(30):
        clock.forward(10)
        away.house.work()
    assert away.story(story["id"])["status"] == "working" and away.holds(bot) > 0
    assert sum("cannot be reached" in message["title"] for message in away.get("/messages")["items"]) == 1
    venue.away = None
    clock.forward(10)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0


# --- turns ---------------------------------------------------------------------------------------------------------------------------


def test_a_lane_is_worked_by_one_worker_and_the_writes_of_another_are_refused(make_app: MakeApp, clock: SetClock, feed: SetFeed):
    one, two = House(make_app(clock=clock, feed=feed)), House(make_app(clock=clock, feed=feed))
    ann = one.join()
    bot = ann.bot()
    ann.sends(action="buy", symbol="AAPL")
    lane = Lane(ann.paper, AAPL)
    assert drive(one.app.db, one.app.engine.leases.hold(lane)) is not None
    two.app.engine.run_lane(lane)
    assert ann.holds(bot) == 0, "the other has it"
    one.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE lanes SET expires = 0"))
    assert drive(two.app.db, two.app.engine.leases.hold(lane)) is not None
    one.app.engine.run_lane(lane)  # it still believes the lane its own
    assert ann.holds(bot) == 0
    two.app.engine.run_lane(lane)
    assert ann.holds(bot) == 50 and len(ann.get("/orders")["items"]) == 1


@pytest.fixture
def lanes(away: Person) -> Iterator[Lanes]:
    made = Lanes(away.house.app)
    away.house.app.engine.leases.renew()
    made.start()
    yield made
    made.stop()


def test_a_slow_venue_holds_up_no_other_lane(away: Person, venue: Venue, lanes: Lanes):
    paper = away.account()
    quick = [away.bot(symbol, account=paper) for symbol in ("KO", "TSLA", "NVDA")]
    venue.slow = 0.6
    slow = away.sends(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    until(lambda: any(t.name.startswith("call") for t in threading.enumerate()))
    began = time.monotonic()
    for symbol in ("KO", "TSLA", "NVDA"):
        away.sends(action="buy", symbol=symbol)
        lanes.wake(Lane(paper, Symbol.parse(symbol)))
    until(lambda: all(away.holds(bot) == 50 for bot in quick))
    took = time.monotonic() - began
    assert away.story(slow)["status"] == "working" and took < 1.2
    until(lambda: away.story(slow)["status"] == "filled")


def test_alerts_of_one_lane_are_carried_out_in_turn(away: Person, venue: Venue, lanes: Lanes):
    venue.slow = 0.02
    ids = [away.sends(action=action, symbol="AAPL") for action in ("buy", "close", "sell", "buy", "close")]
    for _ in ids:
        lanes.wake(Lane(away.paper, AAPL))
    until(lambda: all(away.story(signal_id)["status"] == "filled" for signal_id in ids))
    assert [request.side for request in venue.sent] == ["buy", "sell", "sell", "buy", "buy", "sell"]


@sqlite
def test_a_lane_that_fails_is_tried_again_and_the_others_go_on(away: Person, venue: Venue, lanes: Lanes, monkeypatch: pytest.MonkeyPatch):
    other = away.bot("MSFT")
    real = away.house.app.engine.lane_steps
    broken = [True]

    def steps(lane: Lane) -> Any:
        if lane.symbol == AAPL and broken:
            broken.pop()
            raise RuntimeError("a bug")
            yield
        yield from real(lane)

    monkeypatch.setattr(away.house.app.engine, "lane_steps", steps)
    first = away.sends(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    away.sends(action="buy", symbol="MSFT")
    lanes.wake(Lane(away.paper, Symbol.parse("MSFT")))
    until(lambda: away.holds(other) == 50)
    assert away.story(first)["status"] == "working"
    lanes.wake(Lane(away.paper, AAPL))
    until(lambda: away.story(first)["status"] == "filled")
