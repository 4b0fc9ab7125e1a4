"""Over REST: bots, field by field, and what may be done with one."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.databases import sqlite
from tests.support.fakes import ManualFeed
from tests.support.installation import Installation, Trader, wait_until
from tests.support.rest import assert_error

# --- bots ---------------------------------------------------------------------------------------------------

EVERY_FIELD = {
    "name": "Turtle",
    "position_size": "12.5",
    "position_size_type": "percent_of_equity",
    "size_override": True,
    "risk_limit_percent": "10",
    "daily_loss_limit": "500",
    "max_position_size": "20000",
    "sides": "long",
    "order_type": "limit",
    "limit_offset_percent": "0.25",
    "cooldown_seconds": 60,
    "windows": [{"days": ["mon", "fri"], "from": "09:30", "to": "16:00"}],
    "time_zone": "America/New_York",
    "orders_per_day": 5,
}

OTHER_VALUES = {
    "name": "Hare",
    "position_size": "1000",
    "position_size_type": "dollars",
    "size_override": False,
    "risk_limit_percent": None,
    "daily_loss_limit": None,
    "max_position_size": None,
    "sides": "both",
    "order_type": "market",
    "limit_offset_percent": "-1",
    "cooldown_seconds": 0,
    "windows": [],
    "time_zone": "UTC",
    "orders_per_day": None,
}


def test_every_field_of_a_bot_is_kept_and_can_be_changed(trader: Trader):
    bot = trader.bot(**EVERY_FIELD)
    shown = trader.get(f"/bots/{bot}")
    assert {name: shown[name] for name in EVERY_FIELD} == EVERY_FIELD
    assert (
        shown["status"] == "READY"
        and shown["is_active"] is True
        and shown["total_pnl"] == "0"
        and shown["total_trades"] == 0
    )
    assert (
        shown["position"].items()
        >= {"side": "flat", "quantity": "0", "average_price": None, "unrealized_pnl": "0"}.items()
    )
    changed = trader.request("PATCH", f"/bots/{bot}", OTHER_VALUES)
    assert {name: changed[name] for name in OTHER_VALUES} == OTHER_VALUES
    one = trader.request("PATCH", f"/bots/{bot}", {"name": "Only this"})
    assert {name: one[name] for name in OTHER_VALUES} == OTHER_VALUES | {"name": "Only this"}


@sqlite
def test_a_changed_size_keeps_its_kind(trader: Trader):
    bot = trader.bot(position_size="10%")
    assert trader.get(f"/bots/{bot}")["position_size_type"] == "percent_of_equity"
    assert (
        trader.request("PATCH", f"/bots/{bot}", {"position_size": 20}).items()
        >= {"position_size": "20", "position_size_type": "percent_of_equity"}.items()
    )


BAD_FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"symbol": ""}, "symbol", "symbol"),
    ({"symbol": "???"}, "symbol", "AAPL"),
    ({"symbol": "BTCUSDT.P"}, "symbol", "spot"),
    ({"timeframe": "fortnight"}, "timeframe", "15 Min"),
    ({"timeframe": None}, "timeframe", "timeframe"),
    ({"position_size": 0}, "position_size", "above 0"),
    ({"position_size": "-5"}, "position_size", "above 0"),
    ({"position_size": "many"}, "position_size", "number"),
    ({"position_size": "120%"}, "position_size", "100"),
    ({"position_size_type": "lots"}, "position_size_type", "dollars"),
    ({"position_size_type": {}}, "position_size_type", "dollars"),
    ({"position_size_type": ["dollars"]}, "position_size_type", "dollars"),
    ({"risk_limit_percent": "0"}, "risk_limit_percent", "100"),
    ({"risk_limit_percent": 101}, "risk_limit_percent", "100"),
    ({"daily_loss_limit": -1}, "daily_loss_limit", "above 0"),
    ({"max_position_size": "1e400"}, "max_position_size", "finite"),
    ({"sides": "up"}, "sides", "long"),
    ({"order_type": "stop"}, "order_type", "limit"),
    ({"order_type": "guess"}, "order_type", "limit"),
    ({"limit_offset_percent": "51"}, "limit_offset_percent", "50"),
    ({"cooldown_seconds": -1}, "cooldown_seconds", "whole number"),
    ({"cooldown_seconds": 1.5}, "cooldown_seconds", "whole number"),
    ({"orders_per_day": 0}, "orders_per_day", "from 1"),
    ({"windows": "always"}, "windows", "list"),
    ({"windows": [{"days": ["someday"], "from": "09:00", "to": "10:00"}]}, "windows.days", "days"),
    ({"windows": [{"from": "9", "to": "25:00"}]}, "windows", "09:30"),
    ({"time_zone": "Mars"}, "time_zone", "Europe/Berlin"),
    ({"size_override": "yes"}, "size_override", "true"),
    ({"name": " "}, "name", "100"),
    ({"name": "x" * 101}, "name", "100"),
    ({"name": "a\nb"}, "name", "100"),
    ({"sides": None}, "sides", "value"),
    ({"cooldown": 5}, "cooldown", "cooldown_seconds"),
]


@pytest.mark.parametrize(
    ("fields", "field", "hint"), BAD_FIELDS, ids=[str(bad[0])[:40] for bad in BAD_FIELDS]
)
@sqlite
def test_a_bot_that_cannot_be_is_refused_with_the_field_and_a_hint(
    trader: Trader, fields: dict[str, Any], field: str, hint: str
):
    body = {
        "account_id": trader.account(),
        "symbol": "AAPL",
        "timeframe": "15 Min",
        "position_size": "5000",
    } | fields
    answer = assert_error(trader.call("POST", "/bots", body), 400, hint)
    assert answer["field"] == field and trader.get("/bots")["items"] == []
    if field not in ("symbol", "timeframe"):
        bot = trader.bot()
        before = trader.get(f"/bots/{bot}")
        assert_error(
            trader.call(
                "PATCH",
                f"/bots/{bot}",
                fields | ({"position_size": "5000"} if "position_size_type" in fields else {}),
            ),
            400,
            hint,
        )
        assert trader.get(f"/bots/{bot}") == before


@sqlite
def test_what_a_bot_belongs_to_stays(trader: Trader):
    bot = trader.bot()
    for place in ({"symbol": "MSFT"}, {"timeframe": "D"}, {"account_id": trader.paper}):
        assert_error(trader.call("PATCH", f"/bots/{bot}", place), 409, "history")


SAME_TIMEFRAMES = [
    ("15 Min", "15"),
    ("15 Min", "15m"),
    ("1H", "60"),
    ("1 Hour", "60m"),
    ("D", "1D"),
    ("1 Day", "daily"),
    ("1W", "weekly"),
    ("4h", 240),
]

SAME_SYMBOLS = [
    ("AAPL", "NASDAQ:AAPL"),
    ("AAPL", "aapl"),
    ("AAPL", "NYSE:AAPL-EQ"),
    ("BTCUSD", "BTC/USD"),
    ("BTC/USDT", "BINANCE:BTCUSDT"),
    ("BTC-USDT", "CRYPTO:BTC/USDT"),
]


@pytest.mark.parametrize(("one", "other"), SAME_TIMEFRAMES)
@sqlite
def test_a_timeframe_is_one_thing_however_it_is_written(trader: Trader, one: Any, other: Any):
    first = trader.get(f"/bots/{trader.bot('AAPL', one)}")
    body = {"account_id": trader.paper, "symbol": "AAPL", "timeframe": other, "position_size": 1}
    assert_error(trader.call("POST", "/bots", body), 409, "already")
    assert trader.get(f"/bots/{trader.bot('MSFT', other)}")["timeframe"] == first["timeframe"]


@pytest.mark.parametrize(("one", "other"), SAME_SYMBOLS)
@sqlite
def test_a_symbol_is_one_thing_and_is_shown_as_it_was_written(trader: Trader, one: str, other: str):
    first = trader.get(f"/bots/{trader.bot(one)}")
    assert first["written_symbol"] == one and re.fullmatch(r"NYSE:AAPL-EQ|CRYPTO:BTC/USDT?", first["symbol"])
    assert_error(
        trader.call(
            "POST",
            "/bots",
            {"account_id": trader.paper, "symbol": other, "timeframe": "15", "position_size": 1},
        ),
        409,
        "already",
    )
    second = trader.get(f"/bots/{trader.bot(other, account=trader.account())}")
    assert (second["symbol"], second["written_symbol"]) == (first["symbol"], other)


def test_bots_are_unique_per_account_symbol_and_timeframe_among_those_there_are(trader: Trader):
    bot = trader.bot()
    with ThreadPoolExecutor(4) as pool:
        body = {"account_id": trader.paper, "symbol": "MSFT", "timeframe": "15", "position_size": 1}
        answer = list(pool.map(lambda _: trader.call("POST", "/bots", body).status_code, range(4)))
    assert sorted(answer) == [201, 409, 409, 409]
    trader.request("DELETE", f"/bots/{bot}")
    assert trader.bot() != bot and len(trader.get("/bots")["items"]) == 2


@sqlite
def test_bots_are_listed_page_by_page(trader: Trader):
    made = [trader.bot(timeframe=f"{n}m") for n in range(1, 8)]
    other = trader.bot(account=trader.account())
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = trader.get("/bots", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [bot["id"] for bot in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [*made, other]
    assert [bot["id"] for bot in trader.get("/bots", account_id=trader.paper)["items"]] == made


@sqlite
def test_a_bot_is_paused_and_resumed_at_once(trader: Trader):
    bot = trader.bot()
    assert (
        trader.request("POST", f"/bots/{bot}/pause").items()
        >= {"is_active": False, "paused_reason": "paused by the user"}.items()
    )
    assert trader.trades("buy")["status"] == "refused"
    assert (
        trader.request("POST", f"/bots/{bot}/resume").items()
        >= {"is_active": True, "paused_reason": ""}.items()
    )
    assert trader.trades("buy")["status"] == "filled"
    trader.request("POST", f"/bots/{bot}/pause")
    assert trader.trades("close")["status"] == "filled", "what is owned can always be closed"


def test_a_position_is_closed_by_hand_and_two_clicks_are_one(
    trader: Trader, installation: Installation, feed: ManualFeed
):
    bot = trader.bot()
    trader.trades("buy")
    feed.set("AAPL", 102)
    assert (
        trader.get(f"/bots/{bot}")["position"].items()
        >= {"side": "long", "quantity": "50", "average_price": "100", "unrealized_pnl": "100"}.items()
    )
    result = [trader.request("POST", f"/bots/{bot}/close", {"request_id": "click-1"}) for _ in range(2)]
    assert result[0]["signal_id"] == result[1]["signal_id"] and [
        answer["duplicate"] for answer in result
    ] == [False, True]
    installation.work()
    assert trader.holds(bot) == 0 and trader.story(result[0]["signal_id"])["origin"] == "user"
    assert (
        trader.get(f"/bots/{bot}").items()
        >= {"total_pnl": "100", "total_trades": 2, "status": "READY"}.items()
    )


def test_a_bot_that_owns_something_is_not_deleted_unless_it_is_closed_or_handed_over(
    trader: Trader, installation: Installation
):
    bot, heir, other = trader.bot(), trader.bot(timeframe="1H"), trader.bot("MSFT")
    trader.trades("buy", timeframe="15 Min")
    assert_error(trader.call("DELETE", f"/bots/{bot}"), 409, "owns 50 AAPL", "position=close")
    assert_error(trader.call("DELETE", f"/bots/{bot}", position="hand_over"), 409)
    assert_error(
        trader.call("DELETE", f"/bots/{bot}", position="hand_over", to=other), 409, "same account and symbol"
    )
    assert_error(trader.call("DELETE", f"/bots/{bot}", position="hand_over", to=bot), 404)
    assert_error(trader.call("DELETE", f"/bots/{bot}", position="sell"), 400)
    trades = trader.get("/trades")
    trader.request("DELETE", f"/bots/{bot}", position="hand_over", to=heir)
    assert_error(trader.call("GET", f"/bots/{bot}"), 404)
    assert trader.holds(heir) == 50 and trader.get("/trades") == trades, "its history stays"
    assert [(p["quantity"], p["outside"]) for p in trader.get("/positions")["items"]] == [("50", "0")]
    trader.trades("close", timeframe="1H")
    assert trader.holds(heir) == 0 and trader.get("/positions")["items"] == []
    with installation.app.db.read() as conn:
        assert [(lot.quantity, lot.remaining) for lot in conn.exec_driver_sql("SELECT * FROM lots")] != [], (
            "and so do its lots"
        )


@sqlite
def test_a_bot_is_deleted_once_its_position_is_closed(trader: Trader, installation: Installation):
    bot = trader.bot()
    trader.trades("buy")
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(trader.call, "DELETE", f"/bots/{bot}", position="close")
        wait_until(lambda: installation.app.engine.open_lanes())
        installation.work()
        assert deleting.result(10).status_code == 200
    assert_error(trader.call("GET", f"/bots/{bot}"), 404)
    assert [trade["action"] for trade in trader.get("/trades", bot_id=bot)["items"]] == ["sell", "buy"]


@sqlite
def test_a_bot_with_an_order_out_is_not_deleted(trader: Trader, installation: Installation):
    bot = trader.bot()
    trader.trades("buy", order_type="limit", limit_price="90")
    assert_error(trader.call("DELETE", f"/bots/{bot}"), 409, "open order")
    trader.trades("cancel")
    trader.request("DELETE", f"/bots/{bot}")
