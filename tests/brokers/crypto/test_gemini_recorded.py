"""Gemini as it answers: what others recorded of it, or what it documents, held against the adapter."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.domain.ports import Rejected, RetryLater, Unavailable, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.adapter_harness import BUY, LIMIT, SELL, D
from tests.support.crypto_harness import harness

# Recorded: /v1/symbols/details/btcusd and …/btcgusdperp, as several projects keep them for their tests.
BTCUSD = {
    "symbol": "BTCUSD",
    "base_currency": "BTC",
    "quote_currency": "USD",
    "tick_size": 1e-08,
    "quote_increment": 0.01,
    "min_order_size": "0.00001",
    "status": "open",
    "wrap_enabled": False,
    "product_type": "spot",
    "contract_type": "vanilla",
    "contract_price_currency": "USD",
}
PERPETUAL = {
    "symbol": "BTCGUSDPERP",
    "base_currency": "BTC",
    "quote_currency": "GUSD",
    "tick_size": 0.0001,
    "quote_increment": 0.5,
    "min_order_size": "0.0001",
    "status": "open",
    "wrap_enabled": False,
    "product_type": "swap",
    "contract_type": "linear",
    "contract_price_currency": "GUSD",
}
# Recorded in 2023 by a project that trades there: an order that nobody took at once.
NOT_TAKEN = {
    "order_id": "199089183428",
    "id": "199089183428",
    "symbol": "btcusd",
    "exchange": "gemini",
    "avg_execution_price": "0.00",
    "side": "buy",
    "type": "exchange limit",
    "timestamp": "1698507931",
    "timestampms": 1698507931799,
    "is_live": False,
    "is_cancelled": True,
    "is_hidden": False,
    "was_forced": False,
    "executed_amount": "0",
    "reason": "ImmediateOrCancelWouldPost",
    "options": ["immediate-or-cancel"],
    "price": "34205.19",
    "original_amount": "0.0001",
    "remaining_amount": "0.0001",
}


class Later:
    ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def gemini():
    with harness("gemini") as made:
        yield made


def _sent(request) -> dict:
    return json.loads(base64.b64decode(request.headers["x-gemini-payload"]))


# --- what it trades -----------------------------------------------------------------------------------------


def test_a_spot_pair_that_says_in_what_it_is_paid_is_no_contract(gemini):
    symbol = Symbol.parse("BTC/USD")
    gemini.broker.rules(gemini.sol)  # the list of markets is read, and the details of another pair
    gemini.answers(200, BTCUSD, on="public")
    rules = gemini.broker.rules(symbol)
    assert (rules.quantity_step, rules.price_step, rules.min_quantity) == (
        D("0.00000001"),
        D("0.01"),
        D("0.00001"),
    )
    assert rules.tradable and gemini.broker.quote(symbol).bid > 0


def test_after_its_details_are_read_an_order_is_placed_found_and_cancelled(gemini):
    request = gemini.request(BUY, LIMIT, limit_price="90")
    placed = gemini.broker.submit(request)
    assert placed.status is VenueStatus.WORKING
    assert gemini.broker.find(gemini.ref(request)).broker_order_id == placed.broker_order_id
    gemini.broker.cancel(gemini.ref(request, placed.broker_order_id))
    assert gemini.broker.find(gemini.ref(request)).status is VenueStatus.CANCELED


def test_the_list_of_markets_keeps_its_names_whatever_the_details_say(gemini):
    gemini.broker.rules(gemini.sol)
    names = set(gemini.client().markets)
    gemini.answers(200, BTCUSD, on="public")
    gemini.broker.rules(Symbol.parse("BTC/USD"))
    client = gemini.client()
    assert set(client.markets) == names and all(
        market["symbol"] == name for name, market in client.markets.items()
    )
    assert client.markets["BTC/USD"]["spot"] and not client.markets["BTC/USD"]["contract"]


def test_the_details_of_another_pair_change_nothing(gemini):
    gemini.broker.rules(gemini.sol)
    gemini.answers(200, PERPETUAL, on="public")
    with pytest.raises(Unavailable, match="another pair"):
        gemini.broker.rules(Symbol.parse("BTC/USD"))
    assert gemini.client().markets["BTC/USD"]["precision"]["amount"] is None


def test_a_perpetual_of_the_list_is_not_taken_for_the_pair_of_its_coins(gemini):
    gemini.front.core.markets.pop("BTC/GUSD")
    with pytest.raises(Rejected, match="does not trade BTC/GUSD"):
        gemini.broker.rules(Symbol(market="CRYPTO", base="BTC", quote="GUSD"))


@pytest.mark.parametrize(
    ("state", "trades"),
    [("open", True), ("limit_only", True), ("post_only", True), ("cancel_only", False), ("closed", False)],
)
def test_a_market_trades_as_its_state_says(gemini, state, trades):
    gemini.front.states["SOL/USD"] = state
    assert gemini.broker.rules(gemini.sol).tradable is trades


def test_a_market_that_opens_again_is_noticed_within_the_hour():
    clock = Later()
    with harness("gemini", clock=clock) as gemini:
        gemini.front.states["SOL/USD"] = "closed"
        assert not gemini.broker.market_open(gemini.sol)
        gemini.front.states.clear()
        clock.ahead = timedelta(minutes=61)
        assert gemini.broker.market_open(gemini.sol)


# --- orders -------------------------------------------------------------------------------------------------


def test_the_reason_of_a_cancellation_is_reported(gemini):
    request = gemini.request()
    gemini.broker.quote(gemini.sol)
    gemini.core.set_price("SOL/USD", D(110))
    report = gemini.broker.submit(request)
    assert report.status is VenueStatus.CANCELED and "ImmediateOrCancelWouldPost" in report.reason


def test_a_recorded_order_without_takers_has_ended_unfilled(gemini):
    request = gemini.request(quantity="0.0001", symbol=Symbol.parse("BTC/USD"))
    gemini.broker.rules(request.symbol)
    gemini.answers(200, NOT_TAKEN, on="read")
    report = gemini.broker.find(gemini.ref(request, "199089183428"))
    assert (report.status, report.filled_quantity) == (VenueStatus.CANCELED, 0)


def test_a_stop_limit_carries_no_time_in_force(gemini):
    request = gemini.request(SELL, OrderType.STOP_LIMIT, stop_price="95", limit_price="94")
    gemini.core.balances["SOL"] = D(5)
    gemini.broker.submit(request)
    sent = _sent(gemini.creates()[-1])
    assert sent["type"] == "exchange stop limit" and sent["stop_price"] == "95"
    assert "timeInForce" not in sent and "options" not in sent


def test_a_limit_order_says_how_long_it_may_rest(gemini):
    gemini.broker.submit(gemini.request(BUY, LIMIT, limit_price="90", time_in_force=TimeInForce.IOC))
    assert _sent(gemini.creates()[-1])["options"] == ["immediate-or-cancel"]


# --- a market buy with little money left --------------------------------------------------------------------


def test_a_market_buy_of_nearly_all_the_money_is_not_refused_for_its_collar(gemini):
    """Gemini sets aside limit x quantity and the fee; the limit is 2 % above the quote."""
    gemini.core.balances["USD"] = D("1010")
    report = gemini.buy("10")  # 1000.10 at the ask, 1020.10 at the collar
    assert report.status is VenueStatus.FILLED and report.filled_quantity == 10
    limit = gemini.core.orders[-1].limit
    assert D("100.01") <= limit < D("102.01") and limit * 10 * D("1.004") <= 1010


def test_a_market_buy_with_money_enough_keeps_its_whole_collar(gemini):
    gemini.buy("10")
    assert gemini.core.orders[-1].limit == D("102.01")


def test_a_market_buy_of_more_than_the_money_is_refused_by_gemini_itself(gemini):
    gemini.core.balances["USD"] = D("500")
    with pytest.raises(Rejected, match="balance is too low"):
        gemini.buy("10")


def test_a_market_buy_uses_its_whole_collar_where_the_balance_is_unknown(gemini):
    gemini.broker.quote(gemini.sol)
    gemini.answers(503, "<html>", on="read")
    assert gemini.buy("1").status is VenueStatus.FILLED
    assert gemini.core.orders[-1].limit == D("102.01")


# --- nonces -------------------------------------------------------------------------------------------------

STALE = {
    "result": "error",
    "reason": "InvalidNonce",
    "message": "Nonce '1698507931799' has not increased since your last call to the Gemini API.",
}


def test_a_number_out_of_order_is_certainly_not_acted_upon(gemini):
    gemini.broker.quote(gemini.sol)
    gemini.answers(400, STALE)
    with pytest.raises(RetryLater, match="nonce"):
        gemini.buy()
    assert not gemini.core.orders
    assert gemini.buy().status is VenueStatus.FILLED


def test_a_number_out_of_order_while_reading_means_later(gemini):
    gemini.broker.rules(gemini.sol)
    gemini.answers(400, STALE, on="read")
    with pytest.raises(RetryLater):
        gemini.broker.positions()
    assert gemini.broker.positions() == []
