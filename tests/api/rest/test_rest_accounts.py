"""Over REST: accounts at brokers, and the switches that stop trading."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.access import Role
from tests.support.databases import sqlite
from tests.support.installation import Installation, Trader
from tests.support.rest import assert_error

# --- accounts -----------------------------------------------------------------------------------------------


def test_an_account_is_made_shown_changed_tested_and_removed(trader: Trader, app: App):
    made = trader.request(
        "POST",
        "/accounts",
        {
            "broker": "paper",
            "mode": "paper",
            "label": "My paper",
            "credentials": {"key": "very-secret-key"},
            "options": {"starting_cash": "50000"},
        },
    )
    assert (
        made.items()
        >= {
            "broker": "paper",
            "mode": "paper",
            "label": "My paper",
            "is_active": True,
            "checked_at": None,
        }.items()
    )
    path = f"/accounts/{made['id']}"
    tested = trader.request("POST", f"{path}/test")
    assert tested["ok"] is True and tested["cash"] == "50000"
    assert trader.request("PATCH", path, {"label": "Renamed"})["label"] == "Renamed"
    assert (
        trader.get("/accounts")["items"] == [trader.get(path)]
        and trader.get(path)["check_result"]["ok"] is True
    )
    with app.db.read() as conn:
        kept = str(list(conn.exec_driver_sql("SELECT * FROM user_api_keys")))
    for text in (kept, str(trader.get(path)), str(trader.get("/accounts")), repr(app)):
        assert "very-secret-key" not in text
    assert trader.request("DELETE", path)["status"] == "removed"
    assert_error(trader.call("GET", path), 404)
    assert trader.get("/accounts")["items"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"broker": "paperr"}, ["paper"]),
        ({"broker": "paper", "mode": "live"}, ["mode", "paper"]),
        ({}, ["broker"]),
        ({"broker": "paper", "options": {"starting_cahs": 1}}, ["starting_cash"]),
        ({"broker": "paper", "options": {"starting_cash": -1}}, ["starting_cash"]),
        ({"broker": "paper", "options": {"hours": "never"}}, ["hours"]),
        ({"broker": "paper", "label": "a\nb"}, ["label"]),
        ({"broker": "paper", "credentials": {"key": 1}}, ["credentials"]),
        ({"broker": "paper", "secret": "x"}, ["secret"]),
    ],
)
@sqlite
def test_an_account_that_cannot_be_is_refused_with_a_hint(
    trader: Trader, body: dict[str, Any], words: list[str]
):
    assert_error(trader.call("POST", "/accounts", body), 400, *words)
    assert trader.get("/accounts")["items"] == []


def test_a_paper_account_starts_over_and_keeps_its_history(trader: Trader):
    bot = trader.bot()
    trader.trades("buy")
    assert_error(trader.call("POST", f"/accounts/{trader.paper}/reset"), 409, "still has a position")
    assert_error(trader.call("DELETE", f"/accounts/{trader.paper}"), 409, "bots")
    trader.trades("close")
    history = trader.get("/trades")
    trader.request("POST", f"/accounts/{trader.paper}/reset")
    assert (
        trader.request("POST", f"/accounts/{trader.paper}/test")["cash"] == "100000"
        and trader.get("/trades") == history
    )
    trader.request("DELETE", f"/bots/{bot}")
    trader.request("DELETE", f"/accounts/{trader.paper}")
    assert trader.get("/trades") == history


# --- switches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["pause_entries", "reduce_only", "halt"])
@pytest.mark.parametrize("scope", ["all", "user", "account", "bot"])
@sqlite
def test_a_switch_stops_entries_at_once_and_lets_exits_pass(
    installation: Installation, scope: str, mode: str
):
    trader = installation.join(role=Role.SUPERADMIN)
    bot, resting = trader.bot(), trader.bot("MSFT")
    trader.trades("buy")
    entry = trader.trades("buy", "MSFT", order_type="limit", limit_price="90")
    where = {"all": {}, "user": {}, "account": {"id": trader.paper}, "bot": {"id": bot}}[scope]
    items = trader.request("PUT", "/switches", {"scope": scope, "mode": mode, "reason": "news"} | where)[
        "items"
    ]
    assert [(s["scope"], s["mode"], s["reason"]) for s in items] == [(scope, mode, "news")] and trader.get(
        "/switches"
    )["items"] == items
    installation.work()
    story = trader.trades("add")
    assert (
        story["status"] == "refused"
        and ("paused" if mode == "halt" else mode.replace("_", " ")) in story["reason"]
    )
    assert trader.trades("close")["status"] == "filled"
    taken_back = mode != "pause_entries" and scope != "bot"
    assert trader.story(entry["id"])["orders"][0]["status"] == ("canceled" if taken_back else "working")
    assert trader.get(f"/bots/{bot}")["is_active"] is (mode != "halt")
    assert trader.get(f"/bots/{resting}")["is_active"] is (mode != "halt" or scope == "bot")
    assert trader.request("PUT", "/switches", {"scope": scope, "mode": "none"} | where)["items"] == []
    assert (trader.trades("buy")["status"] == "filled") is (mode != "halt"), (
        "after a halt each bot is resumed by hand"
    )
    if mode == "halt":
        trader.request("POST", f"/bots/{bot}/resume")
        assert trader.trades("buy")["status"] == "filled"


@sqlite
def test_the_strongest_switch_counts_and_another_users_does_not(installation: Installation):
    trader, other_trader, superadmin = (
        installation.join(),
        installation.join("bob@example.com"),
        installation.join("superadmin@example.com", Role.SUPERADMIN),
    )
    trader.bot()
    other_trader.bot()
    assert_error(trader.call("PUT", "/switches", {"scope": "all", "mode": "halt"}), 403, "superadmin")
    other_trader.request("PUT", "/switches", {"scope": "user", "mode": "pause_entries"})
    assert trader.trades("buy")["status"] == "filled" and other_trader.trades("buy")["status"] == "refused"
    superadmin.request("PUT", "/switches", {"scope": "all", "mode": "reduce_only"})
    assert "all trading is switched to reduce only" in other_trader.trades("buy")["reason"]
    assert [s["scope"] for s in trader.get("/switches")["items"]] == ["all"]
    assert_error(trader.call("PUT", "/switches", {"scope": "user", "mode": "stop"}), 400, "mode")
    assert (
        assert_error(trader.call("PUT", "/switches", {"scope": "bot", "mode": "halt"}), 400)["field"] == "id"
    )
    assert_error(trader.call("PUT", "/switches", {"scope": "bot", "id": 4711, "mode": "halt"}), 404)
