"""Brokers that hang hold up nothing, what waits can be cancelled, and no dot is green without an answer: in a
real browser, with the real worker, at Alpaca's simulator and a broker that never answers."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots
from dashtrade.tables import bots as bot_table
from dashtrade.tables import readings as reading_table
from dashtrade.tables import user_orders
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault
from tests.support.at_alpaca import addresses
from tests.support.browser import RunningDashTrade, add_user, press, sign_in, wait_for_text
from tests.support.installation import wait_until
from tests.support.silent import SilentBroker

SHOTS = os.environ.get("PICTURES_IN", "")  # a folder for pictures of the pages
ROUNDS, ETHER = 2, Symbol.parse("CRYPTO:ETH/USDT")


@pytest.fixture(scope="module")
def silent() -> Iterator[SilentBroker]:
    made = SilentBroker()
    yield made
    made.close()


@pytest.fixture(scope="module")
def environ(sim: AlpacaSimulator, silent: SilentBroker) -> dict[str, str]:
    return addresses(sim) | {"CCXT_URL_BINANCE": silent.url}


@pytest.fixture(scope="module")
def trader(door: App) -> User:
    return add_user(door)


def says(door: App, trader: User, **alert: Any) -> None:
    body = json.dumps({"timeframe": "15", "id": str(time.time_ns())} | alert)
    door.engine.accept(trader.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)


def owned(door: App, trader: User, bot_id: int) -> Any:
    with door.db.read() as conn:
        return bot_table.get(conn, trader.id, bot_id).position.quantity  # type: ignore[union-attr]


def opened(door: App, trader: User) -> list[Any]:
    with door.db.read() as conn:
        return user_orders.list_open(conn, trader.id)


def reading(door: App, trader: User, account: int) -> Any:
    with door.db.read() as conn:
        return reading_table.of_user(conn, trader.id).get(account)


def bot_on(door: App, trader: User, account: int, symbol: str, **more: Any) -> int:
    given = {
        "account_id": account,
        "symbol": symbol,
        "timeframe": "15",
        "position_size": "10",
        "position_size_type": "quantity",
    }
    return bots.add_bot(door, trader, given | more)


@pytest.fixture(scope="module")
def live(door: App, trader: User, sim: AlpacaSimulator) -> int:
    """A live account, with 10 AAPL of a bot's and a limit order that waits."""
    account = account_service.add_account(
        door,
        trader,
        broker="alpaca",
        mode="live",
        label="Real Alpaca",
        credentials={"key": sim.key, "secret": sim.secret},
        options={},
        acknowledge="REAL MONEY",
        decline_second_factor=True,
    )
    bot = bot_on(door, trader, account, "AAPL")
    bot_on(door, trader, account, "MSFT", order_type="limit", limit_offset_percent="5")
    wait_until(lambda: reading(door, trader, account), 20)
    says(door, trader, action="buy", symbol="AAPL")
    wait_until(lambda: owned(door, trader, bot) == 10, 20)
    says(door, trader, action="buy", symbol="MSFT")
    wait_until(lambda: [order for order in opened(door, trader) if order.broker_order_id], 20)
    return account


@pytest.fixture(scope="module")
def papers(door: App, trader: User) -> int:
    """Sixteen paper accounts; a bot of the first owns something. Its id."""
    accounts = [
        account_service.add_account(
            door, trader, broker="paper", mode="paper", label=f"Paper {n}", credentials={}, options={}
        )
        for n in range(16)
    ]
    bot = bot_on(door, trader, accounts[0], "ETHUSD")
    says(door, trader, action="buy", symbol="ETHUSD")
    wait_until(lambda: owned(door, trader, bot) == 10, 20)
    return bot


def hung_accounts(door: App, trader: User) -> list[int]:
    """Three, each with a bot that owns something whose price nobody tells."""
    accounts = []
    for number in range(3):
        account = account_service.add_account(
            door,
            trader,
            broker="crypto",
            mode="live",
            label=f"Silent {number}",
            credentials={"key": f"key{number}", "secret": "secret"},
            options={"exchange": "binance"},
            acknowledge="REAL MONEY",
            decline_second_factor=True,
        )
        with door.db.read() as conn:
            row = (
                conn.execute(
                    sa.select(bot_table.bots).where(bot_table.bots.c.position_quantity != "0").limit(1)
                )
                .one()
                ._asdict()
            )
        values = {k: v for k, v in row.items() if k != "id"}
        values |= {
            "account_id": account,
            "name": f"Stuck {number}",
            "symbol": ETHER,
            "written_symbol": "ETHUSDT",
            "exits": None,
        }
        door.db.write(lambda conn, values=values: conn.execute(sa.insert(bot_table.bots).values(**values)))
        accounts.append(account)
    return accounts


def picture(tab: Any, name: str) -> None:
    if SHOTS:
        tab.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def timed(tab: Any, home: RunningDashTrade, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds until the page of positions is all there, until Close asks on a healthy account, and until the
    accounts are listed."""
    found: dict[str, list[float]] = {"positions": [], "close": [], "stop": [], "accounts": []}
    for _ in range(rounds):
        began = time.monotonic()
        tab.goto(f"{home.ui}/positions")
        tab.get_by_role("button", name="Close AAPL", exact=True).first.wait_for(timeout=60_000)
        found["positions"].append(time.monotonic() - began)
        for name, button, question in (
            ("close", "Close AAPL", "Close position"),
            ("stop", "Stop AAPL", "Stop and target"),
        ):
            began = time.monotonic()
            tab.get_by_role("button", name=button, exact=True).first.click()
            tab.get_by_role("dialog").get_by_text(question).first.wait_for(timeout=60_000)
            found[name].append(time.monotonic() - began)
            tab.keyboard.press("Escape")
            tab.get_by_role("dialog").wait_for(state="hidden")
        began = time.monotonic()
        tab.goto(f"{home.ui}/connect?part=Accounts")
        tab.get_by_text("Paper 15", exact=True).first.wait_for(timeout=60_000)
        found["accounts"].append(time.monotonic() - began)
    return {name: statistics.median(times) for name, times in found.items()}


def test_orders_that_wait_are_listed_with_their_price_and_cancelled(
    home: RunningDashTrade, door: App, trader: User, live: int, papers: int, browser: Any
):
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/positions")
    table = tab.get_by_role("table", name="Open orders")
    table.wait_for(timeout=20_000)
    row = table.get_by_role("row", name="MSFT")
    words = row.inner_text()
    assert "LIVE" in words and "Buy" in words and "entry" in words and "Limit" in words and "Alpaca" in words
    assert "−" in words and "%" in words, "how far the market has to come"
    picture(tab, "orders")
    narrow = browser.new_context(
        viewport={"width": 390, "height": 844}, storage_state=tab.context.storage_state()
    ).new_page()
    narrow.goto(f"{home.ui}/positions")
    narrow.get_by_role("table", name="Open orders").wait_for(timeout=20_000)
    picture(narrow, "orders_phone")
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    with door.db.read() as conn:
        bot = next(order.bot_id for order in user_orders.list_open(conn, trader.id))
    tab.goto(f"{home.ui}/bots?bot={bot}")
    wait_for_text(tab, "Open orders (1)", 20)
    tab.locator(".candles text.tag", has_text="buy").first.wait_for(timeout=20_000)
    picture(tab, "bot")
    tab.goto(f"{home.ui}/positions")
    tab.get_by_role("button", name="Cancel MSFT").click()
    wait_for_text(tab, "Cancel this order")
    wait_for_text(tab, "with real money")
    picture(tab, "cancel")
    press(tab, "Cancel the order")
    wait_until(lambda: not opened(door, trader), 20)
    tab.get_by_role("table", name="Open orders").wait_for(state="hidden", timeout=20_000)


def test_three_brokers_that_hang_hold_up_neither_pages_nor_dialogs(
    home: RunningDashTrade,
    door: App,
    trader: User,
    live: int,
    papers: int,
    silent: SilentBroker,
    browser: Any,
):
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(tab, home)
    timed(tab, home, 1)  # whatever is loaded for the first time
    without = timed(tab, home)
    accounts = hung_accounts(door, trader)
    wait_until(
        lambda: all((found := reading(door, trader, account)) and found.error_code for account in accounts),
        40,
    )
    hung = timed(tab, home)
    print({name: (round(without[name], 2), round(hung[name], 2)) for name in hung})
    assert silent.asked, "it was asked, and it hung"
    for name, seconds in hung.items():
        assert seconds < 2.5 * without[name] + 0.5, (
            f"{name}: {seconds:.2f} s, and {without[name]:.2f} s without brokers that hang"
        )


def test_what_is_not_known_is_not_called_empty_and_no_dot_of_it_is_green(
    home: RunningDashTrade, trader: User, live: int, browser: Any
):
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/positions")
    wait_for_text(tab, "Silent 0 cannot be reached since", 20)
    part = tab.locator("[class*=st-key-positions_]").filter(has=tab.get_by_role("heading", name="Silent 0"))
    part.get_by_text("Positions at the broker unknown").wait_for()
    assert part.get_by_text("No positions.").count() == 0
    part.get_by_role("button", name="Close").wait_for()  # what its bot owns can be closed all the same
    dots = tab.locator(".dt-status .dt-badge")
    words = dots.all_inner_texts()
    live_first = [text for text in words if "LIVE" in text]
    assert words[: len(live_first)] == live_first and len(live_first) == 4, words
    for dot in dots.filter(has_text="Silent").all():
        assert (
            "down" in dot.get_attribute("class")
            and "no connection since" in dot.inner_text()
            and dot.get_attribute("title")
        )
    assert "up" in dots.filter(has_text="Real Alpaca").first.get_attribute("class")
    assert "Live prices" not in words
    picture(tab, "silent")
    tab.goto(f"{home.ui}/connect?part=Accounts")
    wait_for_text(tab, "No connection since", 20)
    picture(tab, "accounts")
    narrow = browser.new_context(
        viewport={"width": 390, "height": 844}, storage_state=tab.context.storage_state()
    ).new_page()
    narrow.goto(f"{home.ui}/positions")
    wait_for_text(narrow, "Silent 0 cannot be reached since", 20)
    picture(narrow, "silent_phone")


def test_a_broker_that_goes_away_leaves_its_last_known_with_a_time(
    home: RunningDashTrade, sim: AlpacaSimulator, live: int, browser: Any
):
    tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/positions")
    dot = tab.locator(".dt-status .dt-badge", has_text="Real Alpaca")
    dot.wait_for()
    sim.inject(Fault("server_error", method="*", path="/v2", times=0))
    try:
        wait_for_text(tab, "Real Alpaca cannot be reached since", 40)
        tab.wait_for_function(
            (
                "() => [...document.querySelectorAll('.dt-badge.down')].some(e => e.innerText.includes('Real "
                "Alpaca'))"
            ),
            timeout=30_000,
        )
        wait_for_text(tab, "as of")
        picture(tab, "gone")
    finally:
        sim.clear_faults()
