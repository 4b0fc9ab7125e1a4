"""Kraken as it answers: what others recorded or measured, or what it documents, held against the adapter."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.domain.ports import Rejected, RetryLater, Unavailable, Unknown, VenueStatus
from dashtrade.domain.values import client_order_id, new_id
from tests.support.adapter_harness import BUY, LIMIT, SELL, D
from tests.support.crypto_harness import harness

# Recorded in 2024, in ccxt's tests: an order that rests; its owner gave it neither userref nor cl_ord_id.
RESTING = {
    "refid": None,
    "userref": 0,
    "status": "open",
    "opentm": 1705259439.563,
    "starttm": 0,
    "expiretm": 0,
    "descr": {
        "pair": "SOLUSD",
        "type": "buy",
        "ordertype": "limit",
        "price": "50.00000",
        "price2": "0",
        "leverage": "none",
        "order": "buy 0.10000000 SOLUSD @ limit 50.00000",
        "close": "",
    },
    "vol": "0.10000000",
    "vol_exec": "0.00000000",
    "cost": "0.000000",
    "fee": "0.000000",
    "price": "0.000000",
    "stopprice": "0.000000",
    "limitprice": "0.000000",
    "misc": "",
    "oflags": "post,fciq",
    "reason": None,
}


@pytest.fixture
def kraken():
    with harness("kraken") as made:
        yield made


# --- Kraken Rewards -----------------------------------------------------------------------------------------


def test_money_that_earns_in_rewards_buys_like_any_other(kraken):
    kraken.core.balances["USD"], kraken.front.earning["USD"] = D(5000), D(4000)
    account = kraken.broker.account()
    assert (account.equity, account.cash, account.buying_power) == (5000, 5000, 5000)


def test_coins_that_earn_in_rewards_are_the_position(kraken):
    kraken.core.balances |= {"SOL": D(3), "BTC": D("0.5")}
    kraken.front.earning |= {"SOL": D(3), "BTC": D("0.2")}  # XBT.F
    held = {each.symbol.base: each.quantity for each in kraken.broker.positions()}
    assert held == {"SOL": D(3), "BTC": D("0.5")}
    assert kraken.broker.submit(kraken.request(SELL, quantity="3")).status is VenueStatus.FILLED


def test_what_open_orders_hold_of_earning_money_is_not_free(kraken):
    kraken.core.balances["USD"], kraken.front.earning["USD"] = D(5000), D(5000)
    kraken.broker.submit(kraken.request(BUY, LIMIT, "10", limit_price="90"))
    account = kraken.broker.account()
    assert (account.cash, account.buying_power) == (5000, 4100)


def test_bonded_staked_and_held_coins_are_no_position_and_no_money(kraken):
    names = ("SOL.B", "SOL.S", "USD.M", "USD.HOLD", "SOL03.S", "ETH2.S", "XBT.M")
    kraken.front.others |= dict.fromkeys(names, "7.0000000000")
    assert kraken.broker.positions() == []
    assert kraken.broker.account().equity == 100_000


# --- our order ids ------------------------------------------------------------------------------------------


def test_a_repeat_while_the_first_still_rests_is_our_own_order(kraken):
    request = kraken.request(BUY, LIMIT, limit_price="90")
    first = kraken.broker.submit(request)
    again = kraken.broker.submit(request)
    assert again.status is VenueStatus.WORKING and again.broker_order_id == first.broker_order_id
    assert len(kraken.core.orders) == 1


def test_a_foreign_order_without_an_id_is_not_matched(kraken):
    """`userref` comes as 0, and ccxt takes it for the client id where there is none."""
    kraken.broker.rules(kraken.sol)
    since = datetime.now(UTC) - timedelta(days=1)
    kraken.answers(200, {"error": [], "result": {"open": {"OR6EGN-KQSEG-AMI6CL": RESTING}}}, on="read")
    assert kraken.broker.orders_since(since, [kraken.sol]) == []


# --- pages --------------------------------------------------------------------------------------------------


def _ended(kraken, count: int) -> list[str]:
    now, names = time.time(), []
    for n in range(count):
        kraken.core.now = lambda n=n: now - 10 * n
        names.append(client_order_id(new_id(datetime.now(UTC)), 7, n))
        kraken.core.place(client_id=names[-1], name="SOL/USD", side="buy", type="market", quantity=D("0.1"))
    kraken.core.now = time.time
    return names


def test_closed_orders_are_read_to_the_last_page(kraken):
    names = _ended(kraken, 120)
    found = kraken.broker.orders_since(datetime.now(UTC) - timedelta(days=1), [kraken.sol])
    assert {order.client_order_id for order in found} == set(names)
    asked = [request.params for request in kraken.simulator.requests if "ClosedOrders" in request.path]
    assert [page.get("ofs", "0") for page in asked] == ["0", "50", "100"]


def test_a_page_that_is_just_full_and_the_last_ends_the_reading(kraken):
    names = _ended(kraken, 50)
    assert len(kraken.broker.orders_since(datetime.now(UTC) - timedelta(days=1), [kraken.sol])) == len(names)
    assert kraken.paths().count("/0/private/ClosedOrders") == 1


def test_too_many_orders_to_search_raise_an_error(kraken):
    kraken.front.page = 2
    _ended(kraken, 60)
    with pytest.raises(Unavailable, match="more orders"):
        kraken.broker.orders_since(datetime.now(UTC) - timedelta(days=1), [kraken.sol])


@pytest.mark.parametrize(("fills", "requests"), [(1, 1), (20, 2), (45, 3)])
def test_executions_are_asked_for_a_few_at_a_time(kraken, fills, requests):
    """Kraken tells twenty at most; ccxt asks for none of them, once more, after every full twenty."""
    request = kraken.request(BUY, LIMIT, "5", limit_price="90")
    kraken.broker.submit(request)
    for _ in range(fills):
        kraken.core._trade(kraken.core.orders[-1], D(90), D("0.1"))
    report = kraken.broker.find(kraken.ref(request))
    assert len(report.fills) == fills and report.filled_quantity == D(fills) / 10
    assert kraken.paths().count("/0/private/QueryTrades") == requests


# --- refusals -----------------------------------------------------------------------------------------------

CERTAIN = [
    "EService:Market in cancel_only mode",
    "EService:Market in post_only mode",
    "EService:Market in limit_only mode",
    "EAPI:Feature disabled",
    "EAPI:Bad request",
    "EGeneral:Unknown method",
    "EOrder:Trading agreement required",
]
LATER = [
    "EService:Deadline elapsed",
    "EOrder:Domain rate limit exceeded",
    "EAPI:Invalid nonce",
    "EAPI:Rate limit exceeded",
    "EService: Throttled: 1700000000",
    "EService:Throttled: 1700000000",
]
DOUBT = [
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
    "EGeneral:Internal error",
    "EDatabase:Internal error",
]


@pytest.mark.parametrize("words", CERTAIN)
def test_a_certain_refusal_is_a_refusal(kraken, words):
    kraken.broker.quote(kraken.sol)
    kraken.answers(200, {"error": [words]})
    with pytest.raises(Rejected, match=words):
        kraken.buy()


@pytest.mark.parametrize("words", LATER)
def test_what_kraken_did_not_look_at_goes_again(kraken, words):
    kraken.broker.quote(kraken.sol)
    kraken.answers(200, {"error": [words]})
    with pytest.raises(RetryLater):
        kraken.buy()
    assert kraken.buy().status is VenueStatus.FILLED and len(kraken.core.orders) == 1


@pytest.mark.parametrize("words", DOUBT)
def test_an_ambiguous_answer_leaves_the_order_unconfirmed(kraken, words):
    kraken.broker.quote(kraken.sol)
    kraken.answers(200, {"error": [words]}, placed=True)
    with pytest.raises(Unknown):
        kraken.buy()


def test_when_a_throttled_request_may_go_again_is_heeded(kraken):
    kraken.broker.quote(kraken.sol)
    kraken.answers(200, {"error": [f"EService: Throttled: {int(time.time()) + 20}"]})
    with pytest.raises(RetryLater) as refused:
        kraken.buy()
    assert 15 <= refused.value.after.total_seconds() <= 21


def test_a_time_that_makes_no_sense_is_not_waited_for(kraken):
    kraken.broker.quote(kraken.sol)
    for answer in ("1", "99999999999999"):
        kraken.answers(200, {"error": [f"EService:Throttled: {answer}"]})
        with pytest.raises(RetryLater) as refused:
            kraken.buy()
        assert 1 <= refused.value.after.total_seconds() <= 60


# --- orders -------------------------------------------------------------------------------------------------


def test_every_order_agrees_to_trade_as_residents_of_germany_have_to(kraken):
    kraken.buy()
    kraken.broker.submit(kraken.request(BUY, LIMIT, limit_price="90"))
    assert [asked.params["trading_agreement"] for asked in kraken.creates()] == ["agree", "agree"]
