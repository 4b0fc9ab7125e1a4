"""What becomes of an order when its venue does not say, says it twice, or says it late: one fault at a
time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.kernel.next_states import STOPPED_IS_LOOKED_FOR_EVERY
from dashtrade.domain.notices.people import KeyRefused
from dashtrade.domain.notices.trading import OrderFilled, OrderUnconfirmed
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.ports import Rejected
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.signals import Origin
from dashtrade.engine.workflow import Call
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.trading import orders as order_service
from dashtrade.tables import bot_positions
from tests.simulators.venue import SETTLE, VenueServer
from tests.support.fakes import ManualClock
from tests.support.venue_harness import AAPL, VenueHarness, in_parts


@pytest.fixture
def venue(clock: ManualClock) -> Iterator[VenueServer]:
    made = VenueServer(clock.now)
    yield made
    made.close()


@pytest.fixture
def harness(make_app: Callable[..., App], clock: ManualClock, feed: Any, venue: VenueServer) -> VenueHarness:
    return VenueHarness(make_app, clock, feed, venue, refuses_repeats=True)


@pytest.fixture
def lenient(make_app: Callable[..., App], clock: ManualClock, feed: Any, venue: VenueServer) -> VenueHarness:
    """At a venue that takes a repeated client id as a new order."""
    return VenueHarness(make_app, clock, feed, venue, refuses_repeats=False)


# --- sent, and no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["placed_then_drop", "placed_then_silence", "placed_then_500", "placed_then_garbage"]
)
def test_an_order_that_was_placed_without_an_answer_is_found_and_not_sent_again(
    harness: VenueHarness, fault: str
):
    harness.books.script["post"] = [fault]
    harness.alert("buy")
    harness.later(1)
    assert harness.order.status is OrderStatus.FILLED and harness.owned() == 10
    assert harness.books.asked["post"] == 1


def test_a_404_within_the_venues_lag_proves_nothing(lenient: VenueHarness):
    lenient.books.script["post"] = ["late_then_drop"]
    lenient.alert("buy")
    assert lenient.order.status is OrderStatus.UNKNOWN
    lenient.later(SETTLE.total_seconds())
    assert lenient.order.status is OrderStatus.FILLED and lenient.books.asked["post"] == 1


def test_an_order_that_never_arrived_is_sent_again_where_repeats_are_refused(harness: VenueHarness):
    harness.books.script["post"] = ["drop"]
    harness.alert("buy")
    harness.later(SETTLE.total_seconds())
    assert harness.order.status is OrderStatus.FILLED and harness.books.placed[harness.order.id] == 1


def test_an_entry_stopped_while_it_was_looked_for_is_not_sent_again(harness: VenueHarness):
    """It is looked for a while longer; then exits pass again."""
    harness.books.script["post"] = ["drop"]
    harness.alert("buy")
    bot_service.set_active(harness.app, harness.user, harness.bot, False)
    harness.later(SETTLE.total_seconds())
    assert harness.order.status is OrderStatus.UNKNOWN and harness.books.asked["post"] == 1
    for _ in range(7):
        harness.later(STOPPED_IS_LOOKED_FOR_EVERY.total_seconds())
    assert harness.order.status is OrderStatus.CANCELED and harness.books.asked["post"] == 1
    because = harness.order.reason.facts["because"]
    assert isinstance(because, Reason) and because.code is Code.PAUSED_BEFORE_SENDING
    bot_service.set_active(harness.app, harness.user, harness.bot, True)
    harness.alert("buy")
    assert {order.status for order in harness.orders()} == {OrderStatus.CANCELED, OrderStatus.FILLED}


def test_an_entry_that_shows_up_after_it_was_stopped_is_booked(harness: VenueHarness):
    harness.books.script["post"] = ["later_than_promised"]
    harness.alert("buy")
    bot_service.set_active(harness.app, harness.user, harness.bot, False)
    for _ in range(8):
        harness.later(STOPPED_IS_LOOKED_FOR_EVERY.total_seconds())
    assert harness.order.status is OrderStatus.FILLED and harness.books.placed[harness.order.id] == 1


def test_where_a_repeat_would_be_a_second_order_a_person_is_asked_and_the_queue_stops(lenient: VenueHarness):
    lenient.books.script["post"] = ["drop"]
    lenient.alert("buy")
    lenient.later(SETTLE.total_seconds())
    lenient.alert("close")
    assert lenient.order.status is OrderStatus.ATTENTION and lenient.books.asked["post"] == 1
    assert lenient.notices("error") == [OrderUnconfirmed.kind]
    order_service.resolve(lenient.app, lenient.user, lenient.order.id, "not_placed")
    lenient.later()
    assert lenient.order.status is OrderStatus.CANCELED


def test_an_order_that_shows_up_after_a_person_was_asked_is_taken_for_what_it_is(lenient: VenueHarness):
    lenient.books.script["post"] = ["later_than_promised"]
    lenient.alert("buy")
    lenient.later(SETTLE.total_seconds())
    assert lenient.order.status is OrderStatus.ATTENTION
    lenient.later(3 * SETTLE.total_seconds())
    assert lenient.order.status is OrderStatus.FILLED and lenient.owned() == 10


def test_our_own_retry_that_must_be_unique_is_adopted(harness: VenueHarness):
    harness.books.script["post"] = ["later_than_promised"]
    harness.alert("buy")
    for _ in range(4):
        harness.later(SETTLE.total_seconds())
    assert harness.order.status is OrderStatus.FILLED and harness.order.sends > 1
    assert harness.books.placed[harness.order.id] == 1


def test_a_delayed_second_try_stays_unconfirmed_and_cannot_be_cancelled_without_a_look_up(
    harness: VenueHarness,
):
    """Time-out (placed, not visible yet), looked up in vain, sent again, 429: the first one may be there."""
    harness.books.script["post"] = ["later_than_promised", "429"]
    harness.alert("buy")
    harness.later(SETTLE.total_seconds())
    assert harness.order.status is OrderStatus.UNKNOWN
    order_service.cancel(harness.app, harness.user, harness.order.id)
    for _ in range(4):
        harness.later(10)
    assert harness.order.status is OrderStatus.FILLED and harness.owned() == 10


@pytest.mark.parametrize("placed", [True, False])
def test_a_refused_second_try_is_looked_for_longer_than_the_venue_promised(
    harness: VenueHarness, placed: bool
):
    """Sent without an answer, looked up in vain, and refused by then: the position is closed, the money is
    spent. Perhaps by the first try, which the venue shows later than it promised."""
    harness.books.script["post"] = ["later_than_promised" if placed else "drop"]
    broker = harness.app.engine.broker(harness.account)
    submit, tries = broker.submit, []

    def once(request: Any) -> Any:
        tries.append(request)
        if len(tries) > 1:
            raise Rejected("there is nothing left to close")
        return submit(request)

    broker.submit = once
    harness.alert("buy")
    harness.later(SETTLE.total_seconds())
    assert harness.order.status is OrderStatus.UNKNOWN and len(tries) == 2
    for _ in range(8):
        harness.later(SETTLE.total_seconds())
    assert harness.order.status is (OrderStatus.FILLED if placed else OrderStatus.REJECTED)
    assert harness.owned() == (10 if placed else 0)


def test_a_delayed_first_try_waits_and_is_sent_again(harness: VenueHarness):
    harness.books.script["post"] = ["429"]
    harness.alert("buy")
    assert harness.order.status is OrderStatus.CREATED and harness.order.due_at > harness.clock.now()
    harness.later(10)
    assert harness.order.status is OrderStatus.FILLED


# --- fills --------------------------------------------------------------------------------------------------


def test_a_fill_listed_twice_in_one_report_is_booked_once(harness: VenueHarness):
    in_parts(harness, (0, "4"), (0, "6"))
    honest = harness.books.order_json
    harness.books.order_json = lambda order, **how: (
        honest(order, **how) | {"fills": [f.as_json() for f in order.fills] * 2}
    )
    harness.alert("buy")
    assert harness.order.status is OrderStatus.FILLED and harness.owned() == 10
    assert harness.notices("info") == [OrderFilled.kind]


def test_a_canceled_order_is_watched_until_all_that_filled_is_booked(harness: VenueHarness):
    """The venue's totals run ahead of its list of executions."""
    in_parts(harness, (0, "4"), (3, "3"))
    harness.alert("buy")
    honest, behind = harness.books.order_json, {"on": True}

    def order_json(order: Any, **how: Any) -> Any:
        full = honest(order, **how)
        return full | {"fills": full["fills"][:1]} if behind["on"] else full

    harness.books.order_json = order_json
    harness.clock.forward(3)
    order_service.cancel(harness.app, harness.user, harness.order.id)
    harness.later()
    assert harness.owned() == 4 and harness.order.status is OrderStatus.WORKING
    behind["on"] = False
    harness.later(6)
    assert harness.order.status is OrderStatus.CANCELED and harness.owned() == 7


@pytest.mark.parametrize("share", ["4", "10"])
def test_a_fill_that_wins_the_race_against_its_cancellation_is_booked(harness: VenueHarness, share: str):
    in_parts(harness, (100, "10"))
    harness.alert("buy")
    harness.books.script["delete"] = ["race"]
    harness.books.race = lambda order: (
        harness.books.fill(order, Decimal(share), harness.clock.now()),
        harness.books.cancel(order),
    )
    order_service.cancel(harness.app, harness.user, harness.order.id)
    harness.later()
    assert harness.order.status is (OrderStatus.FILLED if share == "10" else OrderStatus.CANCELED)
    assert harness.owned() == Decimal(share) == harness.books.position(AAPL.text)


def test_a_cancellation_that_nothing_comes_of_is_asked_again_after_five_seconds_and_not_before(
    harness: VenueHarness,
):
    in_parts(harness, (100, "10"))
    harness.alert("buy")
    harness.books.script["delete"] = ["500", "500"]
    order_service.cancel(harness.app, harness.user, harness.order.id)
    for _ in range(5):
        harness.later(0.9)
    assert harness.books.asked["delete"] == 1
    harness.later(2)
    assert harness.books.asked["delete"] == 2


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_revoked_key_stops_the_account_tells_its_user_once_and_is_not_tried_again(harness: VenueHarness):
    in_parts(harness, (5, "10"))
    harness.alert("buy")
    harness.books.manner = replace(harness.books.manner, revoked=1.0)
    harness.later(1)
    asked = harness.books.asked.total()
    order_service.cancel(harness.app, harness.user, harness.order.id)
    for _ in range(5):
        harness.later(6)
    assert harness.books.asked.total() == asked
    assert harness.notices("error") == [KeyRefused.kind]
    with harness.app.db.read() as conn:
        assert not bot_positions.load(conn, harness.bot).is_active


def test_a_new_key_brings_the_news_of_what_was_out(harness: VenueHarness):
    in_parts(harness, (5, "10"))
    harness.alert("buy")
    harness.books.manner = replace(harness.books.manner, revoked=1.0)
    harness.later(10)
    harness.books.manner = replace(harness.books.manner, revoked=0.0)
    account_service.change_account(
        harness.app, harness.user, harness.account, {"credentials": {"key": "new"}}
    )
    harness.later(1)
    assert harness.order.status is OrderStatus.FILLED and harness.owned() == 10


def test_a_key_revoked_between_two_tries_leaves_the_first_unconfirmed(harness: VenueHarness):
    """Sent (placed, no answer, not visible), looked up in vain, and the key is refused at the second try."""
    harness.books.script["post"] = ["later_than_promised", "401"]
    harness.alert("buy")
    harness.later(SETTLE.total_seconds())
    assert harness.order.status not in (OrderStatus.REJECTED, OrderStatus.CANCELED)
    account_service.change_account(
        harness.app, harness.user, harness.account, {"credentials": {"key": "new"}}
    )
    for _ in range(4):
        harness.later(10)
    assert harness.order.status is OrderStatus.FILLED and harness.owned() == 10


# --- sleep --------------------------------------------------------------------------------------------------


def test_a_suspended_worker_acquires_its_lanes_again_before_it_decides(lenient: VenueHarness):
    """Else it would decide, and then not dare to send: at this venue that is a question to its user for
    nothing."""
    leases = lenient.app.engine.leases
    leases.ttl = 0.3
    lenient.alert("cancel")
    time.sleep(0.3)
    lenient.alert("buy")
    assert lenient.order.status is OrderStatus.FILLED


def test_an_order_is_not_sent_by_a_worker_whose_lane_was_taken_meanwhile(harness: VenueHarness):
    """It slept between the decision and the sending, and has taken its other lanes anew since."""
    leases = harness.app.engine.leases
    leases.ttl = 0.3
    body = json.dumps({"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "1"})
    harness.app.engine.accept(harness.user.id, parse(body.encode()).signal, raw=body, origin=Origin.WEBHOOK)
    steps, value = harness.app.engine.lane_steps(harness.lane), None
    while not (harness.orders()):
        effect = steps.send(value)
        value = effect.fn() if isinstance(effect, Call) else harness.app.db.write(effect.run)
    time.sleep(0.3)
    leases.renew()
    with pytest.raises(StopIteration):
        steps.send(value)
    assert harness.books.asked["post"] == 0
