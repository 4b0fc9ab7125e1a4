"""What a position is worth is the same everywhere it is said: every page, every pushed tick, the API, to the
cent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.format import signed
from dashtrade.ui.shell import runtime
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.pages import Shown, card, page


@pytest.fixture
def app(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Iterator[App]:
    made = make_app(clock=clock, feed=feed)
    runtime.use(made)
    yield made
    runtime.use(None)


@pytest.fixture
def trader(app: App, feed: ManualFeed, seen_as: Any) -> Trader:
    """Long one and short another, at prices that do not come out even; and one trade ended today."""
    person = Installation(app).join()
    for symbol, sides in (("AAPL", "both"), ("MSFT", "both"), ("BTCUSD", "both")):
        person.bot(symbol, sides=sides, position_size="5000")
    for action, symbol, at in (
        ("buy", "AAPL", "187.31"),
        ("sell", "MSFT", "402.77"),
        ("buy", "BTCUSD", "61234.56"),
        ("close", "BTCUSD", "61999.99"),
    ):
        feed.set(symbol, at)
        assert person.trades(action, symbol)["status"] == "filled"
    feed.set("AAPL", "193.0777")
    feed.set("MSFT", "411.1313")
    seen_as(person.user)
    return person


def test_open_profit_is_the_same_on_every_page_in_every_tick_and_in_the_api(
    trader: Trader, app: App, drawn: Shown
):
    of_bots = {bot["id"]: bot["position"]["unrealized_pnl"] for bot in trader.get("/bots")["items"]}
    of_positions = {
        part["bot_id"]: part["unrealized_pnl"]
        for item in trader.get("/positions")["items"]
        for part in item["bots"]
    }
    told = {bot_id: signed(Decimal(profit)) for bot_id, profit in of_bots.items() if profit != "0"}
    assert len(told) == 2 and {bot_id: of_bots[bot_id] for bot_id in of_positions} == of_positions
    ticks = {name: words[0] for name, words in live_cells.of_user(app, trader.user).items()}
    places = {
        "overview": page(drawn, "overview"),
        "bots": page(drawn, "bots"),
        "positions": page(drawn, "positions"),
        "ticks": ticks,
    }
    for place, cells_there in places.items():
        assert {bot_id: cells_there.get(f"u{bot_id}") for bot_id in told} == told, place
    for bot_id, profit in told.items():
        assert page(drawn, "bots", bot=str(bot_id))[f"u{bot_id}"] == profit
    whole = signed(sum(map(Decimal, of_bots.values())))
    assert (
        places["overview"]["open:paper:USD"]
        == places["positions"][f"open:{trader.paper}:USD"]
        == ticks["open:paper:USD"]
        == whole
    )


def test_what_was_realised_today_is_the_same_on_the_pages_and_in_the_api(
    trader: Trader, app: App, drawn: Shown
):
    told = trader.get("/performance")["total"]
    net = signed(Decimal(told["net_pnl"]))
    assert Decimal(told["net_pnl"]) > 0
    page(drawn, "overview")
    assert card(drawn, "figures", "Realised P&L today") == net
    page(drawn, "performance")
    assert card(drawn, "totals", "P&L after fees") == net
    by_bot = {bot["id"]: Decimal(bot["total_pnl"]) for bot in trader.get("/bots")["items"]}
    assert signed(sum(by_bot.values())) == net
    for bot_id, total in by_bot.items():
        page(drawn, "bots", bot=str(bot_id))
        assert (
            card(drawn, "bot_figures", "Realised P&L today")
            == card(drawn, "bot_figures", "Realised P&L")
            == signed(total)
        )
