"""Schwab lets nobody in without a person, every seven days: an account is added, signed in at by the link,
and renewed in time. In a real browser, at Schwab's simulator, with the real worker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtrade.brokers.schwab.auth import Token
from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.services.accounts import accounts, owned
from dashtrade.services.bots import bots
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.ui.account.second_factor import DECLINE
from tests.simulators import schwab
from tests.simulators.exchanges import ExchangeSimulator
from tests.support.browser import RunningDashTrade, add_user, press, sign_in, wait_for_text
from tests.support.installation import wait_until


@pytest.fixture(scope="module")
def sim() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator(schwab.SchwabFront()) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def environ(sim: ExchangeSimulator) -> dict[str, str]:
    return {"SCHWAB_URL": sim.url}


@pytest.fixture(scope="module")
def trader(door: App) -> User:
    return add_user(door)


def sent_back(tab: Any, sim: ExchangeSimulator, code: str = schwab.CODE) -> str:
    """Follows the link as far as it can be read, and is sent back as Schwab does."""
    link = tab.get_by_role("dialog").get_by_role("link", name="Sign in at Schwab").get_attribute("href")
    return sim.front.sent_back(link, code)


def paste(tab: Any, address: str) -> None:
    field = tab.get_by_role("textbox", name="Paste the address")
    field.fill(address)
    field.press("Enter")


def add_by_link(tab: Any, sim: ExchangeSimulator) -> None:
    press(tab, "Add account")
    tab.get_by_role("combobox", name="Broker").click()
    tab.get_by_role("option", name="Schwab").click()
    tab.get_by_label("App key").fill(schwab.KEY)
    tab.get_by_role("textbox", name="App secret").fill(schwab.SECRET)
    tab.get_by_label("Callback URL").fill(schwab.CALLBACK)
    tab.get_by_role("textbox", name="REAL MONEY").fill("REAL MONEY")
    tab.get_by_role("dialog").get_by_text(DECLINE).click()
    press(tab, "Continue to Schwab's sign-in")
    # the link knows the callback by now
    tab.locator(f"[role=dialog] a[href*='{schwab.CALLBACK.rpartition('/')[2]}']").wait_for()
    first = sent_back(tab, sim, "C0.wrong@")
    paste(tab, first)
    wait_for_text(tab, "Schwab refused this sign-in")
    wait_until(
        lambda: sent_back(tab, sim, "C0.wrong@") != first, 10
    )  # that link is used; there is another one
    paste(tab, sent_back(tab, sim))
    tab.get_by_role("dialog").wait_for(state="hidden")


def the_account(door: App, trader: User) -> Account:
    with door.db.read() as conn:
        (account,) = account_table.list_all(conn, trader.id)
    return account


def bought(door: App, trader: User, account: Account) -> bool:
    """A bot on the account buys at Schwab, by the worker."""
    bot = {
        "account_id": account.id,
        "symbol": "AAPL",
        "timeframe": "15",
        "position_size": "10",
        "position_size_type": "quantity",
    }
    bot_id = bots.add_bot(door, trader, bot)
    body = '{"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "first"}'
    door.engine.accept(trader.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)

    def owns() -> bool:
        with door.db.read() as conn:
            found = bot_table.get(conn, trader.id, bot_id)
        return found is not None and found.position.quantity == 10

    return wait_until(owns, 20)


def signed_in_days_ago(door: App, sim: ExchangeSimulator, account: Account, days: float) -> None:
    token = door.vault.encrypt(sim.front.token(created=datetime.now(UTC) - timedelta(days=days)))
    door.db.write(lambda conn: account_table.put_session(conn, account.id, None, token))


def test_an_account_is_added_by_schwabs_link_trades_and_is_renewed_in_time(
    home: RunningDashTrade, sim: ExchangeSimulator, door: App, trader: User, browser: Any
):
    tab = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/connect")
    add_by_link(tab, sim)
    wait_for_text(tab, "connected: equity 100,000.00 USD")
    assert tab.get_by_role("button", name="Sign in at Schwab").count() == 0, "nothing to do for days"
    account = the_account(door, trader)
    assert account.is_active and bought(door, trader, account)
    assert sim.front.core.balances["AAPL"] == 10

    signed_in_days_ago(door, sim, account, 5.5)
    tab.goto(f"{home.ui}/connect")
    wait_for_text(tab, "The sign-in at Schwab expires in 35 hours")
    press(tab, "Sign in at Schwab")
    press(tab, "Save")
    wait_for_text(tab, "There is no code in this address")
    paste(tab, sent_back(tab, sim))
    wait_for_text(tab, "signed in for seven days")
    tab.get_by_text("The sign-in at Schwab expires in").wait_for(state="hidden")
    kept = Token.read(door.vault.decrypt(the_account(door, trader).session or ""))
    assert kept.ends > datetime.now(UTC) + timedelta(days=6, hours=23)


def test_an_account_without_a_renewed_sign_in_stops_and_its_button_resumes_it(
    home: RunningDashTrade, sim: ExchangeSimulator, door: App, trader: User, browser: Any
):
    account = owned.account_of(
        door,
        trader,
        accounts.add_account(
            door,
            trader,
            broker="schwab",
            mode="live",
            label="Left alone",
            credentials={"key": schwab.KEY, "secret": schwab.SECRET},
            options={"callback": schwab.CALLBACK},
            acknowledge="REAL MONEY",
            decline_second_factor=True,
        ),
    )
    tab = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/connect")
    wait_for_text(tab, "This account is not signed in at Schwab yet")
    card = tab.locator(f".st-key-account_live_{account.id}")
    assert card.get_by_text("Replace the key").count() == 0, "a key is not what is missing"
    card.get_by_role("button", name="Sign in at Schwab").click()
    tab.get_by_role("dialog").get_by_role("link").wait_for()
    paste(tab, sent_back(tab, sim))
    wait_for_text(tab, "Left alone: signed in for seven days")
    card.get_by_text("Disabled").wait_for(state="hidden")
    assert owned.account_of(door, trader, account.id).is_active
