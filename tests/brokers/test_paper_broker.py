"""The paper account: a venue that nets, refuses, fills and keeps its books exactly."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from decimal import localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.paper_account import MemoryPaperStore, PaperSettings
from dashtrade.domain.ports import (
    OrderRef,
    OrderRequest,
    Quote,
    Rejected,
    RetryLater,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, OrderSide, OrderType, TimeInForce

AAPL, MSFT, BTC = Symbol.parse("AAPL"), Symbol.parse("MSFT"), Symbol.parse("BTC/USDT")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
MONDAY_NOON = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)  # 12:00 in New York
SATURDAY = datetime(2026, 3, 7, 16, 0, tzinfo=UTC)


class FixedClock:
    def __init__(self, moment: datetime = MONDAY_NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class HandFeed:
    """A market set by hand: bid and ask a cent around the price, so that whatever is paid can be read off."""

    demo = True

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.mids = clock, {AAPL: D(100), MSFT: D(200), BTC: D(50000)}

    def quote(self, symbol: Symbol) -> Quote:
        if symbol not in self.mids:
            raise Unavailable("the feed is down")
        cent = D("0.01")
        return Quote(
            symbol=symbol, bid=self.mids[symbol] - cent, ask=self.mids[symbol] + cent, at=self.clock.now()
        )


class CountingStore(MemoryPaperStore):
    """Notes every call on the book, as each is a round trip to a database."""

    def __init__(self, cash: D = D(100_000)) -> None:
        super().__init__(cash)
        self.calls: list[str] = []
        self.writes = 0

    def _noted(self, work):
        class Noting:
            def __init__(self, book, calls):
                self._book, self._calls = book, calls

            def __getattr__(self, name):
                self._calls.append(name)
                return getattr(self._book, name)

        return lambda book: work(Noting(book, self.calls))

    def write(self, work):
        self.writes += 1
        return super().write(self._noted(work))

    def read(self, work):
        return super().read(self._noted(work))


class Desk:
    """A broker with its clock, feed and store within reach, and short words for orders."""

    def __init__(self, moment: datetime = MONDAY_NOON, **options) -> None:
        self.settings = PaperSettings.from_options(options)
        self.clock = FixedClock(moment)
        self.feed, self.store = HandFeed(self.clock), CountingStore(self.settings.starting_cash)
        self.broker = PaperBroker(self.store, self.feed, self.clock, self.settings)
        self.sent = 0

    def order(self, side, quantity, kind=OrderType.MARKET, *, symbol=AAPL, name=None, **rest):
        self.sent += 1
        quantity = None if quantity is None else D(quantity)
        rest = {key: D(value) if type(value) in (str, int, float) else value for key, value in rest.items()}
        return self.broker.submit(
            OrderRequest(
                client_order_id=name or f"{self.sent:032x}",
                symbol=symbol,
                side=side,
                type=kind,
                quantity=quantity,
                **rest,
            )
        )

    def tick(self, price=None, *, symbol=AAPL, later=timedelta(seconds=5)):
        if price is not None:
            self.feed.mids[symbol] = D(price)
        self.clock.moment += later
        return self.broker.tick()

    def held(self):
        return {position.symbol: position.quantity for position in self.broker.positions()}

    @property
    def cash(self):
        return self.broker.account().cash


def ref(name, symbol=AAPL):
    return OrderRef(
        client_order_id=name,
        broker_order_id=None,
        symbol=symbol,
        side=BUY,
        quantity=None,
        type=OrderType.MARKET,
        created_at=MONDAY_NOON,
    )


# --- market orders and money ---


def test_a_market_buy_fills_at_the_ask_and_takes_the_money():
    desk = Desk()
    report = desk.order(BUY, 10)
    assert (report.status, report.filled_quantity, report.average_price) == (
        VenueStatus.FILLED,
        10,
        D("100.01"),
    )
    assert [fill.id for fill in report.fills] == [f"{report.client_order_id}-1"]
    assert report.broker_order_id == "P-" + report.client_order_id
    assert desk.cash == 100_000 - D("1000.10") and desk.held() == {AAPL: 10}


def test_a_market_sale_fills_at_the_bid_and_brings_the_money():
    desk = Desk()
    desk.order(BUY, 10)
    desk.order(SELL, 10)
    assert desk.cash == 100_000 - D("0.20") and desk.held() == {}


def test_fees_and_slippage_are_paid_and_the_fee_per_order_only_once():
    desk = Desk(fee_per_order="1", fee_percent="0.1", slippage_percent="0.5", fill_percent=50)
    desk.order(BUY, 10)
    (report,) = desk.tick()
    # 100.01 x 1.005 = 100.51005, up to the next cent
    assert [fill.price for fill in report.fills] == [D("100.52")] * 2
    assert [fill.fee for fill in report.fills] == [D("1.5026"), D("0.5026")]
    assert desk.cash == 100_000 - D("1005.2") - D("2.0052")


def test_an_amount_of_money_buys_what_it_pays_for_and_not_more():
    desk = Desk()
    report = desk.order(BUY, None, notional=1000)
    assert report.filled_quantity == D("9.999000")
    assert 100_000 - desk.cash <= 1000


def test_the_average_price_nets_and_starts_anew_through_zero():
    desk = Desk()
    desk.order(BUY, 10)
    desk.feed.mids[AAPL] = D(110)
    desk.order(BUY, 10)
    assert desk.broker.positions()[0].average_price == D("105.01")
    desk.order(SELL, 5)
    assert desk.broker.positions()[0].average_price == D("105.01")
    desk.order(SELL, 20)
    (position,) = desk.broker.positions()
    assert (position.quantity, position.average_price, position.mark) == (-5, D("109.99"), D(110))


def test_selling_short_adds_the_proceeds_and_counts_as_exposure():
    desk = Desk()
    desk.order(SELL, 100)
    account = desk.broker.account()
    assert account.cash == 100_000 + 9_999
    assert account.equity == 99_999
    assert account.buying_power == 99_999 - 10_000


def test_no_digit_is_lost_however_large_the_order():
    desk = Desk(starting_cash="1000000000000")
    desk.order(BUY, "123456789012.12345678", OrderType.LIMIT, symbol=BTC, limit_price="1.0123456789")
    desk.tick(1, symbol=BTC)
    with localcontext(prec=80):
        assert desk.cash == D("1000000000000") - D("123456789012.12345678") * D("1.0123456789")


# --- what is refused ---


def test_an_order_beyond_the_buying_power_is_refused_with_the_numbers():
    desk = Desk(starting_cash="1200")
    with pytest.raises(
        Rejected, match=r"needs 5,000\.50 but buying power is 1,200\.00; reduce the size or close something"
    ):
        desk.order(BUY, 50)
    assert desk.cash == 1200 and desk.held() == {} and desk.broker.find(ref(f"{1:032x}")) is None


def test_short_proceeds_cannot_be_spent_twice():
    desk = Desk(starting_cash="10000")
    desk.order(SELL, 50)
    with pytest.raises(Rejected, match="buying power is 4,9"):
        desk.order(BUY, 30, symbol=MSFT)
    desk.order(BUY, 20, symbol=MSFT)


def test_leverage_lends_as_often_as_it_says():
    desk = Desk(starting_cash="1000", leverage=2)
    desk.order(BUY, 15)
    assert desk.cash < 0
    with pytest.raises(Rejected, match="buying power"):
        desk.order(BUY, 3, symbol=MSFT)
    desk.order(BUY, 2, symbol=MSFT)


def test_a_flip_needs_buying_power_only_for_what_it_opens():
    desk = Desk(starting_cash="1100")
    desk.order(BUY, 10)
    desk.order(SELL, 20)
    assert desk.held() == {AAPL: -10}
    desk.order(BUY, 20)
    assert desk.held() == {AAPL: 10}
    with pytest.raises(Rejected):
        desk.order(SELL, 25)


def test_closing_passes_even_when_the_account_is_under_water():
    desk = Desk(starting_cash="1000")
    desk.order(SELL, 9)
    desk.feed.mids[AAPL] = D(300)
    assert desk.broker.account().buying_power < 0
    desk.order(BUY, 9)
    assert desk.held() == {}


def test_a_reducing_order_beyond_the_net_position_is_netted():
    """Two bots may be long and short of one symbol here: the account then holds less than either of them."""
    desk = Desk(starting_cash="1000")
    desk.order(BUY, 8)
    desk.order(SELL, 8)
    desk.order(SELL, 30, reduces=True)
    assert desk.held() == {AAPL: -30}


def test_with_shorting_off_nothing_is_sold_that_is_not_held():
    desk = Desk(shorting=False)
    desk.order(BUY, 5)
    with pytest.raises(Rejected, match="short of 1 AAPL and shorting is off; sell 5 at most"):
        desk.order(SELL, 6)
    desk.order(SELL, 5)
    assert not desk.broker.capabilities.shorts and not desk.broker.rules(AAPL).shortable


def test_two_sales_of_the_same_shares_cannot_both_fill_with_shorting_off():
    desk = Desk(shorting=False)
    desk.order(BUY, 5)
    desk.order(SELL, 5, OrderType.LIMIT, limit_price=110)
    desk.order(SELL, 5, OrderType.LIMIT, limit_price=110)
    first, second = desk.tick(120)
    assert (first.status, second.status) == (VenueStatus.FILLED, VenueStatus.CANCELED)
    assert "shorting is off" in second.reason and desk.held() == {}


def test_a_working_order_that_can_no_longer_be_paid_is_canceled_and_says_why():
    desk = Desk(starting_cash="1000")
    desk.order(BUY, 10, OrderType.LIMIT, limit_price=90)
    desk.order(BUY, 9)
    (report,) = desk.tick(89)
    assert report.status is VenueStatus.CANCELED and "needs 900.00 but buying power is 99.91" in report.reason


def test_the_same_client_order_id_is_refused_for_ever():
    desk = Desk()
    desk.order(BUY, 1, name="a" * 32)
    for quantity in (1, 2):
        with pytest.raises(Rejected, match="client order id must be unique"):
            desk.order(BUY, quantity, name="a" * 32)
    assert desk.held() == {AAPL: 1} and desk.broker.capabilities.refuses_repeats


@pytest.mark.parametrize(
    ("kind", "rest", "said"),
    [
        (OrderType.MARKET, {"quantity": 0}, "above zero"),
        (OrderType.MARKET, {"quantity": -1}, "above zero"),
        (OrderType.MARKET, {"quantity": "NaN"}, "above zero"),
        (OrderType.MARKET, {"quantity": "1e13"}, "above zero"),
        (OrderType.MARKET, {"quantity": None}, "one of them"),
        (OrderType.MARKET, {"quantity": 1, "notional": 5}, "one of them"),
        (OrderType.MARKET, {"quantity": "0.0000001"}, "finer than 0.000001"),
        (OrderType.MARKET, {"quantity": None, "notional": "0.00001"}, "does not buy"),
        (OrderType.LIMIT, {"quantity": 1}, "limit price above zero"),
        (OrderType.LIMIT, {"quantity": 1, "limit_price": -3}, "limit price above zero"),
        (OrderType.STOP, {"quantity": 1}, "stop price above zero"),
        (OrderType.STOP_LIMIT, {"quantity": 1, "stop_price": 90}, "limit price above zero"),
        (OrderType.TRAILING_STOP, {"quantity": 1}, "trail above zero"),
        (OrderType.TRAILING_STOP, {"quantity": 1, "trail_percent": 100}, "below 100"),
        (OrderType.TRAILING_STOP, {"quantity": 1, "trail_percent": 1, "trail_amount": 1}, "one of them"),
        (
            OrderType.STOP,
            {"quantity": 1, "stop_price": 90, "time_in_force": TimeInForce.IOC},
            "waits for its price",
        ),
        (OrderType.MARKET, {"quantity": 1, "time_in_force": TimeInForce.OPG}, "time in force opg"),
        (OrderType.MARKET, {"quantity": 1, "stop_loss": 90}, "bracket"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(kind, rest, said):
    desk = Desk()
    with pytest.raises(Rejected, match=said):
        desk.order(BUY, rest.pop("quantity"), kind, **rest)
    assert desk.store.calls == []


def test_without_a_price_nothing_is_placed_and_it_may_be_tried_again():
    desk = Desk()
    price = desk.feed.mids.pop(AAPL)
    with pytest.raises(RetryLater, match="nothing was placed"):
        desk.order(BUY, 1, name="a" * 32)
    desk.feed.mids[AAPL] = price
    assert desk.order(BUY, 1, name="a" * 32).status is VenueStatus.FILLED


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


# --- settings and rules ---


def test_options_are_read_from_words_and_numbers():
    read = PaperSettings.from_options(
        {"starting_cash": "5000.50", "leverage": 4, "shorting": "off", "hours": "exchange"}
    )
    assert read == PaperSettings(starting_cash=D("5000.50"), leverage=D(4), shorting=False, hours="exchange")
    assert PaperSettings.from_options({}) == PaperSettings()


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"leverge": 2}, "Did you mean leverage"),
        ({"leverage": 0}, "From 1 to 100"),
        ({"fill_percent": 0}, "From 1 to 100"),
        ({"fee_percent": "much"}, "Send a number"),
        ({"hours": "sometimes"}, "always, exchange"),
        ({"shorting": "perhaps"}, "true"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_right(options, hint):
    with pytest.raises(Malformed) as error:
        PaperSettings.from_options(options)
    assert hint in error.value.hint and error.value.where in options


def test_rules_name_the_steps_of_quantity_and_price():
    desk = Desk()
    assert (desk.broker.rules(AAPL).quantity_step, desk.broker.rules(AAPL).price_step) == (
        D("0.000001"),
        D("0.01"),
    )
    assert (desk.broker.rules(BTC).quantity_step, desk.broker.rules(BTC).price_step) == (
        D("0.00000001"),
        D("0.01"),
    )
    desk.feed.mids[BTC] = D("0.0123")
    assert desk.broker.rules(BTC).price_step == D("0.000001")


# --- the store ---


def test_a_market_order_makes_as_few_book_calls_as_it_can():
    desk = Desk()
    desk.order(BUY, 1)
    assert desk.store.calls == [
        "order",
        "positions",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]
    assert desk.store.writes == 1
    desk.store.calls.clear()
    desk.order(SELL, 1, reduces=True)
    assert desk.store.calls == [
        "order",
        "position",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]


def test_a_cash_account_never_reads_all_its_positions_to_buy():
    desk = Desk(shorting=False)
    desk.order(BUY, 1)
    assert "position" in desk.store.calls and "positions" not in desk.store.calls


def test_a_tick_writes_only_when_something_changes():
    desk = Desk()
    assert desk.tick() == [] and desk.store.calls == ["working"]
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.store.writes = 0
    assert desk.tick() == [] and desk.store.writes == 0
    assert desk.tick(90) and desk.store.writes == 1


def test_no_price_is_fetched_inside_a_transaction():
    desk = Desk(leverage=2)
    desk.order(BUY, 1, symbol=MSFT)
    fetch = desk.feed.quote

    def quote(symbol):
        assert not desk.store._turn.locked()
        return fetch(symbol)

    desk.feed.quote = quote
    desk.order(BUY, 1)
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.tick(90)
    assert desk.held() == {MSFT: 1, AAPL: 2}


def test_a_write_that_fails_leaves_no_trace():
    desk = Desk()
    desk.order(BUY, 1, name="a" * 32)
    desk.order(BUY, 1, OrderType.LIMIT, name="b" * 32, limit_price=90)
    before = desk.store.read(
        lambda book: (book.cash(), book.positions(), book.working(), book.fills("a" * 32))
    )

    def breaks(book):
        book.add_order(replace(book.order("b" * 32), client_order_id="c" * 32))
        for order in book.working():
            book.update_order(replace(order, status=VenueStatus.CANCELED))
        book.add_fill(book.fills("a" * 32)[0])
        for position in book.positions():
            book.set_position(replace(position, quantity=D(0)))
        book.set_cash(D(0))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        desk.store.write(breaks)
    assert (
        desk.store.read(lambda book: (book.cash(), book.positions(), book.working(), book.fills("a" * 32)))
        == before
    )


def test_many_threads_place_every_order_once():
    desk = Desk(starting_cash="10000000")
    start = threading.Barrier(8)

    def place(worker):
        start.wait()
        placed = 0
        for turn in range(50):
            try:
                desk.order(BUY, 1, name=f"{turn:032x}")
                placed += 1
            except Rejected:
                pass
        return placed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(place, range(8))) == 50
    assert desk.held() == {AAPL: 50} and desk.cash == 10_000_000 - 50 * D("100.01")


# --- the books are exact, whatever happens ---

prices = st.integers(5000, 20000).map(lambda cents: D(cents) / 100)
sizes = st.integers(1, 5_000_000).map(lambda millionths: D(millionths) / 10_000)
placing = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from([AAPL, MSFT, BTC]),
        "side": st.sampled_from(list(OrderSide)),
        "size": sizes,
        "kind": st.sampled_from(list(OrderType)),
        "limit": prices,
        "stop": prices,
        "trail": st.integers(1, 20).map(D),
        "when": st.sampled_from([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        "reduces": st.booleans(),
        "notional": st.booleans(),
    }
)
ticking = st.tuples(st.sampled_from([AAPL, MSFT, BTC]), prices, st.sampled_from([5, 600, 40_000]))
canceling = st.integers(1, 30)
options = st.fixed_dictionaries(
    {
        "leverage": st.sampled_from([1, 2, 4]),
        "shorting": st.booleans(),
        "fee_per_order": st.sampled_from(["0", "1.01"]),
        "fee_percent": st.sampled_from(["0", "0.1", "0.333"]),
        "slippage_percent": st.sampled_from(["0", "0.05"]),
        "fill_percent": st.sampled_from([100, 33, 7]),
        "hours": st.sampled_from(["always", "exchange"]),
    }
)


def everything(book):
    """All orders in order of arrival, their fills, and the working ones."""
    named = [book.order(f"{number:032x}") for number in range(1, 31)]
    orders = [order for order in named if order]
    return (
        orders,
        {order.client_order_id: book.fills(order.client_order_id) for order in orders},
        book.working(),
    )


def act(desk, action):
    match action:
        case {"symbol": symbol, "side": side, "kind": kind} as wish:
            rest = {"limit_price": wish["limit"]} if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else {}
            rest |= {"stop_price": wish["stop"]} if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else {}
            rest |= {"trail_amount": wish["trail"]} if kind is OrderType.TRAILING_STOP else {}
            rest |= {"notional": wish["size"] * 100} if wish["notional"] else {}
            size = None if wish["notional"] else wish["size"]
            with contextlib.suppress(Rejected):
                desk.order(
                    side,
                    size,
                    kind,
                    symbol=symbol,
                    time_in_force=wish["when"],
                    reduces=wish["reduces"],
                    **rest,
                )
        case (symbol, price, seconds):
            desk.tick(price, symbol=symbol, later=timedelta(seconds=seconds))
        case number:
            desk.broker.cancel(ref(f"{number:032x}"))


@settings(max_examples=250, deadline=None)
@given(options, st.lists(st.one_of(placing, placing, ticking, canceling), max_size=30))
def test_cash_positions_and_orders_agree_with_the_fills_to_the_last_digit(options, actions):
    desk, ended = Desk(starting_cash="20000", **options), {}
    desk.feed.mids[BTC] = D(100)
    for action in actions:
        act(desk, action)
        orders, fills_of, working = desk.store.read(everything)
        assert set(ended) <= {order.client_order_id for order in orders}
        cash, held = D(20000), {}
        for order in orders:
            fills = fills_of[order.client_order_id]
            for fill in fills:
                cash -= order.side.sign * fill.quantity * fill.price + fill.fee
                held[order.symbol] = held.get(order.symbol, D(0)) + order.side.sign * fill.quantity
            assert sum(fill.quantity for fill in fills) == order.filled_quantity <= order.quantity
            assert (order.filled_quantity == order.quantity) == (order.status is VenueStatus.FILLED)
            if order.status is not VenueStatus.WORKING:
                # what has ended never changes again
                assert ended.setdefault(order.client_order_id, order) == order
        assert desk.cash == cash
        assert desk.held() == {symbol: quantity for symbol, quantity in held.items() if quantity}
        assert options["shorting"] or all(quantity > 0 for quantity in desk.held().values())
        assert working == [order for order in orders if order.status is VenueStatus.WORKING]
