"""The header's switch in a real browser: a live account at Alpaca's simulator, and a paper account whose
money never joins it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.tables import bots as bot_table
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import addresses
from tests.support.browser import RunningDashTrade, add_user, ready, sign_in, wait_for_text
from tests.support.installation import wait_until


@pytest.fixture(scope="module")
def environ(sim: AlpacaSimulator) -> dict[str, str]:
    return addresses(sim)


@pytest.fixture(scope="module")
def trader(door: App, sim: AlpacaSimulator) -> User:
    """Long AAPL with real money, and long BTC on paper."""
    user = add_user(door)
    paper = accounts.add_account(
        door, user, broker="paper", mode="paper", label="Practice", credentials={}, options={}
    )
    live = accounts.add_account(
        door,
        user,
        broker="alpaca",
        mode="live",
        label="Alpaca",
        credentials={"key": sim.key, "secret": sim.secret},
        options={},
        acknowledge=accounts.REAL_MONEY,
        decline_second_factor=True,
    )
    for account, symbol, size in ((paper, "BTCUSD", "0.5"), (live, "AAPL", "10")):
        given = {
            "account_id": account,
            "symbol": symbol,
            "timeframe": "15",
            "position_size": size,
            "position_size_type": "quantity",
        }
        bot_id = bots.add_bot(door, user, given)
        body = f'{{"action": "buy", "symbol": "{symbol}", "timeframe": "15", "id": "{symbol}"}}'
        door.engine.accept(user.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)
        wait_until(lambda bot_id=bot_id: _owned(door, user, bot_id), 40)
    return user


def _owned(door: App, user: User, bot_id: int) -> Any:
    with door.db.read() as conn:
        bot = bot_table.get(conn, user.id, bot_id)
    return bot is not None and bot.position.quantity


def choose(tab: Any, kind: str) -> None:
    tab.get_by_role("radio", name=kind, exact=True).or_(
        tab.get_by_role("button", name=kind, exact=True)
    ).first.click()


def photo(tab: Any, name: str) -> None:
    folder = os.environ.get("DASHTRADE_TEST_PHOTOS")
    if folder:
        tab.wait_for_timeout(1500)
        tab.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_live_and_paper_are_seen_apart_and_the_choice_stays(
    home: RunningDashTrade, door: App, trader: User, browser: Any
):
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(tab, home)
    wait_for_text(tab, "live money", 30)
    wait_for_text(tab, "LIVE · Alpaca")
    tab.wait_for_url("**scope=live**")
    assert tab.get_by_text("Paper · Practice").count() == 0
    photo(tab, "overview-live")
    choose(tab, "Paper")
    wait_for_text(tab, "paper money", 30)
    wait_for_text(tab, "Paper · Practice")
    tab.wait_for_url("**scope=paper**")
    tab.get_by_text("LIVE · Alpaca").wait_for(state="hidden")
    photo(tab, "overview-paper")
    tab.reload()
    ready(tab)
    wait_for_text(tab, "Paper · Practice", 30)
    tab.get_by_role("link", name="Live positions").click()
    wait_for_text(tab, "Practice", 30)
    tab.wait_for_url("**/positions?scope=paper**")
    assert tab.get_by_role("heading", name="Alpaca").count() == 0
    # another machine: the user's choice is known there
    other = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(other, home)
    wait_for_text(other, "Paper · Practice", 30)
    other.goto(f"{home.ui}/positions?scope=live")
    wait_for_text(other, "Live money", 30)
    assert other.get_by_role("heading", name="Practice").count() == 0
    photo(other, "positions-live")


def test_closing_with_real_money_says_so_in_the_dialog(
    home: RunningDashTrade, door: App, trader: User, browser: Any
):
    tab = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/bots?scope=live")
    wait_for_text(tab, "LIVE · Alpaca", 30)
    photo(tab, "bots-live-390")
    tab.get_by_role("button", name="Close AAPL").first.click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("LIVE · Alpaca").wait_for(timeout=30_000)
    dialog.get_by_role("button", name="Close at market, real money").wait_for()
    photo(tab, "close-live-390")
