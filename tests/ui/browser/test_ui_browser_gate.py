"""The real pages behind the gate: nothing that they ask for is refused, and a tab that had to go says why."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from tests.support.browser import RunningDashTrade, ready, sign_in, wait_for_sign_in_form, wait_for_text

PASSWORD = "correct horse battery"
PAGES = (
    "",
    "positions",
    "bots",
    "connect",
    "signals",
    "history",
    "performance",
    "risk_events",
    "account",
    "admin",
)
PARTS = (
    "[data-testid=stMain] [data-testid=stSegmentedControl] button, [data-testid=stMain] [role=tab], "
    "[data-testid=stMain] [data-testid=stButtonGroup] button"
)


def test_nothing_that_a_page_asks_for_is_refused(home: RunningDashTrade, browser: Any) -> None:
    tab = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
    asked: Counter[str] = Counter()
    refused: list[str] = []
    troubles: list[str] = []

    def hear(answer: Any) -> None:
        where = urlsplit(answer.url)
        asked[
            "/".join(where.path.split("/")[:3])
            if where.path.startswith("/_stcore")
            else f"/{where.path.split('/')[1]}"
        ] += 1
        if answer.status >= 400:
            refused.append(f"{answer.status} {answer.request.method} {where.path}")

    def watch(one: Any) -> None:
        one.on("response", hear)
        one.on("pageerror", lambda error: troubles.append(str(error)))
        one.on(
            "console",
            lambda line: troubles.append(line.text) if "Content Security Policy" in line.text else None,
        )

    watch(tab)
    tab.goto(home.setup_link())
    tab.fill("#name", "Ann")
    tab.fill("#email", "ann@example.com")
    tab.fill("#password", PASSWORD)
    tab.click("button")
    ready(tab)
    other = browser.new_context(color_scheme="light").new_page()  # a demo has positions, charts and a history
    watch(other)
    other.goto(f"{home.ui}/auth/login")
    other.get_by_role("button", name="demo").first.click()
    other.wait_for_selector("[data-testid=stMain] h1", timeout=60_000)
    for one, pages in ((other, PAGES[:-1]), (tab, PAGES)):
        for page in pages:
            one.goto(f"{home.ui}/{page}")
            ready(one)
            one.wait_for_timeout(700)
            for place in range(one.locator(PARTS).count()):
                one.locator(PARTS).nth(place).click(timeout=5000)
                one.wait_for_timeout(400)
    assert not refused and not troubles
    assert asked["/static"] > 20 and asked["/_stcore/host-config"] and asked["/_stcore/bidi-components"], (
        asked
    )
    print(dict(asked))


def test_a_tab_that_gives_way_to_newer_ones_says_so_and_comes_back(
    home: RunningDashTrade, browser: Any
) -> None:
    context = browser.new_context()
    first = context.new_page()
    first.goto(f"{home.ui}/auth/login")
    first.fill("#email", "ann@example.com")
    first.fill("#password", PASSWORD)
    first.click("button")
    ready(first)
    others = [context.new_page() for _ in range(10)]
    for other in others:
        other.goto(f"{home.ui}/account")
        ready(other)
    first.bring_to_front()
    wait_for_text(first, "Newer tabs of yours have taken its place", 30)
    for other in others[:3]:
        other.close()
    first.get_by_text("Newer tabs of yours").wait_for(state="hidden", timeout=40_000)


def test_signing_out_leaves_no_page_behind_and_keeps_how_it_looks(
    home: RunningDashTrade, browser: Any
) -> None:
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    sign_in(tab, home)
    tab.evaluate("window.dashtrade.chooseTheme('Light')")
    ready(tab)
    wait_for_text(tab, "Sign out")
    began = time.monotonic()
    tab.get_by_role("button", name="Sign out", exact=True).click()
    wait_for_sign_in_form(tab)
    print(f"signed out within {time.monotonic() - began:.2f} s")
    assert {cookie["name"] for cookie in context.cookies()} - {"_streamlit_xsrf"} == {"dashtrade_device"}
    tab.go_back()
    wait_for_sign_in_form(tab)
    assert tab.evaluate("window.dashtrade?.theme() ?? localStorage.getItem('dashtrade-theme')") == "Light"
