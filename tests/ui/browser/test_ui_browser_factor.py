"""A second factor that a superadmin requires, in a real browser: the way there, and the way out of positions
meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.services.people import second_factor_policy
from tests.support.browser import (
    PASSWORD,
    RunningDashTrade,
    accept_alert,
    add_random_user,
    owned_quantity,
    press,
    ready,
    submit_sign_in,
    wait_for_text,
)
from tests.support.installation import wait_until

TITLE = "Set up two-factor authentication"


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 950})
    yield context.new_page()
    context.close()


def led_there(tab: Any, seconds: float = 20) -> None:
    tab.get_by_role("heading", name=TITLE, level=1).wait_for(timeout=seconds * 1000)


def test_who_has_none_is_led_to_it_and_closes_everything_meanwhile(
    tab: Any, home: RunningDashTrade, door: App
):
    superadmin, user = add_random_user(door, Role.SUPERADMIN), add_random_user(door)
    account = accounts.add_account(
        door, user, broker="paper", mode="paper", label="Sandbox", credentials={}, options={}
    )
    bot = bots.add_bot(
        door, user, {"account_id": account, "symbol": "AAPL", "timeframe": "15", "position_size": "5000"}
    )
    accept_alert(door, user, '{"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "1"}')
    wait_until(lambda: owned_quantity(door, user, bot) > 0, 30)
    submit_sign_in(tab, home, user.email)
    ready(tab)
    wait_for_text(tab, "Open positions")

    second_factor_policy.put(door, superadmin, True)
    led_there(tab, 90)  # the open page, by itself
    for path in ("/bots", "/account", "/connect", "/"):
        tab.goto(home.ui + path)
        led_there(tab)
        assert tab.get_by_role("link", name=re.compile("Bots|Account|Setup")).count() == 0
    assert tab.context.request.get(f"{home.ui}/files/my-data.zip").status == 403

    wait_for_text(tab, "AAPL")
    press(tab, "Stop all")
    tab.get_by_text("Close everything", exact=True).click()
    press(tab, "Choose what to close")
    press(tab.get_by_role("dialog", name="Close everything at market?"), "Close 1 position")
    wait_for_text(tab, "1 of 1 closed", 30)
    assert owned_quantity(door, user, bot) == 0

    press(tab, "Set up")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("Cannot scan the code?").click()
    secret = dialog.locator("code").first.inner_text().replace(" ", "").strip()
    dialog.get_by_label("Enter the 6-digit code").fill(totp.code_at(secret, totp.step_at(door.clock.now())))
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Switch on").click()
    wait_for_text(tab, "Save these recovery codes")
    dialog.get_by_role("button", name="I've saved these codes").click()
    tab.get_by_role("heading", name="Overview", level=1).wait_for(timeout=20_000)
    tab.get_by_role("link", name="Bots", exact=True).wait_for()
    assert tab.context.request.get(f"{home.ui}/files/my-data.zip").status == 200
