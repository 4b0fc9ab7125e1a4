"""What we paid to find out about Alpaca's library, and about what leaves and arrives."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.brokers.alpaca import order_body, wire
from dashtrade.brokers.alpaca.adapter import AlpacaBroker
from dashtrade.brokers.alpaca.answers import AlpacaErrorResponse, read_error, submit_error
from dashtrade.domain.ports import (
    BadCredentials,
    OrderRequest,
    Rejected,
    RetryLater,
    Rules,
    Unavailable,
    Unknown,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.adapter_harness import AAPL, BUY, LIMIT, SELL, D
from tests.support.alpaca_harness import BTC, ROOT, AlpacaHarness

NOW = datetime(2026, 10, 12, 15, 0, tzinfo=UTC)

STEP = Rules(quantity_step=D("0.000000001"), price_step=D("0.01"))

# --- the library --------------------------------------------------------------------------------------------


def test_importing_the_adapter_does_not_load_the_library():
    heavy = "('alpaca', 'pandas', 'requests', 'websockets')"
    script = (
        f"import sys, dashtrade.brokers.alpaca.adapter; print([name for name in {heavy} if name in "
        "sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("tail", ["", "/", "/v2", "/v2/"])
def test_an_address_works_with_and_without_its_version(sim: AlpacaSimulator, tail: str):
    harness = AlpacaHarness(sim, api_url=sim.url + tail)
    assert harness.broker.account().cash == 100_000
    harness.broker.close()


def test_a_504_is_sent_once_and_makes_one_order(harness: AlpacaHarness):
    harness.sim.inject(Fault("gateway_error", times=0))
    with pytest.raises(Unknown):
        harness.order(BUY, 10)
    assert len(harness.sim.requests("POST", "/v2/orders")) == 1 and len(harness.sim.orders) == 1


def test_a_429_is_not_repeated_and_the_list_shared_by_all_clients_stays(harness: AlpacaHarness):
    from alpaca.common.constants import DEFAULT_RETRY_EXCEPTION_CODES

    harness.sim.inject(Fault("rate_limited", times=0, seconds=4))
    with pytest.raises(RetryLater) as caught:
        harness.order(BUY, 10)
    assert len(harness.sim.requests("POST", "/v2/orders")) == 1 and caught.value.after == timedelta(seconds=4)
    assert DEFAULT_RETRY_EXCEPTION_CODES == [429, 504]


def test_a_429_while_reading_is_later_too(harness: AlpacaHarness):
    harness.sim.inject(Fault("rate_limited", method="GET", path="/v2/account", seconds=9))
    with pytest.raises(RetryLater) as caught:
        harness.broker.account()
    assert caught.value.after == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Mon, 12 Oct 2026 15:00:20 GMT"}, 20),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 12)}, 12),
        ({}, 3),
        ({"Retry-After": "0"}, 0.5),
        ({"Retry-After": "999999"}, 120),
        ({"Retry-After": "soon"}, 3),
        ({"X-RateLimit-Reset": "9" * 30}, 3),
    ],
)
def test_the_wait_of_a_429_is_the_servers_within_bounds(headers: dict, seconds: float):
    error = read_error(AlpacaErrorResponse(status=429, text="{}", headers=headers), NOW)
    assert isinstance(error, RetryLater) and error.after == timedelta(seconds=seconds)


def test_an_answer_that_never_comes_is_given_up(harness: AlpacaHarness):
    harness.sim.inject(Fault("slow", seconds=30), Fault("slow", method="GET", path="/v2/account", seconds=30))
    began = time.monotonic()
    with pytest.raises(Unknown):
        harness.order(BUY, 10)
    with pytest.raises(Unavailable):
        harness.broker.account()
    assert time.monotonic() - began < 20


def test_a_broken_connection_leaves_the_order_unconfirmed(harness: AlpacaHarness):
    harness.sim.inject(Fault("drop"))
    request = harness.request(BUY, 10)
    with pytest.raises(Unknown):
        harness.broker.submit(request)
    assert harness.find(request.client_order_id).status is VenueStatus.FILLED


def test_an_older_error_being_handled_does_not_make_a_time_out_look_unsent(harness: AlpacaHarness):
    class NewConnectionError(Exception):
        pass

    harness.sim.inject(Fault("time_out"))
    try:
        raise NewConnectionError
    except NewConnectionError:
        with pytest.raises(Unknown):
            harness.order(BUY, 10)
    assert len(harness.sim.orders) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        '{"message": "unauthorized."}',
        "[]",
        "null",
        '{"code": "x"}',
        '{"code": [], "message": 5}',
    ],
)
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 418, 422, 500, 503])
def test_no_body_whatever_raises_anything_else_than_our_errors(status: int, text: str):
    request = OrderRequest(client_order_id="a", symbol=AAPL, side=BUY, type=OrderType.MARKET, quantity=D(1))
    answer = AlpacaErrorResponse(status=status, text=text)
    result = submit_error(answer, request, NOW)
    assert isinstance(result, (Rejected, BadCredentials, Unknown)) and isinstance(
        read_error(answer, NOW), (BadCredentials, Unavailable)
    )
    if "message" not in text and status != 401:
        assert isinstance(result, Unknown), "only Alpaca's own words are a refusal"


def test_a_401_has_no_code_and_is_the_key(sim: AlpacaSimulator):
    broker = AlpacaBroker(sim.key, "wrong", "paper", api_url=sim.url, data_url=sim.url)
    for call in (broker.account, lambda: broker.quote(AAPL)):
        with pytest.raises(BadCredentials) as caught:
            call()
        assert "wrong" not in caught.value.message.split() or "key is wrong" in caught.value.message
    broker.close()


def test_a_403_of_an_order_is_a_refusal_and_any_other_is_the_key(harness: AlpacaHarness):
    harness.broker.rules(AAPL)
    with pytest.raises(Rejected):
        harness.order(BUY, 1_000_000)
    harness.sim.inject(Fault("forbidden"))
    with pytest.raises(BadCredentials):
        harness.order(BUY, 1)
    assert harness.sim.orders == []


# --- the wire -----------------------------------------------------------------------------------------------


def test_no_float_noise_leaves(harness: AlpacaHarness):
    harness.order(BUY, repr(0.1 + 0.2))
    assert harness.last["qty"] == "0.3" and harness.find(
        harness.last["client_order_id"]
    ).filled_quantity == D("0.3")
    harness.order(BUY, None, notional=str(33.1 + 33.2))
    assert harness.last["notional"] == "66.3"
    harness.order(BUY, 1, LIMIT, limit_price=repr(30.1 * 3))
    assert harness.last["limit_price"] == "90.3"


@pytest.mark.parametrize("quantity", [-1, 0, "0.0000000001"])
def test_a_quantity_that_makes_no_sense_is_not_sent(harness: AlpacaHarness, quantity: object):
    with pytest.raises(Rejected):
        harness.order(BUY, quantity)
    assert harness.sim.requests("POST", "/v2/orders") == []


@pytest.mark.parametrize(
    ("side", "price", "sent"),
    [
        (BUY, "100.129", "100.12"),
        (SELL, "100.121", "100.13"),
        (BUY, "1", "1"),
        (BUY, "1.0099", "1"),
        (BUY, "0.99999", "0.9999"),
        (SELL, "0.12341", "0.1235"),
        (SELL, "0.99999", "1"),
    ],
)
def test_a_limit_has_two_decimals_from_a_dollar_up_and_four_below_on_the_users_side(
    side: OrderSide, price: str, sent: str
):
    request = OrderRequest(
        client_order_id="a", symbol=AAPL, side=side, type=LIMIT, quantity=D(1), limit_price=D(price)
    )
    assert order_body.wire_order(request, STEP)["limit_price"] == sent


@given(st.decimals("0.0001", "100000", places=9), st.sampled_from(OrderSide))
def test_no_limit_price_is_sub_penny_or_worse_than_requested(price: Decimal, side: OrderSide):
    request = OrderRequest(
        client_order_id="a", symbol=AAPL, side=side, type=LIMIT, quantity=D(1), limit_price=price
    )
    sent = D(order_body.wire_order(request, STEP)["limit_price"])
    assert sent % (D("0.01") if sent >= 1 else D("0.0001")) == 0 and (price - sent) * side.sign >= 0


def test_the_step_of_a_stock_below_a_dollar_is_a_hundredth_of_a_cent(harness: AlpacaHarness):
    assert harness.broker.rules(Symbol.parse("PENNY")).price_step == D("0.0001") and harness.broker.rules(
        AAPL
    ).price_step == D("0.01")


def test_our_ids_fit_and_longer_ones_are_refused_by_the_venue(harness: AlpacaHarness):
    harness.order(BUY, 1, client_order_id="f" * 32)
    with pytest.raises(Rejected):
        harness.order(BUY, 1, client_order_id="f" * 129)


def test_a_pair_of_coins_has_no_slash_in_a_path_and_has_one_in_an_order(harness: AlpacaHarness):
    harness.order(BUY, "0.5", symbol=BTC)
    assert harness.last["symbol"] == "BTC/USD" and harness.held(BTC) == D("0.5")
    harness.order(SELL, "0.5", symbol=BTC, reduces=True)
    assert harness.held(BTC) == 0
    paths = {seen.path for seen in harness.sim.seen}
    assert {"/v2/assets/BTCUSD", "/v2/positions/BTCUSD"} <= paths and not any(
        "BTC/" in path or "%2F" in path for path in paths
    )


@pytest.mark.parametrize(
    ("written", "pair"),
    [
        ("BTCUSD", "BTC/USD"),
        ("USDTUSD", "USDT/USD"),
        ("ETHBTC", "ETH/BTC"),
        ("BATUSDC", "BAT/USDC"),
        ("SHIB/USDT", "SHIB/USDT"),
    ],
)
def test_a_pair_is_read_with_and_without_its_slash(written: str, pair: str):
    assert wire.coin_pair(written).short == pair
