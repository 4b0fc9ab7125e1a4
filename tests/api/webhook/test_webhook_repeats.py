"""The webhook receiver over HTTP: the same alert again, and alerts that cannot be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader
from tests.support.webhook import BUY, assert_error, count_signals


@pytest.mark.parametrize("name", ["id", "signalId", "alertTimestamp"])
@sqlite
def test_the_same_id_is_the_same_alert_however_late_it_comes(
    trader: Trader, installation: Installation, clock: ManualClock, name: str
):
    body = BUY | {name: "2025-06-04T15:00:00Z"}
    first = trader.send(body)
    installation.work()
    clock.forward(86400)
    again = trader.alert(body)
    assert again.status_code == 202 and again.json == {
        "signal_id": first,
        "status": "accepted",
        "duplicate": True,
    }
    installation.work()
    story = trader.story(first)
    assert story["duplicate_count"] == 1 and len(story["orders"]) == 1 and count_signals(trader) == 1
    assert any(line["step"] == "repeated" for line in story["timeline"])


@sqlite
def test_an_id_counts_per_symbol_and_timeframe(trader: Trader):
    trader.bot("AAPL", "1H")
    trader.bot("BTCUSDT", "15 Min")
    body = {"action": "buy", "id": "2025-06-04T15:00:00Z"}
    answer = [
        trader.send(body | {"symbol": symbol, "timeframe": frame})
        for symbol, frame in (("AAPL", "15"), ("AAPL", "1H"), ("BTCUSDT", "15"))
    ]
    assert len(set(answer)) == 3
    other_spelling = trader.alert(body | {"symbol": "AAPL", "timeframe": "15 Min"})
    assert other_spelling.status_code == 409, "the fields are not those of the first"


@sqlite
def test_the_same_id_with_another_body_is_a_conflict(trader: Trader, installation: Installation):
    first = trader.send(BUY | {"id": "one"})
    body = assert_error(trader.alert(BUY | {"id": "one", "note": "changed"}), 409)
    assert body["error"] == "conflict" and body["signal_id"] == first and "'one'" in body["message"]
    installation.work()
    assert len(trader.get("/orders")["items"]) == 1


@sqlite
def test_without_an_id_the_same_content_is_a_repeat_for_as_long_as_tradingview_resends(
    trader: Trader, clock: ManualClock
):
    first = trader.send(BUY)
    for late in (5, 10, 15):  # its three more tries, 5 s apart, with up to 3 s for an answer
        clock.forward(5)
        assert trader.alert(dict(reversed(BUY.items()))).json == {
            "signal_id": first,
            "status": "accepted",
            "duplicate": True,
        }, late
    clock.forward(16)
    assert trader.alert(BUY).json["duplicate"] is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"takeProfit": {"percent": 5}}, {"takeProfit": {"percent": 6}}),
        ({"extras": {"deep": [{"er": 1}]}}, {"extras": {"deep": [{"er": 2}]}}),
        ({"comment": "a"}, {"comment": "b"}),
        ({"price": "100"}, {"price": "100.0"}),
        ({}, {"comment": None}),
    ],
)
@sqlite
def test_every_field_counts_nested_ones_too(trader: Trader, one: dict[str, Any], other: dict[str, Any]):
    first = trader.send(BUY | one)
    assert trader.send(BUY | other) != first
    assert trader.alert(BUY | one).json["duplicate"] is True


@pytest.mark.parametrize("named", [{}, {"id": "burst"}], ids=["by content", "by id"])
def test_fifty_at_once_are_one_decision_and_one_order(
    trader: Trader, installation: Installation, named: dict[str, str]
):
    body = BUY | named
    with ThreadPoolExecutor(16) as pool:
        result = list(pool.map(lambda _: trader.alert(body), range(50)))
    assert {answer.status_code for answer in result} == {202}
    assert len({answer.json["signal_id"] for answer in result}) == 1
    assert sum(not answer.json["duplicate"] for answer in result) == 1
    installation.work()
    story = trader.story(result[0].json["signal_id"])
    assert story["duplicate_count"] == 49 and len(story["orders"]) == 1 and len(story["bots"]) == 1
    assert trader.holds(story["orders"][0]["bot_id"]) == 50


@sqlite
def test_two_users_may_send_the_same(installation: Installation, trader: Trader):
    other_trader = installation.join("bob@example.com")
    other_trader.bot("AAPL", "15 Min")
    assert trader.send(BUY | {"id": "1"}) != other_trader.send(BUY | {"id": "1"})


# --- never a guess ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (BUY | {"symbol": "{{ticker}}"}, "symbol"),
        (BUY | {"quantity": "{{strategy.order.contracts}}"}, "quantity"),
        (BUY | {"extras": {"note": "{{close}}"}}, "extras.note"),
        (BUY | {"quantity": -5}, "quantity"),
        (BUY | {"quantity": 0}, "quantity"),
        (BUY | {"quantity": "0"}, "quantity"),
        (BUY | {"qty": 5, "quantity": 6}, "quantity"),
        (BUY | {"side": "sell"}, "side"),
        (BUY | {"sentiment": "short", "prev_market_position": "flat"}, "action"),
        (BUY | {"ticker": "MSFT"}, "symbol"),
        ({"action": "buy"}, "symbol"),
        ({"symbol": "AAPL"}, "action"),
        (BUY | {"action": "by"}, "action"),
        (BUY | {"timeframe": "fortnight"}, "timeframe"),
        (BUY | {"quantity": "many"}, "quantity"),
        (BUY | {"order_type": "limit"}, "order_type"),
        ("BUY -5 AAPL", "quantity"),
        ("hello", "text"),
        ("", "body"),
        (b"\xff\xfe\x00", "body"),
        ('{"action": "buy"', "body"),
        ("[1, 2]", "body"),
        ("null", "body"),
        ('{"action": "buy", "symbol": "AAPL", "quantity": NaN}', "quantity"),
        ('{"action": "buy", "symbol": "AAPL", "quantity": 1e400}', "quantity"),
        ('{"action": "buy", "action": "sell", "symbol": "AAPL"}', "action"),
        ("[" * 5000 + "]" * 5000, "body"),
        ('{"a":' * 40 + "1" + "}" * 40, None),
        ('{"action": "buy", "symbol": "AAPL", "note": "\\u0000"}', "note"),
    ],
)
@sqlite
def test_what_cannot_be_read_is_answered_400_with_what_and_where(
    trader: Trader, body: Any, field: str | None
):
    answer = assert_error(trader.alert(body), 400)
    assert answer["error"] == "bad_alert"
    assert field is None or answer["field"] == field
    story = trader.story(answer["signal_id"])  # and its user, who sent nothing by hand, sees it too
    assert story["status"] == "refused" and story["reason"] and story["orders"] == []
    assert next(line["step"] for line in story["timeline"]) == "received"


@sqlite
def test_what_was_sent_is_kept_without_what_proves_the_sender(trader: Trader):
    for name in ("secret", "passphrase", "token", "key"):
        answer = assert_error(trader.alert(BUY | {"quantity": -1, name: "s3cr3t-word"}), 400)
        assert "s3cr3t-word" not in trader.call("GET", f"/signals/{answer['signal_id']}").text
