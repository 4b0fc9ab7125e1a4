"""A real browser, and the whole installation that it visits: one of each for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts
from dashtrade.settings import ROOT, Settings
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.browser import ARGUMENTS, CHROMIUM, RunningDashTrade, add_user, sign_in


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this room drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """What the installation finds set; files of tests at a simulator give its address."""
    return {}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Iterator[RunningDashTrade]:
    made = RunningDashTrade(tmp_path_factory.mktemp("home"))
    made.environ |= environ
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def door(home: RunningDashTrade) -> Iterator[App]:
    """A second door to the same database, for what a test prepares."""
    app = build_app(Settings.load(home.environ, ROOT))
    yield app
    app.close()


@pytest.fixture(scope="module")
def trader(door: App) -> User:
    """With a paper account, Sandbox."""
    user = add_user(door)
    accounts.add_account(
        door, user, broker="paper", mode="paper", label="Sandbox", credentials={}, options={}
    )
    return user


@pytest.fixture
def tab(home: RunningDashTrade, trader: User, browser: Any) -> Iterator[Any]:
    """Ann's, signed in."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    opened = context.new_page()
    sign_in(opened, home)
    yield opened
    context.close()
