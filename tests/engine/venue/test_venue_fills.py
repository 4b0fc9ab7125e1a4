"""What the engine makes of a broker's fills: late, repeated and out of order, each is booked once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.workflow import run_sync
from dashtrade.tables import orders as order_table
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import ScriptedBroker, Trader
from tests.support.orders import CLOSED, COVER, RESTING, SHORT, first_order, orders_of

AAPL = Symbol.parse("AAPL")

D = Decimal


def test_parts_late_repeated_and_out_of_order_are_each_booked_once(
    away: Trader, bot: int, venue: ScriptedBroker
):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    assert story["status"] == "working" and away.get("/trades")["items"] == []
    one, two = venue.execution(name, 20, 100, 1), venue.execution(name, 30, 101, 2)
    for report in (
        venue.report(name, VenueStatus.WORKING, two),
        venue.report(name, VenueStatus.WORKING, two),
        venue.report(name, VenueStatus.WORKING),
        venue.report(name, VenueStatus.FILLED, one, two),
    ):
        venue.reports[name] = report
        away.installation.collect()
        if report.status is VenueStatus.WORKING:
            assert away.holds(bot) == 30 and away.get("/trades")["items"][0]["status"] == "partial"
    away.installation.app.engine.collect(away.paper)  # nothing is working any more
    assert away.holds(bot) == 50 and away.story(story["id"])["status"] == "filled"
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")
    assert [line["step"] for line in away.story(story["id"])["timeline"]].count("filled") == 2
    assert away.get(f"/bots/{bot}")["total_trades"] == 1


@sqlite
def test_where_a_venue_tells_totals_alone_the_difference_is_booked(
    away: Trader, bot: int, venue: ScriptedBroker
):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    for quantity, average, owned in ((20, "100", 20), (20, "100", 20), (50, "100.6", 50)):
        venue.reports[name] = replace(
            venue.report(name, VenueStatus.WORKING), filled_quantity=D(quantity), average_price=D(average)
        )
        away.installation.collect()
        assert away.holds(bot) == owned
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")


def test_a_fill_after_the_cancel_counts(away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    clock.forward(16)  # a market order is waited for, but not for ever
    away.trades("cancel")
    assert first_order(away.story(story["id"]))["status"] == "canceled" and away.holds(bot) == 0
    engine = away.installation.app.engine
    with engine.db.read() as conn:
        order = order_table.load(conn, name)
    late = venue.report(name, VenueStatus.CANCELED, venue.execution(name, 20))
    run_sync(engine.db, engine.sender.book(order, late))
    run_sync(engine.db, engine.sender.book(order, late))
    assert away.holds(bot) == 20 and first_order(away.story(story["id"]))["filled_quantity"] == "20"
    assert away.story(story["id"])["status"] == "filled" and away.get(f"/bots/{bot}")["status"] == "FILLED"


def test_a_flip_waits_for_its_closing_fill_and_the_next_alert_waits_behind_it(
    away: Trader, bot: int, venue: ScriptedBroker
):
    away.trades("buy")
    venue.plan += ["work", "fill", "fill"]
    flip = away.trades("sell")
    assert [order["status"] for order in flip["orders"]] == ["working", "created"] and len(venue.sent) == 2
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [] and away.holds(bot) == 50
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.installation.work()
    assert orders_of(away.story(flip["id"])) == [CLOSED, SHORT]
    assert orders_of(away.story(behind["id"])) == [COVER] and away.holds(bot) == 0
    assert [request.reduces for request in venue.sent] == [False, True, False, True]


@sqlite
def test_a_flip_whose_close_is_refused_opens_nothing(away: Trader, bot: int, venue: ScriptedBroker):
    away.trades("buy")
    venue.plan.append(Rejected("the market is closed"))
    flip = away.trades("sell")
    assert flip["status"] == "failed" and [order["status"] for order in flip["orders"]] == [
        "rejected",
        "canceled",
    ]
    assert away.holds(bot) == 50 and len(venue.sent) == 2


@sqlite
def test_what_is_paused_meanwhile_stops_at_once(away: Trader, bot: int, venue: ScriptedBroker):
    away.trades("buy")
    venue.plan.append("work")
    flip = away.trades("sell")
    away.request("POST", f"/bots/{bot}/pause")
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.installation.work()
    after = away.story(flip["id"])["orders"][1]
    assert after["status"] == "canceled" and "paused before the order was sent" in after["reason"]
    assert len(venue.sent) == 2 and away.holds(bot) == 0


@sqlite
def test_a_close_takes_the_working_order_back_and_then_closes_what_was_filled(
    away: Trader, bot: int, venue: ScriptedBroker
):
    venue.plan.append("work")
    entry = away.trades("buy", **RESTING)
    name = first_order(entry)["client_order_id"]
    venue.report(name, VenueStatus.WORKING, venue.execution(name, 20))
    story = away.trades("close")
    assert first_order(away.story(entry["id"]))["status"] == "canceled"
    assert orders_of(story) == [("sell", "close", "20")] and away.holds(bot) == 0


@sqlite
def test_a_venue_that_does_not_cancel_is_asked_again_and_nothing_passes(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append("work")
    entry = away.trades("buy", **RESTING)
    venue.cancels = False
    story = away.trades("close")
    assert story["status"] == "working" and story["orders"] == []
    lines = len(away.story(entry["id"])["timeline"])
    for _ in range(5):
        away.installation.work()
    assert len(away.story(entry["id"])["timeline"]) == lines, "asking after it is no news"
    venue.cancels = True
    clock.forward(6)
    away.installation.work()
    assert away.story(story["id"])["reason"] == "cancelled 1 order; nothing is left to close"


@sqlite
def test_an_alert_may_be_carried_out_later(away: Trader, bot: int, clock: ManualClock):
    story = away.trades("buy", delay=30)
    assert story["status"] == "working" and away.holds(bot) == 0
    clock.forward(29)
    away.installation.work()
    assert away.holds(bot) == 0
    clock.forward(1)
    away.installation.work()
    assert away.holds(bot) == 50
