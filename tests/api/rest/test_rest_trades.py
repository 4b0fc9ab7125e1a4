"""Over REST: signals and their stories, orders, trades and figures."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest

from dashtrade.domain.ports import OrderReport
from dashtrade.tables import trades as trade_table
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader
from tests.support.rest import D, assert_error

# --- signals and their stories ------------------------------------------------------------------------------


def test_a_story_tells_every_step_in_order_with_its_time(trader: Trader):
    trader.bot()
    story = trader.trades("buy")
    steps = [line["step"] for line in story["timeline"]]
    assert list(dict.fromkeys(steps)) == [
        "received",
        "read",
        "check",
        "decided",
        "order submitting",
        "order filled",
        "filled",
        "booked",
        "message",
    ]
    times = [line["at"] for line in story["timeline"]]
    assert times == sorted(times) and all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at) for at in times
    )
    assert all(line["detail"] for line in story["timeline"])
    assert story.keys() >= {"id", "status", "reason", "duplicate_count", "received_at", "timeline", "orders"}
    assert story["raw"] and all(check["ok"] and check["detail"] for check in story["bots"][0]["checks"])


@sqlite
def test_signals_are_listed_newest_first_filtered_and_page_by_page(trader: Trader, clock: ManualClock):
    aapl, msft = trader.bot(), trader.bot("MSFT")
    ids = []
    for action, symbol in (
        ("buy", "AAPL"),
        ("buy", "MSFT"),
        ("buy", "AAPL"),
        ("close", "AAPL"),
        ("buy", "KO"),
    ):
        clock.forward(1)
        response = trader.alert({"action": action, "symbol": symbol, "id": f"{len(ids)}"})
        ids.append(response.json["signal_id"])
        trader.installation.work()
    assert [s["id"] for s in trader.get("/signals")["items"]] == ids[::-1]
    assert [s["id"] for s in trader.get("/signals", symbol="NASDAQ:AAPL")["items"]] == [
        ids[3],
        ids[2],
        ids[0],
    ]
    assert [s["id"] for s in trader.get("/signals", status="refused")["items"]] == [ids[4], ids[2]]
    assert [s["id"] for s in trader.get("/signals", bot_id=msft)["items"]] == [ids[1]]
    assert [s["id"] for s in trader.get("/signals", bot_id=aapl, status="filled")["items"]] == [
        ids[3],
        ids[0],
    ]
    first = trader.get("/signals", limit=2)
    assert [s["id"] for s in trader.get("/signals", limit=2, cursor=first["next_cursor"])["items"]] == [
        ids[2],
        ids[1],
    ]
    assert_error(trader.call("GET", "/signals/nonsense"), 404)


# --- orders, trades, figures --------------------------------------------------------------------------------


def test_orders_are_listed_filtered_and_taken_back(
    trader: Trader, installation: Installation, clock: ManualClock
):
    bot = trader.bot()
    trader.bot("MSFT")
    for symbol in ("MSFT", "AAPL"):
        clock.forward(1)
        trader.trades("buy", symbol, order_type="limit", limit_price="90")
    ids = [order["order_id"] for order in trader.get("/orders")["items"]]
    page = trader.get("/orders", limit=1)
    assert [
        page["items"][0]["order_id"],
        trader.get("/orders", limit=1, cursor=page["next_cursor"])["items"][0]["order_id"],
    ] == ids
    [order] = trader.get("/orders", symbol="AAPL", status="working", bot_id=bot)["items"]
    assert order == trader.get(f"/orders/{order['order_id']}") and order["order_id"] == ids[0]
    assert len(order["client_order_id"]) == 32 and order["broker_order_id"] and order["limit_price"] == "90"
    assert trader.call("POST", f"/orders/{ids[0]}/cancel").status_code == 202
    installation.work()
    assert (
        trader.get(f"/orders/{ids[0]}")["status"] == "canceled"
        and trader.get(f"/bots/{bot}")["status"] == "READY"
    )
    assert_error(trader.call("POST", f"/orders/{ids[0]}/cancel"), 409, "already canceled")
    assert_error(
        trader.call("POST", f"/orders/{ids[1]}/resolve", {"outcome": "not_placed"}), 409, "needs no decision"
    )
    assert_error(trader.call("POST", f"/orders/{ids[1]}/resolve", {"outcome": "maybe"}), 400, "outcome")
    for cursor in ("x", "2025-01-01", "~", "nonsense~x"):
        assert_error(trader.call("GET", "/orders", cursor=cursor), 400, "cursor")


@pytest.fixture
def traded(trader: Trader, clock: ManualClock, feed: ManualFeed) -> Trader:
    """Six trades over three days, of two bots."""
    trader.bot()
    trader.bot("MSFT")
    for symbol, price in (("AAPL", 101), ("MSFT", 98), ("AAPL", 103)):
        feed.set(symbol, 100)
        trader.trades("buy", symbol)
        feed.set(symbol, price)
        trader.trades("close", symbol)
        clock.forward(86400)
    return trader


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 5, 4, 3, 2, 1]),
    ({"symbol": "aapl"}, [6, 5, 2, 1]),
    ({"action": "sell"}, [6, 4, 2]),
    ({"status": "filled"}, [6, 5, 4, 3, 2, 1]),
    ({"status": "partial"}, []),
    ({"from": "2025-06-05"}, [6, 5, 4, 3]),
    ({"to": "2025-06-04"}, [2, 1]),
    ({"to": "2025-06-05"}, [4, 3, 2, 1]),
    ({"to": "2025-06-05T00:00:00Z"}, [2, 1]),
    ({"from": "2025-06-05", "to": "2025-06-05"}, [4, 3]),
    ({"from": "2025-06-05T15:00:00Z", "to": "2025-06-05T17:00:00+01:00"}, [4, 3]),
    ({"bot_id": 2}, [4, 3]),
    ({"bot_id": 2, "action": "buy"}, [3]),
]


def test_trades_and_their_csv_keep_to_the_filter(traded: Trader):
    for wanted, ids in FILTERS:
        check_trades(traded, wanted, ids)


def check_trades(traded: Trader, wanted: dict[str, Any], ids: list[int]) -> None:
    items = traded.get("/trades", **wanted)["items"]
    assert [trade["id"] for trade in items] == ids
    response = traded.call("GET", "/trades.csv", **wanted)
    assert response.mimetype == "text/csv" and "attachment" in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert tuple(csv.reader(io.StringIO(response.text)).__next__()) == trade_table.CSV_COLUMNS
    assert [int(row["id"]) for row in rows] == ids
    for row, trade in zip(rows, items, strict=True):
        assert (
            row["at"] == trade["at"]
            and row["symbol"] == trade["symbol"]
            and row["order_id"] == trade["order_id"]
        )
        for name in ("quantity", "price", "notional", "fee", "realized_pnl"):
            assert D(row[name]) == D(trade[name]) and re.fullmatch(r"-?\d+(\.\d+)?", row[name])


@sqlite
def test_trades_are_read_page_by_page_while_more_come(traded: Trader):
    first = traded.get("/trades", limit=4)
    traded.trades("buy")
    rest = traded.get("/trades", limit=4, cursor=first["next_cursor"])
    assert [t["id"] for t in first["items"] + rest["items"]] == [6, 5, 4, 3, 2, 1] and rest[
        "next_cursor"
    ] is None
    for wrong in (
        {"cursor": "x"},
        {"cursor": "9" * 25},
        {"cursor": "0" * 30 + "9" * 30},
        {"limit": 0},
        {"limit": 501},
        {"from": "yesterday"},
        {"bot": 1},
        {"action": "hold"},
    ):
        assert_error(traded.call("GET", "/trades", **wrong), 400)
    assert "from, to" in assert_error(traded.call("GET", "/trades", bot=1), 400)["hint"]
    for wrong in ({"cursor": "x"}, {"status": "done"}):
        assert_error(traded.call("GET", "/signals", **wrong), 400)


def test_no_cell_of_the_csv_is_a_formula(make_app: MakeApp, clock: ManualClock, feed: ManualFeed):
    venue = ScriptedBroker()
    trader = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    trader.bot(account=trader.account("venue"))
    starts, fill = ("=", "+", "-", "@", "\t", "\r"), venue.fill
    bad = [f'{start}HYPERLINK("http://evil.example","1")' for start in starts]

    def named(name: str, quantity: Any, price: Any = None) -> OrderReport:
        return replace(fill(name, quantity, price), broker_order_id=bad[len(venue.sent) - 1])

    venue.fill = named  # type: ignore[method-assign]
    for action in ("buy", "close", "sell", "close", "buy"):
        assert trader.trades(action)["status"] == "filled"
    venue.price = D(90)
    trader.trades("close")
    rows = list(csv.DictReader(io.StringIO(trader.call("GET", "/trades.csv").text, newline="")))
    assert [row["broker_order_id"] for row in rows] == [f"'{cell}" for cell in reversed(bad)]
    assert D(rows[0]["realized_pnl"]) == -500, "a negative number is a number"


def test_performance_is_the_sum_of_the_fills(traded: Trader):
    figures, trades = traded.get("/performance"), traded.get("/trades")["items"]
    total = figures["total"]
    assert D(total["realized_pnl"]) == sum(D(t["realized_pnl"]) for t in trades) == 50 - 100 + 150
    assert (total["trades"], total["wins"], total["losses"], total["win_rate"]) == (6, 2, 1, "66.7")
    assert [(day["bot_id"], day["day"], day["realized_pnl"]) for day in figures["items"]] == [
        (1, "2025-06-04", "50"),
        (2, "2025-06-05", "-100"),
        (1, "2025-06-06", "150"),
    ]
    part = traded.get("/performance", **{"from": "2025-06-05", "to": "2025-06-05"})
    assert [day["bot_id"] for day in part["items"]] == [2] and part["total"]["realized_pnl"] == "-100"
    assert traded.get("/performance", bot_id=1)["total"]["realized_pnl"] == "200"


@sqlite
def test_risk_events_are_listed(trader: Trader, installation: Installation, feed: ManualFeed):
    for symbol in ("AAPL", "MSFT", "KO"):
        trader.bot(symbol, risk_limit_percent="5")
        trader.trades("buy", symbol)
        feed.set(symbol, 90)
        installation.look()
    first = trader.get("/risk-events", limit=2)
    rest = trader.get("/risk-events", limit=2, cursor=first["next_cursor"])
    assert [event["bot_id"] for event in first["items"] + rest["items"]] == [3, 2, 1]
    assert [event["bot_id"] for event in trader.get("/risk-events", bot_id=2)["items"]] == [2]


@sqlite
def test_messages_are_listed_and_marked_as_read(trader: Trader):
    trader.bot()
    trader.trades("buy")
    trader.trades("close")
    newest, older = trader.get("/messages")["items"]
    assert (
        newest["kind"] == older["kind"] == "order_filled"
        and newest["title"] == "Sold 50 AAPL"
        and older["title"] == "Bought 50 AAPL"
        and older["facts"]["quantity"] == "50"
        and older["facts"]["symbol"] == "NYSE:AAPL-EQ"
        and newest["signal_id"]
        and newest["read_at"] is None
    )
    assert trader.request("POST", "/messages/read", {"up_to": older["id"]}) == {"marked": 1}
    assert [m["id"] for m in trader.get("/messages", unread="true")["items"]] == [newest["id"]]
