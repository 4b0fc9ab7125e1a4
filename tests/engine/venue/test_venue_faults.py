"""What the engine makes of a broker's faults: refusals, silence, and orders of which nobody knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dashtrade.domain.notices.people import KeyRefused
from dashtrade.domain.notices.trading import ExitWaitsForBroker, OrderRefused, OrderUnconfirmed
from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unknown
from dashtrade.domain.reasons import quoted
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import UNREACHABLE, ScriptedBroker, Trader, placed_without_answer
from tests.support.orders import first_order

# --- and its faults -----------------------------------------------------------------------------------------


@sqlite
def test_a_refusal_ends_the_order_frees_the_bot_and_is_notified(
    away: Trader, bot: int, venue: ScriptedBroker
):
    venue.plan.append(Rejected("AAPL is halted"))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"], first_order(story)["reason"]) == (
        "failed",
        "rejected",
        "AAPL is halted",
    )
    assert away.get(f"/bots/{bot}")["status"] == "READY"
    assert [one.reason for one in away.notices(OrderRefused)] == [quoted("AAPL is halted")]
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_a_delayed_order_is_sent_again_when_allowed(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append(RetryLater("too many requests", after=timedelta(seconds=30)))
    story = away.trades("buy")
    assert (story["status"], first_order(story)["status"]) == ("working", "created")
    clock.forward(29)
    away.installation.work()
    assert len(venue.sent) == 1
    clock.forward(1)
    away.installation.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len({request.client_order_id for request in venue.sent}) == 1 and len(venue.sent) == 2


@sqlite
def test_an_entry_that_is_never_taken_is_given_up_and_an_exit_is_not(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan += [RetryLater("too many requests")] * 30
    story = away.trades("buy")
    for _ in range(10):
        clock.forward(2)
        away.installation.work()
    assert away.story(story["id"])["status"] == "failed" and len(venue.sent) == 6
    venue.plan.clear()
    away.trades("buy")
    venue.plan += [RetryLater("too many requests")] * 9
    story = away.trades("close")
    for _ in range(10):
        clock.forward(2)
        away.installation.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0


def test_a_refused_key_stops_the_account_once_and_for_all_its_bots(
    away: Trader, bot: int, venue: ScriptedBroker
):
    other = away.bot("MSFT")
    venue.plan += [BadCredentials("the key was revoked"), BadCredentials("the key was revoked")]
    assert away.trades("buy")["status"] == "failed"
    account = away.get(f"/accounts/{away.paper}")
    assert account["is_active"] is False and "revoked" in account["disabled_reason"]
    assert [away.get(f"/bots/{b}")["is_active"] for b in (bot, other)] == [False, False]
    assert "disabled" in away.trades("buy", "MSFT")["reason"] and "disabled" in away.trades("buy")["reason"]
    assert len(venue.sent) == 1, "no storm"
    assert len(away.notices(KeyRefused)) == 1
    away.request("PATCH", f"/accounts/{away.paper}", {"credentials": {"key": "new"}})
    away.request("POST", f"/bots/{bot}/resume")
    venue.plan.clear()
    assert away.trades("buy")["status"] == "filled"


@sqlite
def test_a_key_that_is_refused_while_reading_stops_the_account_too(
    away: Trader, bot: int, venue: ScriptedBroker
):
    venue.away = BadCredentials("the key was revoked")
    assert away.trades("buy")["status"] == "refused"
    assert away.get(f"/accounts/{away.paper}")["is_active"] is False and venue.sent == []


TIME_OUT = Unknown("no answer in time")


def test_an_unconfirmed_order_that_was_placed_is_recovered(away: Trader, bot: int, venue: ScriptedBroker):
    venue.plan.append(placed_without_answer(TIME_OUT))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1
    steps = [line["step"] for line in story["timeline"]]
    assert steps.index("order unknown") < steps.index("order filled")


@sqlite
def test_not_found_is_not_believed_before_the_venue_has_settled(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append(placed_without_answer(TIME_OUT))
    venue.hidden.add("all of it")
    story_id = away.send(action="buy", symbol="AAPL")
    venue.hidden = set()
    venue.find = lambda order, find=venue.find: None if clock.now() < shown else find(order)  # type: ignore[method-assign]
    shown = clock.now() + timedelta(seconds=1.5)
    away.installation.work()
    assert first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1
    clock.forward(2)
    away.installation.work()
    assert away.story(story_id)["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


def test_what_was_surely_not_placed_is_sent_again_under_the_same_id(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    assert first_order(story)["status"] == "unknown"
    clock.forward(2)
    away.installation.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50
    assert len(venue.sent) == 2 and len({request.client_order_id for request in venue.sent}) == 1


@sqlite
def test_a_second_try_that_is_refused_as_a_repeat_is_the_first_one_and_adopted(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append(placed_without_answer(TIME_OUT))
    story_id = away.send(action="buy", symbol="AAPL")
    find, late = venue.find, clock.now() + timedelta(seconds=2)
    venue.find = lambda order: None if clock.now() <= late and len(venue.sent) < 2 else find(order)  # type: ignore[method-assign]
    away.installation.work()
    clock.forward(2)
    away.installation.work()
    assert len(venue.sent) == 2, "it was sent again, and refused: the id must be unique"
    story = away.story(story_id)
    assert story["status"] == "filled" and away.holds(bot) == 50


@pytest.mark.parametrize(
    "venue",
    [ScriptedBroker(refuses_repeats=False), ScriptedBroker(client_ids=False)],
    ids=["takes repeats", "knows no ids"],
)
def test_where_it_cannot_be_known_a_person_decides_and_the_symbol_waits(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    away.bot("MSFT")
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.installation.work()
    story = away.story(story["id"])
    assert (
        story["status"] == "attention"
        and first_order(story)["status"] == "attention"
        and len(venue.sent) == 1
    )
    assert away.notices(OrderUnconfirmed)
    behind = away.trades("close")
    assert behind["status"] == "working" and behind["orders"] == [], "nothing more is sent for this symbol"
    assert away.trades("buy", "MSFT")["status"] == "filled", "other symbols go on"
    order_id = first_order(story)["order_id"]
    again = away.request("POST", f"/orders/{order_id}/resolve", {"outcome": "look_again"})
    assert again["status"] == "unknown"
    away.installation.work()
    assert first_order(away.story(story["id"]))["status"] == "attention"
    assert (
        away.request("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"})["status"] == "canceled"
    )
    away.installation.work()
    assert (
        away.story(story["id"])["status"] == "failed"
        and "nothing to close" in away.story(behind["id"])["reason"]
    )
    assert away.get(f"/bots/{bot}")["status"] == "READY"
    assert away.call("POST", f"/orders/{order_id}/resolve", {"outcome": "not_placed"}).status_code == 409


@pytest.mark.parametrize("venue", [ScriptedBroker(refuses_repeats=False)], ids=["takes repeats"])
@sqlite
def test_an_order_that_turns_up_by_itself_needs_no_attention_any_more(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.sent.clear()
    venue.plan.append(TIME_OUT)
    story = away.trades("buy")
    clock.forward(2)
    away.installation.work()
    name = first_order(story)["client_order_id"]
    venue.fill(name, 50)
    away.installation.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 50


@sqlite
def test_a_look_up_that_fails_proves_nothing(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.plan.append(placed_without_answer(TIME_OUT))
    story_id = away.send(action="buy", symbol="AAPL")
    find, calls = venue.find, []

    def garbage(order: Any) -> Any:
        calls.append(order)
        raise [UNREACHABLE, ValueError("half a JSON"), RetryLater("429", after=timedelta(seconds=3))][
            min(len(calls), 3) - 1
        ]

    venue.find = garbage  # type: ignore[method-assign]
    for _ in range(4):
        away.installation.work()
        clock.forward(6)
    assert (
        first_order(away.story(story_id))["status"] == "unknown" and len(venue.sent) == 1 and len(calls) >= 3
    )
    venue.find = find  # type: ignore[method-assign]
    away.installation.work()
    assert away.story(story_id)["status"] == "filled" and len(venue.sent) == 1


@sqlite
def test_an_adapters_own_fault_is_a_doubt_and_no_refusal(away: Trader, bot: int, venue: ScriptedBroker):
    venue.plan.append(("fill", ValueError("an unknown status")))
    story = away.trades("buy")
    assert story["status"] == "filled" and away.holds(bot) == 50 and len(venue.sent) == 1


@sqlite
def test_a_venue_that_cannot_be_asked_holds_the_decision_for_a_minute(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    venue.away = UNREACHABLE
    story = away.trades("buy")
    assert story["status"] == "working" and venue.sent == []
    venue.away = None
    clock.forward(2)
    away.installation.work()
    assert away.story(story["id"])["status"] == "filled"
    away.trades("close")
    venue.away = UNREACHABLE
    story = away.trades("buy")
    clock.forward(61)
    away.installation.work()
    assert (
        away.story(story["id"])["status"] == "refused" and "unreachable" in away.story(story["id"])["reason"]
    )


def test_an_exit_waits_for_an_unreachable_broker_and_is_notified_once(
    away: Trader, bot: int, venue: ScriptedBroker, clock: ManualClock
):
    away.trades("buy")
    venue.away = UNREACHABLE
    story = away.trades("close")
    for _ in range(30):
        clock.forward(10)
        away.installation.work()
    assert away.story(story["id"])["status"] == "working" and away.holds(bot) > 0
    assert len(away.notices(ExitWaitsForBroker)) == 1
    venue.away = None
    clock.forward(10)
    away.installation.work()
    assert away.story(story["id"])["status"] == "filled" and away.holds(bot) == 0
