"""Schwab as it answers: reasons beside the message, an app without a product, cancellations that are told as
executions, swept cash, fees under transactions, orders of other kinds in the list. Where the bodies come
from: tests/recorded.md."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtrade.brokers.schwab.reports import order_report
from dashtrade.domain.ports import BadCredentials, Rejected, VenueStatus
from tests.support.adapter_harness import AAPL, BUY, LIMIT, SELL, D
from tests.support.fakes import ManualClock
from tests.support.schwab_harness import SchwabHarness, new_harness

NOW = "2026-03-04T01:26:35+0000"


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "message": "A validation error occurred while processing the request.",
                "errors": ["No trades are currently allowed"],
            },
            "A validation error occurred while processing the request: No trades are currently allowed",
        ),
        (
            {
                "message": "Bad request",
                "errors": ["This order may result in an oversold position", "Check your open orders."],
            },
            "Bad request: This order may result in an oversold position; Check your open orders",
        ),
        ({"message": "Invalid account number"}, "Invalid account number"),
        (
            {"message": "The symbol is not valid.", "errors": ["The symbol is not valid."]},
            "refused the order: The symbol is not valid. No order",
        ),
        (
            {
                "errors": [
                    {"id": "9821320c", "status": 400, "title": "Bad Request", "detail": "Missing header"}
                ]
            },
            "Missing header",
        ),
        ({"errors": []}, "no reason given"),
    ],
)
def test_a_refusal_tells_the_message_and_the_errors_beside_it(
    harness: SchwabHarness, body: dict[str, Any], words: str
):
    harness.broker.rules(AAPL)
    harness.simulator.fault("answer", status=400, body=json.dumps(body))
    with pytest.raises(Rejected) as refused:
        harness.broker.submit(harness.request())
    assert words in refused.value.message


def test_an_app_without_market_data_is_told_to_add_it_not_to_sign_in(harness: SchwabHarness):
    harness.front.market_data = False
    with pytest.raises(BadCredentials, match=r"Market Data Production.*signing in again does not help"):
        harness.broker.quote(AAPL)


# --- orders ------------------------------------------------------------------------------------


def test_a_cancellation_is_no_execution(harness: SchwabHarness):
    report = harness.broker.submit(request := harness.request(BUY, LIMIT, limit_price=D(90)))
    harness.broker.cancel(harness.ref(request, number=report.broker_order_id))
    ended = harness.broker.find(harness.ref(request, number=report.broker_order_id))
    assert (ended.status, ended.filled_quantity, ended.fills) == (VenueStatus.CANCELED, 0, ())


def test_a_cancellation_at_a_price_is_no_execution_either(harness: SchwabHarness):
    """None was recorded; the kind of the activity decides, not its price."""
    leg = {"legId": 1, "quantity": 10.0, "mismarkedQuantity": 0.0, "price": 100.0, "time": NOW}
    activity = {
        "activityType": "EXECUTION",
        "activityId": 113515796766,
        "executionType": "CANCELED",
        "quantity": 10.0,
        "executionLegs": [leg],
    }
    body = {
        "orderId": 1005588236651,
        "status": "CANCELED",
        "filledQuantity": 0.0,
        "orderActivityCollection": [activity],
    }
    assert order_report(harness.ref(harness.request()), body).fills == ()


def bracket(entered: str) -> list[dict[str, Any]]:
    """As recorded: an OCO parent has no legs, no type, no quantity; an entry that triggers is not single."""
    leg = {
        "orderLegType": "EQUITY",
        "legId": 1,
        "instrument": {"assetType": "EQUITY", "symbol": "AAPL"},
        "instruction": "BUY",
        "quantity": 10.0,
    }
    single = {
        "session": "NORMAL",
        "duration": "DAY",
        "orderType": "MARKET",
        "quantity": 10.0,
        "filledQuantity": 0.0,
        "orderLegCollection": [leg],
        "orderStrategyType": "SINGLE",
        "orderId": 9358379473,
        "status": "WORKING",
        "enteredTime": entered,
    }
    parent = {
        "orderStrategyType": "OCO",
        "orderId": 9358379471,
        "cancelable": False,
        "editable": False,
        "status": "WORKING",
        "enteredTime": entered,
        "childOrderStrategies": [single],
    }
    return [
        parent,
        {**single, "orderStrategyType": "TRIGGER", "orderId": 9358379470, "childOrderStrategies": [parent]},
    ]


def test_brackets_among_the_orders_do_not_match(harness: SchwabHarness):
    harness.front.others = bracket(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"))
    harness.times_out(request := harness.request())
    found = harness.broker.find(harness.ref(request, created=datetime.now(UTC) - timedelta(seconds=2)))
    assert found is not None and found.broker_order_id == str(harness.core.orders[-1].id)
    assert len(harness.broker.poll([harness.ref(request), harness.ref(request)])) == 2


# --- the account -------------------------------------------------------------------------------


def test_a_cash_accounts_buying_power_is_the_cash_that_may_trade(harness: SchwabHarness):
    account = harness.broker.account()
    assert (account.cash, account.buying_power, account.equity, account.permissions) == (
        100_000,
        100_000,
        100_000,
        ("cash",),
    )


def test_a_margin_account_tells_its_buying_power(harness: SchwabHarness):
    harness.front.margin = True
    account = harness.broker.account()
    assert (account.cash, account.buying_power, account.permissions) == (100_000, 200_000, ("margin",))


@pytest.mark.parametrize("margin", [False, True])
def test_cash_that_is_swept_into_a_fund_is_cash(harness: SchwabHarness, margin: bool):
    harness.front.swept, harness.front.margin = True, margin
    assert harness.broker.account().cash == 100_000


# --- fees --------------------------------------------------------------------------------------


def sold(harness: SchwabHarness) -> Any:
    harness.broker.submit(harness.request(BUY))
    return harness.broker.submit(harness.request(SELL))


def test_a_sale_carries_the_fees_that_the_transactions_tell(harness: SchwabHarness):
    report = sold(harness)
    assert report.status is VenueStatus.FILLED and sum(fill.fee for fill in report.fills) == D("0.0209979"), (
        "of 999.90"
    )


def test_a_purchase_asks_for_no_transactions(harness: SchwabHarness):
    harness.broker.submit(harness.request(BUY))
    assert not [path for path in harness.paths() if path.endswith("/transactions")]


def test_fees_that_come_late_hold_the_sale_up_and_then_no_longer():
    clock = ManualClock(datetime.now(UTC))
    with new_harness(clock=clock) as one:
        one.front.fees_late = 1000
        one.broker.submit(one.request(BUY))
        early = one.broker.submit(request := one.request(SELL))
        assert (early.status, early.filled_quantity, early.fills) == (VenueStatus.WORKING, 0, ())
        clock.forward(6)
        late = one.broker.find(one.ref(request, number=early.broker_order_id))
        assert late.status is VenueStatus.FILLED and late.filled_quantity == 10 and late.fills[0].fee == 0


def test_transactions_that_cannot_be_had_hold_no_sale_up_for_long():
    clock = ManualClock(datetime.now(UTC))
    with new_harness(clock=clock) as one:
        one.front.routes = {
            key: value for key, value in one.front.routes.items() if not key[1].endswith("transactions")
        }
        one.broker.submit(one.request(BUY))
        early = one.broker.submit(request := one.request(SELL))
        clock.forward(6)
        assert one.broker.find(one.ref(request, number=early.broker_order_id)).status is VenueStatus.FILLED


def test_fees_listed_a_moment_later_are_booked(harness: SchwabHarness):
    harness.front.fees_late = 0.3
    harness.broker.submit(harness.request(BUY))
    early = harness.broker.submit(request := harness.request(SELL))
    assert early.status is VenueStatus.WORKING
    time.sleep(0.35)
    late = harness.broker.find(harness.ref(request, number=early.broker_order_id))
    assert late.status is VenueStatus.FILLED and late.fills[0].fee > 0
