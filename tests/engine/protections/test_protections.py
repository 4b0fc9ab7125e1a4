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
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, Trader
from tests.support.protections import AAPL

# --- as their user meets them -------------------------------------------------------------------------------


def protect(
    trader: Trader, kind: str, scope: str = "user", scope_id: int | None = None, **settings: Any
) -> int:
    return trader.request(
        "POST", "/protections", {"kind": kind, "scope": scope, "scope_id": scope_id, "settings": settings}
    )["id"]


def locks(trader: Trader, **query: Any) -> list[Any]:
    return trader.get("/protection-locks", **query)["items"]


def stopped(
    trader: Trader, installation: Installation, feed: ManualFeed, bot: int, symbol: str = "AAPL", **alert: Any
) -> None:
    """One trade that ends at its risk limit, and its bot resumed."""
    assert trader.trades("buy", symbol, **alert)["status"] == "filled"
    feed.set(symbol, 80)
    assert installation.look() == 1
    feed.set(symbol, 100)
    trader.request("POST", f"/bots/{bot}/resume")
    assert trader.holds(bot) == 0


def check(story: Any, name: str) -> Any:
    return next(one for one in story["bots"][0]["checks"] if one["check"] == name)


def test_a_streak_of_stops_locks_the_account_until_its_time(
    trader: Trader, installation: Installation, feed: ManualFeed, clock: ManualClock
):
    bot, other = trader.bot(risk_limit_percent="10"), trader.bot("MSFT")
    made = protect(trader, "stop_streak", "account", trader.paper, stops=2, lock_minutes=60)
    stopped(trader, installation, feed, bot)
    clock.forward(600)
    stopped(trader, installation, feed, bot)
    assert locks(trader) == []

    clock.forward(60)
    refused = trader.trades("buy", "MSFT")
    assert refused["status"] == "refused" and refused["orders"] == []
    assert (
        refused["bots"][0]["would"] == "blocked order: buy 50"
        and refused["bots"][0]["numbers"]["limit"] == "2"
    )
    assert refused["reason"] == "2 stops within 1440 minutes reached the limit of 2"
    [lock] = locks(trader)
    assert (lock["protection_id"], lock["scope"], lock["scope_id"], lock["symbol"]) == (
        made,
        "account",
        trader.paper,
        None,
    )
    assert lock["bot_id"] == other and lock["signal_id"] == refused["id"] and lock["standing"] is True
    assert lock["until"] == "2025-06-04T16:10:00.000Z" and lock["since"] == "2025-06-04T15:11:00.000Z"
    [event] = [one for one in trader.get("/risk-events")["items"] if one["kind"] == "stop_streak"]
    assert (
        event["action"] == "entries of this account are locked until 4 Jun 2025 16:10 UTC"
        and event["signal_id"] == refused["id"]
    )
    told = trader.notices(EntriesLocked)
    assert [(one.protection, one.scope, one.until) for one in told] == [
        ("stop_streak", "account", datetime(2025, 6, 4, 16, 10, tzinfo=UTC))
    ]

    again = trader.trades("buy", "AAPL")
    assert again["facts"]["until"] == "2025-06-04T16:10:00.000Z" and check(again, "locks")["ok"] is False
    assert len(locks(trader)) == 1 and len(trader.notices(EntriesLocked)) == 1

    clock.forward(3600)
    assert locks(trader, standing=True) == [] and len(locks(trader)) == 1
    assert trader.trades("buy", "MSFT")["status"] == "filled"


def test_unlocking_lets_entries_pass_at_once_and_forgets_what_led_to_the_lock(
    trader: Trader, installation: Installation, feed: ManualFeed, clock: ManualClock
):
    bot = trader.bot(risk_limit_percent="10")
    protect(trader, "stop_streak", stops=2, lock_minutes=None)
    for _ in range(2):
        stopped(trader, installation, feed, bot)
        clock.forward(60)
    assert trader.trades("buy")["status"] == "refused"
    [lock] = locks(trader, standing=True)
    assert lock["until"] is None

    after = trader.request("POST", f"/protection-locks/{lock['id']}/unlock")
    assert after["standing"] is False and after["unlocked_by"] == trader.user.id and after["unlocked_at"]
    assert trader.call("POST", f"/protection-locks/{lock['id']}/unlock").status_code == 409
    with installation.app.db.read() as conn:
        assert [row.action for row in messages.recorded(conn, trader.user.id, before=None, limit=99)].count(
            "protection unlocked"
        ) == 1
    clock.forward(1)
    stopped(trader, installation, feed, bot)
    clock.forward(1)
    assert trader.trades("buy")["status"] == "filled", "one stop since the unlocking is not two"


def test_a_cooldown_of_a_bot_leaves_the_other_bots_alone(
    trader: Trader, installation: Installation, feed: ManualFeed, clock: ManualClock
):
    bot = trader.bot(risk_limit_percent="10")
    trader.bot(timeframe="1H")
    protect(trader, "cooldown", "account", trader.paper, minutes=30)
    stopped(trader, installation, feed, bot, timeframe="15 Min")
    clock.forward(600)
    assert trader.trades("buy", timeframe="15 Min")["status"] == "refused"
    assert [(lock["scope"], lock["scope_id"]) for lock in locks(trader)] == [("bot", bot)]
    assert trader.trades("buy", timeframe="1H")["status"] == "filled"
    clock.forward(1200)
    assert trader.trades("buy", timeframe="15 Min")["status"] == "filled"


@pytest.mark.parametrize(("price", "locked"), [(106, False), (94, True)])
def test_a_stop_loss_counts_as_a_stop_and_a_take_profit_does_not(
    trader: Trader, installation: Installation, feed: ManualFeed, clock: ManualClock, price: int, locked: bool
):
    bot = trader.bot()
    protect(trader, "cooldown", minutes=30)
    trader.trades("buy", takeProfit={"percent": 5}, stopLoss={"percent": 5})
    feed.set("AAPL", price)
    assert installation.look() == 1 and trader.holds(bot) == 0
    clock.forward(1)
    assert trader.trades("buy")["status"] == ("refused" if locked else "filled")


def test_a_losing_symbol_is_locked_and_another_trades_on(
    trader: Trader, feed: ManualFeed, clock: ManualClock
):
    trader.bot(), trader.bot("MSFT")
    protect(trader, "losing_symbol", exits=1, loss=100)
    trader.trades("buy")
    feed.set("AAPL", 90)
    trader.trades("close")
    clock.forward(1)
    assert trader.trades("buy")["status"] == "refused" and locks(trader)[0]["symbol"] == AAPL.text
    assert trader.trades("buy", "MSFT")["status"] == "filled"


def test_protections_stack_and_the_strictest_decides(trader: Trader, feed: ManualFeed, clock: ManualClock):
    bot = trader.bot()
    protect(trader, "drawdown", "user", amount=1000)
    protect(trader, "drawdown", "account", trader.paper, amount=400, lock_minutes=5)
    protect(trader, "drawdown", "bot", bot, amount=300, lock_minutes=None)
    trader.trades("buy")
    feed.set("AAPL", 90)
    trader.trades("close")
    clock.forward(1)
    assert "500.00" in trader.trades("buy")["reason"]
    assert {lock["scope"]: lock["until"] is None for lock in locks(trader)} == {"account": False, "bot": True}
    clock.forward(600)
    assert "until you unlock them" in trader.trades("buy")["reason"], (
        "the account's lock is over, the bot's is not"
    )


def test_positions_and_exposure_are_counted_over_the_bots_of_the_scope(trader: Trader, clock: ManualClock):
    trader.bot(), trader.bot(timeframe="1H"), trader.bot("MSFT")
    most, exposure = (
        protect(trader, "max_positions", positions=2),
        protect(trader, "max_exposure", "account", trader.paper, amount=9000),
    )
    assert trader.trades("buy", timeframe="15 Min")["status"] == "filled"
    refused = trader.trades("buy", timeframe="1H")
    assert refused["reason"] == "10,000.00 in AAPL with this entry exceeds the limit of 9,000.00"
    trader.request("PATCH", f"/protections/{exposure}", {"settings": {"amount": "10000"}})
    assert trader.trades("buy", timeframe="1H")["status"] == "filled"
    assert trader.trades("buy", "MSFT")["reason"] == "2 open positions, and the limit is 2"
    assert locks(trader) == [] and trader.notices(EntriesLocked) == [], (
        "what is judged anew each time leaves no lock"
    )
    trader.request("PATCH", f"/protections/{most}", {"is_active": False})
    assert trader.trades("buy", "MSFT")["status"] == "filled"


def test_an_entry_that_rests_counts_as_a_position_and_as_exposure(trader: Trader):
    trader.bot(order_type="limit", limit_offset_percent="5"), trader.bot(timeframe="1H"), trader.bot("MSFT")
    protect(trader, "max_positions", positions=1)
    assert trader.trades("buy", timeframe="15 Min")["status"] == "working"
    assert trader.trades("buy", "MSFT")["reason"] == "1 open position, and the limit is 1"


def test_a_runaway_alert_is_locked_and_can_still_close(trader: Trader, clock: ManualClock):
    bot = trader.bot()
    protect(trader, "orders_per_minute", "bot", bot, orders=4)
    for action in ("buy", "close", "buy", "close"):
        assert trader.trades(action)["status"] == "filled"
        clock.forward(1)
    assert trader.trades("buy")["reason"] == "4 orders within a minute reached the limit of 4"
    [lock] = locks(trader)
    trader.request("POST", f"/protection-locks/{lock['id']}/unlock")
    clock.forward(1)
    assert trader.trades("buy")["status"] == "filled"
    assert trader.trades("close")["status"] == "filled"


def test_a_flip_whose_entry_is_locked_still_closes_and_the_lock_is_written(
    trader: Trader, installation: Installation, clock: ManualClock
):
    bot = trader.bot()
    trader.trades("buy")
    protect(trader, "orders_per_minute", "bot", bot, orders=1)
    flipped = trader.trades("sell")
    assert flipped["status"] == "filled" and trader.holds(bot) == 0
    assert "exit only (entry blocked: 1 order within a minute" in str(flipped["timeline"])
    assert [lock["kind"] for lock in locks(trader)] == ["orders_per_minute"]


class PowerCut(BaseException):
    """No mistake of ours, which the engine would catch."""


def test_a_lock_its_event_its_message_and_the_refusal_are_one_step(
    trader: Trader, installation: Installation, monkeypatch: pytest.MonkeyPatch
):
    bot = trader.bot()
    trader.trades("buy")
    trader.trades("close")
    protect(trader, "orders_per_minute", "bot", bot, orders=1)
    real = risk_event_table.add

    def power_cut(*given: Any, **named: Any) -> None:
        raise PowerCut

    monkeypatch.setattr(risk_event_table, "add", power_cut)
    signal = trader.send(action="buy")
    with pytest.raises(PowerCut):
        installation.work()
    assert locks(trader) == [] and trader.story(signal)["status"] == "working"
    monkeypatch.setattr(risk_event_table, "add", real)
    installation.work()
    assert len(locks(trader)) == 1 and trader.story(signal)["status"] == "refused"
    assert (
        len([one for one in trader.get("/risk-events")["items"] if one["kind"] == "orders_per_minute"]) == 1
    )


def test_a_removed_protection_lets_go_of_what_it_had_locked(trader: Trader):
    bot = trader.bot()
    trader.trades("buy")
    trader.trades("close")
    made = protect(trader, "orders_per_minute", "bot", bot, orders=1, lock_minutes=None)
    assert trader.trades("buy")["status"] == "refused"
    trader.request("DELETE", f"/protections/{made}")
    assert (
        trader.get("/protections")["items"] == []
        and locks(trader, standing=True) == []
        and len(locks(trader)) == 1
    )
    assert trader.trades("buy")["status"] == "filled"
    assert trader.call("DELETE", f"/protections/{made}").status_code == 404


def test_a_bad_protection_is_a_clear_400(trader: Trader):
    trader.bot()
    for body, field, hint in (
        ({"kind": "cooldwn"}, "kind", "Did you mean cooldown?"),
        ({"kind": "cooldown", "settings": {"minuts": 3}}, "settings.minuts", "Did you mean minutes?"),
        (
            {"kind": "drawdown", "scope": "user", "settings": {"percent": 5}},
            "settings.percent",
            "amount of money",
        ),
    ):
        response = trader.call("POST", "/protections", body)
        assert (response.status_code, response.json["field"]) == (400, field) and hint in response.json[
            "hint"
        ]
    assert trader.call("POST", "/protections", {"kind": "cooldown", "scope": "bot"}).json["field"] == "id"
    assert (
        trader.call(
            "POST", "/protections", {"kind": "cooldown", "scope": "bot", "scope_id": 4711}
        ).status_code
        == 404
    )
    assert trader.call("POST", "/protections", {"kind": "cooldown", "scope": "all"}).status_code == 400


def test_without_protections_a_decision_asks_nothing_more_of_the_database(
    trader: Trader, installation: Installation, app: App, monkeypatch: pytest.MonkeyPatch
):
    trader.bot()
    for name in ("past_exits", "sent_entries", "holdings", "resets"):
        monkeypatch.setattr(table, name, lambda *given: pytest.fail("read for nobody"))
    assert trader.trades("buy")["status"] == "filled"
    protect(trader, "wide_spread")
    assert trader.trades("close")["status"] == "filled"
    assert trader.trades("buy")["status"] == "filled"
