"""Somebody sells at the broker by hand: the page of positions says so, and its question settles it. In a real
browser, at Alpaca's simulator, with the real worker."""

from __future__ import annotations

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
from tests.support.alpaca_harness import raw
from tests.support.at_alpaca import addresses
from tests.support.browser import RunningDashTrade, add_user, press, sign_in, wait_for_text
from tests.support.installation import wait_until


@pytest.fixture(scope="module")
def environ(sim: AlpacaSimulator) -> dict[str, str]:
    return addresses(sim)


@pytest.fixture(scope="module")
def trader(door: App) -> User:
    return add_user(door)


def owned(door: App, user: User, bot_id: int) -> Any:
    with door.db.read() as conn:
        bot = bot_table.get(conn, user.id, bot_id)
    assert bot is not None
    return bot.position.quantity


def test_manually_sold_shares_are_reported_and_booked_to_the_bot(
    home: RunningDashTrade, sim: AlpacaSimulator, door: App, trader: User, browser: Any
):
    account = accounts.add_account(
        door,
        trader,
        broker="alpaca",
        mode="paper",
        label="My Alpaca",
        credentials={"key": sim.key, "secret": sim.secret},
        options={},
    )
    bot = {
        "account_id": account,
        "symbol": "AAPL",
        "timeframe": "15",
        "position_size": "10",
        "position_size_type": "quantity",
    }
    bot_id = bots.add_bot(door, trader, bot)
    body = '{"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "first"}'
    door.engine.accept(trader.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)
    wait_until(lambda: owned(door, trader, bot_id) == 10, 20)
    tab = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/positions")
    wait_for_text(tab, "My Alpaca")
    status, _ = raw(
        sim,
        "POST",
        "/v2/orders",
        {"symbol": "AAPL", "qty": "4", "side": "sell", "type": "market", "time_in_force": "day"},
    )
    assert status == 200
    wait_for_text(tab, "position mismatch:", 45)  # without a reload
    wait_for_text(tab, "The broker has 6, your bots own 10")
    wait_for_text(tab, "Missing")
    press(tab, "Resolve")
    wait_for_text(tab, "Resolve position mismatch")
    wait_for_text(tab, "Assign to a bot: it sold 4")
    press(tab, "Apply")
    wait_until(lambda: owned(door, trader, bot_id) == 6, 20)
    tab.get_by_role("dialog").wait_for(state="hidden")
    tab.get_by_text("position mismatch:").wait_for(state="hidden")
    wait_for_text(tab, "$600.00")
    assert tab.get_by_text("Missing").count() == 0
