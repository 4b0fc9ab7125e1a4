"""What a hand on the dashboard may do with money: forms, stops, closing everything, keys. In a real browser, at Alpaca's simulator
with a live account beside a paper one, with the real worker."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("alpaca", reason="alpaca-py is not installed")

from dashtrade.app import App, build_app  # noqa: E402
from dashtrade.domain.dialects import parse  # noqa: E402
from dashtrade.domain.signals import Origin  # noqa: E402
from dashtrade.services import bots, people  # noqa: E402
from dashtrade.settings import ROOT, Settings  # noqa: E402
from dashtrade.tables import bots as bot_table  # noqa: E402
from dashtrade.tables import people as people_table  # noqa: E402
from dashtrade.tables.people import User  # noqa: E402
from tests.at_alpaca import addresses  # noqa: E402
from tests.house import until  # noqa: E402
from tests.simulators.alpaca import AlpacaSimulator  # noqa: E402
from tests.test_ui_browser import CHROMIUM, PASSWORD, Home, browser, press, shown, sign_in  # noqa: E402, F401

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sim: AlpacaSimulator) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("home"))
    made.environ |= addresses(sim)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def door(home: Home) -> Iterator[App]:
    app = build_app(Settings.load(home.environ, ROOT))
    yield app
    app.close()


@pytest.fixture(scope="module")
def ann(door: App) -> User:
    user_id = people.add_user(door, email="ann@example.com", name="Ann", password=PASSWORD)
    with door.db.read() as conn:
        user = people_table.by_id(conn, user_id)
    assert user is not None
    bots.add_account(door, user, broker="paper", mode="paper", label="Sandbox", credentials={}, options={})
    return user


@pytest.fixture
def tab(home: Home, ann: User, browser: Any) -> Iterator[Any]:  # noqa: F811
    context = browser.new_context(viewport={"width": 1400, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    sign_in(opened, home)
    yield opened
    context.close()


def owned(door: App, user: User, bot_id: int) -> Decimal:
    with door.db.read() as conn:
        bot = bot_table.get(conn, user.id, bot_id)
    assert bot is not None
    return bot.position.quantity


def sends(door: App, user: User, body: str) -> None:
    door.engine.accept(user.id, parse(body.encode()), raw=body, origin=Origin.USER)


# --- the form of a bot -----------------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_brought_into_view_marked_and_has_the_keyboard(home: Home, tab: Any, door: App, ann: User):
    tab.set_viewport_size({"width": 1300, "height": 600})
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("MSFT")
    dialog.get_by_label("Size of a trade").fill("1e4")
    dialog.get_by_text("Limits", exact=True).click()
    press(dialog, "Make the bot")
    words = shown(dialog, "Size of a trade: 1e4 may be meant in two ways")
    field = dialog.get_by_label("Size of a trade")
    until(lambda: field.evaluate("e => e === document.activeElement"), 5)
    assert field.get_attribute("aria-invalid") == "true"
    assert "1e4" in tab.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
    inside = "e => { const b = e.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight && b.height > 0; }"
    assert words.evaluate(inside) and field.evaluate(inside)
    field.fill("$10,000")
    press(dialog, "Make the bot")
    dialog.wait_for(state="hidden")
    (bot,) = [bot for bot in _bots(door, ann) if bot.symbol.short == "MSFT"]
    assert bot.size.value == 10_000


def test_a_complaint_opens_what_hides_its_field(home: Home, tab: Any):
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("KO")
    dialog.get_by_text("Limits", exact=True).click()
    dialog.get_by_role("textbox", name="Max loss per position, %").fill("150")
    dialog.get_by_text("Limits", exact=True).click()
    press(dialog, "Make the bot")
    shown(dialog, "Max loss per position, % is 150")
    until(lambda: dialog.get_by_role("textbox", name="Max loss per position, %").evaluate("e => e === document.activeElement"), 5)


def test_a_stop_is_said_in_money_while_it_is_typed_and_kept(home: Home, tab: Any, door: App, ann: User):
    tab.goto(f"{home.ui}/bots?new=yes")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Symbol").fill("SPY")
    dialog.get_by_text("Stop and target").click()
    shown(dialog, "No stop of its own")
    assert dialog.get_by_label("Trailing distance, %").count() == 0
    dialog.get_by_role("combobox", name="Stop").click()
    tab.get_by_role("option", name="Trailing stop").click()
    shown(dialog, "Trailing stop 2% = about −$100.00 per trade")
    away = dialog.get_by_label("Trailing distance, %")
    away.fill("")
    press(dialog, "Make the bot")
    shown(dialog, "Trailing distance, % is empty")
    away.fill("3")
    shown(dialog, "Trailing stop 3% = about −$150.00 per trade")
    dialog.get_by_label("Size of a trade").fill("2,000")
    shown(dialog, "about −$60.00 per trade")
    press(dialog, "Make the bot")
    dialog.wait_for(state="hidden")
    (bot,) = [bot for bot in _bots(door, ann) if bot.symbol.short == "SPY"]
    stop = bot.exit_plan.stop_loss
    assert stop is not None and stop.trailing and stop.percent == 3


def _bots(door: App, user: User) -> Any:
    with door.db.read() as conn:
        return bot_table.list_page(conn, user.id, limit=50)
