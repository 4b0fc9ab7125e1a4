"""What a hand on the dashboard may do with money: forms, stops, closing everything, keys. In a real browser,
at Alpaca's simulator with a live account beside a paper one, with the real worker."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.brokers import registry
from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.bots import bots
from dashtrade.services.people import tokens, users
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import addresses
from tests.support.browser import PASSWORD, RunningDashTrade, press, sign_in, wait_for_text
from tests.support.installation import wait_until


@pytest.fixture(scope="module")
def environ(sim: AlpacaSimulator) -> dict[str, str]:
    return addresses(sim)


# --- the form of a bot --------------------------------------------------------------------------------------


def test_what_is_wrong_is_brought_into_view_marked_and_has_the_keyboard(
    home: RunningDashTrade, tab: Any, door: App, trader: User
):
    tab.set_viewport_size({"width": 1300, "height": 600})
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("MSFT")
    dialog.get_by_label("Order size").fill("1e4")
    dialog.get_by_text("Limits", exact=True).click()
    press(dialog, "Create bot")
    words = wait_for_text(dialog, "Order size: 1e4 may be meant in two ways")
    field = dialog.get_by_label("Order size")
    wait_until(lambda: field.evaluate("e => e === document.activeElement"), 5)
    assert field.get_attribute("aria-invalid") == "true"
    assert "1e4" in tab.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
    inside = (
        "e => { const b = e.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight && "
        "b.height > 0; }"
    )
    assert words.evaluate(inside) and field.evaluate(inside)
    field.fill("$10,000")
    press(dialog, "Create bot")
    dialog.wait_for(state="hidden")
    (bot,) = [bot for bot in _bots(door, trader) if bot.symbol.short == "MSFT"]
    assert bot.size.value == 10_000


def test_a_complaint_opens_what_hides_its_field(home: RunningDashTrade, tab: Any):
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("KO")
    dialog.get_by_text("Limits", exact=True).click()
    dialog.get_by_role("textbox", name="Max loss per position, %").fill("150")
    dialog.get_by_text("Limits", exact=True).click()
    press(dialog, "Create bot")
    wait_for_text(dialog, "Max loss per position, % is 150")
    wait_until(
        lambda: dialog.get_by_role("textbox", name="Max loss per position, %").evaluate(
            "e => e === document.activeElement"
        ),
        5,
    )


def test_a_stop_is_shown_in_money_while_typed_and_saved(
    home: RunningDashTrade, tab: Any, door: App, trader: User
):
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("SPY")
    dialog.get_by_text("Stop and target").click()
    wait_for_text(dialog, "No stop: a loss runs")
    assert dialog.get_by_label("Trailing distance, %").count() == 0
    dialog.get_by_role("combobox", name="Stop").click()
    tab.get_by_role("option", name="Trailing stop").click()
    wait_for_text(dialog, "Trailing stop 2% = about −$100.00 per trade")
    away = dialog.get_by_label("Trailing distance, %")
    away.fill("")
    press(dialog, "Create bot")
    wait_for_text(dialog, "Trailing distance, % is empty")
    away.fill("3")
    wait_for_text(dialog, "Trailing stop 3% = about −$150.00 per trade")
    dialog.get_by_label("Order size").fill("2,000")
    wait_for_text(dialog, "about −$60.00 per trade")
    press(dialog, "Create bot")
    dialog.wait_for(state="hidden")
    (bot,) = [bot for bot in _bots(door, trader) if bot.symbol.short == "SPY"]
    stop = bot.exit_plan.stop_loss
    assert stop is not None and stop.trailing and stop.percent == 3


def _bots(door: App, user: User) -> Any:
    with door.db.read() as conn:
        return bot_table.list_page(conn, user.id, limit=50)


# --- by keyboard alone --------------------------------------------------------------------------------------

BROKERS = ("Alpaca", "Binance", "Coinbase", "Kraken", "OKX", "Gemini", "Schwab")


def tab_to(tab: Any, name: str, role: str = "textbox", most: int = 40) -> None:
    """Tab, until the keyboard is there: the way over each field's own buttons, as a person without a mouse
    goes."""
    wanted = tab.get_by_role("dialog").get_by_role(role, name=name, exact=True)
    for _ in range(most):
        if wanted.count() and wanted.first.evaluate("e => e === document.activeElement"):
            return
        tab.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not come to {name}")


@pytest.mark.parametrize("broker", BROKERS)
def test_a_secret_typed_and_left_by_tab_is_kept(home: RunningDashTrade, tab: Any, broker: str):
    tab.goto(f"{home.ui}/connect")
    press(tab, "Add account")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Broker").click()
    tab.get_by_role("option", name=broker, exact=True).click()
    dialog.get_by_text("Live: real money").click()
    dialog.get_by_role("textbox", name="REAL MONEY").wait_for()
    wait_for_text(dialog, "App key" if broker == "Schwab" else "API key")
    names = ("App key", "App secret") if broker == "Schwab" else ("API key", "API secret")
    for name in (*names, *(("Passphrase",) if broker == "OKX" else ())):
        tab_to(tab, name)
        tab.keyboard.type(f"typed-{name}")
    tab_to(tab, "Continue to Schwab's sign-in" if broker == "Schwab" else "Add live account", "button")
    tab.keyboard.press("Enter")
    wrong = dialog.locator("[class*=st-key-wrong_]")
    wrong.wait_for()
    assert "missing" not in wrong.inner_text(), (
        "the word for real money is what it asks for, or a key of another form"
    )


def test_every_brokers_form_is_tried_by_keyboard():
    offered = [choice for kind in registry.BROKERS.values() for choice in kind.choices if choice.proven]
    assert {choice.title for choice in offered if choice.credentials} == set(BROKERS)


def test_a_password_is_changed_by_keyboard_alone(home: RunningDashTrade, door: App, browser: Any):
    users.add_user(door, email="bob@example.com", name="Bob", password=PASSWORD)
    tab = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
    sign_in(tab, home, "bob@example.com")
    tab.goto(f"{home.ui}/account")
    tab.get_by_role("textbox", name="Current password").focus()
    new = "another horse battery"
    for word in (PASSWORD, new, new):
        tab.keyboard.type(word)
        for _ in range(8):  # past the eye, help marks, and what may be ticked
            tab.keyboard.press("Tab")
            if tab.evaluate(
                "document.activeElement.matches('input:not([type=checkbox]), "
                "[data-testid=stFormSubmitButton] button')"
            ):
                break
    tab.keyboard.press("Enter")
    wait_for_text(tab, "Password changed")
    assert users.check_password(door, "bob@example.com", new, "203.0.113.9").email == "bob@example.com"


# --- the webhook address ------------------------------------------------------------------------------------


def test_copying_the_masked_address_copies_the_address(
    home: RunningDashTrade, tab: Any, door: App, trader: User
):
    token = tokens.rotate_webhook_token(door, trader)
    with door.db.read() as conn:
        account = next(each.id for each in account_table.list_all(conn, trader.id) if each.mode == "paper")
    # a message to copy
    bots.add_bot(
        door, trader, {"account_id": account, "symbol": "PEP", "timeframe": "15", "position_size": "1000"}
    )
    for part in ("Webhook", "Alerts"):
        tab.goto(f"{home.ui}/connect?part={part}")
        wait_for_text(tab, "webhook?token=••••", 25)
        assert token not in tab.locator("[data-testid=stMain]").inner_text()
        tab.evaluate("navigator.clipboard.writeText('')")
        tab.get_by_role("button", name="Copy webhook URL").click()
        wait_for_text(tab, "Copied")
        answer = tab.evaluate("navigator.clipboard.readText()")
        assert answer.endswith(f"/webhook?token={token}") and "•" not in answer, part
