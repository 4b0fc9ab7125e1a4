"""Over REST: what needs attention, as data."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.domain.reasons import quoted
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import orders as order_table
from tests.support.databases import sqlite
from tests.support.installation import Trader


def test_nothing_needs_attention_while_all_is_well(trader: Trader):
    trader.bot()
    trader.trades("buy")
    assert trader.request("GET", "/attention") == {"items": [], "next_cursor": None}


def test_a_stopped_bot_comes_with_its_reason_and_where_it_is_resumed(trader: Trader, app: App):
    bot = trader.bot(name="Turtle")
    app.db.write(
        lambda conn: bot_table.change(
            conn, trader.user.id, bot, is_active=False, paused_reason=quoted("daily loss limit reached")
        )
    )
    [item] = trader.request("GET", "/attention")["items"]
    assert (item["kind"], item["severity"], item["page"]) == ("bot_stopped", "warning", "bots")
    assert item["bot_id"] == bot and item["account_id"] == trader.paper
    assert item["facts"] == {"bot": "Turtle"} and "daily loss" in item["reason"]


@sqlite
def test_an_order_of_unknown_status_names_order_bot_and_signal(trader: Trader, app: App):
    bot = trader.bot()
    signal = trader.trades("buy")
    [order] = signal["orders"]
    app.db.write(
        lambda conn: conn.execute(
            order_table.orders.update()
            .where(order_table.orders.c.id == order["order_id"])
            .values(status="attention")
        )
    )
    [item] = trader.request("GET", "/attention")["items"]
    assert (item["kind"], item["severity"], item["page"]) == ("order_status_unknown", "error", "signals")
    assert (item["bot_id"], item["signal_id"]) == (bot, order["signal_id"])
    assert item["facts"] == {"order_id": order["order_id"], "side": "buy", "symbol": "NYSE:AAPL-EQ"}


@sqlite
def test_errors_stand_before_warnings_and_resumed_refusals_are_gone(trader: Trader, app: App):
    bot = trader.bot()
    trader.request("POST", f"/bots/{bot}/pause")
    trader.trades("buy")
    app.db.write(
        lambda conn: account_table.change(
            conn, trader.user.id, trader.paper, is_active=False, disabled_reason=quoted("its key was revoked")
        )
    )
    items = trader.request("GET", "/attention")["items"]
    assert [item["kind"] for item in items] == ["account_disabled", "alert_refused"]
    assert items[1]["facts"] == {"action": "buy", "symbol": "NYSE:AAPL-EQ"}
    trader.request("POST", f"/bots/{bot}/resume")
    assert [item["kind"] for item in trader.request("GET", "/attention")["items"]] == ["account_disabled"]


def test_what_is_anothers_needs_no_attention_of_mine(trader: Trader, app: App):
    other_trader, bot = trader.installation.join("bob@example.com"), trader.bot()
    other_trader.bot()
    app.db.write(
        lambda conn: bot_table.change(
            conn, trader.user.id, bot, is_active=False, paused_reason=quoted("daily loss limit reached")
        )
    )
    assert len(trader.request("GET", "/attention")["items"]) == 1
    assert other_trader.request("GET", "/attention")["items"] == []
