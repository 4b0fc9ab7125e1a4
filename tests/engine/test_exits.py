"""Exits that DashTrade keeps: from the alert, from the bot's own settings, moved by hand, and carried through
a venue's refusals."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from dashtrade.domain.notices.trading import ExitFailing, ExitStepSkipped, StopLimitUnfilled
from dashtrade.domain.ports import Rejected, Rules, VenueStatus
from dashtrade.domain.values import OrderType
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader


@pytest.fixture
def venue() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def away(make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker) -> Trader:
    """Her bots trade at a venue that does as it is told."""
    person = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    person.paper = person.account("venue")
    return person


def at(person: Trader, feed: ManualFeed, price: Any, looks: int = 2) -> None:
    """The price, and what the watch does about it: an exit is set off at one look and followed up at the
    next."""
    feed.set("AAPL", D(str(price)))
    for _ in range(looks):
        person.installation.look()
        person.installation.work()


def exits(person: Trader, bot: int) -> list[str]:
    return [line["words"].partition(" (")[0] for line in person.get(f"/bots/{bot}")["exits"]]


# --- kinds --------------------------------------------------------------------------------------------------


COURSES: list[tuple[str, dict[str, Any], list[tuple[Any, int]]]] = [
    (
        "shares of what was entered",
        {
            "takeProfit": [
                {"percent": 5, "share": 50},
                {"percent": 10, "share": 30},
                {"percent": 15, "share": 20},
            ]
        },
        [("105", 25), ("110", 10), ("115", 0)],
    ),
    (
        "shares as quantities",
        {"takeProfit": [{"amount": 4, "quantity": 20}, {"amount": 8, "quantity": 5}, {"amount": 9}]},
        [("104", 30), ("108", 25), ("109", 0)],
    ),
    (
        "a part, and the rest by the stop",
        {"takeProfit": {"limitPrice": 105, "share": 40}, "stopLoss": 95},
        [("105", 30), ("120", 30), ("95", 0)],
    ),
    (
        "two steps passed at once",
        {"takeProfit": [{"percent": 5, "share": 50}, {"percent": 10}]},
        [("112", 25), ("112", 0)],
    ),
    (
        "break-even after the first step",
        {"takeProfit": [{"percent": 5, "share": 50}, {"percent": 20}], "stopLoss": 90, "breakEven": True},
        [("91", 50), ("105", 25), ("100.5", 25), ("100", 0)],
    ),
    (
        "a trail that was moved to break-even",
        {
            "takeProfit": [{"percent": 5, "share": 50}, {"percent": 50}],
            "stopLoss": {"type": "trailing_stop", "trailAmount": 20},
            "breakEven": True,
        },
        [("105", 25), ("101", 25), ("125", 25), ("105", 0)],
    ),
]


@pytest.mark.parametrize(("alert", "course"), [(c[1], c[2]) for c in COURSES], ids=[c[0] for c in COURSES])
@sqlite
def test_the_steps_of_a_plan_are_carried_out_one_by_one(
    trader: Trader, feed: ManualFeed, alert: dict[str, Any], course: list[tuple[Any, int]]
):
    bot = trader.bot(position_size="50", position_size_type="quantity")
    trader.trades("buy", **alert)
    for price, owned in course:
        at(trader, feed, price, looks=3 if owned not in (25, 30) else 2)
        assert trader.holds(bot) == owned, price
    assert trader.get(f"/bots/{bot}")["exits"] == []


@sqlite
def test_a_short_has_its_exits_the_other_way_round(trader: Trader, feed: ManualFeed):
    bot = trader.bot(position_size="50", position_size_type="quantity")
    trader.trades(
        "sell",
        takeProfit=[{"percent": 5, "share": 50}, {"percent": 10}],
        stopLoss={"type": "stop", "percent": 5},
        breakEven=True,
    )
    assert exits(trader, bot) == [
        "take profit 50% at 95",
        "take profit at 90",
        "stop at 105, to break-even after the first step",
    ]
    at(trader, feed, 95)
    assert trader.holds(bot) == -25 and exits(trader, bot) == ["take profit at 90", "stop at 100"]
    at(trader, feed, 100)
    assert trader.holds(bot) == 0


@sqlite
def test_after_its_time_a_position_is_closed(trader: Trader, feed: ManualFeed, clock: ManualClock):
    bot = trader.bot()
    trader.trades("buy", closeAfterMinutes=30)
    clock.forward(29 * 60)
    at(trader, feed, 100)
    assert trader.holds(bot) == 50
    clock.forward(61)
    at(trader, feed, 100)
    assert trader.holds(bot) == 0


@sqlite
def test_a_time_of_day_is_the_bots_own(trader: Trader, feed: ManualFeed, clock: ManualClock):
    bot = trader.bot(time_zone="America/New_York", close_at="15:55")
    trader.trades("buy")
    assert exits(trader, bot) == [f"closes at {clock.now().date()} 15:55 America/New_York"]
    clock.time = clock.time.replace(hour=19, minute=54)  # summer: New York is four hours behind
    at(trader, feed, 100)
    assert trader.holds(bot) == 50
    clock.forward(60)
    at(trader, feed, 100)
    assert trader.holds(bot) == 0


# --- whose --------------------------------------------------------------------------------------------------


@sqlite
def test_a_bots_own_exits_are_for_alerts_that_bring_none_and_part_by_part(trader: Trader, feed: ManualFeed):
    settings = {
        "take_profit": [{"percent": "5", "share": "50"}, {"percent": "10"}],
        "stop_loss": {"type": "stop", "percent": "4"},
        "break_even": True,
    }
    bot = trader.bot(position_size="50", position_size_type="quantity", **settings)
    assert {name: trader.get(f"/bots/{bot}")[name] for name in settings} == settings
    trader.trades("buy", stopLoss=97)
    assert exits(trader, bot) == [
        "take profit 50% at 105",
        "take profit at 110",
        "stop at 97, to break-even after the first step",
    ]
    trader.trades("close")
    trader.trades("buy")
    assert exits(trader, bot)[-1] == "stop at 96, to break-even after the first step"
    trader.request("PATCH", f"/bots/{bot}", {"take_profit": None, "stop_loss": "90", "break_even": False})
    story = trader.trades("reverse")
    assert trader.holds(
        bot
    ) == 0 and "exit only (entry blocked: the stop-loss 90 is not above the price 100" in str(
        story["timeline"]
    )


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"take_profit": [{"percent": 5}, {"percent": 10}]}, "take_profit"),
        ({"take_profit": {"percent": 5, "amount": 5}}, "take_profit"),
        ({"stop_loss": {"type": "trailing_stop", "price": "95"}}, "stop_loss"),
        ({"stop_loss": -5}, "stop_loss"),
        ({"break_even": True}, "break_even"),
        ({"break_even": "perhaps"}, "break_even"),
        ({"close_at": "25:00"}, "close_at"),
        ({"close_after_minutes": 0}, "close_after_minutes"),
        ({"time_in_force": "forever"}, "time_in_force"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"position_size": "100", "position_size_type": "risk_dollars"}, "position_size_type"),
        ({"position_size": "150", "position_size_type": "risk_percent", "stop_loss": "90"}, "position_size"),
    ],
)
@sqlite
def test_settings_that_cannot_be_are_refused_by_name(trader: Trader, fields: dict[str, Any], where: str):
    account = trader.account()
    response = trader.call(
        "POST",
        "/bots",
        {"account_id": account, "symbol": "AAPL", "timeframe": "15", "position_size": "5000"} | fields,
    )
    assert response.status_code == 400 and where in response.text, response.text


@sqlite
def test_an_exit_on_the_wrong_side_of_the_price_opens_nothing(trader: Trader):
    bot = trader.bot()
    story = trader.trades("buy", takeProfit=99)
    assert story["status"] == "refused" and "99 is not above the price 100" in story["reason"]
    assert "is not below" in trader.trades("buy", stopLoss=101)["reason"]
    assert trader.holds(bot) == 0


# --- moved --------------------------------------------------------------------------------------------------


def test_the_stop_is_moved_and_the_rest_stays(trader: Trader, feed: ManualFeed):
    bot = trader.bot()
    trader.trades("buy", takeProfit=110, stopLoss=95)
    shown = trader.request("PATCH", f"/bots/{bot}/exits", {"stop_loss": "98"})
    assert [(line["kind"], line["price"], line["held_by"]) for line in shown["exits"]] == [
        ("take_profit", "110", "DashTrade"),
        ("stop_loss", "98", "DashTrade"),
    ]
    trader.request("PATCH", f"/bots/{bot}/exits", {"take_profit": None})
    assert exits(trader, bot) == ["stop at 98"]
    at(trader, feed, 98)
    assert trader.holds(bot) == 0


@sqlite
def test_a_stop_that_would_close_at_once_is_not_taken(trader: Trader, feed: ManualFeed):
    bot = trader.bot()
    assert trader.call("PATCH", f"/bots/{bot}/exits", {"stop_loss": "98"}).status_code == 409
    trader.trades("buy")
    feed.set("AAPL", D(97))
    response = trader.call("PATCH", f"/bots/{bot}/exits", {"stop_loss": "98"})
    assert response.status_code == 409 and "would close at once" in response.json["message"]
    assert (
        trader.call("PATCH", f"/bots/{bot}/exits", {"stop_loss": {"percent": 5, "amount": 2}}).status_code
        == 400
    )
    assert trader.call("PATCH", f"/bots/{bot}/exits", {"stopp_loss": "90"}).status_code == 400
    trader.request("PATCH", f"/bots/{bot}/exits", {"stop_loss": {"type": "trailing_stop", "amount": "3"}})
    assert exits(trader, bot) == ["trailing stop at 94"], "it trails from where the price is"


@sqlite
def test_a_breakeven_alert_moves_the_stop_to_the_entry_price(trader: Trader, feed: ManualFeed):
    bot = trader.bot()
    assert "the bot has no position" in trader.trades("breakeven")["reason"]
    trader.trades("buy", stopLoss=95)
    assert "would close the position at once" in trader.trades("breakeven")["reason"]
    feed.set("AAPL", D(104))
    story = trader.trades("breakeven")
    assert (story["status"], story["reason"]) == ("filled", "the stop moves to the entry price, 100")
    assert exits(trader, bot) == ["stop at 100"]
    assert "already at break-even" in trader.trades("breakeven")["reason"]
    at(trader, feed, 100)
    assert trader.holds(bot) == 0


# --- through refusals ---------------------------------------------------------------------------------------


@sqlite
def test_a_refused_exit_is_retried_with_back_off_and_notified(
    away: Trader, feed: ManualFeed, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot()
    away.trades("buy", stopLoss=95)
    venue.plan.extend([Rejected("halted")] * 4)
    feed.set("AAPL", D(94))
    tries = []
    for _ in range(200):
        sent = len(venue.sent)
        away.installation.look()
        away.installation.work()
        if len(venue.sent) > sent:
            tries.append(clock.now())
        if not away.holds(bot):
            break
        feed.set("AAPL", D(96))  # back above the stop: what was set off is carried out all the same
        clock.forward(5)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps == [timedelta(seconds=seconds) for seconds in (5, 30, 120, 600)] and away.holds(bot) == 0
    assert len(away.notices(ExitFailing)) == 1
    assert away.get(f"/bots/{bot}")["exits"] == []


@sqlite
def test_a_step_that_was_filled_in_part_goes_on_for_the_rest(
    away: Trader, feed: ManualFeed, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot(position_size="50", position_size_type="quantity")
    away.trades("buy", takeProfit=[{"percent": 5, "share": 40}, {"percent": 50}], stopLoss=90, breakEven=True)
    venue.plan.append("work")
    at(away, feed, 105)
    name = venue.sent[-1].client_order_id
    venue.report(name, VenueStatus.CANCELED, venue.execution(name, 8))
    away.installation.work()
    assert away.holds(bot) == 42
    clock.forward(6)
    at(away, feed, 105)
    assert [request.quantity for request in venue.sent] == [50, 20, 12] and away.holds(bot) == 30
    assert exits(away, bot) == ["take profit at 150", "stop at 100"]


@sqlite
def test_a_step_too_small_to_order_is_left_out_and_reported(
    away: Trader, feed: ManualFeed, venue: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        venue, "rules", lambda symbol: Rules(quantity_step=D(1), price_step=D("0.01"), min_quantity=D(1))
    )
    bot = away.bot(position_size="1", position_size_type="quantity")
    away.trades("buy", takeProfit=[{"percent": 5, "share": 50}, {"percent": 10}])
    at(away, feed, 105, looks=3)
    assert away.holds(bot) == 1 and away.notices(ExitStepSkipped)
    at(away, feed, 110)
    assert away.holds(bot) == 0


@sqlite
def test_a_stop_limit_keeps_its_limit_tells_that_it_is_not_filled_and_is_put_in_again(
    away: Trader, feed: ManualFeed, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot()
    away.trades("buy", stopLoss={"type": "stop_limit", "stopPrice": 95, "limitPrice": "94.5"})
    assert exits(away, bot) == ["stop at 95, limit 94.5"]
    venue.plan.append("work")
    at(away, feed, 94)
    sent = venue.sent[-1]
    assert (sent.type, sent.limit_price, sent.quantity) == (OrderType.LIMIT, D("94.5"), 50)
    clock.forward(61)
    at(away, feed, 94)
    assert len(away.notices(StopLimitUnfilled)) == 1 and len(venue.sent) == 2
    venue.report(sent.client_order_id, VenueStatus.EXPIRED)
    at(away, feed, 94)
    clock.forward(10)
    venue.plan.append("work")
    at(away, feed, 94)
    assert len(venue.sent) == 3 and venue.sent[-1].limit_price == D("94.5")
    away.trades("close")
    assert away.holds(bot) == 0 and venue.sent[-1].type is OrderType.MARKET


def test_a_stop_does_not_wait_for_a_step_that_is_under_way(
    away: Trader, feed: ManualFeed, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot()
    away.trades("buy", takeProfit=[{"percent": 5, "share": 40}, {"percent": 50}], stopLoss=90)
    venue.plan.append("work")
    at(away, feed, 105)
    assert away.holds(bot) == 50
    at(away, feed, 89)
    # the step's order is a market order: the next in turn waits for it a while, then takes it back
    clock.forward(16)
    at(away, feed, 89)
    assert away.holds(bot) == 0 and [str(request.type) for request in venue.sent] == ["market"] * 3


def test_an_exit_that_was_set_off_is_carried_on_after_a_restart(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker
):
    person = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    person.paper = person.account("venue")
    bot = person.bot()
    person.trades("buy", stopLoss=95)
    venue.plan.append(Rejected("halted"))
    at(person, feed, 94, looks=1)
    again = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    person.installation.app.engine.leases.release()
    clock.forward(6)
    again.look()
    again.work()
    assert person.holds(bot) == 0
