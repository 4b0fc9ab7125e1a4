"""The first minute of a new user, over and over: a paper account, then "Create bot". How often does its form
not come up?

    python -m bench.first_run --rounds 100

Every page error and every page that was opened again is counted too. It needs Chromium, as the browser tests
do."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, sync_playwright

from bench.rig import ROOT, show
from dashtrade.app import build_app
from dashtrade.services.people import users
from dashtrade.settings import Settings
from tests.support.browser import (
    ARGUMENTS,
    CHROMIUM,
    PASSWORD,
    RunningDashTrade,
    press,
    sign_in,
    wait_for_text,
)

PATIENCE = 12_000  # milliseconds


def one_round(browser: Any, home: RunningDashTrade, email: str, outcomes_seen: Counter[str]) -> str:
    """What came of it, in a word; a picture is kept where it was not the form."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    tab = context.new_page()
    tab.on("pageerror", lambda error: outcomes_seen.update([f"page error: {str(error)[:400]}"]))
    tab.on(
        "console",
        lambda line: outcomes_seen.update([f"console: {line.text[:400]}"]) if line.type == "error" else None,
    )
    tab.on("crash", lambda _: outcomes_seen.update(["crash"]))
    try:
        sign_in(tab, home, email)
        press(tab, "Open a paper account")
        wait_for_text(tab, "$100,000.00", 20)
        loads: list[str] = []
        tab.on("load", lambda _: loads.append(tab.url))
        press(tab, "Create bot")
        try:
            tab.get_by_label("Symbol").wait_for(timeout=PATIENCE)
            tab.wait_for_timeout(400)  # and it stays
            outcome = "the form" if tab.get_by_label("Symbol").is_visible() else "gone again"
        except Error:
            titles = tab.locator("[data-testid=stMain] h1").all_inner_texts()
            outcome = f"no form on {titles[0]}" if titles else "an empty page"
        if loads:
            outcomes_seen["opened again"] += 1
        if outcome != "the form":
            tab.screenshot(path=str(Path(tempfile.gettempdir()) / f"first-run-{email.partition('@')[0]}.png"))
    except Error as error:
        outcome = f"not got that far: {str(error).splitlines()[0][:80]}"
    context.close()
    return outcome


def measure(rounds: int) -> dict[str, Any]:
    home = RunningDashTrade(Path(tempfile.mkdtemp()))
    home.start()
    app = build_app(Settings.load(home.environ, ROOT))
    outcomes: Counter[str] = Counter()
    outcomes_seen: Counter[str] = Counter()
    began = time.monotonic()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for number in range(rounds):
                email = f"user{number}@example.com"
                users.add_user(app, email=email, name="New", password=PASSWORD)
                outcomes[one_round(browser, home, email, outcomes_seen)] += 1
                show({"round": number, **outcomes, **outcomes_seen})
            browser.close()
    finally:
        app.close()
        home.stop()
    return {"rounds": rounds, "seconds": round(time.monotonic() - began), **outcomes, **outcomes_seen}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    show({"bench": "first run", **measure(parser.parse_args().rounds)})


if __name__ == "__main__":
    main()
