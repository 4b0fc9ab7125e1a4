"""A runaway alert is locked out by a protection, and its user unlocks it on the page of risk events. In a
real browser, with the protection and the alerts sent over the wire."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dashtrade.app import build_app
from dashtrade.services.people import tokens, users
from dashtrade.settings import ROOT, Settings
from tests.support.browser import PASSWORD, RunningDashTrade, sign_in, wait_for_text
from tests.support.installation import wait_until


class Wire:
    """Ann, as her scripts speak for her."""

    def __init__(self, home: RunningDashTrade, access: str, webhook: str) -> None:
        self.home, self.access, self.webhook = home, access, webhook

    def request(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        heads = {"Authorization": f"Bearer {self.access}", "Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.home.hooks}{path}", data, heads, method=method), timeout=10
        ) as answer:
            return json.load(answer)

    def alert(self, action: str, symbol: str, number: str) -> str:
        """How its signal ends."""
        body = {"action": action, "symbol": symbol, "timeframe": "15 Min", "id": number}
        signal = self.request("POST", f"/webhook?token={self.webhook}", body)["signal_id"]
        return wait_until(
            lambda: (
                (status := self.request("GET", f"/api/v1/signals/{signal}")["status"])
                in ("filled", "refused")
                and status
            ),
            20,
        )


@pytest.fixture(scope="module")
def trader(home: RunningDashTrade) -> Iterator[Wire]:
    app = build_app(Settings.load(home.environ, ROOT))
    try:
        user_id = users.add_user(app, email="ann@example.com", name="Ann", password=PASSWORD)
        signed_in = users.sign_in(app, user_id)
        yield Wire(home, signed_in.access_token, tokens.rotate_webhook_token(app, signed_in.user))
    finally:
        app.close()


def test_a_lock_stands_on_the_page_of_risk_events_and_is_taken_off_there(
    home: RunningDashTrade, trader: Wire, browser: Any
):
    account = trader.request(
        "POST", "/api/v1/accounts", {"broker": "paper", "mode": "paper", "label": "Paper"}
    )["id"]
    for symbol in ("BTCUSD", "ETHUSD"):
        trader.request(
            "POST",
            "/api/v1/bots",
            {"account_id": account, "symbol": symbol, "timeframe": "15 Min", "position_size": "1000"},
        )
    protection = {"kind": "orders_per_minute", "scope": "user", "settings": {"orders": 2, "lock_minutes": 60}}
    made = trader.request("POST", "/api/v1/protections", protection)["id"]
    tab = browser.new_context(viewport={"width": 1300, "height": 950}).new_page()
    sign_in(tab, home)
    tab.goto(f"{home.ui}/risk_events?part=Protections")
    wait_for_text(tab, "No active locks")

    assert [
        trader.alert("buy", "BTCUSD", "1"),
        trader.alert("close", "BTCUSD", "2"),
        trader.alert("buy", "ETHUSD", "3"),
    ] == ["filled", "filled", "refused"]
    wait_for_text(tab, "Active locks")  # without a reload
    wait_for_text(tab, "2 orders within a minute reached the limit of 2")
    trader.request("PATCH", f"/api/v1/protections/{made}", {"settings": {"orders": 100}})
    assert trader.alert("buy", "ETHUSD", "4") == "refused", (
        "what is locked stays locked, whatever the limit is now"
    )

    tab.get_by_role("button", name="Unlock").click()
    wait_for_text(tab, "No active locks")
    tab.get_by_text("unlocked", exact=True).first.wait_for()
    assert tab.get_by_role("button", name="Unlock").count() == 0
    assert trader.alert("buy", "ETHUSD", "5") == "filled"
