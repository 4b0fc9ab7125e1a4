"""The dialog that moves stop and target: a kind has a number, and what is wrong stands at its field."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.domain.exits.state import ExitState
from dashtrade.services.bots import bots as bot_service
from tests.support.installation import Trader
from tests.ui.test_ui_forms import field, forms_app, forms_trader, pressed  # noqa: F401


@pytest.fixture
def bot(trader: Trader) -> int:
    bot_id = trader.bot()
    trader.trades("buy")
    return bot_id


def opened(bot_id: int) -> AppTest:
    """The dialog's inside: AppTest runs no fragments."""

    def script(bot_id: int) -> None:
        from dashtrade.services.accounts import prices
        from dashtrade.services.accounts.owned import find_account
        from dashtrade.services.bots import bots
        from dashtrade.ui.positions import exits_dialog
        from dashtrade.ui.shell.page import get_app, guard

        bot = bots.bot_of(get_app(), guard(), bot_id)
        exits_dialog.exits_form(
            prices.holding(get_app(), bot, find_account(get_app(), guard(), bot.account_id))
        )

    return AppTest.from_function(script, default_timeout=120, args=(bot_id,)).run()


def exits(app: App, trader: Trader, bot_id: int) -> ExitState:
    return bot_service.bot_of(app, trader.user, bot_id).exits or ExitState()


@pytest.mark.parametrize(("kind", "label"), [("At a price", "Stop at"), ("Trailing", "Trail by")])
def test_a_kind_without_a_number_is_complained_about_at_its_field(
    app: App, trader: Trader, bot: int, kind: str, label: str
):
    tab = opened(bot)
    tab.segmented_control[0].set_value(kind).run()
    (error,) = pressed(tab, "Save").error
    assert (
        f"{label} is empty" in error.value and "choose None" in error.value and "stop_loss" not in error.value
    )
    assert not exits(app, trader, bot)


def test_a_price_is_read_as_people_write_it(app: App, trader: Trader, bot: int):
    entry = bot_service.bot_of(app, trader.user, bot).position.average_price
    assert entry is not None
    tab = opened(bot)
    tab.segmented_control[0].set_value("At a price").run()
    field(tab, "Stop at").set_value(f"$ {entry / 2:.2f}")
    field(tab, "Target").set_value(f"{entry * 2:,.2f}")
    assert not pressed(tab, "Save").error
    state = exits(app, trader, bot)
    assert state.stop is not None and state.stop.price == round(entry / 2, 2)
    assert [target.price for target in state.take_profits] == [round(entry * 2, 2)]


def test_a_stop_on_the_wrong_side_is_refused_and_nothing_changes(app: App, trader: Trader, bot: int):
    tab = opened(bot)
    tab.segmented_control[0].set_value("At a price").run()
    field(tab, "Stop at").set_value("99,999,999")
    (error,) = pressed(tab, "Save").error
    assert "would close at once" in error.value and not exits(app, trader, bot)


def test_an_unchanged_form_says_so(bot: int):
    assert "unchanged" in pressed(opened(bot), "Save").error[0].value.lower()
