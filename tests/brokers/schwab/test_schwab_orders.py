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
from tests.support.schwab_desk import AAPL, BUY, LIMIT, MSFT, D, made


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


def test_an_order_that_filled_at_once_comes_without_a_number_and_is_found(desk):
    desk.front.silent_fills = True
    report = desk.broker.submit(desk.request())
    assert report.status is VenueStatus.FILLED and report.broker_order_id == str(desk.core.orders[-1].id)


def test_without_a_number_and_with_a_twin_it_is_unknown(desk):
    desk.front.silent_fills = True
    desk.by_hand()
    request = desk.request()
    with pytest.raises(Unknown):
        desk.broker.submit(request)
    assert desk.broker.find(desk.ref(request)) is None and len(desk.core.orders) == 2


def test_a_number_is_enough_although_its_state_cannot_be_read(desk):
    desk.broker.rules(AAPL)
    desk.simulator.fault("answer", on="read", status=500, body="<html>")
    desk.broker._api.account_of = HASH
    report = desk.broker.submit(desk.request())
    assert report.status is VenueStatus.WORKING and report.broker_order_id


def test_after_a_time_out_the_one_order_that_fits_is_ours(desk):
    request = desk.request()
    desk.times_out(request)
    found = desk.broker.find(desk.ref(request))
    assert found.status is VenueStatus.FILLED and found.filled_quantity == 10 and len(desk.core.orders) == 1
    assert desk.broker.find(desk.ref(request)).broker_order_id == found.broker_order_id


def test_of_two_orders_that_fit_none_is_ours(desk):
    request = desk.request()
    desk.times_out(request)
    desk.by_hand()
    assert desk.broker.find(desk.ref(request)) is None


def test_a_twin_that_belongs_to_another_order_of_ours_is_left_out(desk):
    other = desk.request()
    number = desk.broker.submit(other).broker_order_id
    request = desk.request()
    desk.times_out(request)
    assert desk.broker.find(desk.ref(request)).broker_order_id != number


def test_after_a_restart_the_app_says_whose_orders_are_whose(desk):
    number = desk.broker.submit(desk.request()).broker_order_id
    request = desk.request()
    desk.times_out(request)
    assert desk.another().find(desk.ref(request)) is None
    fresh = desk.another(owner_of={number: "somebody else's"}.get)
    assert fresh.find(desk.ref(request)).broker_order_id == str(desk.core.orders[-1].id)


def test_an_order_that_never_arrived_is_not_mistaken_for_an_earlier_twin(desk):
    desk.by_hand()
    desk.core.orders[-1].created -= 30
    assert desk.broker.find(desk.ref(desk.request())) is None


@pytest.mark.parametrize(
    "other", [{"side": "sell"}, {"quantity": 9}, {"name": "MSFT/USD"}, {"limit": D(120)}]
)
def test_an_order_of_another_kind_is_not_ours(desk, other):
    desk.core.balances["AAPL"] = D(100)
    desk.by_hand(**other)
    assert desk.broker.find(desk.ref(desk.request())) is None


def test_a_part_of_a_bracket_is_not_ours(desk):
    whole = desk.front._order
    desk.front._order = lambda order: {**whole(order), "orderStrategyType": "TRIGGER"}
    desk.by_hand()
    assert desk.broker.find(desk.ref(desk.request())) is None


def test_a_failed_search_is_not_an_absent_order(desk):
    desk.broker.account()
    for status, body in (
        (500, "<html>"),
        (200, "<html>"),
        (200, "{}"),
        (200, '[{"orderId": 1}]'),
        (404, "<html>"),
    ):
        desk.simulator.fault("answer", on="read", status=status, body=body)
        if body.startswith("["):
            assert desk.broker.find(desk.ref(desk.request())) is None  # it can be read, and does not fit
        else:
            with pytest.raises(Unavailable):
                desk.broker.find(desk.ref(desk.request()))


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_clock_that_is_off_is_allowed_for_when_searching(minutes):
    class Off:
        def now(self):
            return datetime.now(UTC) + timedelta(minutes=minutes)

    with made(clock=Off()) as desk:
        request = desk.request()
        desk.times_out(request)
        assert desk.broker.find(desk.ref(request, created=Off().now())).status is VenueStatus.FILLED


def test_schwab_is_never_asked_for_more_than_sixty_days(desk):
    old = desk.ref(desk.request(), created=datetime.now(UTC) - timedelta(days=200))
    assert desk.broker.find(old) is None
    asked = desk.simulator.requests[-1].params
    assert datetime.fromisoformat(asked["fromEnteredTime"]) > datetime.now(UTC) - timedelta(days=61)


def test_many_orders_are_polled_with_one_list(desk):
    requests = [desk.request(quantity=n) for n in (1, 2, 3)]
    refs = [desk.ref(request, number=desk.broker.submit(request).broker_order_id) for request in requests]
    before = len(desk.simulator.requests)
    assert [report.filled_quantity for report in desk.broker.poll(refs)] == [1, 2, 3]
    assert len(desk.simulator.requests) == before + 1


# --- placing ------------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_and_then_rejected_tells_why(desk):
    desk.front.rejects_later = "This order cannot be accepted."
    report = desk.broker.submit(desk.request(BUY, LIMIT, limit_price=D(90)))
    assert report.status is VenueStatus.REJECTED and report.reason == "This order cannot be accepted."


def test_prices_leave_as_text_in_steps_and_shares_as_whole_numbers(desk):
    desk.broker.submit(desk.request(BUY, LIMIT, limit_price=D("90.016")))
    body = next(asked.json for asked in reversed(desk.simulator.requests) if asked.method == "POST")
    assert body["price"] == "90.02" and body["orderLegCollection"][0]["quantity"] == 10


def test_below_a_dollar_prices_have_four_decimals(desk):
    desk.core.set_price("MSFT/USD", D("0.5"))
    assert desk.broker.rules(MSFT).price_step == D("0.0001")


def test_a_class_of_shares_is_spelled_as_schwab_spells_it(desk):
    symbol = Symbol.parse("BRK.B")
    assert desk.broker.submit(desk.request(symbol=symbol)).status is VenueStatus.FILLED
    assert desk.broker.positions()[0].symbol == symbol


@pytest.mark.parametrize("symbol", ["BTC/USDT", "LSE:VOD"])
def test_what_is_no_american_stock_is_refused(desk, symbol):
    with pytest.raises(Rejected, match="no stock"):
        desk.broker.submit(desk.request(symbol=Symbol.parse(symbol)))


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
def test_only_schwabs_own_words_are_a_refusal(desk, status, body, meaning):
    desk.broker.rules(AAPL)
    desk.simulator.fault("answer", status=status, body=body)
    with pytest.raises(meaning):
        desk.broker.submit(desk.request())


def test_an_order_that_ended_works_until_its_executions_are_told(desk):
    desk.simulator.fault("late_trades", seconds=0.5)
    request = desk.request()
    early = desk.broker.submit(request)
    assert (early.status, early.filled_quantity) == (VenueStatus.WORKING, 0)
    time.sleep(0.55)
    assert desk.broker.find(desk.ref(request)).status is VenueStatus.FILLED


def test_cancelling_what_schwab_does_not_let_go_of_is_said(desk):
    report = desk.broker.submit(request := desk.request(BUY, LIMIT, limit_price=D(90)))
    desk.simulator.fault("answer", on="cancel", status=400, body='{"message": "too late"}')
    with pytest.raises(Unavailable):
        desk.broker.cancel(desk.ref(request, number=report.broker_order_id))
