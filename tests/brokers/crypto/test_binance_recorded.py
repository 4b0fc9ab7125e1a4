"""Binance as it answers: refusals that ccxt has no class for, the short answer to an order, a cancel."""

from __future__ import annotations

import pytest

from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.values import OrderType
from tests.support.adapter_harness import BUY, LIMIT, SELL
from tests.support.crypto_harness import CryptoHarness


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-1112, "No orders on book for symbol."),
        (-2016, "No trading window could be found for the symbol. Try ticker/24hrs instead."),
        (-2039, "Client order ID is not correct for this order ID."),
    ],
)
def test_a_refusal_that_ccxt_has_no_class_for_is_one(binance: CryptoHarness, code: int, words: str):
    binance.broker.quote(binance.sol)
    binance.answers(400, {"code": code, "msg": words})
    with pytest.raises(Rejected, match=words.partition(".")[0]):
        binance.buy()


def test_an_order_taken_with_the_short_answer_is_looked_up(binance: CryptoHarness):
    """Orders other than market and limit get it where the client asks for no longer one."""
    binance.buy("2")
    placed = binance.front._placed
    binance.front._placed = lambda order, form: placed(order, "ACK")
    report = binance.broker.submit(binance.request(SELL, OrderType.STOP, "1", stop_price="90"))
    assert report.status is VenueStatus.WORKING and report.broker_order_id == str(binance.core.orders[-1].id)


def test_a_cancelled_order_is_read_as_its_answer_tells_it(binance: CryptoHarness):
    request = binance.request(BUY, LIMIT, "1", limit_price="90")
    placed = binance.broker.submit(request)
    binance.broker.cancel(binance.ref(request, placed.broker_order_id))
    assert binance.broker.find(binance.ref(request, placed.broker_order_id)).status is VenueStatus.CANCELED


def test_a_pair_whose_permissions_stand_in_sets_is_traded(binance: CryptoHarness):
    info = binance.front._symbol(binance.core.markets["SOL/USDT"])
    assert info["permissions"] == [] and info["permissionSets"][0][:2] == ["SPOT", "MARGIN"]
    assert binance.broker.rules(binance.sol).tradable and binance.buy().status is VenueStatus.FILLED
