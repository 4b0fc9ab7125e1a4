"""Protections as their user meets them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.notices.trading import EntriesLocked
from dashtrade.tables import messages
from dashtrade.tables import protections as table
from dashtrade.tables import risk_events as risk_event_table
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person
from tests.support.protections import AAPL

# --- as their user meets them -------------------------------------------------------------------------------


def protect(ann: Person, kind: str, scope: str = "user", scope_id: int | None = None, **settings: Any) -> int:
    return ann.does(
        "POST", "/protections", {"kind": kind, "scope": scope, "scope_id": scope_id, "settings": settings}
    )["id"]


def locks(ann: Person, **query: Any) -> list[Any]:
    return ann.get("/protection-locks", **query)["items"]


def stopped(ann: Person, house: House, feed: SetFeed, bot: int, symbol: str = "AAPL", **alert: Any) -> None:
    """One trade that ends at its risk limit, and its bot resumed."""
    assert ann.trades("buy", symbol, **alert)["status"] == "filled"
    feed.set(symbol, 80)
    assert house.look() == 1
    feed.set(symbol, 100)
    ann.does("POST", f"/bots/{bot}/resume")
    assert ann.holds(bot) == 0


def check(story: Any, name: str) -> Any:
    return next(one for one in story["bots"][0]["checks"] if one["check"] == name)


def test_a_streak_of_stops_locks_the_account_until_its_time(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot, other = ann.bot(risk_limit_percent="10"), ann.bot("MSFT")
    made = protect(ann, "stop_streak", "account", ann.paper, stops=2, lock_minutes=60)
    stopped(ann, house, feed, bot)
    clock.forward(600)
    stopped(ann, house, feed, bot)
    assert locks(ann) == []

    clock.forward(60)
    refused = ann.trades("buy", "MSFT")
    assert refused["status"] == "refused" and refused["orders"] == []
    assert (
        refused["bots"][0]["would"] == "blocked order: buy 50"
        and refused["bots"][0]["numbers"]["limit"] == "2"
    )
    assert refused["reason"] == "2 stops within 1440 minutes reached the limit of 2"
    [lock] = locks(ann)
    assert (lock["protection_id"], lock["scope"], lock["scope_id"], lock["symbol"]) == (
        made,
        "account",
        ann.paper,
        None,
    )
    assert lock["bot_id"] == other and lock["signal_id"] == refused["id"] and lock["standing"] is True
    assert lock["until"] == "2025-06-04T16:10:00.000Z" and lock["since"] == "2025-06-04T15:11:00.000Z"
    [event] = [one for one in ann.get("/risk-events")["items"] if one["kind"] == "stop_streak"]
    assert (
        event["action"] == "entries of this account are locked until 4 Jun 2025 16:10 UTC"
        and event["signal_id"] == refused["id"]
    )
    told = ann.told(EntriesLocked)
    assert [(one.protection, one.scope, one.until) for one in told] == [
        ("stop_streak", "account", datetime(2025, 6, 4, 16, 10, tzinfo=UTC))
    ]

    again = ann.trades("buy", "AAPL")
    assert again["facts"]["until"] == "2025-06-04T16:10:00.000Z" and check(again, "locks")["ok"] is False
    assert len(locks(ann)) == 1 and len(ann.told(EntriesLocked)) == 1

    clock.forward(3600)
    assert locks(ann, standing=True) == [] and len(locks(ann)) == 1
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_unlocking_lets_entries_pass_at_once_and_forgets_what_led_to_the_lock(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot = ann.bot(risk_limit_percent="10")
    protect(ann, "stop_streak", stops=2, lock_minutes=None)
    for _ in range(2):
        stopped(ann, house, feed, bot)
        clock.forward(60)
    assert ann.trades("buy")["status"] == "refused"
    [lock] = locks(ann, standing=True)
    assert lock["until"] is None

    after = ann.does("POST", f"/protection-locks/{lock['id']}/unlock")
    assert after["standing"] is False and after["unlocked_by"] == ann.user.id and after["unlocked_at"]
    assert ann.call("POST", f"/protection-locks/{lock['id']}/unlock").status_code == 409
    with house.app.db.read() as conn:
        assert [row.action for row in messages.recorded(conn, ann.user.id, before=None, limit=99)].count(
            "protection unlocked"
        ) == 1
    clock.forward(1)
    stopped(ann, house, feed, bot)
    clock.forward(1)
    assert ann.trades("buy")["status"] == "filled", "one stop since the unlocking is not two"


def test_a_cooldown_of_a_bot_leaves_the_other_bots_alone(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot = ann.bot(risk_limit_percent="10")
    ann.bot(timeframe="1H")
    protect(ann, "cooldown", "account", ann.paper, minutes=30)
    stopped(ann, house, feed, bot, timeframe="15 Min")
    clock.forward(600)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "refused"
    assert [(lock["scope"], lock["scope_id"]) for lock in locks(ann)] == [("bot", bot)]
    assert ann.trades("buy", timeframe="1H")["status"] == "filled"
    clock.forward(1200)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "filled"


@pytest.mark.parametrize(("price", "locked"), [(106, False), (94, True)])
def test_a_stop_loss_counts_as_a_stop_and_a_take_profit_does_not(
    ann: Person, house: House, feed: SetFeed, clock: SetClock, price: int, locked: bool
):
    bot = ann.bot()
    protect(ann, "cooldown", minutes=30)
    ann.trades("buy", takeProfit={"percent": 5}, stopLoss={"percent": 5})
    feed.set("AAPL", price)
    assert house.look() == 1 and ann.holds(bot) == 0
    clock.forward(1)
    assert ann.trades("buy")["status"] == ("refused" if locked else "filled")


def test_a_losing_symbol_is_locked_and_another_trades_on(ann: Person, feed: SetFeed, clock: SetClock):
    ann.bot(), ann.bot("MSFT")
    protect(ann, "losing_symbol", exits=1, loss=100)
    ann.trades("buy")
    feed.set("AAPL", 90)
    ann.trades("close")
    clock.forward(1)
    assert ann.trades("buy")["status"] == "refused" and locks(ann)[0]["symbol"] == AAPL.text
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_protections_stack_and_the_strictest_decides(ann: Person, feed: SetFeed, clock: SetClock):
    bot = ann.bot()
    protect(ann, "drawdown", "user", amount=1000)
    protect(ann, "drawdown", "account", ann.paper, amount=400, lock_minutes=5)
    protect(ann, "drawdown", "bot", bot, amount=300, lock_minutes=None)
    ann.trades("buy")
    feed.set("AAPL", 90)
    ann.trades("close")
    clock.forward(1)
    assert "500.00" in ann.trades("buy")["reason"]
    assert {lock["scope"]: lock["until"] is None for lock in locks(ann)} == {"account": False, "bot": True}
    clock.forward(600)
    assert "until you unlock them" in ann.trades("buy")["reason"], (
        "the account's lock is over, the bot's is not"
    )


def test_positions_and_exposure_are_counted_over_the_bots_of_the_scope(ann: Person, clock: SetClock):
    ann.bot(), ann.bot(timeframe="1H"), ann.bot("MSFT")
    most, exposure = (
        protect(ann, "max_positions", positions=2),
        protect(ann, "max_exposure", "account", ann.paper, amount=9000),
    )
    assert ann.trades("buy", timeframe="15 Min")["status"] == "filled"
    refused = ann.trades("buy", timeframe="1H")
    assert refused["reason"] == "10,000.00 in AAPL with this entry passes the limit of 9,000.00"
    ann.does("PATCH", f"/protections/{exposure}", {"settings": {"amount": "10000"}})
    assert ann.trades("buy", timeframe="1H")["status"] == "filled"
    assert ann.trades("buy", "MSFT")["reason"] == "2 open positions, and 2 allowed at once"
    assert locks(ann) == [] and ann.told(EntriesLocked) == [], "what is judged anew each time leaves no lock"
    ann.does("PATCH", f"/protections/{most}", {"is_active": False})
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_an_entry_that_rests_counts_as_a_position_and_as_exposure(ann: Person):
    ann.bot(order_type="limit", limit_offset_percent="5"), ann.bot(timeframe="1H"), ann.bot("MSFT")
    protect(ann, "max_positions", positions=1)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "working"
    assert ann.trades("buy", "MSFT")["reason"] == "1 open position, and 1 allowed at once"


def test_a_runaway_alert_is_locked_and_can_still_close(ann: Person, clock: SetClock):
    bot = ann.bot()
    protect(ann, "orders_per_minute", "bot", bot, orders=4)
    for action in ("buy", "close", "buy", "close"):
        assert ann.trades(action)["status"] == "filled"
        clock.forward(1)
    assert ann.trades("buy")["reason"] == "4 orders within a minute reached the limit of 4"
    [lock] = locks(ann)
    ann.does("POST", f"/protection-locks/{lock['id']}/unlock")
    clock.forward(1)
    assert ann.trades("buy")["status"] == "filled"
    assert ann.trades("close")["status"] == "filled"


def test_a_flip_whose_entry_is_locked_still_closes_and_the_lock_is_written(
    ann: Person, house: House, clock: SetClock
):
    bot = ann.bot()
    ann.trades("buy")
    protect(ann, "orders_per_minute", "bot", bot, orders=1)
    flipped = ann.trades("sell")
    assert flipped["status"] == "filled" and ann.holds(bot) == 0
    assert "exit only (entry blocked: 1 order within a minute" in str(flipped["timeline"])
    assert [lock["kind"] for lock in locks(ann)] == ["orders_per_minute"]


class PowerCut(BaseException):
    """No mistake of ours, which the engine would catch."""


def test_a_lock_its_event_its_message_and_the_refusal_are_one_step(
    ann: Person, house: House, monkeypatch: pytest.MonkeyPatch
):
    bot = ann.bot()
    ann.trades("buy")
    ann.trades("close")
    protect(ann, "orders_per_minute", "bot", bot, orders=1)
    real = risk_event_table.add_risk_event

    def power_cut(*given: Any, **named: Any) -> None:
        raise PowerCut

    monkeypatch.setattr(risk_event_table, "add_risk_event", power_cut)
    signal = ann.sends(action="buy")
    with pytest.raises(PowerCut):
        house.work()
    assert locks(ann) == [] and ann.story(signal)["status"] == "working"
    monkeypatch.setattr(risk_event_table, "add_risk_event", real)
    house.work()
    assert len(locks(ann)) == 1 and ann.story(signal)["status"] == "refused"
    assert len([one for one in ann.get("/risk-events")["items"] if one["kind"] == "orders_per_minute"]) == 1


def test_a_removed_protection_lets_go_of_what_it_had_locked(ann: Person):
    bot = ann.bot()
    ann.trades("buy")
    ann.trades("close")
    made = protect(ann, "orders_per_minute", "bot", bot, orders=1, lock_minutes=None)
    assert ann.trades("buy")["status"] == "refused"
    ann.does("DELETE", f"/protections/{made}")
    assert ann.get("/protections")["items"] == [] and locks(ann, standing=True) == [] and len(locks(ann)) == 1
    assert ann.trades("buy")["status"] == "filled"
    assert ann.call("DELETE", f"/protections/{made}").status_code == 404


def test_a_bad_protection_is_a_clear_400(ann: Person):
    ann.bot()
    for body, field, hint in (
        ({"kind": "cooldwn"}, "kind", "Did you mean cooldown?"),
        ({"kind": "cooldown", "settings": {"minuts": 3}}, "settings.minuts", "Did you mean minutes?"),
        (
            {"kind": "drawdown", "scope": "user", "settings": {"percent": 5}},
            "settings.percent",
            "amount of money",
        ),
    ):
        said = ann.call("POST", "/protections", body)
        assert (said.status_code, said.json["field"]) == (400, field) and hint in said.json["hint"]
    assert ann.call("POST", "/protections", {"kind": "cooldown", "scope": "bot"}).json["field"] == "id"
    assert (
        ann.call("POST", "/protections", {"kind": "cooldown", "scope": "bot", "scope_id": 4711}).status_code
        == 404
    )
    assert ann.call("POST", "/protections", {"kind": "cooldown", "scope": "all"}).status_code == 400


def test_without_protections_a_decision_asks_nothing_more_of_the_database(
    ann: Person, house: House, app: App, monkeypatch: pytest.MonkeyPatch
):
    ann.bot()
    for name in ("exits", "sent", "holdings", "resets"):
        monkeypatch.setattr(table, name, lambda *given: pytest.fail("read for nobody"))
    assert ann.trades("buy")["status"] == "filled"
    protect(ann, "wide_spread")
    assert ann.trades("close")["status"] == "filled"
    assert ann.trades("buy")["status"] == "filled"
