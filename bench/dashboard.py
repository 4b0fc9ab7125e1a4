"""The dashboard as its users feel it: first load, reload and rerun in a real browser, alone and beside
others; and open tabs at rest.

    python -m bench.dashboard [--trades 1000000] [--users 20] [--tabs 50] [--home FOLDER]

The first user has all the trades and a few open positions. The browser is Chromium; the others are tabs
without one, each of which runs its page anew every two seconds. "Ready" is when figures or rows stand on the
page, by the browser's own clock."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.history import fill
from bench.rig import ROOT, STOCKS, Rig, free_port, show
from bench.tabs import Tab
from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.signals import Origin
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.services.people import sessions
from dashtrade.services.people import users as people
from dashtrade.settings import Settings
from dashtrade.tables import people as people_table

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = {"Overview": "/", "History": "/history"}
LOADS, RERUNS, REST = 4, 9, 12
READY = """() => new Promise(done => {
  const look = () => {
    for (const e of document.querySelectorAll('[data-testid=stMain] *'))
      if (e.shadowRoot?.querySelector(WANTED)) return done(performance.now());
    requestAnimationFrame(look);
  };
  look();
})""".replace("WANTED", "'.cards .value, tbody tr'")
FIRST_ROW = """() => [...document.querySelectorAll('[data-testid=stMain] *')]
  .map(e => e.shadowRoot?.querySelector('tbody tr')?.textContent).find(Boolean)"""
CHANGED = """before => new Promise(done => {
  const row = FIRST;
  const button = () => [...document.querySelectorAll('[data-testid=stMain] button')]
    .find(b => b.textContent.includes('Older') && !b.disabled);
  let began;
  const look = () => {
    const now = row(), press = button();
    if (began === undefined && press) { began = performance.now(); press.click(); }
    if (began !== undefined && now && now !== before) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})""".replace("FIRST", FIRST_ROW)


class BenchInstallation:
    """The dashboard's process, and cookies for its users."""

    def __init__(self, one: Rig) -> None:
        self.one, self.port = one, free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.environ = one.env() | {"DASHTRADE_UI_PORT": str(self.port)}
        self.app: App = build_app(Settings.load(self.environ))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dashtrade.ui.shell.serve"], cwd=ROOT, env=self.environ
        )
        import urllib.request

        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{self.base}/_stcore/health", timeout=1).status == 200:
                    return time.perf_counter() - began
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        self.app.close()

    def cookie(self, email: str) -> str:
        with self.app.db.read() as conn:
            found = people_table.by_email(conn, email)
        user_id = (
            found[0].id
            if found is not None
            else people.add_user(self.app, email=email, name=email.split("@")[0], password="three green owls")
        )
        if found is None:
            self._furnish(user_id)
        return sessions.begin(self.app, user_id, device="bench", address="127.0.0.1", remember=True)

    def _furnish(self, user_id: int) -> None:
        with self.app.db.read() as conn:
            user = people_table.by_id(conn, user_id)
        assert user is not None
        account = accounts.add_account(
            self.app, user, broker="paper", mode="paper", label="Paper", credentials={}, options={}
        )
        for symbol in STOCKS[:5]:
            bots.add_bot(
                self.app,
                user,
                {"account_id": account, "symbol": symbol, "timeframe": "15", "position_size": "1000"},
            )
            body = f'{{"action": "buy", "symbol": "{symbol}", "timeframe": "15", "id": "open"}}'
            self.app.engine.accept(user.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)

    def processor_seconds(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class BackgroundUsers(threading.Thread):
    """Users at work: each runs its page anew every two seconds."""

    def __init__(self, tabs: list[Tab]) -> None:
        super().__init__(daemon=True)
        self.tabs, self.reruns, self.over = tabs, [], False

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(tab, n) for n, tab in enumerate(self.tabs)))

    async def _one(self, tab: Tab, number: int) -> None:
        await asyncio.sleep(2 * number / len(self.tabs))
        await tab.open()
        while not self.over:
            self.reruns.append(await tab.rerun())
            await asyncio.sleep(2)
        await tab.close()


@contextlib.contextmanager
def beside(installation: BenchInstallation, users: int) -> Iterator[BackgroundUsers | None]:
    if users < 2:
        yield None
        return
    others = BackgroundUsers(
        [Tab(installation.base, installation.cookie(f"user{n}@example.com")) for n in range(users - 1)]
    )
    others.start()
    time.sleep(5)
    yield others
    others.over = True
    others.join(30)


def in_browser(installation: BenchInstallation, cookie: str, users: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, beside(installation, users) as others:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for name, path in PAGES.items():
            show(
                {
                    "bench": "dashboard",
                    "page": name,
                    "users": users,
                    **_loads(browser, installation, cookie, path),
                }
            )
        tab = _tab(browser, installation, cookie)
        tab.goto(f"{installation.base}/history")
        tab.evaluate(READY)
        times = []
        for _ in range(RERUNS):
            times.append(tab.evaluate(CHANGED, tab.evaluate(FIRST_ROW)))
            tab.wait_for_timeout(500)
        show(
            {
                "bench": "dashboard rerun",
                "page": "History, Older",
                "users": users,
                "browser_ms": _spread(times),
            }
        )
        if others is not None:
            show(
                {
                    "bench": "dashboard rerun",
                    "page": "Overview, server alone",
                    "users": users,
                    "ms": _spread([t * 1000 for t in others.reruns]),
                }
            )
        browser.close()


def _tab(browser: Any, installation: BenchInstallation, cookie: str) -> Any:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_cookies([{"name": "dashtrade_session", "value": cookie, "url": installation.base}])
    return context.new_page()


def _loads(browser: Any, installation: BenchInstallation, cookie: str, path: str) -> dict[str, Any]:
    first, again = [], []
    for _ in range(LOADS):
        tab = _tab(browser, installation, cookie)
        tab.goto(installation.base + path, wait_until="commit")
        first.append(tab.evaluate(READY))
        tab.wait_for_timeout(700)
        for _ in range(2):
            tab.reload(wait_until="commit")
            again.append(tab.evaluate(READY))
            tab.wait_for_timeout(700)
        tab.context.close()
    return {"first_load_ms": _spread(first), "reload_ms": _spread(again)}


def _spread(times: list[float]) -> dict[str, int]:
    times = sorted(times)
    return (
        {
            "p50": round(statistics.median(times)),
            "p95": round(times[min(int(len(times) * 0.95), len(times) - 1)]),
        }
        if times
        else {}
    )


async def at_rest(installation: BenchInstallation, cookies: list[str]) -> None:
    """Tabs that are looked at and not touched: prices move in them."""
    tabs = [Tab(installation.base, cookie) for cookie in cookies]
    opened = [await tab.open() for tab in tabs]
    await asyncio.gather(*(tab.listen(3) for tab in tabs))
    for tab in tabs:
        tab.pushed = 0
    began, before = time.perf_counter(), installation.processor_seconds()
    await asyncio.gather(*(tab.listen(REST) for tab in tabs))
    took = time.perf_counter() - began
    share = (installation.processor_seconds() - before) / took * 100
    show(
        {
            "bench": "dashboard live tabs",
            "tabs": len(tabs),
            "users": len(set(cookies)),
            "seconds": round(took, 1),
            "percent_of_a_core": round(share, 1),
            "open_ms": _spread([t * 1000 for t in opened]),
            "bytes_pushed_per_tab_per_second": round(sum(tab.pushed for tab in tabs) / len(tabs) / took),
        }
    )
    await asyncio.gather(*(tab.close() for tab in tabs))


def buy_everything(one: Rig) -> None:
    """Positions whose prices move."""
    for symbol in STOCKS[:8]:
        one.call(
            "POST",
            f"/webhook?token={one.webhook}",
            {"action": "buy", "symbol": symbol, "timeframe": "15", "id": f"open-{symbol}"},
        )
    time.sleep(2)


def furnish(one: Rig, trades: int) -> None:
    one.join()
    one.add_bots(STOCKS[:20])
    buy_everything(one)
    one.stop()
    fill(one.home / "dashtrade.db", trades)
    one.start()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--tabs", type=int, default=50)
    parser.add_argument("--only", choices=("fill", "browser", "rest"), default=None)
    parser.add_argument(
        "--home", type=Path, default=None, help="kept, and used again: filling it takes longer than measuring"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dashtrade-bench-") as folder:
        one = Rig(home=given.home or Path(folder), port=free_port())
        one.home.mkdir(parents=True, exist_ok=True)
        fresh = not (one.home / "dashtrade.db").exists()
        one.start()
        try:
            if fresh:
                furnish(one, given.trades)
            if given.only != "fill":
                measure(one, given)
        finally:
            one.stop()


def measure(one: Rig, given: argparse.Namespace) -> None:
    installation = BenchInstallation(one)
    try:
        show({"bench": "dashboard start", "trades": given.trades, "seconds": round(installation.start(), 2)})
        mine = installation.cookie("bench@example.com")
        cookies = [installation.cookie(f"user{n}@example.com") for n in range(given.users - 1)]
        if given.only != "rest":
            for users in (1, given.users):
                in_browser(installation, mine, users)
        if given.only != "browser":
            asyncio.run(at_rest(installation, [mine] * given.tabs))
            asyncio.run(
                at_rest(installation, [([*cookies, mine])[n % (len(cookies) + 1)] for n in range(given.tabs)])
            )
    finally:
        installation.stop()


if __name__ == "__main__":
    main()
