"""What can be done on the pages, run without a browser."""

from __future__ import annotations

from typing import Any

import pytest

from bot_database import DatabaseUnavailable
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Stop
from dashtrade.domain.values import Malformed
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.people import users as people_service
from dashtrade.services.trading import trade_files
from dashtrade.tables import people as people_table
from dashtrade.tables import switches as switch_table
from dashtrade.ui.setup.alert_messages import DIALECTS, FILLED_IN, message_to_try
from dashtrade.ui.shell.errors import explained
from tests.support.installation import Installation, Trader
from tests.support.pages import opened, with_data

# --- what can be done ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "query", "leads_to"),
    [("history", {}, "Alerts"), ("signals", {}, "Alerts"), ("setup", {"part": "Alerts"}, "New bot")],
)
def test_the_button_of_an_empty_page_leads_to_what_it_says(
    page: str, query: dict[str, str], leads_to: str, trader: Trader, seen_as: Any
):
    seen_as(trader.user)
    tab = opened(page, **query)
    next(button for button in tab.button if button.key.startswith("empty_button_")).click().run()
    assert not tab.exception
    if leads_to == "Alerts":
        assert tab.title[0].value == "Setup" and tab.session_state["part"] == "Alerts"
    else:
        assert tab.title[0].value == "Bots" and any(
            button.label == "Open a paper account first" for button in tab.button
        ), "the dialog of a new bot is open"


def test_a_paper_account_is_opened_by_one_button(trader: Trader, seen_as: Any):
    seen_as(trader.user)
    tab = opened("overview")
    next(button for button in tab.button if button.label == "Open a paper account").click().run()
    assert len(trader.get("/accounts")["items"]) == 1


def test_stop_all_does_what_it_says(trader: Trader, app: App, seen_as: Any):
    with_data(trader)
    seen_as(trader.user)
    tab = opened("overview")
    tab.radio(key="stop_choice").set_value(Stop.REDUCE_ONLY)
    tab.button(key="stop_now").click().run()
    with app.db.read() as conn:
        assert [row.stop for row in switch_table.list_switches(conn, trader.user.id)] == ["reduce_only"]
    tab.button(key="start_again").click().run()
    assert trader.get("/switches")["items"] == []


def test_a_double_click_on_a_test_alert_is_one_order(
    trader: Trader, installation: Installation, seen_as: Any
):
    trader.bot("AAPL")
    seen_as(trader.user)
    tab = opened("setup", part="Alerts")
    first = tab.session_state["test_id"]
    for _ in range(2):  # the second click comes before the page has been drawn anew
        tab.session_state["test_id"] = first
        tab.button(key="send_test").click().run()
    installation.work()
    assert len(trader.get("/orders")["items"]) == 1


def test_closing_twice_from_one_question_is_one_order(trader: Trader, installation: Installation, app: App):
    bot = with_data(trader)
    before = len(trader.get("/orders")["items"])
    for _ in range(2):
        bot_service.close_bot(app, trader.user, bot, request_id="asked-once")
    installation.work()
    assert len(trader.get("/orders")["items"]) == before + 1


def test_a_services_refusal_is_shown_on_the_page(installation: Installation, app: App, seen_as: Any):
    user_id = people_service.add_user(
        app, email="cy@example.com", name="Cy", password="correct horse battery"
    )
    with app.db.read() as conn:
        seen_as(people_table.by_id(conn, user_id))
    tab = opened("account")
    for field, value in zip(
        [f for f in tab.text_input if "assword" in f.label],
        ("not it", "some other words", "some other words"),
        strict=True,
    ):
        field.set_value(value)
    next(button for button in tab.button if button.label == "Change password").click().run()
    assert not tab.exception
    assert "current password is wrong" in tab.error[0].value


@pytest.mark.parametrize(("symbol", "goes"), [("AAPL", "Trend"), ("MSFT", "no bot: no bot trades MSFT")])
def test_a_pasted_alert_says_which_bot_would_hear_it(symbol: str, goes: str, trader: Trader, seen_as: Any):
    trader.bot("AAPL", name="Trend")
    seen_as(trader.user)
    tab = opened("setup", part="Alerts")
    tab.text_area(key="payload").set_value(f"buy {symbol}").run()
    assert not tab.exception and not tab.error
    assert f"<b>Goes to</b><span>{goes}</span>" in "".join(str(part.proto.body) for part in tab.get("html"))


@pytest.mark.parametrize(
    "raw", ["", "{", '{"action": "buy"}', "BUY", '{"action":"{{x}}","symbol":"AAPL"}', "\u0000", "[" * 3000]
)
def test_any_pasted_payload_is_read_or_explained(raw: str, trader: Trader, seen_as: Any):
    seen_as(trader.user)
    tab = opened("setup", part="Alerts")
    tab.text_area(key="payload").set_value(raw).run()
    assert not tab.exception and tab.error


def test_a_field_is_named_in_words(trader: Trader):
    answer = explained(
        Malformed("daily_loss_limit is not a number: 'abc'", where="daily_loss_limit", hint="Send a number.")
    )
    assert answer.startswith("**Daily loss limit is not a number")


def test_bots_of_one_name_are_distinguished(trader: Trader, app: App):
    first, second, third = (
        trader.bot("AAPL", name="Trend"),
        trader.bot("MSFT", name="Trend"),
        trader.bot("TSLA", name="Swing"),
    )
    assert bot_names(app, trader.user) == {
        first: f"Trend (#{first})",
        second: f"Trend (#{second})",
        third: "Swing",
    }


def test_a_page_without_its_database_says_so(
    trader: Trader, app: App, seen_as: Any, monkeypatch: pytest.MonkeyPatch
):
    assert "nothing was changed" in explained(DatabaseUnavailable("locked"))
    assert "log" in explained(RuntimeError("secret detail")) and "secret" not in explained(
        RuntimeError("secret detail")
    )


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("action", ["buy", "sell", "close"])
def test_the_message_of_the_alert_builder_reaches_its_bot(
    dialect: Any, action: str, trader: Trader, app: App
):
    trader.bot("MSFT")
    bot = bot_service.bot_of(app, trader.user, trader.bot("NASDAQ:AAPL", "1 Hour"))
    message = dialect.build(bot, action)
    for name, value in FILLED_IN.items():
        message = message.replace(name, value)
    signal = parse(message.encode()).signal
    assert (signal.symbol, signal.timeframe) == (bot.symbol, bot.timeframe)
    assert signal.action == (action if dialect.asks_action else "buy")
    response = trader.alert(message)
    assert response.status_code == 202, response.text


def test_a_test_message_names_its_bot(trader: Trader, app: App):
    bot = bot_service.bot_of(app, trader.user, trader.bot("BTCUSD", "1 Hour"))
    assert parse(message_to_try(bot, "buy", "1").encode()).signal.bot == str(bot.id)


def test_the_file_of_trades_holds_all_of_one_users_and_no_formula(installation: Installation, app: App):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    with_data(trader)
    with_data(other_trader)
    lines = "".join(trade_files.fills(app, trader.user, {})).splitlines()
    assert lines[0].startswith("Number,Time (UTC),Bot,")
    assert len(lines) == 4
    assert not [
        cell for line in lines[1:] for cell in line.split(",") if cell[:1] in "=+@"[: len(cell)] and cell
    ]
