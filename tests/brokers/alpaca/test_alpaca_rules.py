"""What Alpaca allows: rules of stocks and coins, exits, and orders that are edited there."""

from __future__ import annotations

import pytest

from dashtrade.brokers.alpaca import wire
from dashtrade.brokers.alpaca.adapter import Timeouts
from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.adapter_harness import AAPL, BUY, LIMIT, SELL, D, ref
from tests.support.alpaca_harness import BTC, AlpacaHarness, raw

# --- rules --------------------------------------------------------------------------------------------------


def test_an_asset_that_says_nothing_of_borrowing_is_believed_to_be_shortable(harness: AlpacaHarness):
    rules = harness.broker.rules(Symbol.parse("BARE"))
    assert rules.tradable and rules.shortable and rules.fractionable


@pytest.mark.parametrize("name", ["HARD", "OLDER"])
def test_what_is_hard_to_borrow_is_not_shortable_in_new_bodies_and_in_old(harness: AlpacaHarness, name: str):
    hard = Symbol.parse(name)
    assert not harness.broker.rules(hard).shortable
    with pytest.raises(Rejected, match="sold short"):
        harness.order(SELL, 1, symbol=hard)


def test_shortable_alone_is_not_enough_when_it_is_hard_to_borrow():
    asset = {"class": "us_equity", "tradable": True, "shortable": True, "easy_to_borrow": False}
    assert (
        not wire.rules_of(asset, None).shortable
        and wire.rules_of(asset | {"easy_to_borrow": True}, None).shortable
    )
    assert wire.rules_of(asset | {"borrow_status": "easy_to_borrow"}, None).shortable, (
        "the newer field counts"
    )
    assert not wire.rules_of(
        asset | {"easy_to_borrow": True, "borrow_status": "hard_to_borrow"}, None
    ).shortable


def test_a_stock_of_whole_shares_has_a_step_of_one(harness: AlpacaHarness):
    rules = harness.broker.rules(Symbol.parse("WHOLE"))
    assert (rules.quantity_step, rules.min_quantity, rules.fractionable) == (1, 1, False)
    assert (
        harness.broker.rules(AAPL).quantity_step == D("0.000000001")
        and not harness.broker.rules(Symbol.parse("HALT")).tradable
    )
    assert harness.broker.rules(BTC).min_quantity == D("0.0001") and not harness.broker.rules(BTC).shortable


def test_rules_are_cached_for_a_while_and_then_asked_for_again(sim: AlpacaSimulator):
    harness, hasty = AlpacaHarness(sim), AlpacaHarness(sim, timeouts=Timeouts(connect=1, read=1, assets=0))
    for _ in range(3):
        harness.broker.rules(AAPL)
    assert len(sim.requests("GET", "/v2/assets/AAPL")) == 1
    for _ in range(2):
        hasty.broker.rules(AAPL)
    assert len(sim.requests("GET", "/v2/assets/AAPL")) == 3
    harness.broker.close()
    hasty.broker.close()


def test_a_fraction_or_an_amount_of_money_goes_as_a_day_order(harness: AlpacaHarness):
    harness.order(BUY, "1.5", time_in_force=TimeInForce.GTC)
    assert harness.last["time_in_force"] == "day"
    harness.order(BUY, None, notional="20", time_in_force=TimeInForce.GTC)
    assert harness.last["time_in_force"] == "day"
    harness.order(BUY, 2, time_in_force=TimeInForce.GTC)
    assert harness.last["time_in_force"] == "gtc"


def test_entries_that_take_no_fraction_become_whole_shares(harness: AlpacaHarness):
    harness.order(BUY, "12.34", LIMIT, limit_price="101", time_in_force=TimeInForce.GTC)
    assert harness.last["qty"] == "12"
    harness.order(BUY, "2.5", OrderType.TRAILING_STOP, trail_percent="1", time_in_force=TimeInForce.DAY)
    assert harness.last["qty"] == "2"
    harness.order(BUY, "2.9", take_profit="120", stop_loss="80")
    assert harness.last["qty"] == "2"
    with pytest.raises(Rejected, match="minimum for this order, 1"):
        harness.order(BUY, "0.5", LIMIT, limit_price="101", time_in_force=TimeInForce.GTC)
    harness.order(SELL, "3.7", symbol=Symbol.parse("MSFT"))
    assert harness.last["qty"] == "3" and harness.held(Symbol.parse("MSFT")) == -3


def test_an_exit_of_a_fraction_is_not_shortened_unseen(harness: AlpacaHarness):
    harness.order(BUY, "1.5")
    with pytest.raises(Rejected, match="Use whole shares, or a day order"):
        harness.order(SELL, "1.5", LIMIT, limit_price="120", reduces=True, time_in_force=TimeInForce.GTC)
    harness.order(SELL, "1.5", reduces=True, time_in_force=TimeInForce.GTC)
    assert harness.held() == 0


def test_outside_the_regular_hours_only_limit_orders_trade(harness: AlpacaHarness):
    harness.sim.set_session("extended")
    assert harness.broker.market_open(AAPL) is False
    with pytest.raises(Rejected, match="limit orders only"):
        harness.order(BUY, 1, extended_hours=True)
    waits, trades = (
        harness.order(BUY, 1),
        harness.order(BUY, 1, LIMIT, limit_price="101", extended_hours=True),
    )
    assert harness.find(waits.client_order_id).status is VenueStatus.WORKING
    assert harness.find(trades.client_order_id).status is VenueStatus.FILLED
    harness.sim.set_session("open")
    assert harness.find(waits.client_order_id).status is VenueStatus.FILLED


@pytest.mark.parametrize(
    ("exits", "sent"),
    [
        (
            {"take_profit": "110", "stop_loss": "90", "stop_loss_limit": "89"},
            {
                "order_class": "bracket",
                "take_profit": {"limit_price": "110"},
                "stop_loss": {"stop_price": "90", "limit_price": "89"},
            },
        ),
        ({"take_profit": "110"}, {"order_class": "oto", "take_profit": {"limit_price": "110"}}),
        ({"stop_loss": "90.004"}, {"order_class": "oto", "stop_loss": {"stop_price": "90"}}),
    ],
)
def test_exits_are_held_at_alpaca_as_bracket_or_oto(harness: AlpacaHarness, exits: dict, sent: dict):
    report = harness.order(BUY, 10, time_in_force=TimeInForce.GTC, **exits)
    assert {
        key: value
        for key, value in harness.last.items()
        if key in ("order_class", "take_profit", "stop_loss")
    } == sent
    assert (
        len(raw(harness.sim, "GET", f"/v2/orders/{report.broker_order_id}?nested=true")[1]["legs"])
        == len(sent) - 1
    )


@pytest.mark.parametrize("price", [112, 88])
def test_one_exit_of_a_bracket_ends_the_other(harness: AlpacaHarness, price: int):
    harness.order(BUY, 10, time_in_force=TimeInForce.GTC, take_profit="110", stop_loss="90")
    harness.sim.set_price("AAPL", price)
    assert harness.held() == 0 and harness.sim.market.open == {}


def test_exits_outside_the_regular_hours_are_refused(harness: AlpacaHarness):
    with pytest.raises(Rejected):
        harness.order(
            BUY,
            10,
            LIMIT,
            limit_price="100",
            extended_hours=True,
            take_profit="110",
            time_in_force=TimeInForce.GTC,
        )


def test_a_trailing_stop_goes_by_amount_or_by_percent(harness: AlpacaHarness):
    harness.order(BUY, 10)
    report = harness.order(SELL, 10, OrderType.TRAILING_STOP, trail_percent="2.5", reduces=True)
    assert harness.last["trail_percent"] == "2.5" and "trail_price" not in harness.last
    harness.sim.set_price("AAPL", 120)
    harness.sim.set_price("AAPL", "117.5")
    assert harness.find(report.client_order_id).status is VenueStatus.WORKING
    harness.sim.set_price("AAPL", 117)
    assert harness.find(report.client_order_id).status is VenueStatus.FILLED


def test_a_foreign_stock_is_refused_before_anything_is_asked(harness: AlpacaHarness):
    with pytest.raises(Rejected, match="US-listed"):
        harness.order(BUY, 1, symbol=Symbol.parse("LSE:VOD"))
    assert list(harness.sim.seen) == []


# --- coins --------------------------------------------------------------------------------------------------


def test_a_market_order_for_a_coin_has_no_day(harness: AlpacaHarness):
    harness.order(BUY, "0.1", symbol=BTC)
    assert harness.last["time_in_force"] == "gtc"
    harness.order(BUY, "0.1", symbol=BTC, time_in_force=TimeInForce.IOC)
    assert harness.last["time_in_force"] == "ioc" and harness.broker.market_open(BTC)


def test_orders_impossible_for_coins_are_refused_before_sending(harness: AlpacaHarness):
    for kind, rest in (
        (LIMIT, {"limit_price": "100"}),
        (OrderType.STOP, {"stop_price": "100"}),
        (OrderType.MARKET, {"take_profit": "9"}),
    ):
        with pytest.raises(Rejected, match="Nothing was sent"):
            harness.order(BUY, "0.1", kind, symbol=BTC, **rest)
    assert harness.sim.requests("POST", "/v2/orders") == []
    harness.order(BUY, "0.1", LIMIT, symbol=BTC, limit_price="40000.005", time_in_force=TimeInForce.GTC)
    assert harness.last["limit_price"] == "40000"


def test_the_fee_taken_out_of_a_coin_does_not_keep_it_from_being_sold(harness: AlpacaHarness):
    harness.order(BUY, 1, symbol=BTC)
    raw(harness.sim, "POST", "/_hold", {"symbol": "BTC/USD", "qty": "0.9975", "price": "50000"})
    harness.order(SELL, 1, symbol=BTC, reduces=True)
    assert harness.last["qty"] == "0.9975" and harness.held(BTC) == 0


def test_a_larger_gap_than_a_fee_is_refused_not_shrunk(harness: AlpacaHarness):
    harness.order(BUY, 1, symbol=BTC)
    raw(harness.sim, "POST", "/_hold", {"symbol": "BTC/USD", "qty": "0.5", "price": "50000"})
    with pytest.raises(Rejected, match=r"has 0\.5 BTC/USD free"):
        harness.order(SELL, 1, symbol=BTC, reduces=True)


# --- an order edited at Alpaca ------------------------------------------------------------------------------


def test_an_order_edited_at_alpaca_is_followed_to_the_one_that_took_its_place(harness: AlpacaHarness):
    first = harness.order(BUY, 10, LIMIT, limit_price="90")
    status, second = raw(harness.sim, "PATCH", f"/v2/orders/{first.broker_order_id}", {"limit_price": "95"})
    assert status == 200 and second["id"] != first.broker_order_id
    assert harness.find(first.client_order_id).status is VenueStatus.WORKING
    harness.sim.set_price("AAPL", 94)
    end = harness.find(first.client_order_id)
    assert (end.client_order_id, end.status, end.filled_quantity) == (
        first.client_order_id,
        VenueStatus.FILLED,
        10,
    )


def test_cancelling_an_edited_order_cancels_what_took_its_place(harness: AlpacaHarness):
    first = harness.order(BUY, 10, LIMIT, limit_price="90")
    raw(harness.sim, "PATCH", f"/v2/orders/{first.broker_order_id}", {"limit_price": "95"})
    harness.broker.cancel(ref(first.client_order_id))
    assert (
        harness.sim.market.open == {} and harness.find(first.client_order_id).status is VenueStatus.CANCELED
    )


def test_fills_of_both_halves_of_an_edited_order_are_reported():
    before = wire.report_of(
        {
            "id": "1",
            "client_order_id": "a",
            "status": "replaced",
            "filled_qty": "4",
            "filled_avg_price": "100",
        }
    )
    after = wire.report_of(
        {"id": "2", "client_order_id": "b", "status": "filled", "filled_qty": "6", "filled_avg_price": "110"}
    )
    both = wire.merge_replacement(before, after)
    assert (both.client_order_id, both.filled_quantity, both.average_price) == ("a", 10, 106)
