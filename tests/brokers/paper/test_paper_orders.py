"""The paper broker: orders that wait, that end, and the hours of the market."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from dashtrade.domain.ports import VenueStatus
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.paper_desk import AAPL, BTC, BUY, MONDAY_NOON, MSFT, SATURDAY, SELL, Desk, ref

# --- orders that wait ---


def test_a_marketable_limit_order_gets_the_markets_price():
    assert Desk().order(BUY, 1, OrderType.LIMIT, limit_price=105).average_price == D("100.01")
    assert Desk().order(SELL, 1, OrderType.LIMIT, limit_price=95).average_price == D("99.99")


def test_slippage_never_carries_a_limit_order_past_its_limit():
    assert Desk(slippage_percent=10).order(BUY, 1, OrderType.LIMIT, limit_price=105).average_price == 105


def test_a_resting_limit_order_waits_and_fills_at_its_limit():
    desk = Desk()
    assert desk.order(BUY, 1, OrderType.LIMIT, limit_price=95).status is VenueStatus.WORKING
    assert desk.tick(96) == []
    (report,) = desk.tick(94)
    assert (report.status, report.average_price) == (VenueStatus.FILLED, 95)
    assert desk.tick(90) == []


def test_a_stop_fills_at_the_market_once_it_is_touched():
    desk = Desk()
    desk.order(BUY, 1)
    desk.order(SELL, 1, OrderType.STOP, stop_price=95)
    assert desk.tick(96) == []
    (report,) = desk.tick(93)
    assert report.average_price == D("92.99")


def test_a_stop_limit_becomes_a_limit_order_and_stays_one():
    desk = Desk()
    desk.order(BUY, 1, OrderType.STOP_LIMIT, stop_price=105, limit_price=106)
    assert desk.tick(110) == []  # touched, but dearer than the limit
    (report,) = desk.tick(104)  # back under the stop: it has been touched all the same
    assert (report.status, report.average_price) == (VenueStatus.FILLED, 106)


@pytest.mark.parametrize(
    ("trail", "sold"), [({"trail_amount": 5}, D("114.98")), ({"trail_percent": 5}, D("113.49"))]
)
def test_a_trailing_stop_follows_the_price_up_and_never_down(trail, sold):
    desk = Desk()
    desk.order(BUY, 1)
    desk.order(SELL, 1, OrderType.TRAILING_STOP, **trail)
    assert [desk.tick(price) for price in (110, 120, 116)] == [[], [], []]
    (report,) = desk.tick(sold + D("0.01"))
    assert (report.status, report.average_price) == (VenueStatus.FILLED, sold)


def test_a_trailing_buy_follows_the_price_down():
    desk = Desk()
    desk.order(BUY, 1, OrderType.TRAILING_STOP, trail_amount=5)
    assert [desk.tick(price) for price in (90, 80, 84)] == [[], [], []]
    assert desk.tick(86)[0].average_price == D("86.01")


def test_a_market_order_may_fill_in_parts_over_several_ticks():
    desk = Desk(fill_percent=40)
    report = desk.order(BUY, 10)
    assert (report.status, report.filled_quantity) == (VenueStatus.WORKING, 4)
    (report,) = desk.tick(110)
    assert (report.status, report.filled_quantity, len(report.fills)) == (VenueStatus.WORKING, 8, 2)
    (report,) = desk.tick(110)
    assert (report.status, report.filled_quantity) == (VenueStatus.FILLED, 10)
    assert [fill.id[-2:] for fill in report.fills] == ["-1", "-2", "-3"] and desk.held() == {AAPL: 10}
    assert report.average_price == D("106.01")


def test_immediate_or_cancel_keeps_what_filled_and_lets_go_of_the_rest():
    desk = Desk(fill_percent=40)
    report = desk.order(BUY, 10, time_in_force=TimeInForce.IOC)
    assert (report.status, report.filled_quantity) == (VenueStatus.EXPIRED, 4) and desk.held() == {AAPL: 4}
    assert desk.tick() == []


def test_fill_or_kill_fills_all_or_nothing():
    desk = Desk(fill_percent=40)
    report = desk.order(BUY, 10, time_in_force=TimeInForce.FOK)
    assert (report.status, report.filled_quantity) == (VenueStatus.EXPIRED, 0) and desk.held() == {}
    assert Desk().order(BUY, 10, time_in_force=TimeInForce.FOK).status is VenueStatus.FILLED
    far = Desk().order(BUY, 10, OrderType.LIMIT, limit_price=90, time_in_force=TimeInForce.FOK)
    assert (far.status, far.reason) == (VenueStatus.EXPIRED, "it could not fill at once")


def test_orders_are_taken_in_the_order_they_arrived():
    desk = Desk(starting_cash="1000")
    names = [f"{place}" * 32 for place in "cab"]
    for name in names:
        desk.order(BUY, 4, OrderType.LIMIT, name=name, limit_price=90)
    reports = desk.tick(85)
    assert [report.client_order_id for report in reports] == names
    assert [report.status for report in reports] == [
        VenueStatus.FILLED,
        VenueStatus.FILLED,
        VenueStatus.CANCELED,
    ]


def test_an_order_on_a_symbol_without_a_price_waits_and_holds_up_no_other():
    desk = Desk()
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.order(BUY, 1, OrderType.LIMIT, symbol=MSFT, limit_price=195)
    del desk.feed.mids[MSFT]
    (report,) = desk.tick(90)
    assert report.status is VenueStatus.FILLED and len(desk.store.read(lambda book: book.working())) == 1


# --- looking up, cancelling, beginning again ---


def test_an_order_is_found_by_our_id_with_all_its_fills():
    desk = Desk(fill_percent=50)
    desk.order(BUY, 10, name="a" * 32)
    desk.tick()
    report = desk.broker.find(ref("a" * 32))
    assert report.status is VenueStatus.FILLED and sum(fill.quantity for fill in report.fills) == 10
    assert desk.broker.find(ref("b" * 32)) is None
    assert desk.broker.poll([ref("a" * 32), ref("b" * 32)]) == [report]


def test_a_canceled_order_never_fills_and_a_filled_one_cannot_be_canceled():
    desk = Desk()
    desk.order(BUY, 1, OrderType.LIMIT, name="a" * 32, limit_price=95)
    desk.order(BUY, 1, name="b" * 32)
    for name in ("a" * 32, "b" * 32, "c" * 32):
        desk.broker.cancel(ref(name))
    assert desk.tick(90) == []
    assert desk.broker.find(ref("a" * 32)).status is VenueStatus.CANCELED
    assert desk.broker.find(ref("b" * 32)).status is VenueStatus.FILLED


def test_a_reset_gives_back_the_starting_cash_and_keeps_the_past():
    desk = Desk()
    desk.order(BUY, 1, name="a" * 32)
    desk.order(BUY, 1, OrderType.LIMIT, name="b" * 32, limit_price=95)
    desk.broker.reset()
    assert desk.cash == 100_000 and desk.held() == {}
    assert desk.broker.find(ref("a" * 32)).fills
    assert desk.broker.find(ref("b" * 32)).status is VenueStatus.CANCELED


# --- hours ---


def test_always_open_fills_a_stock_on_a_saturday():
    desk = Desk(SATURDAY)
    assert desk.broker.market_open(AAPL) and desk.order(BUY, 1).status is VenueStatus.FILLED


def test_on_exchange_hours_a_stock_order_waits_for_the_open_and_then_gets_the_markets_price():
    desk = Desk(SATURDAY, hours="exchange")
    market = desk.order(BUY, 1)
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=105)
    assert (market.status, market.reason) == (VenueStatus.WORKING, "waits for the market to open")
    assert not desk.broker.market_open(AAPL) and desk.tick() == []
    desk.clock.moment = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)
    assert desk.tick() == []
    reports = desk.tick(102, later=timedelta(minutes=1))
    told = [(report.status, report.average_price, report.reason) for report in reports]
    assert told == [(VenueStatus.FILLED, D("102.01"), "")] * 2


def test_a_limit_order_that_waited_for_the_open_rests_from_then_on():
    desk = Desk(SATURDAY, hours="exchange")
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.clock.moment = MONDAY_NOON
    assert desk.tick() == []
    assert desk.tick(90)[0].average_price == 95


def test_what_must_fill_at_once_expires_while_the_market_is_closed():
    desk = Desk(SATURDAY, hours="exchange")
    for when in (TimeInForce.IOC, TimeInForce.FOK):
        report = desk.order(BUY, 1, time_in_force=when)
        assert (report.status, report.reason) == (VenueStatus.EXPIRED, "the market is closed")
    assert desk.order(BUY, "0.1", symbol=BTC).status is VenueStatus.FILLED


def test_extended_hours_are_for_orders_that_ask_for_them():
    early = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)  # 05:00 in New York
    desk = Desk(early, hours="exchange")
    assert desk.order(BUY, 1).status is VenueStatus.WORKING
    assert desk.order(BUY, 1, extended_hours=True).status is VenueStatus.FILLED


@pytest.mark.parametrize(
    ("hours", "created", "ends"),
    [
        ("always", MONDAY_NOON, datetime(2026, 3, 10, tzinfo=UTC)),
        ("exchange", MONDAY_NOON, datetime(2026, 3, 9, 20, tzinfo=UTC)),
        ("exchange", SATURDAY, datetime(2026, 3, 9, 20, tzinfo=UTC)),
        # Friday night, winter
        ("exchange", datetime(2026, 1, 9, 22, tzinfo=UTC), datetime(2026, 1, 12, 21, tzinfo=UTC)),
    ],
)
def test_a_day_order_ends_with_its_day(hours, created, ends):
    desk = Desk(created, hours=hours)
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=50)
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=50, time_in_force=TimeInForce.GTC)
    desk.clock.moment = ends - timedelta(seconds=1)
    assert desk.tick(later=timedelta(0)) == []
    (report,) = desk.tick(later=timedelta(seconds=1))
    assert (report.status, report.reason) == (VenueStatus.EXPIRED, "the day ended before it filled")
