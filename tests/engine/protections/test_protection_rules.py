"""The rules of the protections, without anything around them, and their settings."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain import protections as domain
from dashtrade.domain.orders import Effect
from dashtrade.domain.protections import KINDS, LockTarget, PastExit, Scope, SentEntry
from dashtrade.domain.values import Malformed, OrderType, TimeInForce
from dashtrade.domain.wording import words
from tests.support.fakes import MORNING
from tests.support.protections import MSFT, ends_in, entry, holding, inputs, judge, past_exit


def test_a_cooldown_lasts_from_the_stop_on_and_no_longer():
    lock = judge("cooldown", inputs(past_exit(10)), minutes=30)
    assert ends_in(lock) == 20 and lock.target is LockTarget.BOT
    assert judge("cooldown", inputs(past_exit(30)), minutes=30) is None
    assert (
        ends_in(judge("cooldown", inputs(past_exit(25), past_exit(10), past_exit(20)), minutes=30)) == 20
    ), "the last one counts"


@pytest.mark.parametrize(
    ("after", "exit_", "locks"),
    [
        ("stops", past_exit(1, "5", stopped=True), True),
        ("stops", past_exit(1, "-5", stopped=False), False),
        ("losses", past_exit(1, "-5", stopped=False), True),
        ("losses", past_exit(1, "5", stopped=True), False),
        ("exits", past_exit(1, "5", stopped=False), True),
    ],
)
def test_a_cooldown_begins_with_its_configured_event(after: str, exit_: PastExit, locks: bool):
    assert (judge("cooldown", inputs(exit_), after=after) is not None) is locks


@pytest.mark.parametrize(
    ("per", "exit_", "locks"),
    [
        ("bot", past_exit(1, bot=2), False),
        ("symbol", past_exit(1, bot=2), True),
        ("symbol", past_exit(1, bot=1, symbol=MSFT), False),
        ("scope", past_exit(1, bot=2, symbol=MSFT), True),
    ],
)
def test_a_cooldown_holds_for_the_bot_the_symbol_or_all(per: str, exit_: PastExit, locks: bool):
    lock = judge("cooldown", inputs(exit_), per=per)
    assert (lock is not None) is locks and (lock is None or lock.target == per)


def test_so_many_stops_within_the_look_back_lock_from_the_last_of_them():
    stops = [past_exit(50), past_exit(40), past_exit(5)]
    lock = judge("stop_streak", inputs(*stops), stops=3, look_back_minutes=60, lock_minutes=30)
    assert ends_in(lock) == 25 and (lock.actual, lock.limit) == (3, 3)
    assert judge("stop_streak", inputs(*stops), stops=4, look_back_minutes=60) is None
    assert judge("stop_streak", inputs(*stops), stops=3, look_back_minutes=45) is None
    assert judge("stop_streak", inputs(*stops), stops=3, look_back_minutes=60, lock_minutes=5) is None, (
        "it has ended by now"
    )
    assert (
        judge("stop_streak", inputs(*stops), stops=3, look_back_minutes=60, lock_minutes=None).until is None
    )


def test_a_stop_that_made_money_is_none_of_a_streak():
    assert judge("stop_streak", inputs(past_exit(3), past_exit(2, "7"), past_exit(1)), stops=3) is None
    losses = [past_exit(3), past_exit(2, "-1", stopped=False), past_exit(1)]
    assert judge("stop_streak", inputs(*losses), stops=3) is None
    assert judge("stop_streak", inputs(*losses), stops=3, counts="losses") is not None


def test_a_drawdown_is_the_fall_from_the_best_point():
    # 300 200 400 150 200
    curve = [
        past_exit(60, "300"),
        past_exit(50, "-100"),
        past_exit(40, "200"),
        past_exit(30, "-250"),
        past_exit(20, "50"),
    ]
    assert judge("drawdown", inputs(*curve), amount=200, lock_minutes=60).actual == 200
    assert judge("drawdown", inputs(*curve), amount="200.01") is None
    assert ends_in(judge("drawdown", inputs(*curve), amount=200, lock_minutes=60)) == 40, (
        "from the last exit on"
    )
    assert judge("drawdown", inputs(*curve), amount=200, look_back_minutes=35).actual == 250 - 50


def test_a_drawdown_in_percent_is_one_of_the_equity_at_the_best_point():
    view = inputs(past_exit(1, "-1000"), equity=Decimal(9_000))
    assert judge("drawdown", view, percent=10).limit == 1000
    assert judge("drawdown", view, percent="10.01") is None
    assert judge("drawdown", view, percent=50, amount=500).limit == 500, "the lower of the two holds"


def test_a_symbol_that_lost_is_locked_and_the_others_are_not():
    mine = [past_exit(3, "-30"), past_exit(2, "20")]
    lock = judge("losing_symbol", inputs(*mine, past_exit(1, "-500", symbol=MSFT)), exits=2, lock_minutes=10)
    assert lock.target is LockTarget.SYMBOL and lock.actual == 10 and ends_in(lock) == 8
    assert judge("losing_symbol", inputs(*mine), exits=3) is None
    assert judge("losing_symbol", inputs(*mine), loss=10) is None
    assert judge("losing_symbol", inputs(past_exit(3, "-30"), past_exit(2, "30"))) is None


def test_positions_at_once_are_counted_without_the_entrys_own():
    others = (holding(2), holding(3, MSFT))
    refused = judge("max_positions", inputs(others=others), positions=2)
    assert refused.actual == 2 and not refused.lasts(MORNING)
    assert judge("max_positions", inputs(others=others), positions=3) is None
    assert (
        judge("max_positions", inputs(others=others, owned=Decimal(5)), entry(effect=Effect.ADD), positions=2)
        is None
    )
    assert ends_in(judge("max_positions", inputs(others=others), positions=2, lock_minutes=15)) == 15


def test_exposure_adds_up_all_bots_on_the_symbol():
    others = (holding(2), holding(3, MSFT, "1000"), holding(4))
    assert judge("max_exposure", inputs(others=others), amount=3000) is None
    assert judge("max_exposure", inputs(others=others), amount=2999).actual == 3000
    assert judge("max_exposure", inputs(others=others), percent=3) is None
    assert judge("max_exposure", inputs(others=others, equity=Decimal(99_999)), percent=3) is not None
    assert (
        judge("max_exposure", inputs(owned=Decimal(15)), entry(effect=Effect.ADD), amount=2499).actual == 2500
    )


def test_a_runaway_alert_is_stopped_by_its_rate():
    sent = tuple(
        SentEntry(bot_id=1, account_id=1, at=MORNING - timedelta(seconds=ago)) for ago in (0, 20, 59, 60, 61)
    )
    assert judge("orders_per_minute", inputs(sent=sent), orders=4) is None
    assert ends_in(judge("orders_per_minute", inputs(sent=sent), orders=3, lock_minutes=15)) == 15


def test_an_old_price_refuses_what_would_be_paid_at_market():
    assert judge("stale_price", inputs(age=60)) is None
    old = judge("stale_price", inputs(age=61))
    assert (old.actual, old.limit) == (61, 60) and "61 s old" in words(old.reason) and not old.lasts(MORNING)
    assert judge("stale_price", inputs(age=61), entry(OrderType.LIMIT, limit_price=Decimal(99))) is None
    assert judge("stale_price", inputs(age=9999, demo=True)) is None
    assert judge("stale_price", inputs(age=9999), seconds=86400) is None


def test_a_wide_spread_refuses_what_would_be_paid_at_market():
    assert judge("wide_spread", inputs(bid="99.5", ask="100.5")) is None
    wide = judge("wide_spread", inputs(bid="99", ask="101"))
    assert (wide.actual, wide.limit) == (2, 1) and wide.reason.facts["bid"] == 99
    assert (
        judge("wide_spread", inputs(bid="99", ask="101"), entry(OrderType.LIMIT, limit_price=Decimal(99)))
        is None
    )


def test_at_a_closed_market_only_orders_meant_for_it_pass():
    rule, opens = KINDS["market_closed"](), MORNING + timedelta(hours=20)
    closed = inputs(market_open=False, opens_at=opens)
    assert "opens at 5 Jun 2025 11:00 UTC" in words(rule.judge(entry(), closed).reason)
    assert rule.judge(entry(), inputs()) is None
    assert rule.judge(entry(extended_hours=True), closed) is None
    assert rule.judge(entry(time_in_force=TimeInForce.OPG), closed) is None
    assert "unknown" in words(rule.judge(entry(), inputs(market_open=False)).reason)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "field", "hint"),
    [
        ("cooldwn", {}, "kind", "Did you mean cooldown?"),
        ("market_closed", {}, "kind", "when_closed"),
        ("cooldown", {"minuts": 5}, "settings.minuts", "Did you mean minutes?"),
        ("cooldown", {"minutes": 0}, "settings.minutes", "A whole number from 1"),
        ("cooldown", {"minutes": "1.5"}, "settings.minutes", "A whole number"),
        ("cooldown", {"minutes": None}, "settings.minutes", "Omit it"),
        ("cooldown", {"after": "rain"}, "settings.after", "One of: stops, losses, exits."),
        ("cooldown", {"after": ["stops"]}, "settings.after", "One of"),
        ("stop_streak", {"lock_minutes": -1}, "settings.lock_minutes", "or null: until unlocked"),
        ("wide_spread", {"percent": "NaN"}, "settings.percent", "finite"),
        ("drawdown", {}, "settings", "Send amount, percent or both"),
        ("max_exposure", {"amount": True}, "settings.amount", "Send a number"),
    ],
)
def test_an_invalid_setting_names_the_field_and_the_valid_values(
    kind: str, settings: Any, field: str, hint: str
):
    with pytest.raises(Malformed) as refused:
        domain.read(kind, Scope.ACCOUNT, settings)
    assert refused.value.where == field and hint in refused.value.hint


def test_a_percentage_of_an_equity_needs_one_account():
    for kind in ("drawdown", "max_exposure"):
        domain.read(kind, Scope.ACCOUNT, {"percent": 5})
        with pytest.raises(Malformed, match="for all accounts"):
            domain.read(kind, Scope.USER, {"percent": 5})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "market_closed"])
def test_settings_read_back_as_they_were_written(kind: str):
    some = {"amount": "12.50"} if kind in ("drawdown", "max_exposure") else {}
    made = domain.read(kind, Scope.BOT, some)
    assert domain.read(kind, Scope.BOT, domain.written_settings(made)) == made


def test_every_kind_is_described_in_words():
    for kind in domain.describe():
        assert kind["title"] and kind["description"].endswith(".") and "\n" not in kind["description"]
        assert all(one["description"] for one in kind["settings"])
    assert [kind["kind"] for kind in domain.describe() if kind["always"]] == ["stale_price", "market_closed"]
