"""The first ten minutes of a new user, in a real browser, with everything running as it does after
./start."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.app import build_app
from dashtrade.services.people import users as people_service
from dashtrade.settings import Settings
from dashtrade.tables import sessions as session_table
from tests.support.browser import (
    PASSWORD,
    RunningDashTrade,
    press,
    ready,
    sign_in,
    wait_for_sign_in_form,
    wait_for_text,
)


def test_from_the_set_up_link_to_a_fill_that_shows_without_a_reload(home: RunningDashTrade, browser: Any):
    tab = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
    troubles: list[str] = []
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on(
        "console", lambda line: troubles.append(line.text) if "Content Security Policy" in line.text else None
    )
    tab.goto(home.setup_link())
    tab.fill("#name", "Ann")
    tab.fill("#email", "ann@example.com")
    tab.fill("#password", PASSWORD)
    tab.click("button")
    ready(tab)
    wait_for_text(tab, "Get started")
    press(tab, "Open a paper account")
    wait_for_text(tab, "$100,000.00")
    press(tab, "Create bot")
    tab.get_by_label("Symbol").fill("not a symbol")
    press(tab.get_by_role("dialog"), "Create bot")
    wait_for_text(tab, "cannot be read")
    tab.get_by_label("Symbol").fill("BTCUSD")
    press(tab.get_by_role("dialog"), "Create bot")
    wait_for_text(tab, "BTC/USD 15 Min")
    tab.goto(f"{home.ui}/connect?part=Webhook")
    press(tab, "Create webhook URL")
    tab.get_by_text("Show").click()
    wait_for_text(tab, "token=usr_")
    address = next(text for text in tab.locator("code").all_inner_texts() if "token=usr_" in text).strip()
    tab.goto(f"{home.ui}/")
    wait_for_text(tab, "No open positions")
    tab.evaluate("window.notReloaded = true")
    alert = json.dumps({"action": "buy", "symbol": "BTCUSD", "timeframe": "15 Min"}).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data=alert), timeout=10) as answer:
        assert answer.status == 202
    wait_for_text(tab, "Filled")
    tab.get_by_role("button", name="Close BTC/USD").wait_for()
    price = tab.locator("td[data-live^=m]").first
    before = price.inner_text()
    tab.wait_for_function(
        (
            "before => [...document.querySelectorAll('[data-testid=stMain] *')].some(e => { const td = "
            "e.shadowRoot?.querySelector('td[data-live^=m]'); return td && td.innerText !== before; })"
        ),
        arg=before,
        timeout=15_000,
    )
    assert tab.evaluate("window.notReloaded") is True
    tab.goto(f"{home.ui}/history?view=Fills")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and ",BTC/USD,buy,open," in lines[1]
    assert not troubles


def test_a_part_is_closed_and_the_stop_is_moved_from_the_page_of_positions(
    home: RunningDashTrade, browser: Any
):
    tab = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/positions")
    tab.get_by_role("button", name="Reduce BTC/USD").click()
    tab.get_by_role("button", name="Close part at market").dblclick()
    tab.get_by_role("dialog").wait_for(state="hidden")
    tab.get_by_role("button", name="Stop BTC/USD").click()
    tab.get_by_text("At a price", exact=True).click()
    tab.get_by_label("Stop at").fill("1000")
    tab.get_by_label("Stop at").press("Enter")
    press(tab, "Save")
    wait_for_text(tab, "stop at 1,000.00")
    wait_for_text(tab, "managed by DashTrade")
    tab.goto(f"{home.ui}/history?view=Fills")
    wait_for_text(tab, "Sell BTC/USD")
    assert tab.get_by_role("button", name="Sell BTC/USD").count() == 1


def test_two_users_side_by_side_see_their_own(home: RunningDashTrade, browser: Any):
    app = build_app(Settings.load(home.environ))
    try:
        people_service.add_user(app, email="bob@example.com", name="Bob", password=PASSWORD)
    finally:
        app.close()
    trader, other_trader = browser.new_context().new_page(), browser.new_context().new_page()
    sign_in(trader, home)
    sign_in(other_trader, home, "bob@example.com")
    for path in (
        "/",
        "/positions",
        "/bots",
        "/bots?bot=1",
        "/signals",
        "/history",
        "/performance",
        "/connect",
    ):
        trader.goto(home.ui + path)
        other_trader.goto(home.ui + path)
        ready(other_trader)
        other_trader.wait_for_timeout(600)
        assert "BTC/USD" not in other_trader.locator("[data-testid=stMain]").inner_text(), path
    wait_for_text(trader, "Paper")
    other_trader.goto(f"{home.ui}/admin")
    ready(other_trader)
    other_trader.wait_for_timeout(600)
    assert "ann@example.com" not in other_trader.locator("body").inner_text()
    assert other_trader.get_by_role("heading", name="Admin").count() == 0


def test_real_money_is_asked_for_by_its_name(home: RunningDashTrade, browser: Any):
    tab = browser.new_context().new_page()
    sign_in(tab, home, "bob@example.com")
    tab.goto(f"{home.ui}/connect")
    press(tab, "Add account")
    tab.get_by_role("combobox", name="Broker").click()
    tab.get_by_role("option", name="Kraken").click()
    tab.get_by_label("API key").fill("key")
    tab.get_by_role("textbox", name="API secret").fill("c2VjcmV0")
    press(tab, "Add live account")
    wait_for_text(tab, "This account trades with real money")


def test_stop_all_closes_everything_and_tells_how_far_it_is(home: RunningDashTrade, browser: Any):
    tab = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    sign_in(tab, home)
    wait_for_text(tab, "1 open position")
    press(tab, "Stop all")
    tab.get_by_text("Close everything", exact=True).click()
    press(tab, "Choose what to close")
    wait_for_text(tab, "Close everything at market?")
    press(tab, "Close 1 position")
    wait_for_text(tab, "1 of 1 closed", 25)
    wait_for_text(tab, "No open positions")
    again = tab.get_by_role("button", name="Resume trading")
    if not again.is_visible():
        press(tab, "Entries paused")
    again.click()
    wait_for_text(tab, "Automatic trading on")


def test_closing_with_a_double_click_is_one_order(home: RunningDashTrade, browser: Any):
    tab = browser.new_context().new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/connect?part=Alerts")
    press(tab, "Send a test alert")
    wait_for_text(tab, "Filled")
    tab.goto(f"{home.ui}/")
    tab.locator("button.act", has_text="Close").click()
    tab.get_by_role("button", name="Close at market").dblclick()
    wait_for_text(tab, "No open positions")
    tab.goto(f"{home.ui}/history?view=Fills")
    wait_for_text(tab, "Sell BTC/USD")
    assert tab.get_by_role("button", name="Sell BTC/USD").count() == 3, "a part, by flattening, and now"


def test_the_session_outlives_a_restart_and_ends_in_every_tab(home: RunningDashTrade, browser: Any):
    context = browser.new_context()
    one, two = context.new_page(), context.new_page()
    sign_in(one, home)
    home.restart_dashboard()
    two.goto(f"{home.ui}/bots")
    ready(two)
    wait_for_text(two, "BTC/USD 15 Min")
    assert two.get_by_role("link", name="Overview").count(), (
        "the menu is there after a restart, on a page opened first"
    )
    one.goto(f"{home.ui}/")
    ready(one)
    one.get_by_role("button", name="Sign out").click()
    wait_for_sign_in_form(one)
    wait_for_sign_in_form(two)
    other = browser.new_context().new_page()
    other.goto(f"{home.ui}/bots")
    assert other.url.endswith("/auth/login?next=%2Fbots"), "and back to it from there"


def test_a_tab_left_open_goes_to_the_form_when_it_is_looked_at_again(home: RunningDashTrade, browser: Any):
    tab = browser.new_context().new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/account")  # nothing on this page renews itself
    ready(tab)
    tab.get_by_role("button", name="Sign out", exact=True).wait_for()
    app = build_app(Settings.load(home.environ))
    try:
        app.db.write(lambda conn: conn.execute(sa.delete(session_table.sessions)))
    finally:
        app.close()
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for_sign_in_form(tab)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/positions",
        "/bots",
        "/bots?bot=1",
        "/connect",
        "/connect?part=Alerts",
        "/signals",
        "/risk_events",
        "/history",
        "/performance",
        "/account",
        "/admin",
    ],
)
def test_nothing_is_wider_than_a_phone(home: RunningDashTrade, browser: Any, path: str, phone: Any):
    phone.goto(home.ui + path)
    ready(phone)
    phone.wait_for_timeout(700)
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390


@pytest.fixture(scope="module")
def phone(home: RunningDashTrade, browser: Any) -> Any:
    tab = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    ).new_page()
    sign_in(tab, home)
    return tab
