"""Coinbase as it answers: refusals that name their reason anywhere, fills that come later than the status,
cash put aside for a limit and its fee. Where the bodies come from: tests/recorded.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dashtrade.domain.ports import Rejected, SystemClock, Unknown, VenueStatus
from dashtrade.domain.values import OrderType
from tests.support.adapter_harness import BUY, LIMIT, SELL, D
from tests.support.crypto_harness import CryptoHarness, harness
from tests.support.fakes import ManualClock


@pytest.fixture
def coinbase():
    with harness("coinbase") as made:
        yield made


def failure(**said: str) -> dict[str, Any]:
    return {
        "success": False,
        "error_response": {"error": "UNKNOWN_FAILURE_REASON", "message": "", "error_details": "", **said},
    }


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            failure(preview_failure_reason="PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
            "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
        ),
        (
            failure(
                message="The order configuration was invalid",
                error_details="Market orders cannot be placed with empty order sizes",
                preview_failure_reason="UNKNOWN_PREVIEW_FAILURE_REASON",
                new_order_failure_reason="UNKNOWN_FAILURE_REASON",
            ),
            "The order configuration was invalid: Market orders cannot be placed with empty order sizes",
        ),
        (
            failure(
                error="UNSUPPORTED_ORDER_CONFIGURATION",
                message="source is not enabled for trading",
                new_order_failure_reason="UNSUPPORTED_ORDER_CONFIGURATION",
            ),
            "source is not enabled for trading",
        ),
        (failure(error_details="Only limit orders are accepted"), "Only limit orders are accepted"),
        (failure(new_order_failure_reason="ORDER_ENTRY_DISABLED"), "ORDER_ENTRY_DISABLED"),
        (
            {
                "success": False,
                "failure_reason": "UNKNOWN_FAILURE_REASON",
                "order_id": "",
                "error_response": {
                    "error": "INSUFFICIENT_FUND",
                    "message": "Insufficient balance in source account",
                    "error_details": "",
                    "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND",
                },
            },
            "Insufficient balance in source account",
        ),
    ],
)
def test_a_failure_with_one_reason_in_any_field_is_a_refusal_in_those_words(
    coinbase: CryptoHarness, body: dict[str, Any], words: str
):
    coinbase.broker.quote(coinbase.sol)
    coinbase.answers(200, body)
    with pytest.raises(Rejected, match=words) as refused:
        coinbase.buy()
    assert "UNKNOWN_" not in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        failure(),
        failure(error=""),
        failure(preview_failure_reason="UNKNOWN_PREVIEW_FAILURE_REASON"),
        {"success": False, "error_response": {}},
        failure(
            preview_failure_reason="UNKNOWN_PREVIEW_FAILURE_REASON",
            new_order_failure_reason="UNKNOWN_FAILURE_REASON",
        ),
        {"success": False},
    ],
)
def test_a_failure_without_a_reason_leaves_the_order_unconfirmed(
    coinbase: CryptoHarness, body: dict[str, Any]
):
    coinbase.broker.quote(coinbase.sol)
    coinbase.answers(200, body)
    with pytest.raises(Unknown):
        coinbase.buy()


def test_a_stop_on_the_wrong_side_of_the_price_is_refused_as_the_exchange_says(coinbase: CryptoHarness):
    coinbase.buy("2")
    with pytest.raises(Rejected, match="PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"):
        coinbase.broker.submit(
            coinbase.request(SELL, OrderType.STOP_LIMIT, "1", stop_price="110", limit_price="109")
        )


def test_the_reason_of_a_late_refusal_is_reported(coinbase: CryptoHarness):
    request = coinbase.request(BUY, LIMIT, "1", limit_price="90")
    placed = coinbase.broker.submit(request)
    told = coinbase.front._order(coinbase.core.orders[-1])
    told |= {"status": "FAILED", "reject_message": "The market is in cancel-only mode"}
    coinbase.answers(200, {"order": told}, on="read")
    report = coinbase.broker.find(coinbase.ref(request, placed.broker_order_id))
    assert (report.status, report.reason) == (VenueStatus.REJECTED, "The market is in cancel-only mode")


def test_the_reason_of_a_cancellation_is_reported(coinbase: CryptoHarness):
    request = coinbase.request(BUY, LIMIT, "1", limit_price="90")
    placed = coinbase.broker.submit(request)
    coinbase.broker.cancel(coinbase.ref(request, placed.broker_order_id))
    assert (
        coinbase.broker.find(coinbase.ref(request, placed.broker_order_id)).reason == "User requested cancel"
    )


# --- fees --------------------------------------------------------------------------------------


@pytest.fixture
def rested() -> Any:
    """A limit order that rests for a minute, then fills; its executions are listed after its status."""
    clock = ManualClock(datetime.now(UTC))
    with harness("coinbase", clock=clock) as made:
        made.core.now = lambda: clock.now().timestamp()
        made.front.now = made.core.now
        request = made.request(BUY, LIMIT, "2", limit_price="90")
        placed = made.broker.submit(request)
        clock.forward(60)
        made.simulator.fault("late_trades", seconds=10)
        made.core.set_price("SOL/USD", D(80))
        yield made, clock, made.ref(request, placed.broker_order_id, SystemClock().now())


def test_an_order_that_rested_waits_for_its_executions_when_it_fills(rested: Any):
    made, clock, ref = rested
    assert made.broker.find(ref).status is VenueStatus.WORKING
    clock.forward(11)
    late = made.broker.find(ref)
    assert late.status is VenueStatus.FILLED and late.fills[0].fee == D("0.18")


def test_executions_that_never_come_are_booked_with_the_orders_total_fees(rested: Any):
    made, clock, ref = rested
    made.simulator.fault("late_trades", seconds=1000)
    assert made.broker.find(ref).status is VenueStatus.WORKING
    clock.forward(21)
    late = made.broker.find(ref)
    assert (late.status, late.fills, late.filled_quantity, late.total_fee) == (
        VenueStatus.FILLED,
        (),
        2,
        D("0.18"),
    )


# --- market buys -------------------------------------------------------------------------------


def limit_sent(made: CryptoHarness) -> Any:
    ((_, how),) = made.creates()[-1].json["order_configuration"].items()
    return D(how["limit_price"])


def test_a_market_buy_with_cash_to_spare_goes_two_percent_through_the_book(coinbase: CryptoHarness):
    coinbase.buy("2")
    assert limit_sent(coinbase) == D("102.01")


def test_a_market_buy_of_nearly_all_the_cash_gets_a_limit_that_the_cash_pays_for(coinbase: CryptoHarness):
    coinbase.core.balances["USD"] = D("1005")
    report = coinbase.buy("10")
    assert report.status is VenueStatus.FILLED and limit_sent(coinbase) == D("100.39"), (
        "1005 / (10 x 1.001), rounded down"
    )


def test_a_market_buy_beyond_the_cash_is_refused_in_the_exchanges_words(coinbase: CryptoHarness):
    coinbase.core.balances["USD"] = D("999")
    with pytest.raises(Rejected, match="Insufficient balance"):
        coinbase.buy("10")


def test_where_the_cash_is_unknown_the_usual_limit_applies(coinbase: CryptoHarness):
    coinbase.broker.quote(coinbase.sol)
    coinbase.answers(503, "<html>", on="read")
    assert coinbase.buy("2").status is VenueStatus.FILLED and limit_sent(coinbase) == D("102.01")
