"""What the engine makes of a venue: fills that are late, repeated and out of order, faults of every kind, and
whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot_engine import Lane
from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unknown, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.workflow import drive
from dashtrade.tables import orders as order_table
from dashtrade.worker.lanes import Lanes
from tests.conftest import MakeApp
from tests.engine.test_engine import CLOSED, COVER, RESTING, SHORT, orders_of
from tests.support.databases import sqlite
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import GONE, House, Person, Venue, lost, until

AAPL = Symbol.parse("AAPL")
D = Decimal


# --- a venue that does as it is told ------------------------------------------------------------------------


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def away(make_app: MakeApp, clock: SetClock, feed: SetFeed, venue: Venue) -> Person:
    """Her bot trades at the venue."""
    person = House(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    person.paper = person.account("venue")
    person.bot()
    return person


@pytest.fixture
def bot(away: Person) -> int:
    return away.get("/bots")["items"][0]["id"]


def first_order(story: Any) -> Any:
    return story["orders"][0]


def test_parts_late_repeated_and_out_of_order_are_each_booked_once(away: Person, bot: int, venue: Venue):
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
        away.house.collect()
        if report.status is VenueStatus.WORKING:
            assert away.holds(bot) == 30 and away.get("/trades")["items"][0]["status"] == "partial"
    away.house.app.engine.collect(away.paper)  # nothing is working any more
    assert away.holds(bot) == 50 and away.story(story["id"])["status"] == "filled"
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")
    assert [line["step"] for line in away.story(story["id"])["timeline"]].count("filled") == 2
    assert away.get(f"/bots/{bot}")["total_trades"] == 1


@sqlite
def test_where_a_venue_tells_totals_alone_the_difference_is_booked(away: Person, bot: int, venue: Venue):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    for quantity, average, owned in ((20, "100", 20), (20, "100", 20), (50, "100.6", 50)):
        venue.reports[name] = replace(
            venue.report(name, VenueStatus.WORKING), filled_quantity=D(quantity), average_price=D(average)
        )
        away.house.collect()
        assert away.holds(bot) == owned
    [trade] = away.get("/trades")["items"]
    assert (trade["quantity"], trade["price"], trade["status"]) == ("50", "100.6", "filled")


def test_a_fill_after_the_cancel_counts(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append("work")
    story = away.trades("buy")
    name = first_order(story)["client_order_id"]
    clock.forward(16)  # a market order is waited for, but not for ever
    away.trades("cancel")
    assert first_order(away.story(story["id"]))["status"] == "canceled" and away.holds(bot) == 0
    engine = away.house.app.engine
    with engine.db.read() as conn:
        order = order_table.load(conn, name)
    late = venue.report(name, VenueStatus.CANCELED, venue.execution(name, 20))
    drive(engine.db, engine.sender.book(order, late))
    drive(engine.db, engine.sender.book(order, late))
    assert away.holds(bot) == 20 and first_order(away.story(story["id"]))["filled_quantity"] == "20"
    assert away.story(story["id"])["status"] == "filled" and away.get(f"/bots/{bot}")["status"] == "FILLED"


def test_a_flip_waits_for_its_closing_fill_and_the_next_alert_waits_behind_it(
    away: Person, bot: int, venue: Venue
):
    away.trades("buy")
    venue.plan += ["work", "fill", "fill"]
    flip = away.trades("sell")
    assert [order["status"] for order in flip["orders"]] == ["working", "created"] and len(venue.sent) == 2
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [] and away.holds(bot) == 50
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.house.work()
    assert orders_of(away.story(flip["id"])) == [CLOSED, SHORT]
    assert orders_of(away.story(behind["id"])) == [COVER] and away.holds(bot) == 0
    assert [request.reduces for request in venue.sent] == [False, True, False, True]


@sqlite
def test_a_flip_whose_close_is_refused_opens_nothing(away: Person, bot: int, venue: Venue):
    away.trades("buy")
    venue.plan.append(Rejected("the market is closed"))
    flip = away.trades("sell")
    assert flip["status"] == "failed" and [order["status"] for order in flip["orders"]] == [
        "rejected",
        "canceled",
    ]
    assert away.holds(bot) == 50 and len(venue.sent) == 2


@sqlite
def test_what_is_paused_meanwhile_stops_at_once(away: Person, bot: int, venue: Venue):
    away.trades("buy")
    venue.plan.append("work")
    flip = away.trades("sell")
    away.does("POST", f"/bots/{bot}/pause")
    venue.fill(flip["orders"][0]["client_order_id"], 50)
    away.house.work()
    after = away.story(flip["id"])["orders"][1]
    assert after["status"] == "canceled" and "paused before the order was sent" in after["reason"]
    assert len(venue.sent) == 2 and away.holds(bot) == 0


@sqlite
def test_a_close_takes_the_working_order_back_and_then_closes_what_was_filled(
    away: Person, bot: int, venue: Venue
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
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan.append("work")
    entry = away.trades("buy", **RESTING)
    venue.cancels = False
    story = away.trades("close")
    assert story["status"] == "working" and story["orders"] == []
    lines = len(away.story(entry["id"])["timeline"])
    for _ in range(5):
        away.house.work()
    assert len(away.story(entry["id"])["timeline"]) == lines, "asking after it is no news"
    venue.cancels = True
    clock.forward(6)
    away.house.work()
    assert away.story(story["id"])["reason"] == "took back 1 order(s); nothing is left to close"


@sqlite
def test_an_alert_may_be_carried_out_later(away: Person, bot: int, clock: SetClock):
    story = away.trades("buy", delay=30)
    assert story["status"] == "working" and away.holds(bot) == 0
    clock.forward(29)
    away.house.work()
    assert away.holds(bot) == 0
    clock.forward(1)
    away.house.work()
    assert away.holds(bot) == 50


# --- and its faults -----------------------------------------------------------------------------------------


@sqlite
def test_a_refusal_ends_the_order_frees_the_bot_and_is_told(away: Person, bot: int, venue: Venue):
    venue.plan.append(Rejected("AAPL is halted"))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"], first_order(story)["reason"]) == (
        "failed",
        "rejected",
        "AAPL is halted",
    )
    assert away.get(f"/bots/{bot}")["status"] == "READY" and any(
        "AAPL is halted" in message for message in away.messages()
    )
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_when_told_to_wait_the_same_order_goes_again_when_it_may(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan.append(RetryLater("too many requests", after=timedelta(seconds=30)))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"]) == ("working", "created")
    clock.forward(29)
    away.house.work()
    assert len(venue.sent) == 1
    clock.forward(1)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len({request.client_order_id for request in venue.sent}) == 1 and len(venue.sent) == 2


@sqlite
def test_an_entry_that_is_never_taken_is_given_up_and_an_exit_is_not(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan += [RetryLater("too many requests")] * 30
    story = away.trades("buy")
    for _ in range(10):
        clock.forward(2)
        away.house.work()
    assert away.story(story["id"])["status"] == "failed" and len(venue.sent) == 6
    venue.plan.clear()
    away.trades("buy")
    venue.plan += [RetryLater("too many requests")] * 9
    story = away.trades("close")
    for _ in range(10):
        clock.forward(2)
        away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0


def test_a_refused_key_stops_the_account_once_and_for_all_its_bots(away: Person, bot: int, venue: Venue):
    other = away.bot("MSFT")
    venue.plan += [BadCredentials("the key was revoked"), BadCredentials("the key was revoked")]
    assert away.trades("buy")["status"] == "failed"
    account = away.get(f"/accounts/{away.paper}")
    assert account["is_active"] is False and "revoked" in account["disabled_reason"]
    assert [away.get(f"/bots/{b}")["is_active"] for b in (bot, other)] == [False, False]
    assert "disabled" in away.trades("buy", "MSFT")["reason"] and "disabled" in away.trades("buy")["reason"]
    assert len(venue.sent) == 1, "no storm"
    assert sum("refused the key" in message for message in away.messages()) == 1
    away.does("PATCH", f"/accounts/{away.paper}", {"credentials": {"key": "new"}})
    away.does("POST", f"/bots/{bot}/resume")
    venue.plan.clear()
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_a_key_that_is_refused_while_reading_stops_the_account_too(away: Person, bot: int, venue: Venue):
    venue.away = BadCredentials("the key was revoked")
    assert away.trades("buy")["status"] == "refused"
    assert away.get(f"/accounts/{away.paper}")["is_active"] is False and venue.sent == []


TIME_OUT = Unknown("no answer in time")


def test_an_order_in_doubt_that_was_placed_is_adopted(away: Person, bot: int, venue: Venue):
    venue.plan.append(lost(TIME_OUT))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1
    steps = [line["step"] for line in story["timeline"]]
    assert steps.index("order unknown") < steps.index("order filled")


@sqlite
def test_not_found_is_not_believed_before_the_venue_has_settled(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan.append(lost(TIME_OUT))
    venue.hidden.add("all of it")
    story_id = away.sends(action="buy", symbol="AAPL")
    venue.hidden = set()
    venue.find = lambda order, find=venue.find: None if clock.now() < shown else find(order)  # type: ignore[method-assign]
    shown = clock.now() + timedelta(seconds=1.5)
    away.house.work()
    assert first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1
    clock.forward(2)
    away.house.work()
    assert away.story(story_id)["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


def test_what_was_surely_not_placed_is_sent_again_under_the_same_id(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    assert first_order(story)["status"] == "unknown"
    clock.forward(2)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len(venue.sent) == 2 and len({request.client_order_id for request in venue.sent}) == 1


@sqlite
def test_a_second_try_that_is_refused_as_a_repeat_is_the_first_one_and_adopted(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.plan.append(lost(TIME_OUT))
    story_id = away.sends(action="buy", symbol="AAPL")
    find, late = venue.find, clock.now() + timedelta(seconds=2)
    venue.find = lambda order: None if clock.now() <= late and len(venue.sent) < 2 else find(order)  # type: ignore[method-assign]
    away.house.work()
    clock.forward(2)
    away.house.work()
    assert len(venue.sent) == 2, "it was sent again, and refused: the id must be unique"
    story = away.story(story_id)
    assert story["status"] == "filled" and away.holds(bot) == 50


@pytest.mark.parametrize(
    "venue", [Venue(refuses_repeats=False), Venue(client_ids=False)], ids=["takes repeats", "knows no ids"]
)
def test_where_it_cannot_be_known_a_person_decides_and_the_symbol_waits(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    away.bot("MSFT")
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.house.work()
    story = away.story(story["id"])
    assert (
        story["status"] == "attention"
        and first_order(story)["status"] == "attention"
        and len(venue.sent) == 1
    )
    assert any("Look at your broker" in message for message in away.messages())
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [], "nothing more is sent for this symbol"
    assert away.trades("buy", "MSFT")["status"] == "filled", "other symbols go on"
    order_id = first_order(story)["order_id"]
    again = away.does("POST", f"/orders/{order_id}/resolve", {"outcome": "look_again"})
    assert again["status"] == "unknown"
    away.house.work()
    assert first_order(away.story(story["id"]))["status"] == "attention"
    assert away.does("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"})["status"] == "canceled"
    away.house.work()
    assert (
        away.story(story["id"])["status"] == "failed"
        and "nothing to close" in away.story(behind["id"])["reason"]
    )
    assert away.get(f"/bots/{bot}")["status"] == "READY"
    assert away.call("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"}).status_code == 409


@pytest.mark.parametrize("venue", [Venue(refuses_repeats=False)], ids=["takes repeats"])
@sqlite
def test_an_order_that_turns_up_by_itself_needs_no_attention_any_more(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.house.work()
    name = first_order(story)["client_order_id"]
    venue.fill(name, 50)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50


@sqlite
def test_a_look_up_that_fails_proves_nothing(away: Person, bot: int, venue: Venue, clock: SetClock):
    venue.plan.append(lost(TIME_OUT))
    story_id = away.sends(action="buy", symbol="AAPL")
    find, calls = venue.find, []

    def garbage(order: Any) -> Any:
        calls.append(order)
        raise [GONE, ValueError("half a JSON"), RetryLater("429", after=timedelta(seconds=3))][
            min(len(calls), 3) - 1
        ]

    venue.find = garbage  # type: ignore[method-assign]
    for _ in range(4):
        away.house.work()
        clock.forward(6)
    assert (
        first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1 and len(calls) >= 3
    )
    venue.find = find  # type: ignore[method-assign]
    away.house.work()
    assert away.story(story_id)["status"] == "filled" and len(venue.sent) == 1


@sqlite
def test_an_adapters_own_fault_is_a_doubt_and_no_refusal(away: Person, bot: int, venue: Venue):
    venue.plan.append(("fill", ValueError("an unknown status")))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


@sqlite
def test_a_venue_that_cannot_be_asked_holds_the_decision_for_a_minute(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    venue.away = GONE
    story = away.trades("buy")
    assert story["status"] == "working" and venue.sent == []
    venue.away = None
    clock.forward(2)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled"
    away.trades("close")
    venue.away = GONE
    story = away.trades("buy")
    clock.forward(61)
    away.house.work()
    assert (
        away.story(story["id"])["status"] == "refused"
        and "could not be reached" in away.story(story["id"])["reason"]
    )


def test_a_way_out_waits_for_a_venue_that_cannot_be_asked_and_its_user_is_told_once(
    away: Person, bot: int, venue: Venue, clock: SetClock
):
    away.trades("buy")
    venue.away = GONE
    story = away.trades("close")
    for _ in range(30):
        clock.forward(10)
        away.house.work()
    assert away.story(story["id"])["status"] == "working" and away.holds(bot) > 0
    assert sum("cannot be reached" in message["title"] for message in away.get("/messages")["items"]) == 1
    venue.away = None
    clock.forward(10)
    away.house.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0


# --- turns --------------------------------------------------------------------------------------------------


def test_a_lane_is_worked_by_one_worker_and_the_writes_of_another_are_refused(
    make_app: MakeApp, clock: SetClock, feed: SetFeed
):
    one, two = House(make_app(clock=clock, feed=feed)), House(make_app(clock=clock, feed=feed))
    ann = one.join()
    bot = ann.bot()
    ann.sends(action="buy", symbol="AAPL")
    lane = Lane(ann.paper, AAPL)
    assert drive(one.app.db, one.app.engine.leases.hold(lane)) is not None
    two.app.engine.run_lane(lane)
    assert ann.holds(bot) == 0, "the other has it"
    one.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE lanes SET expires = 0"))
    assert drive(two.app.db, two.app.engine.leases.hold(lane)) is not None
    one.app.engine.run_lane(lane)  # it still believes the lane its own
    assert ann.holds(bot) == 0
    two.app.engine.run_lane(lane)
    assert ann.holds(bot) == 50 and len(ann.get("/orders")["items"]) == 1


@pytest.fixture
def lanes(away: Person) -> Iterator[Lanes]:
    made = Lanes(away.house.app)
    away.house.app.engine.leases.renew()
    made.start()
    yield made
    made.stop()


def test_a_slow_venue_holds_up_no_other_lane(away: Person, venue: Venue, lanes: Lanes):
    paper = away.account()
    quick = [away.bot(symbol, account=paper) for symbol in ("KO", "TSLA", "NVDA")]
    venue.slow = 0.6
    slow = away.sends(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    until(lambda: any(t.name.startswith("call") for t in threading.enumerate()))
    began = time.monotonic()
    for symbol in ("KO", "TSLA", "NVDA"):
        away.sends(action="buy", symbol=symbol)
        lanes.wake(Lane(paper, Symbol.parse(symbol)))
    until(lambda: all(away.holds(bot) == 50 for bot in quick))
    took = time.monotonic() - began
    assert away.story(slow)["status"] == "working" and took < 1.2
    until(lambda: away.story(slow)["status"] == "filled")


def test_alerts_of_one_lane_are_carried_out_in_turn(away: Person, venue: Venue, lanes: Lanes):
    venue.slow = 0.02
    ids = [away.sends(action=action, symbol="AAPL") for action in ("buy", "close", "sell", "buy", "close")]
    for _ in ids:
        lanes.wake(Lane(away.paper, AAPL))
    until(lambda: all(away.story(signal_id)["status"] == "filled" for signal_id in ids))
    assert [request.side for request in venue.sent] == ["buy", "sell", "sell", "buy", "buy", "sell"]


@sqlite
def test_a_lane_that_fails_is_tried_again_and_the_others_go_on(
    away: Person, venue: Venue, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
):
    other = away.bot("MSFT")
    real = away.house.app.engine.lane_steps
    broken = [True]

    def steps(lane: Lane) -> Any:
        if lane.symbol == AAPL and broken:
            broken.pop()
            raise RuntimeError("a bug")
            yield
        yield from real(lane)

    monkeypatch.setattr(away.house.app.engine, "lane_steps", steps)
    first = away.sends(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    away.sends(action="buy", symbol="MSFT")
    lanes.wake(Lane(away.paper, Symbol.parse("MSFT")))
    until(lambda: away.holds(other) == 50)
    assert away.story(first)["status"] == "working"
    lanes.wake(Lane(away.paper, AAPL))
    until(lambda: away.story(first)["status"] == "filled")
