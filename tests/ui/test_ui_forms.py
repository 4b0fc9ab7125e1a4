"""What people write into forms: numbers as they write them, and complaints at the field, in the form's own
words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.decisions.risk import risk_limit_price
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, quoted
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.services.accounts import prices
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import spec
from dashtrade.services.trading.attention import AttentionKind, attention
from dashtrade.settings import Settings
from dashtrade.tables import bots as bot_table
from dashtrade.ui.bots import candles
from dashtrade.ui.bots.exit_fields import Stake
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.format import price
from dashtrade.ui.kit.rows import exits_in_short, stop_cell
from dashtrade.ui.shell import runtime
from tests.api.test_bot_spec import OTHERS
from tests.support.databases import SqliteFiles
from tests.support.installation import Installation, Trader
from tests.support.pages import opened, words

D = Decimal


@pytest.fixture(name="app")
def forms_app(tmp_path: Path, sqlite_files: SqliteFiles) -> Iterator[App]:
    sqlite_files.fresh(tmp_path / "home" / "dashtrade.db")
    made = build_app(Settings.load({"DASHTRADE_HOME": str(tmp_path / "home")}, tmp_path))
    runtime.use(made)
    yield made
    runtime.use(None)
    made.close()


@pytest.fixture(name="trader")
def forms_trader(app: App, monkeypatch: pytest.MonkeyPatch) -> Trader:
    person = Installation(app).join()

    def user(*, present: bool = True) -> User:
        return person.user

    monkeypatch.setattr(runtime, "current_user", user)
    monkeypatch.setattr(runtime, "session_token", lambda: "a-token")
    return person


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("5000", "5000"),
        ("5 000", "5000"),
        ("5,000.50", "5000.5"),
        ("$5,000", "5000"),
        (" $ 5000 ", "5000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1,234,567", "1234567"),
        ("5\u00a0000", "5000"),
        ("5'000", "5000"),
        ("", None),
        ("   ", None),
    ],
)
def test_a_number_is_read_as_people_write_it(said: str, meant: str | None):
    assert read_input.number(said, "size", "Size") == meant


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("1e9", "1,000,000,000"),
        ("1E3", "1,000"),
        ("5,5", "thousands"),
        ("1.234,56", "thousands"),
        ("12,34", "thousands"),
        ("5,00,0", "such as"),
        ("five", "such as"),
        ("5k", "such as"),
        ("0", "above 0"),
        ("-5", "above 0"),
        ("−5", "above 0"),
        ("5 %", "plain number"),
        ("NaN", "such as"),
        ("Infinity", "such as"),
        ("\u0665", "such as"),
        ("1" * 40, "above 0"),
        ("1e99999999999", "digits"),
        ("$", "such as"),
        ("1 2", "such as"),
    ],
)
def test_a_number_that_could_be_another_is_refused_in_the_forms_words(said: str, hint: str):
    with pytest.raises(Malformed) as caught:
        read_input.number(said, "position_size", "Order size")
    assert hint in caught.value.hint and caught.value.message.startswith("Order size")
    assert "position_size" not in caught.value.message + caught.value.hint and "null" not in caught.value.hint


def test_a_percentage_may_say_so_and_nothing_else_may():
    assert read_input.number("2 %", "stop", "Stop", percent=True, most=100) == "2"
    with pytest.raises(Malformed, match="Stop is 101%"):
        read_input.number("101%", "stop", "Stop", percent=True, most=100)
    with pytest.raises(Malformed):
        read_input.number("$2", "stop", "Stop", percent=True)


@pytest.mark.parametrize(("said", "meant"), [("9:30", "09:30"), ("15.55", "15:55"), ("", None)])
def test_a_time_of_day_is_read_as_people_write_it(said: str, meant: str | None):
    assert read_input.clock(said, "at", "At") == meant


@pytest.mark.parametrize("said", ["24:00", "9", "12:60", "noon"])
def test_what_is_no_time_of_day_is_refused(said: str):
    with pytest.raises(Malformed, match="no time of day"):
        read_input.clock(said, "at", "At")


# --- what a stop means --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stake", "meant"),
    [
        (Stake(kind="dollars", size=D(5000)), "about −$100.00 per trade"),
        (Stake(kind="quantity", size=D(10), price=D(200)), "about −$40.00 per trade"),
        (Stake(kind="quantity", size=D(10)), "−2.00% of the cost of a trade"),
        (Stake(kind="percent_of_equity", size=D(10), equity=D(100_000)), "about −$200.00 per trade"),
        (Stake(kind="percent_of_equity", size=D(10)), "about −0.20% of the equity per trade"),
        (Stake(kind="risk_dollars", size=D(50)), "about −$50.00 per trade"),
        (Stake(kind="risk_percent", size=D(1), equity=D(100_000)), "about −$1,000.00 per trade"),
        (Stake(kind="risk_percent", size=D(1)), "about −1.00% of the equity per trade"),
        (Stake(kind="dollars", size=None), ""),
    ],
)
def test_two_percent_is_shown_in_money(stake: Stake, meant: str):
    assert stake.share(D(2), -1) == meant


# --- the form of a bot --------------------------------------------------------------------------------------


def field(tab: AppTest, label: str) -> Any:
    return next(box for box in tab.text_input if box.label == label)


def pressed(tab: AppTest, label: str) -> AppTest:
    return next(button for button in tab.button if button.label == label).click().run()


@pytest.fixture
def new_bot(trader: Trader) -> AppTest:
    """The dialog's inside: AppTest runs no fragments."""
    trader.account()

    def script() -> None:
        from dashtrade.ui.bots import bot_form

        bot_form.new_form(None, "asked")

    tab = AppTest.from_function(script, default_timeout=120).run()
    field(tab, "Symbol").set_value("AAPL")
    return tab


def test_a_stops_number_is_asked_for_once_a_kind_is_chosen(new_bot: AppTest, trader: Trader):
    tab = new_bot
    assert not [box for box in tab.text_input if "Trailing" in box.label or "Stop" in box.label]
    assert "a loss runs until an alert" in words(tab)
    next(box for box in tab.selectbox if box.label == "Stop").set_value("trail_percent").run()
    assert field(tab, "Trailing distance, %").value == "2", (
        "what is shown is what will be kept, no grey example"
    )
    assert "Trailing stop 2% = about −$100.00 per trade until the stop has moved with the price" in words(
        tab
    ).replace("\\", "")
    tab = pressed(tab, "Create bot")
    assert not tab.error
    (bot,) = trader.get("/bots")["items"]
    assert bot["stop_loss"] == {"type": "trailing_stop", "percent": "2"}


def test_a_stop_that_was_chosen_is_never_left_out(new_bot: AppTest, trader: Trader):
    tab = new_bot
    next(box for box in tab.selectbox if box.label == "Stop").set_value("percent").run()
    field(tab, "Stop, % from the entry").set_value("")
    tab = pressed(tab, "Create bot")
    assert (
        "Stop, % from the entry is empty" in tab.error[0].value.replace("\\", "")
        and "choose No stop" in tab.error[0].value
    )
    assert not trader.get("/bots")["items"]


@pytest.mark.parametrize(
    ("label", "said", "complaint"),
    [
        ("Order size", "-5", "Order size is -5. Enter a number above 0."),
        ("Order size", "", "Order size is empty. Enter the order size."),
        (
            "Order size",
            "1e4",
            "Order size: 1e4 may be meant in two ways. Write it out in digits, such as 10,000.",
        ),
        ("Symbol", "", "Symbol is empty. Enter what the bot trades, such as AAPL or BTCUSD."),
        (
            "Max loss per position, %",
            "150",
            "Max loss per position, % is 150. Enter a number above 0 up to 100.",
        ),
        (
            "Max entries per day",
            "1.5",
            "Max entries per day is 1.5. Enter a whole number above 0 up to 100,000.",
        ),
        (
            "Close the position at",
            "soon",
            "Close the position at: soon is no time of day. Write it as 15:55.",
        ),
    ],
)
def test_a_form_complains_in_its_own_words_at_the_field(
    new_bot: AppTest, trader: Trader, label: str, said: str, complaint: str
):
    tab = new_bot
    field(tab, label).set_value(said)
    tab = pressed(tab, "Create bot")
    (error,) = tab.error
    assert error.value.replace("\\", "").replace("*", "") == complaint
    assert not trader.get("/bots")["items"]


def test_thousands_are_read_as_they_are_written(new_bot: AppTest, trader: Trader):
    field(new_bot, "Order size").set_value("$5,000.50")
    field(new_bot, "Daily loss limit, $").set_value("1 000")
    assert not pressed(new_bot, "Create bot").error
    (bot,) = trader.get("/bots")["items"]
    assert (bot["position_size"], bot["daily_loss_limit"]) == ("5000.5", "1000")


def test_a_size_by_risk_without_a_stop_is_explained_at_its_field_without_api_names(new_bot: AppTest):
    next(box for box in new_bot.selectbox if box.label == "Size type").set_value("risk_dollars").run()
    (error,) = pressed(new_bot, "Create bot").error
    assert "needs a stop-loss" in error.value.replace("\\", "") and "Choose a stop below" in error.value
    assert "stop_loss" not in error.value.replace("\\", "")


def change_form(bot_id: int) -> AppTest:
    def script(bot_id: int) -> None:
        from dashtrade.services.bots import bots
        from dashtrade.ui.bots import bot_form
        from dashtrade.ui.shell.page import get_app, guard

        bot_form.change_form(bots.bot_of(get_app(), guard(), bot_id), "asked")

    return AppTest.from_function(script, args=(bot_id,), default_timeout=120).run()


def sent(monkeypatch: pytest.MonkeyPatch, name: str) -> list[dict[str, Any]]:
    """What the form sends to the service from here on."""
    seen: list[dict[str, Any]] = []
    through = getattr(bot_service, name)

    def spy(*given: Any, **more: Any) -> Any:
        seen.append(next(one for one in given if isinstance(one, dict)))
        return through(*given, **more)

    monkeypatch.setattr(bot_service, name, spy)
    return seen


def test_every_setting_has_a_field_in_the_form(new_bot: AppTest, monkeypatch: pytest.MonkeyPatch):
    seen = sent(monkeypatch, "add_bot")
    field(new_bot, "Name").set_value("Turtle")
    assert not pressed(new_bot, "Create bot").error
    assert set(seen[0]) == set(spec.BY_NAME)


def test_a_form_that_is_saved_as_it_is_changes_nothing(trader: Trader, monkeypatch: pytest.MonkeyPatch):
    exits = {"take_profit": [{"percent": "4"}], "stop_loss": {"type": "stop", "percent": "2"}}
    bot = trader.bot(**(OTHERS | exits))
    before, seen = trader.get(f"/bots/{bot}"), sent(monkeypatch, "change_bot")
    tab = change_form(bot)
    assert not pressed(tab, "Save").error and not tab.exception
    assert set(seen[0]) == {setting.name for setting in spec.SETTINGS if not setting.fixed}
    after = trader.get(f"/bots/{bot}")
    assert after | {"updated_at": ""} == before | {"updated_at": ""}


def test_what_the_form_cannot_show_stays_as_it_is(trader: Trader, monkeypatch: pytest.MonkeyPatch):
    windows = [
        {"days": ["mon"], "from": "09:30", "to": "10:00"},
        {"days": ["tue"], "from": "11:00", "to": "12:00"},
    ]
    bot = trader.bot(**(OTHERS | {"windows": windows}))
    before, seen = trader.get(f"/bots/{bot}"), sent(monkeypatch, "change_bot")
    tab = change_form(bot)
    assert "cannot be shown in this form" in words(tab) and "2 trading windows" in words(tab)
    field(tab, "Max entries per day").set_value("9")
    assert not pressed(tab, "Save").error
    assert {"windows", "stop_loss", "take_profit"}.isdisjoint(seen[0])
    after = trader.get(f"/bots/{bot}")
    assert after | {"updated_at": "", "orders_per_day": 5} == before | {"updated_at": ""}


# --- max loss per position ----------------------------------------------------------------------------------


def test_the_risk_limit_stands_where_no_stop_would_and_has_a_price(app: App, trader: Trader):
    limited, bare = (
        trader.bot("AAPL", risk_limit_percent="4"),
        trader.bot("MSFT", take_profit=[{"percent": "5"}]),
    )
    trader.trades("buy")
    trader.trades("buy", "MSFT")
    one, other = (bot_service.bot_of(app, trader.user, bot) for bot in (limited, bare))
    entry = one.position.average_price
    assert (
        entry is not None and risk_limit_price(one) == entry * D("0.96") and risk_limit_price(other) is None
    )
    shown = f"max loss at {price(entry * D('0.96'))}"
    assert exits_in_short(one) == (shown, "managed by DashTrade while it runs")
    assert exits_in_short(other)[0].endswith("no stop")
    held = prices.holding(app, one, owned_accounts.account_of(app, trader.user, one.account_id))
    assert stop_cell(held).text == shown and stop_cell(held).meter is not None
    assert [float(entry * D("0.96")), "max loss"] in candles._levels(one)
    page = words(opened("bots", bot=str(limited)))
    assert "Stop loss" not in page


def test_of_a_short_the_risk_limit_lies_above(app: App, trader: Trader):
    bot = trader.bot("AAPL", risk_limit_percent="10")
    trader.trades("sell")
    short = bot_service.bot_of(app, trader.user, bot)
    assert short.position.average_price is not None and risk_limit_price(
        short
    ) == short.position.average_price * D("1.1")


# --- what needs attention -----------------------------------------------------------------------------------


def test_a_refusal_of_a_paused_bot_needs_no_attention_once_it_is_resumed(app: App, trader: Trader):
    bot = trader.bot()
    trader.request("POST", f"/bots/{bot}/pause")
    assert "paused" in trader.trades("buy")["reason"]
    assert [item for item in attention(app, trader.user) if item.reason.code is Code.BOT_PAUSED]
    trader.request("POST", f"/bots/{bot}/resume")
    assert not attention(app, trader.user)


def test_a_refusal_by_a_switch_needs_no_attention_once_it_is_off(app: App, trader: Trader):
    trader.bot()
    trader.request("PUT", "/switches", {"scope": "user", "mode": "pause_entries"})
    assert "switched" in trader.trades("buy")["reason"]
    assert [item for item in attention(app, trader.user) if item.reason.code is Code.SWITCHED]
    trader.request("PUT", "/switches", {"scope": "user", "mode": "none"})
    assert not attention(app, trader.user)


def test_a_stopped_bot_is_resumed_where_it_is_reported(app: App, trader: Trader):
    bot = trader.bot()
    app.db.write(
        lambda conn: bot_table.change(
            conn, trader.user.id, bot, is_active=False, paused_reason=quoted("daily loss limit reached")
        )
    )
    (item,) = attention(app, trader.user)
    assert item.kind is AttentionKind.BOT_STOPPED and item.bot_id == bot
