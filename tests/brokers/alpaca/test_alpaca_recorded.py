"""Alpaca as it answers: fractions of a share in day orders of every plain kind.

Where the bodies come from: tests/recorded.md."""

from __future__ import annotations

import pytest

from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.adapter_harness import BUY, LIMIT, SELL, D
from tests.support.alpaca_harness import AlpacaHarness

DAY, GTC, STOP, STOP_LIMIT = TimeInForce.DAY, TimeInForce.GTC, OrderType.STOP, OrderType.STOP_LIMIT


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        (LIMIT, {"limit_price": "101"}),
        (STOP, {"stop_price": "99"}),
        (STOP_LIMIT, {"stop_price": "99", "limit_price": "101"}),
    ],
)
def test_a_fraction_is_bought_by_a_day_order_of_every_plain_kind(
    harness: AlpacaHarness, kind: OrderType, prices: dict[str, str]
):
    report = harness.order(BUY, "1.25", kind, time_in_force=DAY, **prices)
    assert harness.last["qty"] == "1.25" and harness.last["time_in_force"] == "day"
    assert harness.find(report.client_order_id).status is VenueStatus.FILLED and harness.held() == D("1.25")


def test_a_fraction_is_sold_by_a_stop_of_the_day(harness: AlpacaHarness):
    harness.order(BUY, "1.25")
    harness.order(SELL, "1.25", STOP, stop_price="90", time_in_force=DAY, reduces=True)
    harness.sim.set_price("AAPL", 89)
    assert harness.held() == 0


def test_a_fraction_is_never_sold_short(harness: AlpacaHarness):
    harness.order(SELL, "1.25", LIMIT, limit_price="99", time_in_force=DAY)
    assert harness.last["qty"] == "1"
    with pytest.raises(Rejected):
        harness.order(SELL, "0.25", LIMIT, limit_price="99", time_in_force=DAY)
