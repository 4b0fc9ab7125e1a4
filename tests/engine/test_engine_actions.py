"""What each action does: orders, fills, positions and money, with the paper broker."""

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
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.settlement import end_decision, end_signal
from dashtrade.tables import decisions as decision_table
from dashtrade.worker.worker import Worker
from tests.support.databases import sqlite
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person
from tests.support.orders import CLOSED, COVER, OPEN, RESTING, SHORT, orders_of

AAPL = Symbol.parse("AAPL")

D = Decimal

STARTS: dict[str, dict[str, Any] | None] = {
    "flat": None,
    "long": {"action": "buy"},
    "short": {"action": "sell"},
    "ordered": {"action": "buy"} | RESTING,
}

MATRIX: list[tuple[str, dict[str, Any], str, str, list[tuple[str, str, str]], int]] = [
    ("flat", {"action": "buy"}, "filled", "", [OPEN], 50),
    ("flat", {"action": "sell"}, "filled", "", [SHORT], -50),
    ("flat", {"action": "close"}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "exit_short"}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "reduce", "quantity": 5}, "refused", "nothing to close", [], 0),
    ("flat", {"action": "add"}, "refused", "nothing to add to", [], 0),
    ("flat", {"action": "reverse"}, "refused", "nothing to reverse", [], 0),
    ("flat", {"action": "cancel"}, "refused", "nothing to cancel", [], 0),
    ("flat", {"action": "breakeven"}, "refused", "no stop to move", [], 0),
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
    ("long", {"action": "cancel"}, "refused", "nothing to cancel", [], 50),
    ("short", {"action": "sell"}, "refused", "already short 50", [], -50),
    ("short", {"action": "buy"}, "filled", "", [COVER, OPEN], 50),
    ("short", {"action": "close"}, "filled", "", [COVER], 0),
    ("short", {"action": "exit_long"}, "refused", "closes a long only", [], -50),
    ("short", {"action": "reduce", "quantity": 20}, "filled", "", [("buy", "reduce", "20")], -30),
    ("short", {"action": "add"}, "filled", "", [("sell", "add", "50")], -100),
    ("short", {"action": "reverse"}, "filled", "", [COVER, OPEN], 50),
    ("ordered", {"action": "buy"}, "refused", "still open", [], 0),
    ("ordered", {"action": "sell"}, "filled", "", [SHORT], -50),
    ("ordered", {"action": "close"}, "filled", "cancelled 1 order", [], 0),
    ("ordered", {"action": "cancel"}, "filled", "cancelled 1 order", [], 0),
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
    assert refused["bots"][0]["would"].startswith(f"blocked order: {other} 5")
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
    assert "still open" in ann.trades("buy")["reason"]
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
        end_decision(conn, decision_id, status="refused", reason=Reason(Code.NOTHING_TO_CLOSE), now=now)
        end_signal(
            conn, signal_id, alone=False, status="refused", reason=Reason(Code.NOTHING_TO_CLOSE), now=now
        )

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
