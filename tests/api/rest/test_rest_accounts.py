"""Over REST: accounts at brokers, and the switches that stop trading."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.access import Role
from tests.support.databases import sqlite
from tests.support.installation import House, Person
from tests.support.rest import told

# --- accounts -----------------------------------------------------------------------------------------------


def test_an_account_is_made_shown_changed_tested_and_removed(ann: Person, app: App):
    made = ann.does(
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
    tested = ann.does("POST", f"{path}/test")
    assert tested["ok"] is True and tested["cash"] == "50000"
    assert ann.does("PATCH", path, {"label": "Renamed"})["label"] == "Renamed"
    assert ann.get("/accounts")["items"] == [ann.get(path)] and ann.get(path)["check_result"]["ok"] is True
    with app.db.read() as conn:
        kept = str(list(conn.exec_driver_sql("SELECT * FROM user_api_keys")))
    for text in (kept, str(ann.get(path)), str(ann.get("/accounts")), repr(app)):
        assert "very-secret-key" not in text
    assert ann.does("DELETE", path)["status"] == "removed"
    told(ann.call("GET", path), 404)
    assert ann.get("/accounts")["items"] == []


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
    ann: Person, body: dict[str, Any], words: list[str]
):
    told(ann.call("POST", "/accounts", body), 400, *words)
    assert ann.get("/accounts")["items"] == []


def test_a_paper_account_starts_over_and_keeps_its_history(ann: Person):
    bot = ann.bot()
    ann.trades("buy")
    told(ann.call("POST", f"/accounts/{ann.paper}/reset"), 409, "owns")
    told(ann.call("DELETE", f"/accounts/{ann.paper}"), 409, "bots")
    ann.trades("close")
    history = ann.get("/trades")
    ann.does("POST", f"/accounts/{ann.paper}/reset")
    assert (
        ann.does("POST", f"/accounts/{ann.paper}/test")["cash"] == "100000" and ann.get("/trades") == history
    )
    ann.does("DELETE", f"/bots/{bot}")
    ann.does("DELETE", f"/accounts/{ann.paper}")
    assert ann.get("/trades") == history


# --- switches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["pause_entries", "reduce_only", "halt"])
@pytest.mark.parametrize("scope", ["all", "user", "account", "bot"])
@sqlite
def test_a_switch_stops_entries_at_once_and_lets_exits_pass(house: House, scope: str, mode: str):
    ann = house.join(role=Role.SUPERADMIN)
    bot, resting = ann.bot(), ann.bot("MSFT")
    ann.trades("buy")
    entry = ann.trades("buy", "MSFT", order_type="limit", limit_price="90")
    where = {"all": {}, "user": {}, "account": {"id": ann.paper}, "bot": {"id": bot}}[scope]
    items = ann.does("PUT", "/switches", {"scope": scope, "mode": mode, "reason": "news"} | where)["items"]
    assert [(s["scope"], s["mode"], s["reason"]) for s in items] == [(scope, mode, "news")] and ann.get(
        "/switches"
    )["items"] == items
    house.work()
    story = ann.trades("add")
    assert (
        story["status"] == "refused"
        and ("paused" if mode == "halt" else mode.replace("_", " ")) in story["reason"]
    )
    assert ann.trades("close")["status"] == "filled"
    taken_back = mode != "pause_entries" and scope != "bot"
    assert ann.story(entry["id"])["orders"][0]["status"] == ("canceled" if taken_back else "working")
    assert ann.get(f"/bots/{bot}")["is_active"] is (mode != "halt")
    assert ann.get(f"/bots/{resting}")["is_active"] is (mode != "halt" or scope == "bot")
    assert ann.does("PUT", "/switches", {"scope": scope, "mode": "none"} | where)["items"] == []
    assert (ann.trades("buy")["status"] == "filled") is (mode != "halt"), (
        "after a halt each bot is resumed by hand"
    )
    if mode == "halt":
        ann.does("POST", f"/bots/{bot}/resume")
        assert ann.trades("buy")["status"] == "filled"


@sqlite
def test_the_strongest_switch_counts_and_another_users_does_not(house: House):
    ann, bob, boss = (
        house.join(),
        house.join("bob@example.com"),
        house.join("boss@example.com", Role.SUPERADMIN),
    )
    ann.bot()
    bob.bot()
    told(ann.call("PUT", "/switches", {"scope": "all", "mode": "halt"}), 403, "superadmin")
    bob.does("PUT", "/switches", {"scope": "user", "mode": "pause_entries"})
    assert ann.trades("buy")["status"] == "filled" and bob.trades("buy")["status"] == "refused"
    boss.does("PUT", "/switches", {"scope": "all", "mode": "reduce_only"})
    assert "all trading is switched to reduce only" in bob.trades("buy")["reason"]
    assert [s["scope"] for s in ann.get("/switches")["items"]] == ["all"]
    told(ann.call("PUT", "/switches", {"scope": "user", "mode": "stop"}), 400, "mode")
    assert told(ann.call("PUT", "/switches", {"scope": "bot", "mode": "halt"}), 400)["field"] == "id"
    told(ann.call("PUT", "/switches", {"scope": "bot", "id": 4711, "mode": "halt"}), 404)
