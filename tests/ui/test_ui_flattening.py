"""Closing everything, the second step: what is ticked is closed and nothing else, and real money wants a
word."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.services.trading import flatten
from tests.support.installation import Trader
from tests.support.pages import words
from tests.ui.test_ui_forms import forms_app, forms_trader  # noqa: F401


@pytest.fixture
def two(trader: Trader, app: App) -> tuple[int, int]:
    """A paper account and a live one (in simulation mode nothing is real), each with a position; the live
    one's number last."""
    first = trader.account()
    trader.bot("AAPL", account=first)
    trader.trades("buy")
    second = trader.account()
    trader.bot("MSFT", account=second)
    trader.trades("buy", "MSFT")
    return first, second


def opened() -> AppTest:
    """The dialog's inside: AppTest runs no fragments."""

    def script() -> None:
        from dashtrade.ui.risk import flatten_dialog

        flatten_dialog.question("asked")

    return AppTest.from_function(script, default_timeout=120).run()


def made_live(app: App, account_id: int) -> None:
    from dashtrade.tables import accounts as table

    def work(conn: Any) -> None:
        conn.execute(
            table.accounts.update()
            .where(table.accounts.c.id == account_id)
            .values(mode="live", acknowledged_at=app.clock.now())
        )

    app.db.write(work)


def sure(tab: AppTest) -> AppTest:
    return tab.button(key="danger_flatten").click().run()


def test_the_ticked_accounts_alone_are_closed(app: App, trader: Trader, two: tuple[int, int]):
    tab = opened()
    one, other = tab.checkbox
    assert "1 position" in one.label and "AAPL" in words(tab) and "MSFT" in words(tab)
    other.uncheck().run()
    assert tab.button(key="danger_flatten").label == "Close 1 position"
    assert not tab.text_input, "no word is typed for play money"
    sure(tab)
    (row,) = flatten.latest(app, trader.user)
    assert [item.account_id for item in row.items] == [two[0]]
    assert trader.get("/switches")["items"][0]["mode"] == "pause_entries"


def test_real_money_comes_first_and_wants_the_word(app: App, trader: Trader, two: tuple[int, int]):
    made_live(app, two[1])
    tab = opened()
    assert "LIVE" in tab.checkbox[0].label and "Paper" in tab.checkbox[1].label
    (word,) = tab.text_input
    assert word.label == "1 position with real money: type FLATTEN"
    sure(tab)
    assert "real money" in tab.error[0].value and not flatten.latest(app, trader.user)
    tab.text_input[0].set_value("flatten")
    assert not sure(tab).error
    (row,) = flatten.latest(app, trader.user)
    assert len(row.items) == 2


def test_without_the_live_account_no_word_is_asked_for(app: App, trader: Trader, two: tuple[int, int]):
    made_live(app, two[1])
    tab = opened()
    tab.checkbox[0].uncheck().run()
    assert not tab.text_input
    sure(tab)
    assert [item.account_id for item in flatten.latest(app, trader.user)[0].items] == [two[0]]


def test_nothing_ticked_closes_nothing_and_says_so(app: App, trader: Trader, two: tuple[int, int]):
    tab = opened()
    for box in tab.checkbox:
        box.uncheck()
    tab.run()
    sure(tab)
    assert "no account is ticked" in tab.error[0].value.lower() and not flatten.latest(app, trader.user)


def test_cancel_closes_nothing(app: App, trader: Trader, two: tuple[int, int]):
    opened().button(key="flatten_no").click().run()
    assert not flatten.latest(app, trader.user) and not trader.get("/switches")["items"]


def test_an_order_that_is_out_is_part_of_it(app: App, trader: Trader):
    trader.bot("SPY", order_type="limit", limit_offset_percent="5")
    trader.trades("buy", "SPY")
    assert opened().button(key="danger_flatten").label == "Close 1 bot with an open order"


def test_a_stronger_stop_that_is_on_stays(app: App, trader: Trader, two: tuple[int, int]):
    trader.request("PUT", "/switches", {"scope": "user", "mode": "reduce_only"})
    flatten.start(app, trader.user, scope="user", scope_id=None, pause=True)
    assert [row["mode"] for row in trader.get("/switches")["items"]] == ["reduce_only"]
    assert owned_accounts.account_of(app, trader.user, two[0]).is_active
