"""The engine from an alert to booked fills: what each action does, what risk refuses, and the watch over what
is held."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.settlement import end_decision, end_signal
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import messages as message_table
from dashtrade.worker.worker import Worker
from tests.support.databases import sqlite
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person

AAPL = Symbol.parse("AAPL")
D = Decimal


def orders_of(story: Any) -> list[tuple[str, str, str]]:
    return [(order["side"], order["effect"], order["filled_quantity"]) for order in story["orders"]]


def check(story: Any, name: str) -> Any:
    return next(c for c in story["bots"][0]["checks"] if c["check"] == name)


# --- what each action does: 50 shares at 100, long, short, or ordered and not yet filled --------------------

RESTING = {"order_type": "limit", "limit_price": "90"}
STARTS: dict[str, dict[str, Any] | None] = {
    "flat": None,
    "long": {"action": "buy"},
    "short": {"action": "sell"},
    "ordered": {"action": "buy"} | RESTING,
}
OPEN, CLOSED, SHORT, COVER = (
    ("buy", "open", "50"),
    ("sell", "close", "50"),
    ("sell", "open", "50"),
    ("buy", "close", "50"),
)
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
]


@pytest.mark.parametrize(
    ("start", "alert", "status", "reason", "orders", "owned"),
    MATRIX,
    ids=[f"{m[0]} {' '.join(map(str, m[1].values()))}" for m in MATRIX],
)
@sqlite
def test_what_an_alert_does(
    ann: Person,
    start: str,
    alert: dict[str, Any],
    status: str,
    reason: str,
    orders: list[tuple[str, str, str]],
    owned: int,
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
def test_a_bot_of_one_side_closes_on_the_other_and_opens_nothing(
    ann: Person, sides: str, entry: str, other: str
):
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
        bot = ann.bot(
            timeframe=f"{n + 1}H", account=ann.account(), position_size=size, position_size_type=kind
        )
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
def test_limit_orders_rest_at_the_bots_offset_and_fill_when_the_price_comes(
    ann: Person, house: House, feed: SetFeed
):
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


def test_symbols_of_one_account_that_turn_at_once_never_block_each_other(
    ann: Person, feed: SetFeed, app: App
):
    """On PostgreSQL every lock is taken in one order; else two turns wait for each other until the database
    ends one of them."""
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
        one, other = decision_table.decisions_of(conn, signal_id)
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
    assert ann.story(ended)["raw"] is None and ann.story(ended)["timeline"] and ann.story(resting)["raw"], (
        "what is not over keeps its words"
    )
    assert (ann.get("/trades"), ann.get("/orders"), ann.get("/performance")) == before
    assert sorted(file.name for file in app.settings.logs.glob("receiver*")) == [
        "receiver.log",
        "receiver.log.1",
    ]


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
    assert (
        D(shown["realized_pnl"]) == 150 - short
        and D(shown["fees"]) == 4
        and D(shown["total_pnl"]) == 146 - short
    )
    assert (
        sum(D(t["realized_pnl"]) for t in fills) == D(shown["realized_pnl"])
        and shown["total_trades"] == len(fills) == 4
    )
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


# --- what risk refuses: entries, with the numbers -----------------------------------------------------------


def switched(ann: Person, bot: int, mode: str = "pause_entries", scope: str = "bot") -> None:
    ann.does(
        "PUT",
        "/switches",
        {"scope": scope, "id": bot if scope == "bot" else ann.paper, "mode": mode, "reason": "holiday"},
    )


RULES: dict[str, tuple[dict[str, Any], Any, str, dict[str, str]]] = {
    "bot active": (
        {},
        lambda ann, bot: ann.does("POST", f"/bots/{bot}/pause"),
        "the bot is paused (paused by its user)",
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
            "outside the bot's trading windows (America/New_York): it is Wed 11:00 there, and they are Mon "
            "09:30–16:00"
        ),
        {"now": "2025-06-04T15:00:00.000Z", "local": "Wed 11:00", "windows": "Mon 09:30–16:00"},
    ),
    "cooldown": (
        {"cooldown_seconds": 600},
        lambda ann, bot: (ann.trades("buy"), ann.trades("close")),
        "the cooldown of 600 s has 600 s to go",
        {"cooldown": "600", "left": "600"},
    ),
    "orders per day": (
        {"orders_per_day": 1},
        lambda ann, bot: (ann.trades("buy"), ann.trades("close")),
        "the limit of 1 entries a day is reached",
        {"limit": "1", "actual": "1"},
    ),
    "position size": (
        {"max_position_size": "4000"},
        None,
        "a position of 5,000.00 passes the limit 4,000.00",
        {"value": "5,000.00", "limit": "4,000.00"},
    ),
    "buying power": (
        {"position_size": "100001"},
        None,
        "needs 100,001.00 of 100,000.00 buying power",
        {"needs": "100,001.00", "buying_power": "100,000.00"},
    ),
    "venue": (
        {},
        lambda ann, bot: ann.does("PATCH", f"/accounts/{ann.paper}", {"options": {"shorting": False}}),
        "Paper cannot sell AAPL short",
        {},
    ),
}


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
    bot = ann.bot(
        cooldown_seconds=600,
        orders_per_day=2,
        windows=[{"days": ["wed"], "from": "09:30", "to": "16:00"}],
        time_zone="America/New_York",
    )
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
        "cooldown_seconds": 600,
        "orders_per_day": 1,
        "max_position_size": "1",
        "daily_loss_limit": "1",
        "risk_limit_percent": "1",
        "windows": [{"days": ["mon"], "from": "09:30", "to": "09:31"}],
    }
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
    assert any(
        "closes only: the limit of 1 entries a day is reached" in line["detail"] for line in story["timeline"]
    )


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
def test_the_stop_its_event_and_the_pause_are_one_step(
    ann: Person, house: House, feed: SetFeed, monkeypatch: pytest.MonkeyPatch
):
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
    assert "kept by DashTrade" in ann.get(f"/bots/{bot}")["position"]["exits"][0]
    for price, owned in course:
        feed.set("AAPL", price)
        house.look()
        assert ann.holds(bot) == owned, price
    shown = ann.get(f"/bots/{bot}")
    assert shown["is_active"] is True and shown["position"]["exits"] == []
    assert {event["kind"] for event in events(ann)} == {
        "take_profit" if "takeProfit" in exits else "stop_loss"
    }
