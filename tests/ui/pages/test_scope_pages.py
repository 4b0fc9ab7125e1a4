"""What the pages show is of the scope in their address alone, in amounts that REST gives too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.ui.kit.format import signed
from tests.api.test_scope import mixed, scope_app  # noqa: F401
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.pages import Shown, card, page


@sqlite
@pytest.mark.parametrize("seed", [1, 2])
def test_each_page_shows_its_scopes_sums(
    app: App, feed: ManualFeed, clock: ManualClock, seen_as: Any, drawn: Shown, seed: int
):
    case = mixed(app, feed, clock, seed)
    seen_as(case.trader.user)
    for of in case.scopes():
        opened, cells = case.open(of), page(drawn, "overview", scope=of.text)
        shown = {
            name.rpartition(":")[2]: amount for name, amount in cells.items() if name.startswith("open:")
        }
        assert all(amount == signed(opened.get(name, Decimal(0)), name) for name, amount in shown.items())
        others = {name: profit for name, profit in opened.items() if name not in shown}
        note = next(card["note"] for card in drawn["figures"]["cards"] if card["label"] == "Unrealised P&L")
        assert all(signed(profit, name) in note for name, profit in others.items())
        told = case.trader.get("/performance", scope=of.text)
        page(drawn, "performance", scope=of.text, span="all")
        if told["items"]:
            total = told["total"]
            assert card(drawn, "totals", "P&L after fees") == signed(
                Decimal(total["net_pnl"]), total["currency"]
            )
        rows = {
            int(row["id"])
            for key in ("bots",)
            for row in (page(drawn, "bots", scope=of.text), drawn.get(key) or {"rows": []})[1]["rows"]
        }
        accounts = {bot["id"]: bot["account_id"] for bot in case.trader.get("/bots", limit=500)["items"]}
        assert {accounts[bot_id] for bot_id in rows} <= {
            i
            for i, real in case.accounts.items()
            if real is (of.money == "live") and of.account_id in (None, i)
        }
