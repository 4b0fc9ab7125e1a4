"""The pages of the second factor, run as Streamlit runs them: required of everybody, and declined for real
money."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import connections
from dashtrade.services.people import second_factor, second_factor_policy
from dashtrade.services.trading.attention import AttentionKind, attention
from dashtrade.settings import ROOT
from dashtrade.tables import accounts as account_table
from dashtrade.tables import people as people_table
from dashtrade.ui.account.second_factor import DECLINE
from dashtrade.ui.overview import attention_list
from dashtrade.ui.shell import runtime
from tests.support.hosts import WakeHost
from tests.support.installation import Installation, Trader
from tests.support.pages import PAGES, opened, with_data, words
from tests.ui.pages.test_ui_people import PASSWORD, button, cy, labels, reread

KEYS = {"key": "PK1234567890", "secret": "s" * 40}


@pytest.fixture(autouse=True)
def from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest has no address of a browser's."""
    monkeypatch.setattr(runtime, "address", lambda: "")


@pytest.fixture
def superadmin(installation: Installation) -> Trader:
    return installation.join("superadmin@example.com", Role.SUPERADMIN)


def live_account(app: App, user: User, **more: Any) -> int:
    given = {"decline_second_factor": True} | more
    return account_service.add_account(
        app,
        user,
        broker="alpaca",
        mode="live",
        label="Real",
        credentials=KEYS,
        options={},
        acknowledge="REAL MONEY",
        **given,
    )


def undecided(app: App, user: User) -> int:
    """As an account is that was confirmed before there was the question."""
    account = live_account(app, user)
    app.db.write(lambda conn: account_table.change(conn, user.id, account, second_factor_declined_at=None))
    return account


def set_up(app: App, user: User) -> User:
    secret = second_factor.new_secret()
    code = totp.code_at(secret, totp.step_at(app.clock.now()))
    second_factor.enable(app, user, secret=secret, code=code, password=PASSWORD, address="", token=None)
    return reread(app, user.id)


def dialog(script: Any, **given: Any) -> AppTest:
    """A dialog's inside: AppTest runs no fragments."""
    return AppTest.from_function(script, kwargs=given, default_timeout=120).run()


# --- required of everybody ----------------------------------------------------------------------------------


def at_home() -> AppTest:
    return AppTest.from_file(str(ROOT / "Home.py"), default_timeout=120).run()


def test_the_only_page_is_where_it_is_set_up(app: App, superadmin: Trader, trader: Trader, seen_as: Any):
    with_data(trader)
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(replace(reread(app, trader.user.id), role=Role.SUPERADMIN))
    tab = at_home()
    assert not tab.exception and not tab.error
    assert [one.value for one in tab.title] == ["Set up two-factor authentication"]
    assert {"Set up", "Stop now"} <= labels(tab)
    assert not {"New bot", "New token", "Halt all bots", "Change password"} & labels(tab)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_run_all_the_same_shows_nothing_of_its_own(
    page: str, app: App, superadmin: Trader, trader: Trader, seen_as: Any
):
    """As the first request after a restart may do, which comes before the menu is there."""
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(replace(reread(app, trader.user.id), role=Role.SUPERADMIN))
    tab = opened(page)
    assert not tab.exception and [one.value for one in tab.title] == ["Two-factor authentication first"]
    assert not tab.button and not tab.text_input


def test_bots_are_stopped_from_there_and_not_let_go_again(
    app: App, superadmin: Trader, trader: Trader, seen_as: Any
):
    with_data(trader)
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(reread(app, trader.user.id))
    tab = at_home()
    tab.button(key="stop_now").click().run()
    assert not tab.exception and trader.get("/switches")["items"][0]["mode"] == "pause_entries"
    assert "Resume trading" not in labels(tab) and "Also close everything" in labels(tab)


def test_everything_is_closed_from_there(app: App, superadmin: Trader, trader: Trader, seen_as: Any):
    from dashtrade.services.trading import flatten

    with_data(trader)
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(reread(app, trader.user.id))

    def script() -> None:
        from dashtrade.ui.risk import flatten_dialog

        flatten_dialog.question("asked")

    tab = dialog(script)
    tab.button(key="danger_flatten").click().run()
    assert not tab.exception and len(flatten.latest(app, trader.user, limit=1)[0].items) == 1


def test_one_position_is_closed_from_there(app: App, superadmin: Trader, trader: Trader, seen_as: Any):
    bot = with_data(trader)
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(reread(app, trader.user.id))

    def script(bot: int) -> None:
        import streamlit as st

        from dashtrade.ui.positions import close_dialog

        if not st.session_state.get("toast"):
            close_dialog._close(bot, "Trend", "by-hand-1", None)

    app.engine.host = WakeHost(app.engine.run_lane)  # as a worker does at once
    assert not dialog(script, bot=bot).exception
    assert trader.holds(bot) == 0


def test_one_who_has_it_sees_every_page_as_before(app: App, superadmin: Trader, seen_as: Any):
    user = set_up(app, cy(app))
    second_factor_policy.put(app, superadmin.user, True)
    seen_as(reread(app, user.id))
    assert opened("overview").title[0].value == "Overview"
    tab = opened("account")
    assert "Switch off" not in labels(tab) and "Required on this installation" in words(tab)


def test_a_superadmin_requires_it_under_system(
    app: App, installation: Installation, superadmin: Trader, seen_as: Any
):
    set_up(app, cy(app))
    seen_as(superadmin.user)
    tab = opened("admin", part="System")
    assert "1 of 2 users" in words(tab) and "Require for all users" in labels(tab)

    def script() -> None:
        from dashtrade.ui.admin.system import _require

        _require.__wrapped__()

    asked = dialog(script)
    assert "1 user without" in words(asked) and asked.info
    asked.button(key="require_factor_yes").click().run()
    assert second_factor_policy.is_required(app)
    seen_as(replace(reread(app, superadmin.user.id), second_factor_due=False, second_factor=True))
    button(opened("admin", part="System"), "Make optional").click().run()
    assert not second_factor_policy.is_required(app)
    seen_as(installation.join("ada@example.com", Role.ADMIN).user)
    assert "Require for all users" not in labels(opened("admin", part="System"))


# --- for real money -----------------------------------------------------------------------------------------


def test_a_new_live_account_asks_for_the_second_choice(
    app: App, trader: Trader, seen_as: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "test", lambda *given: {"ok": True})  # nobody is there to be asked
    seen_as(trader.user)

    def script() -> None:
        from dashtrade.ui.setup import account_dialogs

        account_dialogs.add_form("asked")

    tab = dialog(script)
    tab.selectbox(key="add_broker_asked").set_value("Alpaca").run()
    tab.radio[0].set_value("live").run()
    for field in tab.text_input:
        field.set_value("REAL MONEY" if "REAL MONEY" in field.label else "key-or-secret")
    [tick] = [one for one in tab.checkbox if one.label == DECLINE]
    button(tab, "Add live account").click().run()
    assert not tab.exception and "two\\-factor" in tab.error[0].value and "Tick" in tab.error[0].value
    with app.db.read() as conn:
        assert account_table.list_all(conn, trader.user.id) == []
    assert not tick.value
    next(one for one in tab.checkbox if one.label == DECLINE).check()
    button(tab, "Add live account").click().run()
    [account] = bots_of(app, trader.user)
    assert account.confirmed_live and account.second_factor_declined_at is not None


def bots_of(app: App, user: User) -> list[Any]:
    with app.db.read() as conn:
        return account_table.list_all(conn, user.id)


def test_one_who_has_it_is_asked_no_second_time(app: App, seen_as: Any):
    user = set_up(app, cy(app))
    seen_as(user)

    def script() -> None:
        from dashtrade.ui.setup import account_dialogs

        account_dialogs.add_form("asked")

    tab = dialog(script)
    tab.selectbox(key="add_broker_asked").set_value("Alpaca").run()
    tab.radio[0].set_value("live").run()
    assert DECLINE not in {one.label for one in tab.checkbox}


def test_a_decline_stands_with_the_account(app: App, trader: Trader, seen_as: Any):
    live_account(app, trader.user)
    seen_as(trader.user)
    tab = opened("setup")
    assert "Without two-factor authentication, as you chose on" in words(
        tab
    ) and "Continue without two-factor authentication" not in labels(tab)
    assert not [one for one in attention(app, trader.user) if one.kind is AttentionKind.NO_SECOND_FACTOR]


def test_an_account_confirmed_before_is_asked_about_and_answers(app: App, trader: Trader, seen_as: Any):
    account = undecided(app, trader.user)
    [item] = [one for one in attention(app, trader.user) if one.kind is AttentionKind.NO_SECOND_FACTOR]
    assert "Account page" in attention_list.words(trader.user, item)[1]
    assert attention_list.link(item) == ("pages/setup.py", {})
    seen_as(trader.user)
    tab = opened("setup")
    assert "This account has no two-factor authentication" in words(
        tab
    ) and "Continue without two-factor authentication" in labels(tab)

    def script(number: int) -> None:
        from dashtrade.services.accounts import owned
        from dashtrade.ui.setup import account_dialogs
        from dashtrade.ui.shell.page import get_app, guard

        account_dialogs.confirm_form(owned.account_of(get_app(), guard(), number), "asked")

    asked = dialog(script, number=account)
    asked.text_input[0].set_value("REAL MONEY")
    asked.checkbox[0].check()
    button(asked, "Continue").click().run()
    assert bots_of(app, trader.user)[0].second_factor_declined_at is not None
    assert not [one for one in attention(app, trader.user) if one.kind is AttentionKind.NO_SECOND_FACTOR]


def test_switching_it_off_names_the_real_money_and_wants_the_tick(app: App, seen_as: Any):
    user = set_up(app, cy(app))
    live_account(app, user)
    seen_as(user)

    def script() -> None:
        from dashtrade.ui.account import second_factor

        second_factor.off_form("asked")

    tab = dialog(script)
    assert "Real money" in words(tab) and "Real\\." in words(tab)
    tab.text_input[0].set_value(PASSWORD)
    button(tab, "Switch off").click().run()
    assert "Tick" in tab.error[0].value and reread(app, user.id).second_factor
    tab.checkbox[0].check()
    tab.text_input[0].set_value(PASSWORD)
    button(tab, "Switch off").click().run()
    assert (
        not reread(app, user.id).second_factor and bots_of(app, user)[0].second_factor_declined_at is not None
    )


def test_admins_see_who_trades_real_money_behind_a_password(
    app: App, superadmin: Trader, trader: Trader, seen_as: Any
):
    from dashtrade.ui.admin.people import _row

    def cell(user: User) -> Any:
        alone = second_factor_policy.without(app, [user.id])
        return _row(app, superadmin.user, user, alone.get(user.id)).cells[2]

    assert cell(trader.user).text == "–"
    undecided(app, trader.user)
    assert (cell(trader.user).text, cell(trader.user).tone) == ("Off", "warn") and "1 not asked yet" in cell(
        trader.user
    ).sub
    with app.db.read() as conn:
        [account] = account_table.list_all(conn, trader.user.id)
    account_service.change_account(
        app, trader.user, account.id, {"acknowledge": "REAL MONEY", "decline_second_factor": True}
    )
    assert cell(trader.user).text == "Declined" and "since" in cell(trader.user).sub
    seen_as(superadmin.user)
    assert not opened("admin", part="Users").exception


def test_a_view_of_anothers_pages_asks_for_the_admins_own(app: App, superadmin: Trader, trader: Trader):
    """Whose pages they are has nothing to do with it: the admin's password opened them."""
    from dashtrade.services.people import sessions

    admin = set_up(app, cy(app))
    app.db.write(lambda conn: people_table.change(conn, admin.id, role=Role.ADMIN))
    token = sessions.begin(app, admin.id, device="", address="", remember=True)
    sessions.view(app, reread(app, admin.id), token, trader.user.id)
    second_factor_policy.put(app, superadmin.user, True)
    seen = sessions.find(app, token)
    assert seen is not None and seen.id == trader.user.id and not seen.second_factor_due
