"""Closing everything, deleting and resuming, and what an alert would do now: in a real browser, a live
account beside a paper one."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.reasons import quoted
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import addresses
from tests.support.browser import RunningDashTrade, accept_alert, owned_quantity, press, wait_for_text
from tests.support.installation import wait_until


@pytest.fixture(scope="module")
def environ(sim: AlpacaSimulator) -> dict[str, str]:
    return addresses(sim)


@pytest.fixture(scope="module")
def two(door: App, trader: User, sim: AlpacaSimulator) -> tuple[int, int]:
    """(a bot with real money, one on paper), each with a position."""
    live = accounts.add_account(
        door,
        trader,
        broker="alpaca",
        mode="live",
        label="My Alpaca",
        credentials={"key": sim.key, "secret": sim.secret},
        options={},
        acknowledge="REAL MONEY",
        decline_second_factor=True,
    )
    with door.db.read() as conn:
        paper = next(
            account.id for account in account_table.list_all(conn, trader.id) if account.mode == "paper"
        )
    found = []
    for account, symbol, more in (
        (live, "AAPL", {"risk_limit_percent": "5"}),
        (paper, "TSLA", {"stop_loss": {"percent": "2"}}),
    ):
        given = {
            "account_id": account,
            "symbol": symbol,
            "timeframe": "15",
            "position_size": "10",
            "position_size_type": "quantity",
        } | more
        found.append(bots.add_bot(door, trader, given))
        accept_alert(
            door, trader, f'{{"action": "buy", "symbol": "{symbol}", "timeframe": "15", "id": "{symbol}"}}'
        )
    wait_until(lambda: all(owned_quantity(door, trader, bot) == 10 for bot in found), 30)
    return found[0], found[1]


def test_the_risk_limit_is_named_and_drawn(home: RunningDashTrade, tab: Any, two: tuple[int, int]):
    tab.goto(f"{home.ui}/bots?bot={two[0]}")
    wait_for_text(tab, "max loss at 95.0")
    wait_for_text(tab, "Max loss per position")
    wait_for_text(tab, "5% (closes and pauses)")
    tab.locator("svg text.tag", has_text="max loss").first.wait_for()
    assert "no stop" not in tab.locator("[data-testid=stMain]").inner_text()
    tab.goto(f"{home.ui}/")
    wait_for_text(tab, "max loss at 95.0")


def test_a_pasted_message_shows_the_order_that_would_go_out(
    home: RunningDashTrade, tab: Any, two: tuple[int, int]
):
    tab.goto(f"{home.ui}/connect?part=Alerts")
    box = tab.get_by_role("textbox", name="Message", exact=True)
    box.fill('{"action": "sell", "symbol": "TSLA", "quantity": 3, "stopLoss": {"percent": 1}}')
    box.press("Control+Enter")
    wait_for_text(tab, "If it came now: TSLA 15 Min")
    wait_for_text(tab, "Sell 10 TSLA market, about")
    wait_for_text(tab, "is ignored, as this bot takes no sizes from alerts")
    wait_for_text(tab, "from the alert")
    box.fill("hello world")
    box.press("Control+Enter")
    wait_for_text(tab, "is unknown")
    assert "Did you mean" not in tab.locator("[data-testid=stMain]").inner_text()


def test_a_stopped_bot_is_resumed_from_attention(
    home: RunningDashTrade, tab: Any, door: App, trader: User, two: tuple[int, int]
):
    door.db.write(
        lambda conn: bot_table.change(
            conn, trader.id, two[1], is_active=False, paused_reason=quoted("the daily loss reached its limit")
        )
    )
    tab.goto(f"{home.ui}/")
    wait_for_text(tab, "TSLA 15 Min is stopped")
    tab.get_by_role("button", name="Resume TSLA 15 Min is stopped").click()
    tab.get_by_text("TSLA 15 Min is stopped").wait_for(state="hidden")
    assert bots.bot_of(door, trader, two[1]).is_active


def test_only_the_ticked_account_is_closed_and_real_money_wants_a_word(
    home: RunningDashTrade, tab: Any, door: App, trader: User, two: tuple[int, int]
):
    tab.goto(f"{home.ui}/")
    press(tab, "Stop all")
    tab.get_by_text("Close everything", exact=True).click()
    press(tab, "Choose what to close")
    dialog = tab.get_by_role("dialog", name="Close everything at market?")
    wait_for_text(dialog, "LIVE")
    assert "My Alpaca" in dialog.get_by_test_id("stCheckbox").first.inner_text(), "real money comes first"
    dialog.get_by_test_id("stCheckbox").filter(has_text="Sandbox").locator("label").click()
    press(dialog, "Close 1 position")
    wait_for_text(dialog, "This closes positions with real money")
    assert owned_quantity(door, trader, two[0]) == 10
    dialog.get_by_role("textbox").fill("FLATTEN")
    dialog.get_by_role("textbox").press("Enter")
    dialog.wait_for(state="hidden")
    wait_for_text(tab, "1 of 1 closed", 30)
    assert owned_quantity(door, trader, two[0]) == 0 and owned_quantity(door, trader, two[1]) == 10

    press(tab, "Entries paused")
    press(tab, "Also close everything")
    again = tab.get_by_role("dialog", name="Close everything at market?")
    wait_for_text(again, "Entries stay paused")
    assert again.get_by_role("textbox").count() == 0, "no word for play money"
    press(again, "Cancel")
    again.wait_for(state="hidden")
    assert owned_quantity(door, trader, two[1]) == 10


def test_deleting_a_bot_that_owns_something_says_that_it_closes(
    home: RunningDashTrade, tab: Any, door: App, trader: User, two: tuple[int, int]
):
    tab.goto(f"{home.ui}/bots?bot={two[1]}")
    press(tab, "Delete")
    dialog = tab.get_by_role("dialog", name="Delete the bot")
    wait_for_text(dialog, "Close at market and delete")
    press(dialog, "Cancel")
    dialog.wait_for(state="hidden")
    press(tab, "Delete")
    press(dialog, "Close at market and delete")
    wait_until(lambda: owned_or_gone(door, trader, two[1]), 20)


def owned_or_gone(door: App, user: User, bot_id: int) -> bool:
    with door.db.read() as conn:
        return bot_table.get(conn, user.id, bot_id) is None
