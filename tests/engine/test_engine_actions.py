"""What each action does: orders, fills, positions and money, with the paper broker."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.kernel import settlement
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.deciding import decide_one
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.paper_pages import PaperPages
from dashtrade.domain.kernel.settlement import end_decision, end_signal
from dashtrade.domain.kernel.taking import DecidedElsewhere
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.steps import on_books
from dashtrade.tables import accounts as account_table
from dashtrade.tables import decisions as decision_table
from dashtrade.worker.worker import Worker
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, Trader
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
    ("long", {"action": "exit_short"}, "refused", "closes short positions only", [], 50),
    ("long", {"action": "reduce", "quantity": 20}, "filled", "", [("sell", "reduce", "20")], 30),
    ("long", {"action": "reduce", "quantity": "30%"}, "filled", "", [("sell", "reduce", "15")], 35),
    ("long", {"action": "close", "quantity": 70}, "filled", "", [CLOSED], 0),
    ("long", {"action": "add"}, "filled", "", [("buy", "add", "50")], 100),
    ("long", {"action": "reverse"}, "filled", "", [CLOSED, SHORT], -50),
    ("long", {"action": "cancel"}, "refused", "nothing to cancel", [], 50),
    ("short", {"action": "sell"}, "refused", "already short 50", [], -50),
    ("short", {"action": "buy"}, "filled", "", [COVER, OPEN], 50),
    ("short", {"action": "close"}, "filled", "", [COVER], 0),
    ("short", {"action": "exit_long"}, "refused", "closes long positions only", [], -50),
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
    trader: Trader,
    start: str,
    alert: dict[str, Any],
    status: str,
    reason: str,
    orders: list[tuple[str, str, str]],
    owned: int,
):
    bot = trader.bot()
    first = STARTS[start]
    opened = trader.trades(**first) if first else None
    signal_id = trader.send({"symbol": "AAPL"} | alert)
    trader.installation.work()
    story = trader.story(signal_id)
    assert (story["status"], orders_of(story)) == (status, orders) and reason in story["reason"]
    assert trader.holds(bot) == owned
    shown = trader.get(f"/bots/{bot}")
    still_out = start == "ordered" and "take" not in reason and alert["action"] in ("buy", "add")
    assert shown["status"] == ("FILLED" if owned else "ORDER SUBMITTED" if still_out else "READY")
    if start == "ordered" and not still_out:
        assert trader.story(opened["id"])["orders"][0]["status"] == "canceled"


@pytest.mark.parametrize(("sides", "entry", "other"), [("long", "buy", "sell"), ("short", "sell", "buy")])
@sqlite
def test_a_bot_of_one_side_closes_on_the_other_and_opens_nothing(
    trader: Trader, sides: str, entry: str, other: str
):
    bot = trader.bot(sides=sides)
    refused = trader.trades(other)
    assert f"trades {sides} only" in refused["reason"]
    assert refused["bots"][0]["would"].startswith(f"blocked order: {other} 5")
    assert refused["bots"][0]["numbers"]["sides"] == sides
    assert trader.trades(entry)["status"] == "filled"
    assert [effect for _, effect, _ in orders_of(trader.trades(other))] == ["close"]
    assert trader.holds(bot) == 0


@sqlite
def test_sizes_may_be_dollars_a_quantity_or_a_share_of_the_equity(trader: Trader):
    sizes = {"2500": ("dollars", 25), "7.5": ("quantity", D("7.5")), "10": ("percent_of_equity", 100)}
    for n, (size, (kind, expected)) in enumerate(sizes.items()):
        bot = trader.bot(
            timeframe=f"{n + 1}H", account=trader.account(), position_size=size, position_size_type=kind
        )
        trader.trades("buy", timeframe=f"{n + 1}H")
        assert trader.holds(bot) == expected, kind


@pytest.mark.parametrize(("allowed", "owned"), [(True, 3), (False, 50)])
@sqlite
def test_the_alert_decides_the_size_where_the_bot_allows_it(trader: Trader, allowed: bool, owned: int):
    bot = trader.bot(size_override=allowed)
    story = trader.trades("buy", quantity=3)
    assert trader.holds(bot) == owned
    ignored = any("does not accept sizes" in line["detail"] for line in story["timeline"])
    assert ignored is not allowed


@sqlite
def test_limit_orders_rest_at_the_bots_offset_and_fill_when_the_price_comes(
    trader: Trader, installation: Installation, feed: ManualFeed
):
    bot = trader.bot(order_type="limit", limit_offset_percent="1")
    story = trader.trades("buy")
    assert (
        story["status"] == "working" and story["orders"][0]["limit_price"] == "99" and trader.holds(bot) == 0
    )
    assert "still open" in trader.trades("buy")["reason"]
    feed.set("AAPL", "98.5")
    installation.work()
    assert (
        trader.story(story["id"])["status"] == "filled" and trader.get(f"/bots/{bot}")["status"] == "FILLED"
    )
    assert trader.holds(bot) == D(5000) / 99 // D("0.000001") * D("0.000001")


def test_two_bots_on_one_symbol_and_account_own_only_their_own(trader: Trader):
    slow = trader.bot("AAPL", "1H")
    fast = trader.bot("AAPL", "5m", position_size="3000")
    trader.trades("buy", timeframe="1H")
    trader.trades("sell", timeframe="5m")
    [held] = trader.get("/positions")["items"]
    assert (held["quantity"], held["broker_quantity"], held["outside"]) == ("20", "20", "0")
    assert (trader.holds(slow), trader.holds(fast)) == (50, -30)
    trader.trades("close", timeframe="1H")
    assert (trader.holds(slow), trader.holds(fast)) == (0, -30)
    [held] = trader.get("/positions")["items"]
    assert (held["quantity"], held["broker_quantity"], held["outside"]) == ("-30", "-30", "0")


def test_symbols_of_one_account_that_turn_at_once_never_block_each_other(
    trader: Trader, feed: ManualFeed, app: App
):
    """On PostgreSQL every lock is taken in one order; else two turns wait for each other until the database
    ends one of them."""
    symbols = ("AAPL", "MSFT", "NVDA", "TSLA")
    for symbol in symbols:
        feed.set(symbol, 100)
        trader.bot(symbol, position_size="100")
    sent = [trader.send(symbol=symbol, action=action) for action in ("buy", "sell") * 5 for symbol in symbols]
    with ThreadPoolExecutor(len(symbols)) as pool:
        list(pool.map(app.engine.run_lane, app.engine.open_lanes()))
    trader.installation.work()  # a slow machine outlives a lease: its lane goes on here
    assert {trader.story(signal_id)["status"] for signal_id in sent} == {"filled"}
    assert len(trader.get("/orders", limit=500)["items"]) == len(symbols) * (1 + 9 * 2)


def test_two_bots_of_one_alert_that_end_at_the_same_moment_end_the_signal(trader: Trader, app: App):
    trader.bot()
    trader.bot(account=trader.account())
    signal_id = trader.send(action="close")
    with app.db.read() as conn:
        one, other = decision_table.decisions_of(conn, signal_id)
    now = app.clock.now()

    def end(conn: sa.Connection, decision_id: int) -> None:
        def step(books: Books) -> None:
            refused = Outcome("refused", Reason(Code.NOTHING_TO_CLOSE))
            end_decision(books, decision_id, refused, now)
            end_signal(books, signal_id, refused, sole_recipient=False, now=now)

        on_books(conn, step)

    def first(conn: sa.Connection) -> threading.Thread:
        end(conn, one.id)
        beside = threading.Thread(target=lambda: app.db.write(lambda conn: end(conn, other.id)))
        beside.start()
        beside.join(0.3)  # it comes as far as it can while this is not committed
        return beside

    app.db.write(first).join()
    assert trader.story(signal_id)["status"] == "refused"


@pytest.mark.parametrize("action", ["close", "sell", "reverse"])
def test_an_exit_at_market_passes_whatever_time_in_force_was_asked_for(trader: Trader, action: str):
    """The paper broker has no opening auction: an entry says so, a position is closed all the same."""
    trader.bot(sides="long")
    assert trader.trades("buy", tif="opg")["reason_code"] == Code.NO_SUCH_TIME_IN_FORCE
    trader.trades("buy")
    assert orders_of(trader.trades(action, tif="opg")) == [CLOSED]


def test_after_the_days_of_retention_what_was_sent_is_forgotten_and_what_came_of_it_is_not(
    trader: Trader, app: App, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    trader.bot()
    ended = trader.trades("buy", comment="a private remark")["id"]
    resting = trader.trades("add", order_type="limit", limit_price="1", time_in_force="gtc")["id"]
    before = (trader.get("/trades"), trader.get("/orders"), trader.get("/performance"))
    monkeypatch.setattr(app, "settings", replace(app.settings, retention_days=2))
    clock.forward(2 * 86400 - 60)
    Worker(app).tidy()
    assert "a private remark" in trader.story(ended)["raw"]
    clock.forward(120)
    app.settings.logs.mkdir(parents=True, exist_ok=True)
    for name, days in (("receiver.log", 3), ("receiver.log.1", 1), ("receiver.log.2", 3)):
        (app.settings.logs / name).touch()
        at = (clock.now() - timedelta(days=days)).timestamp()
        os.utime(app.settings.logs / name, times=(at, at))
    Worker(app).tidy()
    assert (
        trader.story(ended)["raw"] is None
        and trader.story(ended)["timeline"]
        and trader.story(resting)["raw"]
    ), "what is not over keeps its words"
    assert (trader.get("/trades"), trader.get("/orders"), trader.get("/performance")) == before
    assert sorted(file.name for file in app.settings.logs.glob("receiver*")) == [
        "receiver.log",
        "receiver.log.1",
    ]


def test_profit_fees_and_the_days_figures_are_those_of_the_fills(trader: Trader, feed: ManualFeed):
    bot = trader.bot(account=trader.account(fee_per_order="1"))
    trader.trades("buy")
    feed.set("AAPL", 103)
    trader.trades("sell")  # +150
    feed.set("AAPL", 104)
    trader.trades("close")  # short 5000 / 103 from 103 to 104
    fills = trader.get("/trades")["items"]
    shown = trader.get(f"/bots/{bot}")
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
    [day] = trader.get("/performance")["items"]
    assert (day["trades"], day["wins"], day["losses"]) == (4, 1, 1)
    assert D(day["volume"]) == sum(D(t["notional"]) for t in fills)


def test_a_close_that_fills_in_parts_is_lost_or_won_once(
    trader: Trader, feed: ManualFeed, clock: ManualClock
):
    bot = trader.bot(account=trader.account(fill_percent=40))
    for price in (100, 103):
        feed.set("AAPL", price)
        trader.trades("buy" if price == 100 else "close")
        for _ in range(3):
            clock.forward(2)
            trader.installation.work()
    assert trader.holds(bot) == 0 and len(trader.get("/orders", bot_id=bot)["items"]) == 2
    [day] = trader.get("/performance")["items"]
    assert (day["trades"], day["wins"], day["losses"]) == (2, 1, 0)


def test_a_decision_that_another_worker_made_first_is_not_made_again(trader: Trader, app: App):
    bot = trader.bot()
    signal_id = trader.send(action="buy")
    with app.db.read() as conn:
        [task] = decision_table.decisions_of(conn, signal_id)
        account = account_table.load(conn, task.account_id)
    broker, why = app.engine.broker(task.account_id), Reason(Code.SUPERSEDED)

    def refuse(books: Books) -> None:
        settlement.refuse(books, task.id, signal_id, why, sole_recipient=True, now=app.clock.now())

    app.db.write(lambda conn: on_books(conn, refuse))

    def decide_late(books: Books) -> None:
        assert broker.offers.local is not None
        local = broker.offers.local(PaperPages(books, account.id))
        market = app.engine.snapshots.local(local, app.brokers.feed(account), task.symbol, simulated=False)
        fill = partial(app.engine.sender.carry_out, broker=broker)
        # what it would read, had it looked before the other stored its decision
        decide_one(books, task, market, app.clock.now(), fill)

    with pytest.raises(DecidedElsewhere):
        app.db.write(lambda conn: on_books(conn, decide_late))
    assert trader.story(signal_id)["status"] == "refused" and not trader.get("/orders")["items"]
    assert trader.holds(bot) == 0 and not trader.get("/positions")["items"]
