"""Makes the pictures in this folder: `python docs/screenshots/make.py`. Needs Playwright and Chromium.

Everything in them is real: the engine trades a month on demo prices under a clock that is moved on; then the
processes start on that database, and a browser visits the pages.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from dashtrade.app import build_app  # noqa: E402
from dashtrade.context import App  # noqa: E402
from dashtrade.domain.access import Role  # noqa: E402
from dashtrade.domain.alerts.dialects import parse  # noqa: E402
from dashtrade.domain.protections import Scope  # noqa: E402
from dashtrade.domain.signals import Origin  # noqa: E402
from dashtrade.engine.watch import Watch  # noqa: E402
from dashtrade.services.accounts import accounts as account_service  # noqa: E402
from dashtrade.services.bots import bots  # noqa: E402
from dashtrade.services.people import tokens, users  # noqa: E402
from dashtrade.services.trading import protections  # noqa: E402
from dashtrade.settings import Settings  # noqa: E402
from dashtrade.tables import orders as order_table  # noqa: E402
from dashtrade.tables import people as people_table  # noqa: E402

EMAIL, PASSWORD = "ann@example.com", "correct horse battery"
DAYS, SEED = 30, 11
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
BOTS: list[dict[str, Any]] = [
    {
        "name": "Bitcoin trend",
        "symbol": "BTCUSD",
        "timeframe": "1 Hour",
        "position_size": "12000",
        "daily_loss_limit": "600",
    },
    {
        "name": "Ether swing",
        "symbol": "ETHUSD",
        "timeframe": "4 Hour",
        "position_size": "9000",
        "risk_limit_percent": "3",
    },
    {
        "name": "Apple opening range",
        "symbol": "NASDAQ:AAPL",
        "timeframe": "15 Min",
        "position_size": "8000",
        "cooldown_seconds": 600,
    },
    {
        "name": "Nvidia momentum",
        "symbol": "NASDAQ:NVDA",
        "timeframe": "1 Hour",
        "position_size": "10%",
        "daily_loss_limit": "400",
    },
    {
        "name": "Tesla reversal",
        "symbol": "NASDAQ:TSLA",
        "timeframe": "30 Min",
        "position_size": "7000",
        "max_position_size": "7500",
    },
    {
        "name": "Solana breakout",
        "symbol": "SOLUSD",
        "timeframe": "1 Hour",
        "position_size": "6000",
        "sides": "long",
    },
]


class MovedClock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=7)
        return self.at


class Month:
    """Somebody's last month: what their bots were told, and what came of it."""

    def __init__(self, settings: Settings) -> None:
        self.end = datetime.now(UTC)
        self.clock = MovedClock(self.end - timedelta(days=DAYS))
        self.app: App = build_app(settings, clock=self.clock)
        self.watch = Watch(self.app.db, self.clock, self.app.brokers.feed)
        self.chance = random.Random(SEED)

    def live(self) -> None:
        user_id = users.add_user(
            self.app, email=EMAIL, name="Ann Example", password=PASSWORD, role=Role.SUPERADMIN
        )
        with self.app.db.read() as conn:
            self.user = people_table.by_id(conn, user_id)
        assert self.user is not None
        tokens.rotate_webhook_token(self.app, self.user)
        account = account_service.add_account(
            self.app,
            self.user,
            broker="paper",
            mode="paper",
            label="Paper",
            credentials={},
            options={"starting_cash": "100000", "fee_percent": "0.02", "slippage_percent": "0.01"},
        )
        protections.add(
            self.app,
            self.user,
            kind="stop_streak",
            scope=Scope.USER,
            scope_id=None,
            settings={"stops": 4, "look_back_minutes": 720},
        )
        protections.add(
            self.app, self.user, kind="orders_per_minute", scope=Scope.USER, scope_id=None, settings={}
        )
        self.bots = [bots.add_bot(self.app, self.user, {"account_id": account, **given}) for given in BOTS]
        while self.clock.at < self.end - timedelta(hours=3):
            self.clock.at += timedelta(hours=self.chance.uniform(0.7, 2.6))
            self.resume()
            self.alert(self.chance.choice(self.bots))
        self.last_hours()
        self.app.close()

    def resume(self) -> None:
        """A limit stops a bot until its user resumes it, which takes them most of a day; not near the end, so
        that it is seen."""
        for bot_id in self.bots:
            bot = bots.bot_of(self.app, self.user, bot_id)
            rested = self.clock.at - bot.updated_at > timedelta(hours=14)
            if not bot.is_active and (
                (rested and self.clock.at < self.end - timedelta(days=1)) or bot_id in self.bots[:3]
            ):
                bots.set_active(self.app, self.user, bot_id, True)

    def alert(self, bot_id: int, action: str = "") -> None:
        """Right a little more often than wrong: a bot that only lost would make a sad picture."""
        bot = bots.bot_of(self.app, self.user, bot_id)
        if not action:
            feed, soon = self.app.feed, self.clock.at + timedelta(hours=5)
            rises = feed.quote_at(bot.symbol, soon).mid > feed.quote_at(bot.symbol, self.clock.at).mid  # type: ignore[attr-defined]
            right = self.chance.random() < 0.64
            action = (
                "close"
                if bot.position.quantity and self.chance.random() < 0.4
                else "buy"
                if rises == right
                else "sell"
            )
        body = {
            "action": action,
            "symbol": bot.written_symbol,
            "timeframe": bot.timeframe.shown,
            "id": f"{bot_id}-{self.clock.at:%Y%m%d%H%M%S}",
        }
        if action != "close" and self.chance.random() < 0.5:
            body |= {"takeProfit": {"percent": "2.5"}, "stopLoss": {"type": "stop", "percent": "1.8"}}
        self.send(json.dumps(body))

    def send(self, raw: str) -> None:
        self.app.engine.accept(
            self.user.id, parse(raw.encode()).signal, raw=raw, origin=Origin.WEBHOOK, sender="52.89.214.238"
        )
        self.work()

    def work(self) -> None:
        engine = self.app.engine
        engine.leases.renew()
        for _ in range(4):
            for lane in [*engine.open_lanes(), *self.watch.look()]:
                engine.run_lane(lane)
            with self.app.db.read() as conn:
                accounts = order_table.working_accounts(conn)
            for account_id in accounts:
                for lane in engine.collect(account_id):
                    engine.run_lane(lane)

    def last_hours(self) -> None:
        """What the latest signals were, so that each kind of outcome can be seen."""
        for bot_id, action in zip(self.bots, ("buy", "sell", "buy", "buy", "sell", "buy"), strict=True):
            self.clock.at += timedelta(minutes=22)
            self.alert(bot_id, action)
        self.clock.at += timedelta(minutes=9)
        self.send('{"action": "sell", "symbol": "SOLUSD", "timeframe": "1 Hour", "id": "short-1"}')
        bots.set_active(self.app, self.user, self.bots[4], False)
        bots.change_bot(self.app, self.user, self.bots[3], {"daily_loss_limit": "500"})
        self.clock.at += timedelta(minutes=4)
        self.send('{"action": "buy", "symbol": "NASDAQ:TSLA", "timeframe": "30 Min", "id": "paused-1"}')


# --- the pictures -------------------------------------------------------------------------------------------


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def start(environ: dict[str, str], command: list[str], health: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environ)
    for _ in range(240):
        try:
            with urllib.request.urlopen(health, timeout=1):
                return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    raise SystemExit(f"{' '.join(command)} did not start")


def pictures(base: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        desk = browser.new_context(
            viewport={"width": 1440, "height": 1120}, timezone_id="Europe/Berlin", color_scheme="dark"
        )
        tab = desk.new_page()
        tab.goto(f"{base}/auth/login")
        tab.screenshot(path=HERE / "sign-in.png")
        sign_in(tab)
        for name, path in PAGES.items():
            shoot(tab, base + path, name)
        shoot(tab, f"{base}/signals?outcome=Filled", "signal-story", opens=True)
        phone = browser.new_context(
            viewport={"width": 390, "height": 844},
            device_scale_factor=2,
            timezone_id="Europe/Berlin",
            color_scheme="dark",
            is_mobile=True,
        )
        tab = phone.new_page()
        tab.goto(f"{base}/auth/login")
        sign_in(tab)
        shoot(tab, f"{base}/", "phone")
        shoot(tab, f"{base}/positions", "phone-positions")
        light = browser.new_context(
            viewport={"width": 1440, "height": 1120}, timezone_id="Europe/Berlin", color_scheme="light"
        )
        tab = light.new_page()
        tab.add_init_script(
            "for (const path of ['/', '/bots', '/performance']) "
            "localStorage.setItem(`stActiveTheme-${path}-v2`, '\"Light\"')"
        )
        tab.goto(f"{base}/auth/login")
        sign_in(tab)
        shoot(tab, f"{base}/", "overview-light")
        shoot(tab, f"{base}/bots?bot=4", "bot-light")
        browser.close()


PAGES = {
    "overview": "/",
    "positions": "/positions",
    "bots": "/bots",
    "bot": "/bots?bot=4",
    "setup-accounts": "/connect",
    "setup-webhook": "/connect?part=Webhook",
    "setup-alerts": "/connect?part=Alerts",
    "signals": "/signals",
    "history": "/history",
    "performance": "/performance",
    "risk-events": "/risk_events",
    "protections": "/risk_events?part=Protections",
    "account": "/account",
    "admin": "/admin",
    "people": "/admin?part=Users",
}


def sign_in(tab: Any) -> None:
    tab.fill("#email", EMAIL)
    tab.fill("#password", PASSWORD)
    tab.click("button")
    tab.wait_for_selector("[data-testid=stMain] h1")


def shoot(tab: Any, url: str, name: str, *, opens: bool = False) -> None:
    tab.goto(url)
    tab.wait_for_selector("[data-testid=stMain] h1")
    tab.wait_for_timeout(3500)  # a first live update, and what Plotly draws
    if opens:
        tab.locator("button.open").first.click()
        tab.wait_for_timeout(2500)
    tab.screenshot(path=HERE / f"{name}.png")
    wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        print(f"{name}: {wide} px wider than the screen")


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        ui, hooks = free_ports()
        environ = {
            **os.environ,
            "DASHTRADE_HOME": home,
            "DASHTRADE_UI_PORT": str(ui),
            "DASHTRADE_WEBHOOK_PORT": str(hooks),
        }
        settings = replace(Settings.load(environ=environ), log_level="WARNING")
        Month(settings).live()
        children = []
        try:
            children.append(
                subprocess.Popen([sys.executable, "-m", "dashtrade.worker"], cwd=ROOT, env=environ)
            )
            children.append(start(environ, ["webhook_server.py"], f"http://127.0.0.1:{hooks}/health"))
            children.append(
                start(environ, ["-m", "dashtrade.ui.shell.serve"], f"http://127.0.0.1:{ui}/_stcore/health")
            )
            pictures(f"http://127.0.0.1:{ui}")
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(timeout=20)


if __name__ == "__main__":
    main()
