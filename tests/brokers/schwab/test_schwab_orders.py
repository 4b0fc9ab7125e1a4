"""What we paid to find out about orders at Schwab: one test for each thing that can bite."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unavailable, Unknown, VenueStatus
from dashtrade.domain.symbols import Symbol
from tests.simulators.schwab import HASH
from tests.support.adapter_harness import AAPL, BUY, LIMIT, D
from tests.support.schwab_harness import MSFT, new_harness


def test_the_http_library_is_loaded_by_the_first_account_and_not_before():
    code = (
        "import sys; from dashtrade.brokers.schwab import adapter as schwab; assert 'requests' not in "
        "sys.modules and "
        "'urllib3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- there is no id of ours ---------------------------------------------------------------------------------


def test_it_claims_no_client_ids_so_the_engine_never_sends_an_order_twice():
    assert not CAPABILITIES.client_ids and not CAPABILITIES.refuses_repeats and not CAPABILITIES.sandbox


def test_an_order_that_filled_at_once_comes_without_a_number_and_is_found(harness):
    harness.front.silent_fills = True
    report = harness.broker.submit(harness.request())
    assert report.status is VenueStatus.FILLED and report.broker_order_id == str(harness.core.orders[-1].id)


def test_without_a_number_and_with_a_twin_it_is_unknown(harness):
    harness.front.silent_fills = True
    harness.by_hand()
    request = harness.request()
    with pytest.raises(Unknown):
        harness.broker.submit(request)
    assert harness.broker.find(harness.ref(request)) is None and len(harness.core.orders) == 2


def test_a_number_is_enough_although_its_state_cannot_be_read(harness):
    harness.broker.rules(AAPL)
    harness.simulator.fault("answer", on="read", status=500, body="<html>")
    harness.broker._api.account_of = HASH
    report = harness.broker.submit(harness.request())
    assert report.status is VenueStatus.WORKING and report.broker_order_id


def test_after_a_time_out_a_single_matching_order_is_taken(harness):
    request = harness.request()
    harness.times_out(request)
    found = harness.broker.find(harness.ref(request))
    assert (
        found.status is VenueStatus.FILLED and found.filled_quantity == 10 and len(harness.core.orders) == 1
    )
    assert harness.broker.find(harness.ref(request)).broker_order_id == found.broker_order_id


def test_of_two_matching_orders_none_is_taken(harness):
    request = harness.request()
    harness.times_out(request)
    harness.by_hand()
    assert harness.broker.find(harness.ref(request)) is None


def test_a_twin_already_assigned_to_another_order_is_left_out(harness):
    other = harness.request()
    number = harness.broker.submit(other).broker_order_id
    request = harness.request()
    harness.times_out(request)
    assert harness.broker.find(harness.ref(request)).broker_order_id != number


def test_after_a_restart_the_app_says_whose_orders_are_whose(harness):
    number = harness.broker.submit(harness.request()).broker_order_id
    request = harness.request()
    harness.times_out(request)
    assert harness.another().find(harness.ref(request)) is None
    fresh = harness.another(owner_of={number: "somebody else's"}.get)
    assert fresh.find(harness.ref(request)).broker_order_id == str(harness.core.orders[-1].id)


def test_an_order_that_never_arrived_is_not_mistaken_for_an_earlier_twin(harness):
    harness.by_hand()
    harness.core.orders[-1].created -= 30
    assert harness.broker.find(harness.ref(harness.request())) is None


@pytest.mark.parametrize(
    "other", [{"side": "sell"}, {"quantity": 9}, {"name": "MSFT/USD"}, {"limit": D(120)}]
)
def test_an_order_of_another_kind_does_not_match(harness, other):
    harness.core.balances["AAPL"] = D(100)
    harness.by_hand(**other)
    assert harness.broker.find(harness.ref(harness.request())) is None


def test_a_part_of_a_bracket_does_not_match(harness):
    whole = harness.front._order
    harness.front._order = lambda order: {**whole(order), "orderStrategyType": "TRIGGER"}
    harness.by_hand()
    assert harness.broker.find(harness.ref(harness.request())) is None


def test_a_failed_search_is_not_an_absent_order(harness):
    harness.broker.account()
    for status, body in (
        (500, "<html>"),
        (200, "<html>"),
        (200, "{}"),
        (200, '[{"orderId": 1}]'),
        (404, "<html>"),
    ):
        harness.simulator.fault("answer", on="read", status=status, body=body)
        if body.startswith("["):
            assert (
                harness.broker.find(harness.ref(harness.request())) is None
            )  # it can be read, and does not fit
        else:
            with pytest.raises(Unavailable):
                harness.broker.find(harness.ref(harness.request()))


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_clock_that_is_off_is_allowed_for_when_searching(minutes):
    class Off:
        def now(self):
            return datetime.now(UTC) + timedelta(minutes=minutes)

    with new_harness(clock=Off()) as harness:
        request = harness.request()
        harness.times_out(request)
        assert harness.broker.find(harness.ref(request, created=Off().now())).status is VenueStatus.FILLED


def test_schwab_is_never_asked_for_more_than_sixty_days(harness):
    old = harness.ref(harness.request(), created=datetime.now(UTC) - timedelta(days=200))
    assert harness.broker.find(old) is None
    asked = harness.simulator.requests[-1].params
    assert datetime.fromisoformat(asked["fromEnteredTime"]) > datetime.now(UTC) - timedelta(days=61)


def test_many_orders_are_polled_with_one_list(harness):
    requests = [harness.request(quantity=n) for n in (1, 2, 3)]
    refs = [
        harness.ref(request, number=harness.broker.submit(request).broker_order_id) for request in requests
    ]
    before = len(harness.simulator.requests)
    assert [report.filled_quantity for report in harness.broker.poll(refs)] == [1, 2, 3]
    assert len(harness.simulator.requests) == before + 1


# --- placing ------------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_and_then_rejected_tells_why(harness):
    harness.front.rejects_later = "This order cannot be accepted."
    report = harness.broker.submit(harness.request(BUY, LIMIT, limit_price=D(90)))
    assert report.status is VenueStatus.REJECTED and report.reason == "This order cannot be accepted."


def test_prices_leave_as_text_in_steps_and_shares_as_whole_numbers(harness):
    harness.broker.submit(harness.request(BUY, LIMIT, limit_price=D("90.016")))
    body = next(asked.json for asked in reversed(harness.simulator.requests) if asked.method == "POST")
    assert body["price"] == "90.02" and body["orderLegCollection"][0]["quantity"] == 10


def test_below_a_dollar_prices_have_four_decimals(harness):
    harness.core.set_price("MSFT/USD", D("0.5"))
    assert harness.broker.rules(MSFT).price_step == D("0.0001")


def test_a_class_of_shares_is_spelled_as_schwab_spells_it(harness):
    symbol = Symbol.parse("BRK.B")
    assert harness.broker.submit(harness.request(symbol=symbol)).status is VenueStatus.FILLED
    assert harness.broker.positions()[0].symbol == symbol


@pytest.mark.parametrize("symbol", ["BTC/USDT", "LSE:VOD"])
def test_what_is_no_american_stock_is_refused(harness, symbol):
    with pytest.raises(Rejected, match="no stock"):
        harness.broker.submit(harness.request(symbol=Symbol.parse(symbol)))


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, '{"message": "Account is restricted"}', Rejected),
        (400, "<html>", Unknown),
        (500, '{"message": "x"}', Unknown),
        (503, "", Unknown),
        (200, "", Unknown),
        (202, "{}", Unknown),
        (408, "{}", Unknown),
        (302, "", Unknown),
        (403, '{"message": "no"}', BadCredentials),
        (403, "<html>", Unknown),
        (429, "{}", RetryLater),
    ],
)
def test_only_schwabs_own_words_are_a_refusal(harness, status, body, meaning):
    harness.broker.rules(AAPL)
    harness.simulator.fault("answer", status=status, body=body)
    with pytest.raises(meaning):
        harness.broker.submit(harness.request())


def test_an_ended_order_works_until_its_executions_are_listed(harness):
    harness.simulator.fault("late_trades", seconds=0.5)
    request = harness.request()
    early = harness.broker.submit(request)
    assert (early.status, early.filled_quantity) == (VenueStatus.WORKING, 0)
    time.sleep(0.55)
    assert harness.broker.find(harness.ref(request)).status is VenueStatus.FILLED


def test_a_cancellation_that_schwab_refuses_is_reported(harness):
    report = harness.broker.submit(request := harness.request(BUY, LIMIT, limit_price=D(90)))
    harness.simulator.fault("answer", on="cancel", status=400, body='{"message": "too late"}')
    with pytest.raises(Unavailable):
        harness.broker.cancel(harness.ref(request, number=report.broker_order_id))
