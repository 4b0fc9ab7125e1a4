"""DashTrade on a fresh home, as ./start runs it, and the words with which a test drives a tab there."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.services.people import users
from dashtrade.settings import ROOT
from dashtrade.tables import bots as bot_table
from dashtrade.tables import people as people_table
from tests.support.free_port import free_port

CHROMIUM = next(
    (
        path
        for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
        if os.path.exists(path)
    ),
    "",
)

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

PASSWORD = "correct horse battery"


class RunningDashTrade:
    """DashTrade on a fresh home."""

    def __init__(self, folder: Path) -> None:
        self.ui, self.hooks = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        ports = {
            "DASHTRADE_UI_PORT": self.ui.rpartition(":")[2],
            "DASHTRADE_WEBHOOK_PORT": self.hooks.rpartition(":")[2],
        }
        self.environ = {**os.environ, "DASHTRADE_HOME": str(folder), **ports}
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.children.append(
            subprocess.Popen(
                [sys.executable, "-m", "dashtrade.worker"],
                cwd=ROOT,
                env=self.environ,
                stderr=subprocess.DEVNULL,
            )
        )
        self._run(["webhook_server.py"], f"{self.hooks}/health")
        self._run(["-m", "dashtrade.ui.shell.serve"], f"{self.ui}/_stcore/health")

    def _run(self, command: list[str], health: str) -> None:
        self.children.append(
            subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environ, stderr=subprocess.DEVNULL
            )
        )
        end = time.monotonic() + 90
        while not _answers(health):
            assert time.monotonic() < end, f"{command} did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(25)

    def restart_dashboard(self) -> None:
        dashboard = self.children.pop()
        dashboard.terminate()
        dashboard.wait(10)
        self._run(["-m", "dashtrade.ui.shell.serve"], f"{self.ui}/_stcore/health")

    def setup_link(self) -> str:
        command = [sys.executable, "-m", "dashtrade.cli", "setup-link"]
        return subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=True
        ).stdout.strip()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def ready(tab: Any) -> None:
    tab.wait_for_selector("[data-testid=stMain] h1", timeout=20_000)


def wait_for_sign_in_form(tab: Any) -> None:
    """However many of the page's parts sent the tab there: each one's way ends the one before it."""
    tab.wait_for_selector("#email", timeout=25_000)
    assert "/auth/login" in tab.url


def sign_in(tab: Any, home: RunningDashTrade, email: str = "ann@example.com") -> None:
    tab.goto(f"{home.ui}/auth/login")
    tab.fill("#email", email)
    tab.fill("#password", PASSWORD)
    tab.click("button")
    ready(tab)


def wait_for_text(tab: Any, words: str, seconds: float = 12) -> Any:
    found = tab.get_by_text(words).first
    found.wait_for(timeout=seconds * 1000)
    return found


def press(tab: Any, name: str) -> None:
    """While a dialog is open, nothing outside of it can be pressed."""
    dialog = tab.get_by_role("dialog")
    place = dialog if dialog.count() else tab
    place.get_by_role("button", name=name, exact=True).first.click()


def add_user(app: App, email: str = "ann@example.com", name: str = "Ann", role: Role = Role.STANDARD) -> User:
    user_id = users.add_user(app, email=email, name=name, password=PASSWORD, role=role)
    with app.db.read() as conn:
        user = people_table.by_id(conn, user_id)
    assert user is not None
    return user


def owned_quantity(door: App, user: User, bot_id: int) -> Decimal:
    with door.db.read() as conn:
        bot = bot_table.get(conn, user.id, bot_id)
    assert bot is not None
    return bot.position.quantity


def accept_alert(door: App, user: User, body: str) -> None:
    door.engine.accept(user.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)


def add_random_user(door: App, role: Role = Role.STANDARD) -> User:
    return add_user(door, f"{secrets.token_hex(4)}@example.com", "Somebody", role)


def forget_sign_in(tab: Any) -> None:
    """The page is left first: it would notice, and lead to the sign-in while the test goes there itself."""
    tab.goto("about:blank")
    tab.context.clear_cookies()


def submit_sign_in(tab: Any, home: RunningDashTrade, email: str, password: str = PASSWORD) -> None:
    tab.goto(f"{home.ui}/auth/login")
    tab.fill("#email", email)
    tab.fill("#password", password)
    tab.get_by_role("button", name="Sign in").click()


def alert(door: App, user: User, action: str, symbol: str) -> None:
    body = json.dumps({"action": action, "symbol": symbol, "timeframe": "15", "id": f"{action} {symbol}"})
    door.engine.accept(user.id, parse(body.encode()).signal, raw=body, origin=Origin.USER)
