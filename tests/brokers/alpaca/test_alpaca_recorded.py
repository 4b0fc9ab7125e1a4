"""Alpaca as it answers: fractions of a share in day orders of every plain kind.

Where the bodies come from: tests/recorded.md."""

from __future__ import annotations

import pytest

from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.alpaca_desk import BUY, LIMIT, SELL, D, Desk

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
    desk: Desk, kind: OrderType, prices: dict[str, str]
):
    report = desk.order(BUY, "1.25", kind, time_in_force=DAY, **prices)
    assert desk.last["qty"] == "1.25" and desk.last["time_in_force"] == "day"
    assert desk.find(report.client_order_id).status is VenueStatus.FILLED and desk.held() == D("1.25")


def test_a_fraction_is_sold_by_a_stop_of_the_day(desk: Desk):
    desk.order(BUY, "1.25")
    desk.order(SELL, "1.25", STOP, stop_price="90", time_in_force=DAY, reduces=True)
    desk.sim.set_price("AAPL", 89)
    assert desk.held() == 0


def test_a_fraction_is_never_sold_short(desk: Desk):
    desk.order(SELL, "1.25", LIMIT, limit_price="99", time_in_force=DAY)
    assert desk.last["qty"] == "1"
    with pytest.raises(Rejected):
        desk.order(SELL, "0.25", LIMIT, limit_price="99", time_in_force=DAY)
