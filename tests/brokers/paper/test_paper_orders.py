"""The paper broker: orders that wait, that end, and the hours of the market."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from dashtrade.domain.ports import VenueStatus
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.adapter_harness import AAPL, BUY, SELL, ref
from tests.support.paper_harness import BTC, MONDAY_NOON, MSFT, SATURDAY, PaperHarness

# --- orders that wait ---


def test_a_marketable_limit_order_gets_the_markets_price():
    assert PaperHarness().order(BUY, 1, OrderType.LIMIT, limit_price=105).average_price == D("100.01")
    assert PaperHarness().order(SELL, 1, OrderType.LIMIT, limit_price=95).average_price == D("99.99")


def test_slippage_never_carries_a_limit_order_past_its_limit():
    assert (
        PaperHarness(slippage_percent=10).order(BUY, 1, OrderType.LIMIT, limit_price=105).average_price == 105
    )


def test_a_resting_limit_order_waits_and_fills_at_its_limit():
    harness = PaperHarness()
    assert harness.order(BUY, 1, OrderType.LIMIT, limit_price=95).status is VenueStatus.WORKING
    assert harness.tick(96) == []
    (report,) = harness.tick(94)
    assert (report.status, report.average_price) == (VenueStatus.FILLED, 95)
    assert harness.tick(90) == []


def test_a_stop_fills_at_the_market_once_it_is_touched():
    harness = PaperHarness()
    harness.order(BUY, 1)
    harness.order(SELL, 1, OrderType.STOP, stop_price=95)
    assert harness.tick(96) == []
    (report,) = harness.tick(93)
    assert report.average_price == D("92.99")


def test_a_stop_limit_becomes_a_limit_order_and_stays_one():
    harness = PaperHarness()
    harness.order(BUY, 1, OrderType.STOP_LIMIT, stop_price=105, limit_price=106)
    assert harness.tick(110) == []  # touched, but dearer than the limit
    (report,) = harness.tick(104)  # back under the stop: it has been touched all the same
    assert (report.status, report.average_price) == (VenueStatus.FILLED, 106)


@pytest.mark.parametrize(
    ("trail", "sold"), [({"trail_amount": 5}, D("114.98")), ({"trail_percent": 5}, D("113.49"))]
)
def test_a_trailing_stop_follows_the_price_up_and_never_down(trail, sold):
    harness = PaperHarness()
    harness.order(BUY, 1)
    harness.order(SELL, 1, OrderType.TRAILING_STOP, **trail)
    assert [harness.tick(price) for price in (110, 120, 116)] == [[], [], []]
    (report,) = harness.tick(sold + D("0.01"))
    assert (report.status, report.average_price) == (VenueStatus.FILLED, sold)


def test_a_trailing_buy_follows_the_price_down():
    harness = PaperHarness()
    harness.order(BUY, 1, OrderType.TRAILING_STOP, trail_amount=5)
    assert [harness.tick(price) for price in (90, 80, 84)] == [[], [], []]
    assert harness.tick(86)[0].average_price == D("86.01")


def test_a_market_order_may_fill_in_parts_over_several_ticks():
    harness = PaperHarness(fill_percent=40)
    report = harness.order(BUY, 10)
    assert (report.status, report.filled_quantity) == (VenueStatus.WORKING, 4)
    (report,) = harness.tick(110)
    assert (report.status, report.filled_quantity, len(report.fills)) == (VenueStatus.WORKING, 8, 2)
    (report,) = harness.tick(110)
    assert (report.status, report.filled_quantity) == (VenueStatus.FILLED, 10)
    assert [fill.id[-2:] for fill in report.fills] == ["-1", "-2", "-3"] and harness.held() == {AAPL: 10}
    assert report.average_price == D("106.01")


def test_immediate_or_cancel_keeps_what_filled_and_lets_go_of_the_rest():
    harness = PaperHarness(fill_percent=40)
    report = harness.order(BUY, 10, time_in_force=TimeInForce.IOC)
    assert (report.status, report.filled_quantity) == (VenueStatus.EXPIRED, 4) and harness.held() == {AAPL: 4}
    assert harness.tick() == []


def test_fill_or_kill_fills_all_or_nothing():
    harness = PaperHarness(fill_percent=40)
    report = harness.order(BUY, 10, time_in_force=TimeInForce.FOK)
    assert (report.status, report.filled_quantity) == (VenueStatus.EXPIRED, 0) and harness.held() == {}
    assert PaperHarness().order(BUY, 10, time_in_force=TimeInForce.FOK).status is VenueStatus.FILLED
    far = PaperHarness().order(BUY, 10, OrderType.LIMIT, limit_price=90, time_in_force=TimeInForce.FOK)
    assert (far.status, far.reason) == (VenueStatus.EXPIRED, "the order could not fill at once")


def test_orders_are_taken_in_the_order_they_arrived():
    harness = PaperHarness(starting_cash="1000")
    names = [f"{place}" * 32 for place in "cab"]
    for name in names:
        harness.order(BUY, 4, OrderType.LIMIT, name=name, limit_price=90)
    reports = harness.tick(85)
    assert [report.client_order_id for report in reports] == names
    assert [report.status for report in reports] == [
        VenueStatus.FILLED,
        VenueStatus.FILLED,
        VenueStatus.CANCELED,
    ]


def test_an_order_on_a_symbol_without_a_price_waits_and_holds_up_no_other():
    harness = PaperHarness()
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    harness.order(BUY, 1, OrderType.LIMIT, symbol=MSFT, limit_price=195)
    del harness.feed.mids[MSFT]
    (report,) = harness.tick(90)
    assert report.status is VenueStatus.FILLED and len(harness.store.read(lambda book: book.working())) == 1


# --- looking up, cancelling, beginning again ---


def test_an_order_is_found_by_our_id_with_all_its_fills():
    harness = PaperHarness(fill_percent=50)
    harness.order(BUY, 10, name="a" * 32)
    harness.tick()
    report = harness.broker.find(ref("a" * 32))
    assert report.status is VenueStatus.FILLED and sum(fill.quantity for fill in report.fills) == 10
    assert harness.broker.find(ref("b" * 32)) is None
    assert harness.broker.poll([ref("a" * 32), ref("b" * 32)]) == [report]


def test_a_canceled_order_never_fills_and_a_filled_one_cannot_be_canceled():
    harness = PaperHarness()
    harness.order(BUY, 1, OrderType.LIMIT, name="a" * 32, limit_price=95)
    harness.order(BUY, 1, name="b" * 32)
    for name in ("a" * 32, "b" * 32, "c" * 32):
        harness.broker.cancel(ref(name))
    assert harness.tick(90) == []
    assert harness.broker.find(ref("a" * 32)).status is VenueStatus.CANCELED
    assert harness.broker.find(ref("b" * 32)).status is VenueStatus.FILLED


def test_a_reset_gives_back_the_starting_cash_and_keeps_the_past():
    harness = PaperHarness()
    harness.order(BUY, 1, name="a" * 32)
    harness.order(BUY, 1, OrderType.LIMIT, name="b" * 32, limit_price=95)
    harness.broker.reset()
    assert harness.cash == 100_000 and harness.held() == {}
    assert harness.broker.find(ref("a" * 32)).fills
    assert harness.broker.find(ref("b" * 32)).status is VenueStatus.CANCELED


# --- hours ---

THANKSGIVING = datetime(2026, 11, 26, 17, tzinfo=UTC)
AFTER_THE_CALENDAR = datetime(2040, 11, 22, 17, tzinfo=UTC)  # a Thursday too


def test_always_open_fills_a_stock_on_a_saturday():
    harness = PaperHarness(SATURDAY)
    assert harness.broker.market_open(AAPL) and harness.order(BUY, 1).status is VenueStatus.FILLED


def test_on_exchange_hours_a_stock_order_waits_for_the_open_and_then_gets_the_markets_price():
    harness = PaperHarness(SATURDAY, hours="exchange")
    market = harness.order(BUY, 1)
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=105)
    assert (market.status, market.reason) == (VenueStatus.WORKING, "waits for the market to open")
    assert not harness.broker.market_open(AAPL) and harness.tick() == []
    harness.clock.moment = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)
    assert harness.tick() == []
    reports = harness.tick(102, later=timedelta(minutes=1))
    told = [(report.status, report.average_price, report.reason) for report in reports]
    assert told == [(VenueStatus.FILLED, D("102.01"), "")] * 2


def test_a_limit_order_that_waited_for_the_open_rests_from_then_on():
    harness = PaperHarness(SATURDAY, hours="exchange")
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    harness.clock.moment = MONDAY_NOON
    assert harness.tick() == []
    assert harness.tick(90)[0].average_price == 95


def test_what_must_fill_at_once_expires_while_the_market_is_closed():
    harness = PaperHarness(SATURDAY, hours="exchange")
    for when in (TimeInForce.IOC, TimeInForce.FOK):
        report = harness.order(BUY, 1, time_in_force=when)
        assert (report.status, report.reason) == (VenueStatus.EXPIRED, "the market is closed")
    assert harness.order(BUY, "0.1", symbol=BTC).status is VenueStatus.FILLED


def test_extended_hours_are_for_orders_that_ask_for_them():
    early = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)  # 05:00 in New York
    harness = PaperHarness(early, hours="exchange")
    assert harness.order(BUY, 1).status is VenueStatus.WORKING
    assert harness.order(BUY, 1, extended_hours=True).status is VenueStatus.FILLED


def test_a_stock_does_not_trade_on_a_holiday_nor_after_the_end_of_a_half_day():
    harness = PaperHarness(THANKSGIVING, hours="exchange")
    assert not harness.broker.market_open(AAPL) and harness.order(BUY, 1).status is VenueStatus.WORKING
    assert harness.broker.opens_at(AAPL) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    harness.clock.moment = datetime(2026, 11, 27, 17, 59, tzinfo=UTC)
    assert harness.broker.market_open(AAPL)
    harness.clock.moment = datetime(2026, 11, 27, 18, tzinfo=UTC)
    assert not harness.broker.market_open(AAPL)
    assert harness.order(BUY, 1, extended_hours=True).status is VenueStatus.FILLED
    harness.clock.moment = datetime(2026, 11, 27, 22, tzinfo=UTC)  # 17:00 in New York
    assert harness.order(BUY, 1, extended_hours=True).status is VenueStatus.WORKING
    assert harness.broker.opens_at(AAPL) == datetime(2026, 11, 30, 14, 30, tzinfo=UTC)


def test_where_the_calendar_ends_weekdays_count():
    harness = PaperHarness(AFTER_THE_CALENDAR, hours="exchange")
    assert harness.broker.market_open(AAPL)


@pytest.mark.parametrize(
    ("hours", "created", "ends"),
    [
        ("always", MONDAY_NOON, datetime(2026, 3, 10, tzinfo=UTC)),
        ("exchange", MONDAY_NOON, datetime(2026, 3, 9, 20, tzinfo=UTC)),
        ("exchange", SATURDAY, datetime(2026, 3, 9, 20, tzinfo=UTC)),
        # Friday night, winter
        ("exchange", datetime(2026, 1, 9, 22, tzinfo=UTC), datetime(2026, 1, 12, 21, tzinfo=UTC)),
        ("exchange", THANKSGIVING, datetime(2026, 11, 27, 18, tzinfo=UTC)),
        ("exchange", AFTER_THE_CALENDAR, datetime(2040, 11, 22, 21, tzinfo=UTC)),
    ],
)
def test_a_day_order_ends_with_its_day(hours, created, ends):
    harness = PaperHarness(created, hours=hours)
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=50)
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=50, time_in_force=TimeInForce.GTC)
    harness.clock.moment = ends - timedelta(seconds=1)
    assert harness.tick(later=timedelta(0)) == []
    (report,) = harness.tick(later=timedelta(seconds=1))
    assert (report.status, report.reason) == (VenueStatus.EXPIRED, "the day ended before the order filled")
