"""A setting of a bot is declared once: columns, REST, its description, history and form all have it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashtrade.api.bots import BotFields
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import Malformed
from dashtrade.services.bots import history, spec
from dashtrade.services.bots.setting_spec import DEFAULTS, SettingSpec
from dashtrade.services.bots.settings import differences, read_settings
from dashtrade.tables import bots as table
from dashtrade.tables import messages as message_table
from tests.support.installation import Trader

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ROOT = Path(__file__).resolve().parents[2]

OTHERS: dict[str, Any] = {  # of each setting a value that is not the usual one
    "name": "Turtle",
    "position_size": "12.5",
    "position_size_type": "percent_of_equity",
    "size_override": True,
    "risk_limit_percent": "10",
    "daily_loss_limit": "500",
    "max_position_size": "20000",
    "sides": "long",
    "order_type": "limit",
    "limit_offset_percent": "0.25",
    "cooldown_seconds": 60,
    "windows": [{"days": ["mon", "fri"], "from": "09:30", "to": "16:00"}],
    "time_zone": "America/New_York",
    "orders_per_day": 5,
    "when_closed": "wait",
    "take_profit": [{"percent": "4", "share": "50"}, {"price": "220"}],
    "stop_loss": {"type": "stop", "percent": "2"},
    "break_even": True,
    "close_after_minutes": 90,
    "close_at": "15:55",
    "time_in_force": "gtc",
    "extended_hours": True,
    "delay_seconds": 5,
    "cancel_first": True,
}
OF_THE_ENGINE = {  # what a bot has besides what its user sets
    "id",
    "user_id",
    "is_active",
    "paused_reason",
    "status",
    "position_quantity",
    "position_cost",
    "realized_pnl",
    "fees",
    "total_trades",
    "day",
    "day_realized",
    "day_fees",
    "day_volume",
    "day_entries",
    "day_trades",
    "day_wins",
    "day_losses",
    "exits",
    "last_entry_at",
    "last_signal_at",
    "created_at",
    "updated_at",
    "deleted_at",
}
PLACE = {"account_id", "symbol", "written_symbol", "timeframe"}
CHANGEABLE = [setting for setting in spec.SETTINGS if not setting.fixed]
FULL = read_settings(OTHERS)


def test_every_setting_has_another_value_here():
    assert set(OTHERS) == {setting.name for setting in CHANGEABLE}
    assert all(setting.value(FULL) != setting.value(DEFAULTS) for setting in CHANGEABLE)


@pytest.mark.parametrize("setting", CHANGEABLE, ids=lambda setting: setting.name)
def test_every_setting_is_stored(setting: SettingSpec):
    changed = setting.put(FULL, setting.value(DEFAULTS))
    assert table.settings_columns(changed) != table.settings_columns(FULL)


def test_every_column_that_a_user_sets_is_a_setting():
    """A column of its own, or of which settings are parts."""
    columns = {column.name for column in table.bots.columns}
    assert columns == OF_THE_ENGINE | PLACE | set(table.settings_columns(DEFAULTS))
    stored = set()
    for setting in CHANGEABLE:
        before, after = (
            table.settings_columns(FULL),
            table.settings_columns(setting.put(FULL, setting.value(DEFAULTS))),
        )
        stored |= {name for name in before if before[name] != after[name]}
    assert stored == set(table.settings_columns(DEFAULTS))


@pytest.mark.parametrize("setting", CHANGEABLE, ids=lambda setting: setting.name)
def test_what_is_shown_can_be_sent_back_and_reads_the_same(setting: SettingSpec):
    assert setting.shown(FULL) == OTHERS[setting.name]
    for settings in (FULL, DEFAULTS):
        shown = setting.shown(settings)
        if shown not in ("", "0"):  # a new bot has no name and no size yet
            assert setting.read(shown) == setting.value(settings)


def test_rest_takes_every_setting_and_says_what_it_does():
    assert list(BotFields.model_fields) == [setting.name for setting in spec.SETTINGS]
    for name, about in BotFields.model_json_schema()["properties"].items():
        assert about["description"].endswith("."), name
        assert about["description"].startswith(spec.BY_NAME[name].help)


@sqlite
def test_rest_shows_every_setting_and_takes_it_back(trader: Trader):
    bot = trader.bot(**OTHERS)
    shown = trader.get(f"/bots/{bot}")
    assert {name: shown[name] for name in OTHERS} == OTHERS
    assert shown.keys() >= set(spec.BY_NAME)
    again = trader.request("PATCH", f"/bots/{bot}", {name: shown[name] for name in OTHERS})
    assert {name: again[name] for name in OTHERS} == OTHERS


@sqlite
def test_null_is_as_it_is_in_a_new_bot_where_there_may_be_none(trader: Trader):
    bot = trader.bot(**OTHERS)
    cleared = {setting.name: None for setting in CHANGEABLE if setting.nullable}
    shown = trader.request("PATCH", f"/bots/{bot}", cleared)
    assert {name: shown[name] for name in cleared} == {name: spec.BY_NAME[name].default for name in cleared}
    for setting in CHANGEABLE:
        if not setting.nullable:
            response = trader.call("PATCH", f"/bots/{bot}", {"position_size": "5", setting.name: None})
            assert (response.status_code, response.json["field"]) == (400, setting.name)


def test_the_manual_explains_every_setting():
    page = (ROOT / "docs/bots.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Settings\n")
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(spec.BY_NAME)


def test_a_misspelt_setting_is_asked_about():
    with pytest.raises(Malformed) as caught:
        read_settings({"cooldown_second": 5})
    assert caught.value.hint == "Did you mean cooldown_seconds?"


def test_the_history_has_every_difference_in_words():
    changes = differences(DEFAULTS, FULL)
    assert set(changes) == set(OTHERS)
    answer = {name: [spec.BY_NAME[name].in_words(value) for value in both] for name, both in changes.items()}
    assert answer["sides"] == ["Long and short", "Long only"]
    assert answer["daily_loss_limit"] == ["none", "500"]
    assert answer["extended_hours"] == ["no", "yes"]
    assert answer["windows"] == ["none", "Mon, Fri 09:30–16:00"]
    assert answer["take_profit"] == ["none", "4% (closes 50%); at 220"]
    assert answer["stop_loss"] == ["none", "2%"]


@sqlite
def test_the_history_says_what_older_rows_say(trader: Trader, app: Any):
    bot = trader.bot()

    def work(conn: Any) -> None:
        message_table.record(
            conn,
            actor=trader.user.id,
            action=AuditAction.BOT_CHANGED,
            now=datetime.now(UTC),
            subject=bot,
            detail={
                "size_override": ["no", "yes"],
                "windows": ["none", "mon/fri 09:30-16:00"],
                "sides": ["both", "long"],
                "exit_plan": ["none", "stop loss percent 2"],
                "name": "Hare",
            },
        )

    app.db.write(work)
    (newest, *_) = history.history(app, trader.user, bot)
    assert newest.changes == (
        ("size_override", "no", "yes"),
        ("windows", "none", "mon/fri 09:30-16:00"),
        ("sides", "Long and short", "Long only"),
        ("exit_plan", "none", "stop loss percent 2"),
        ("name", "", "Hare"),
    )
