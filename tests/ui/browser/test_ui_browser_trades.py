"""The trade history in a real browser: filters, sorting, pages, a file; on a desk and on a phone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Side
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.services.people import users
from dashtrade.settings import ROOT, Settings
from dashtrade.tables import round_trips as trip_table
from tests.support.browser import RunningDashTrade, add_user, sign_in, wait_for_text
from tests.support.installation import wait_until

MANY = 120


@pytest.fixture(scope="module")
def app(home: RunningDashTrade) -> Iterator[App]:
    made = build_app(Settings.load(home.environ, ROOT))
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def trader(app: App) -> None:
    """Two bots, and 120 round trips of theirs, an hour each; what each made tells it from the others."""
    user = add_user(app)
    users.change_options(app, user, {"time_zone": "Europe/Berlin"})
    account = accounts.add_account(
        app, user, broker="paper", mode="paper", label="Paper", credentials={}, options={}
    )
    found = {
        symbol: bots.add_bot(
            app,
            user,
            {
                "account_id": account,
                "symbol": symbol,
                "timeframe": "15 Min",
                "position_size": "5000",
                "name": name,
            },
        )
        for symbol, name in (("AAPL", "Apple swing"), ("BTCUSD", "Coins"))
    }

    def fill(conn: sa.Connection) -> None:
        for number in range(MANY):
            symbol = "BTCUSD" if number % 3 == 0 else "AAPL"
            opened = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=2 * number)
            made = Decimal(number - 40)
            trip = RoundTrip(
                id=number + 1,
                user_id=user.id,
                account_id=account,
                bot_id=found[symbol],
                symbol=Symbol.parse(symbol),
                side=Side.SHORT if number % 2 else Side.LONG,
                entry_quantity=Decimal("23.303504"),
                entry_notional=Decimal("5000"),
                exit_quantity=Decimal("23.303504"),
                exit_notional=5000 + made,
                realized=made,
                fees=Decimal("0.5"),
                opened_at=opened,
                closed_at=opened + timedelta(hours=1),
                entry_signal_id="a" * 32,
                exit_signal_id="b" * 32,
                exit_reason=("alert", "stop_loss", "take_profit")[number % 3],
                on_paper=True,
            )
            trip_table.put(conn, {trip.id: trip}, {trip.id})

    app.db.write(fill)


@pytest.fixture
def tab(home: RunningDashTrade, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    size = getattr(request, "param", (1440, 900))
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, timezone_id="Europe/Berlin")
    made = context.new_page()
    sign_in(made, home)
    made.goto(f"{home.ui}/history")
    wait_for_text(made, f"1–50 of {MANY}")
    made.locator("tbody tr").first.wait_for()
    yield made
    context.close()


def photographed(tab: Any, name: str) -> None:
    """For a person to look at, where one asks for it."""
    if folder := os.environ.get("PHOTOS"):
        tab.screenshot(path=f"{folder}/{name}.png", full_page=False)


def first_profit(tab: Any) -> str:
    return tab.locator("tbody tr").first.locator("td").nth(4).inner_text()


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(tab: Any):
    photographed(tab, "history")
    assert first_profit(tab) == "+$78.50"
    tab.get_by_role("button", name="P&L", exact=True).click()
    tab.locator("th[aria-sort=descending] >> text=P&L").wait_for()
    assert first_profit(tab) == "+$78.50"
    tab.get_by_role("button", name="P&L ↓").click()
    tab.locator("th[aria-sort=ascending] >> text=P&L").wait_for()
    tab.locator("tbody tr").first.locator("text=−$40.50").wait_for()
    assert "sort=pnl" in tab.url and "order=asc" in tab.url


def test_the_next_page_begins_at_its_top_and_says_where_one_is(tab: Any):
    tab.get_by_role("button", name="Next page").scroll_into_view_if_needed()
    assert tab.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") > 200
    tab.get_by_role("button", name="Next page").click()
    wait_for_text(tab, f"51–100 of {MANY}")
    wait_until(lambda: tab.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0)
    tab.get_by_role("button", name="Next page").click()
    wait_for_text(tab, f"101–{MANY} of {MANY}")
    assert tab.get_by_role("button", name="Next page").count() == 0
    tab.get_by_role("button", name="First page").click()
    wait_for_text(tab, f"1–50 of {MANY}")


def test_btc_finds_the_pair_and_sums_and_file_are_of_what_is_filtered(tab: Any, home: RunningDashTrade):
    box = tab.get_by_role("combobox", name=re.compile("Symbols"))
    box.click()
    box.type("BTC")
    tab.get_by_role("option", name="BTC/USD").click()
    tab.keyboard.press("Escape")
    wait_for_text(tab, "1–40 of 40")
    assert (
        "won" in tab.locator(".cards").first.inner_text() and "40" in tab.locator(".card").nth(1).inner_text()
    )
    link = tab.get_by_role("link", name="CSV")
    answer = tab.context.request.get(f"{home.ui}{link.get_attribute('href')}")
    lines = answer.text().splitlines()
    assert answer.status == 200 and len(lines) == 41 and lines[0].startswith("Opened (UTC),Closed (UTC),Bot,")
    assert all(",BTC/USD," in line and ",Coins," in line for line in lines[1:])


def test_a_row_opens_its_round_trip_with_both_signals_and_a_size_tells_all_its_digits(tab: Any):
    row = tab.locator("tbody tr").first
    assert (
        row.locator("td").nth(1).inner_text() == "23.3035"
        and row.locator("td").nth(1).get_attribute("title") == "23.303504"
    )
    row.locator(".open").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("23.303504").wait_for()
    assert (
        dialog.get_by_role("button", name="Entry signal").count()
        == dialog.get_by_role("button", name="Exit signal").count()
        == 1
    )
    photographed(tab, "round_trip")


def test_the_time_zone_is_shown_once(tab: Any):
    assert tab.get_by_text("Times: Europe/Berlin").count() == 1


@pytest.mark.parametrize("tab", [(390, 844)], indirect=True)
def test_on_a_phone_nothing_is_wider_than_it_and_each_row_says_its_side(tab: Any):
    photographed(tab, "history_phone")
    assert tab.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    assert tab.locator("tbody tr").first.locator("th small").inner_text() == "Short"
    tab.locator("tbody tr").first.scroll_into_view_if_needed()
    photographed(tab, "history_phone_rows")


@pytest.mark.parametrize("words", ["New_York", "New York"])
def test_a_time_zone_is_found_by_either_of_its_names(tab: Any, home: RunningDashTrade, words: str):
    tab.goto(f"{home.ui}/account")
    box = tab.get_by_role("combobox", name="Time zone")
    box.click()
    box.fill(words)
    tab.get_by_role("option", name="New York (America/New_York)").wait_for()
