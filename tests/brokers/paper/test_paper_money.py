"""The paper broker: what an order costs and brings, and which orders are refused."""

from __future__ import annotations

from decimal import Decimal as D
from decimal import localcontext

import pytest

from dashtrade.domain.ports import Rejected, RetryLater, VenueStatus
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.adapter_harness import AAPL, BUY, SELL, ref
from tests.support.paper_harness import BTC, MSFT, PaperHarness

# --- market orders and money ---


def test_a_market_buy_fills_at_the_ask_and_takes_the_money():
    harness = PaperHarness()
    report = harness.order(BUY, 10)
    assert (report.status, report.filled_quantity, report.average_price) == (
        VenueStatus.FILLED,
        10,
        D("100.01"),
    )
    assert [fill.id for fill in report.fills] == [f"{report.client_order_id}-1"]
    assert report.broker_order_id == "P-" + report.client_order_id
    assert harness.cash == 100_000 - D("1000.10") and harness.held() == {AAPL: 10}


def test_a_market_sale_fills_at_the_bid_and_brings_the_money():
    harness = PaperHarness()
    harness.order(BUY, 10)
    harness.order(SELL, 10)
    assert harness.cash == 100_000 - D("0.20") and harness.held() == {}


def test_fees_and_slippage_are_paid_and_the_fee_per_order_only_once():
    harness = PaperHarness(fee_per_order="1", fee_percent="0.1", slippage_percent="0.5", fill_percent=50)
    harness.order(BUY, 10)
    (report,) = harness.tick()
    # 100.01 x 1.005 = 100.51005, up to the next cent
    assert [fill.price for fill in report.fills] == [D("100.52")] * 2
    assert [fill.fee for fill in report.fills] == [D("1.5026"), D("0.5026")]
    assert harness.cash == 100_000 - D("1005.2") - D("2.0052")


def test_an_amount_of_money_buys_what_it_pays_for_and_not_more():
    harness = PaperHarness()
    report = harness.order(BUY, None, notional=1000)
    assert report.filled_quantity == D("9.999000")
    assert 100_000 - harness.cash <= 1000


def test_the_average_price_nets_and_restarts_through_zero():
    harness = PaperHarness()
    harness.order(BUY, 10)
    harness.feed.mids[AAPL] = D(110)
    harness.order(BUY, 10)
    assert harness.broker.positions()[0].average_price == D("105.01")
    harness.order(SELL, 5)
    assert harness.broker.positions()[0].average_price == D("105.01")
    harness.order(SELL, 20)
    (position,) = harness.broker.positions()
    assert (position.quantity, position.average_price, position.mark) == (-5, D("109.99"), D(110))


def test_selling_short_adds_the_proceeds_and_counts_as_exposure():
    harness = PaperHarness()
    harness.order(SELL, 100)
    account = harness.broker.account()
    assert account.cash == 100_000 + 9_999
    assert account.equity == 99_999
    assert account.buying_power == 99_999 - 10_000


def test_no_digit_is_lost_however_large_the_order():
    harness = PaperHarness(starting_cash="1000000000000")
    harness.order(BUY, "123456789012.12345678", OrderType.LIMIT, symbol=BTC, limit_price="1.0123456789")
    harness.tick(1, symbol=BTC)
    with localcontext(prec=80):
        assert harness.cash == D("1000000000000") - D("123456789012.12345678") * D("1.0123456789")


# --- what is refused ---


def test_an_order_beyond_the_buying_power_is_refused_with_the_numbers():
    harness = PaperHarness(starting_cash="1200")
    with pytest.raises(
        Rejected, match=r"needs 5,000\.50 but buying power is 1,200\.00; reduce the size or close something"
    ):
        harness.order(BUY, 50)
    assert harness.cash == 1200 and harness.held() == {} and harness.broker.find(ref(f"{1:032x}")) is None


def test_short_proceeds_cannot_be_spent_twice():
    harness = PaperHarness(starting_cash="10000")
    harness.order(SELL, 50)
    with pytest.raises(Rejected, match="buying power is 4,9"):
        harness.order(BUY, 30, symbol=MSFT)
    harness.order(BUY, 20, symbol=MSFT)


def test_leverage_lends_as_often_as_it_says():
    harness = PaperHarness(starting_cash="1000", leverage=2)
    harness.order(BUY, 15)
    assert harness.cash < 0
    with pytest.raises(Rejected, match="buying power"):
        harness.order(BUY, 3, symbol=MSFT)
    harness.order(BUY, 2, symbol=MSFT)


def test_a_flip_needs_buying_power_only_for_what_it_opens():
    harness = PaperHarness(starting_cash="1100")
    harness.order(BUY, 10)
    harness.order(SELL, 20)
    assert harness.held() == {AAPL: -10}
    harness.order(BUY, 20)
    assert harness.held() == {AAPL: 10}
    with pytest.raises(Rejected):
        harness.order(SELL, 25)


def test_closing_passes_even_when_the_account_is_under_water():
    harness = PaperHarness(starting_cash="1000")
    harness.order(SELL, 9)
    harness.feed.mids[AAPL] = D(300)
    assert harness.broker.account().buying_power < 0
    harness.order(BUY, 9)
    assert harness.held() == {}


def test_a_reducing_order_beyond_the_net_position_is_netted():
    """Two bots may be long and short of one symbol here: the account then holds less than either of them."""
    harness = PaperHarness(starting_cash="1000")
    harness.order(BUY, 8)
    harness.order(SELL, 8)
    harness.order(SELL, 30, reduces=True)
    assert harness.held() == {AAPL: -30}


def test_with_shorting_off_nothing_is_sold_that_is_not_held():
    harness = PaperHarness(shorting=False)
    harness.order(BUY, 5)
    with pytest.raises(Rejected, match="short of 1 AAPL and shorting is off; sell 5 at most"):
        harness.order(SELL, 6)
    harness.order(SELL, 5)
    assert not harness.broker.capabilities.shorts and not harness.broker.rules(AAPL).shortable


def test_two_sales_of_the_same_shares_cannot_both_fill_with_shorting_off():
    harness = PaperHarness(shorting=False)
    harness.order(BUY, 5)
    harness.order(SELL, 5, OrderType.LIMIT, limit_price=110)
    harness.order(SELL, 5, OrderType.LIMIT, limit_price=110)
    first, second = harness.tick(120)
    assert (first.status, second.status) == (VenueStatus.FILLED, VenueStatus.CANCELED)
    assert "shorting is off" in second.reason and harness.held() == {}


def test_a_working_order_that_can_no_longer_be_paid_is_canceled_and_says_why():
    harness = PaperHarness(starting_cash="1000")
    harness.order(BUY, 10, OrderType.LIMIT, limit_price=90)
    harness.order(BUY, 9)
    (report,) = harness.tick(89)
    assert report.status is VenueStatus.CANCELED and "needs 900.00 but buying power is 99.91" in report.reason


def test_the_same_client_order_id_is_refused_for_ever():
    harness = PaperHarness()
    harness.order(BUY, 1, name="a" * 32)
    for quantity in (1, 2):
        with pytest.raises(Rejected, match="client order id must be unique"):
            harness.order(BUY, quantity, name="a" * 32)
    assert harness.held() == {AAPL: 1} and harness.broker.capabilities.refuses_repeats


@pytest.mark.parametrize(
    ("kind", "rest", "said"),
    [
        (OrderType.MARKET, {"quantity": 0}, "above zero"),
        (OrderType.MARKET, {"quantity": -1}, "above zero"),
        (OrderType.MARKET, {"quantity": "NaN"}, "above zero"),
        (OrderType.MARKET, {"quantity": "1e13"}, "above zero"),
        (OrderType.MARKET, {"quantity": None}, "one of them"),
        (OrderType.MARKET, {"quantity": 1, "notional": 5}, "one of them"),
        (OrderType.MARKET, {"quantity": "0.0000001"}, "finer than the smallest step, 0.000001"),
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
    harness = PaperHarness()
    with pytest.raises(Rejected, match=said):
        harness.order(BUY, rest.pop("quantity"), kind, **rest)
    assert harness.store.calls == []


def test_without_a_price_nothing_is_placed_and_it_may_be_tried_again():
    harness = PaperHarness()
    price = harness.feed.mids.pop(AAPL)
    with pytest.raises(RetryLater, match="no order was placed"):
        harness.order(BUY, 1, name="a" * 32)
    harness.feed.mids[AAPL] = price
    assert harness.order(BUY, 1, name="a" * 32).status is VenueStatus.FILLED
