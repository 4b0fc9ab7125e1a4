"""An Alpaca account from day to day: what it may trade, coins, edited orders, prices, the stream, keys, and
the simulator by hand."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.brokers.alpaca import wire
from dashtrade.brokers.alpaca.adapter import AlpacaBroker, Timeouts
from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.credentials import check
from dashtrade.domain.ports import BadCredentials, Rejected, Unavailable, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, OrderType, TimeInForce
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.alpaca_desk import AAPL, BTC, BUY, LIMIT, ROOT, SELL, D, Desk, eventually, raw, ref
from tests.support.alpaca_desk import desk_of as desk_of  # the fixtures of the same file
from tests.support.alpaca_desk import simulator as simulator

# --- rules --------------------------------------------------------------------------------------------------


def test_an_asset_that_says_nothing_of_borrowing_is_believed_to_be_shortable(desk: Desk):
    rules = desk.broker.rules(Symbol.parse("BARE"))
    assert rules.tradable and rules.shortable and rules.fractionable


@pytest.mark.parametrize("name", ["HARD", "OLDER"])
def test_what_is_hard_to_borrow_is_not_shortable_in_new_bodies_and_in_old(desk: Desk, name: str):
    hard = Symbol.parse(name)
    assert not desk.broker.rules(hard).shortable
    with pytest.raises(Rejected, match="sold short"):
        desk.order(SELL, 1, symbol=hard)


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


def test_a_stock_of_whole_shares_has_a_step_of_one(desk: Desk):
    rules = desk.broker.rules(Symbol.parse("WHOLE"))
    assert (rules.quantity_step, rules.min_quantity, rules.fractionable) == (1, 1, False)
    assert (
        desk.broker.rules(AAPL).quantity_step == D("0.000000001")
        and not desk.broker.rules(Symbol.parse("HALT")).tradable
    )
    assert desk.broker.rules(BTC).min_quantity == D("0.0001") and not desk.broker.rules(BTC).shortable


def test_rules_are_cached_for_a_while_and_then_asked_for_again(sim: AlpacaSimulator):
    desk, hasty = Desk(sim), Desk(sim, timeouts=Timeouts(connect=1, read=1, assets=0))
    for _ in range(3):
        desk.broker.rules(AAPL)
    assert len(sim.requests("GET", "/v2/assets/AAPL")) == 1
    for _ in range(2):
        hasty.broker.rules(AAPL)
    assert len(sim.requests("GET", "/v2/assets/AAPL")) == 3
    desk.broker.close()
    hasty.broker.close()


def test_a_fraction_or_an_amount_of_money_goes_as_a_day_order(desk: Desk):
    desk.order(BUY, "1.5", time_in_force=TimeInForce.GTC)
    assert desk.last["time_in_force"] == "day"
    desk.order(BUY, None, notional="20", time_in_force=TimeInForce.GTC)
    assert desk.last["time_in_force"] == "day"
    desk.order(BUY, 2, time_in_force=TimeInForce.GTC)
    assert desk.last["time_in_force"] == "gtc"


def test_entries_that_take_no_fraction_become_whole_shares(desk: Desk):
    desk.order(BUY, "12.34", LIMIT, limit_price="101", time_in_force=TimeInForce.GTC)
    assert desk.last["qty"] == "12"
    desk.order(BUY, "2.5", OrderType.TRAILING_STOP, trail_percent="1", time_in_force=TimeInForce.DAY)
    assert desk.last["qty"] == "2"
    desk.order(BUY, "2.9", take_profit="120", stop_loss="80")
    assert desk.last["qty"] == "2"
    with pytest.raises(Rejected, match="less than Alpaca takes in an order like this, 1"):
        desk.order(BUY, "0.5", LIMIT, limit_price="101", time_in_force=TimeInForce.GTC)
    desk.order(SELL, "3.7", symbol=Symbol.parse("MSFT"))
    assert desk.last["qty"] == "3" and desk.held(Symbol.parse("MSFT")) == -3


def test_an_exit_of_a_fraction_is_not_shortened_unseen(desk: Desk):
    desk.order(BUY, "1.5")
    with pytest.raises(Rejected, match="Use whole shares, or an order of the day"):
        desk.order(SELL, "1.5", LIMIT, limit_price="120", reduces=True, time_in_force=TimeInForce.GTC)
    desk.order(SELL, "1.5", reduces=True, time_in_force=TimeInForce.GTC)
    assert desk.held() == 0


def test_outside_the_regular_hours_only_limit_orders_trade(desk: Desk):
    desk.sim.set_session("extended")
    assert desk.broker.market_open(AAPL) is False
    with pytest.raises(Rejected, match="limit orders only"):
        desk.order(BUY, 1, extended_hours=True)
    waits, trades = desk.order(BUY, 1), desk.order(BUY, 1, LIMIT, limit_price="101", extended_hours=True)
    assert desk.find(waits.client_order_id).status is VenueStatus.WORKING
    assert desk.find(trades.client_order_id).status is VenueStatus.FILLED
    desk.sim.set_session("open")
    assert desk.find(waits.client_order_id).status is VenueStatus.FILLED


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
def test_exits_are_held_at_alpaca_as_bracket_or_oto(desk: Desk, exits: dict, sent: dict):
    report = desk.order(BUY, 10, time_in_force=TimeInForce.GTC, **exits)
    assert {
        key: value for key, value in desk.last.items() if key in ("order_class", "take_profit", "stop_loss")
    } == sent
    assert (
        len(raw(desk.sim, "GET", f"/v2/orders/{report.broker_order_id}?nested=true")[1]["legs"])
        == len(sent) - 1
    )


@pytest.mark.parametrize("price", [112, 88])
def test_one_exit_of_a_bracket_ends_the_other(desk: Desk, price: int):
    desk.order(BUY, 10, time_in_force=TimeInForce.GTC, take_profit="110", stop_loss="90")
    desk.sim.set_price("AAPL", price)
    assert desk.held() == 0 and desk.sim.market.open == {}


def test_exits_outside_the_regular_hours_are_refused(desk: Desk):
    with pytest.raises(Rejected):
        desk.order(
            BUY,
            10,
            LIMIT,
            limit_price="100",
            extended_hours=True,
            take_profit="110",
            time_in_force=TimeInForce.GTC,
        )


def test_a_trailing_stop_goes_by_amount_or_by_percent(desk: Desk):
    desk.order(BUY, 10)
    report = desk.order(SELL, 10, OrderType.TRAILING_STOP, trail_percent="2.5", reduces=True)
    assert desk.last["trail_percent"] == "2.5" and "trail_price" not in desk.last
    desk.sim.set_price("AAPL", 120)
    desk.sim.set_price("AAPL", "117.5")
    assert desk.find(report.client_order_id).status is VenueStatus.WORKING
    desk.sim.set_price("AAPL", 117)
    assert desk.find(report.client_order_id).status is VenueStatus.FILLED


def test_a_foreign_stock_is_refused_before_anything_is_asked(desk: Desk):
    with pytest.raises(Rejected, match="US-listed"):
        desk.order(BUY, 1, symbol=Symbol.parse("LSE:VOD"))
    assert list(desk.sim.seen) == []


# --- coins --------------------------------------------------------------------------------------------------


def test_a_market_order_for_a_coin_has_no_day(desk: Desk):
    desk.order(BUY, "0.1", symbol=BTC)
    assert desk.last["time_in_force"] == "gtc"
    desk.order(BUY, "0.1", symbol=BTC, time_in_force=TimeInForce.IOC)
    assert desk.last["time_in_force"] == "ioc" and desk.broker.market_open(BTC)


def test_what_coins_cannot_do_is_said_before_sending(desk: Desk):
    for kind, rest in (
        (LIMIT, {"limit_price": "100"}),
        (OrderType.STOP, {"stop_price": "100"}),
        (OrderType.MARKET, {"take_profit": "9"}),
    ):
        with pytest.raises(Rejected, match="Nothing was sent"):
            desk.order(BUY, "0.1", kind, symbol=BTC, **rest)
    assert desk.sim.requests("POST", "/v2/orders") == []
    desk.order(BUY, "0.1", LIMIT, symbol=BTC, limit_price="40000.005", time_in_force=TimeInForce.GTC)
    assert desk.last["limit_price"] == "40000"


def test_the_fee_taken_out_of_a_coin_does_not_keep_it_from_being_sold(desk: Desk):
    desk.order(BUY, 1, symbol=BTC)
    raw(desk.sim, "POST", "/_hold", {"symbol": "BTC/USD", "qty": "0.9975", "price": "50000"})
    desk.order(SELL, 1, symbol=BTC, reduces=True)
    assert desk.last["qty"] == "0.9975" and desk.held(BTC) == 0


def test_a_larger_gap_than_a_fee_is_refused_not_shrunk(desk: Desk):
    desk.order(BUY, 1, symbol=BTC)
    raw(desk.sim, "POST", "/_hold", {"symbol": "BTC/USD", "qty": "0.5", "price": "50000"})
    with pytest.raises(Rejected, match=r"has 0\.5 BTC/USD free"):
        desk.order(SELL, 1, symbol=BTC, reduces=True)


# --- an order edited at Alpaca ------------------------------------------------------------------------------


def test_an_order_edited_at_alpaca_is_followed_to_the_one_that_took_its_place(desk: Desk):
    first = desk.order(BUY, 10, LIMIT, limit_price="90")
    status, second = raw(desk.sim, "PATCH", f"/v2/orders/{first.broker_order_id}", {"limit_price": "95"})
    assert status == 200 and second["id"] != first.broker_order_id
    assert desk.find(first.client_order_id).status is VenueStatus.WORKING
    desk.sim.set_price("AAPL", 94)
    end = desk.find(first.client_order_id)
    assert (end.client_order_id, end.status, end.filled_quantity) == (
        first.client_order_id,
        VenueStatus.FILLED,
        10,
    )


def test_cancelling_an_edited_order_cancels_what_took_its_place(desk: Desk):
    first = desk.order(BUY, 10, LIMIT, limit_price="90")
    raw(desk.sim, "PATCH", f"/v2/orders/{first.broker_order_id}", {"limit_price": "95"})
    desk.broker.cancel(ref(first.client_order_id))
    assert desk.sim.market.open == {} and desk.find(first.client_order_id).status is VenueStatus.CANCELED


def test_fills_of_both_halves_of_an_edited_order_are_told():
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
    both = wire.continued(before, after)
    assert (both.client_order_id, both.filled_quantity, both.average_price) == ("a", 10, 106)


# --- reading in bulk ----------------------------------------------------------------------------------------


def test_many_orders_are_polled_with_one_request(desk: Desk):
    names = [desk.order(BUY, 1, LIMIT, limit_price="90").client_order_id for _ in range(6)]
    before = len(desk.sim.requests("GET", "/v2/orders"))
    assert {report.client_order_id for report in desk.broker.poll([ref(name) for name in names])} == set(
        names
    )
    assert len(desk.sim.requests("GET", "/v2/orders")) == before + 1


def test_orders_too_old_for_the_list_are_asked_for_by_name_some_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dashtrade.brokers.alpaca.lookup.PAGE", 2)
    monkeypatch.setattr("dashtrade.brokers.alpaca.lookup.SINGLY", 2)
    refs = [ref(desk.order(BUY, 1, LIMIT, limit_price="90").client_order_id) for _ in range(6)]
    polls = [{report.client_order_id for report in desk.broker.poll(refs)} for _ in range(2)]
    assert [len(poll) for poll in polls] == [4, 4] and set.union(*polls) == {
        each.client_order_id for each in refs
    }


# --- prices and hours ---------------------------------------------------------------------------------------


def test_without_a_paid_plan_prices_come_from_one_exchange():
    with AlpacaSimulator(plan="free") as sim:
        desk = Desk(sim)
        assert len(desk.broker.candles(AAPL, Timeframe.parse("1m"), end=datetime.now(UTC), count=5)) == 5
        desk.broker.candles(AAPL, Timeframe.parse("1m"), end=datetime.now(UTC), count=5)
        assert [seen.query.get("feed") for seen in sim.requests("GET", "/v2/stocks/bars")] == [
            None,
            "iex",
            "iex",
        ]
        paid = Desk(sim, feed="sip")
        with pytest.raises(Unavailable, match="iex"):
            paid.broker.quote(AAPL)
        desk.broker.close()
        paid.broker.close()


def test_candles_are_the_last_ones_before_the_end_oldest_first(desk: Desk):
    end = datetime.now(UTC) - timedelta(days=2)
    for symbol in (AAPL, BTC):
        candles = desk.broker.candles(symbol, Timeframe.parse("1h"), end=end, count=30)
        assert len(candles) == 30 and all(
            b.at - a.at == timedelta(hours=1) for a, b in itertools.pairwise(candles)
        )
        assert end - timedelta(hours=1) < candles[-1].at <= end
    assert desk.sim.requests("GET", "/v2/stocks/bars")[0].query["adjustment"] == "split"
    with pytest.raises(Rejected, match="no candles of 2 Day"):
        desk.broker.candles(AAPL, Timeframe.parse("2d"), end=end, count=3)


def test_a_quote_with_one_side_missing_is_no_quote():
    with pytest.raises(Malformed, match="nobody sells"):
        wire.quote_of(AAPL, {"bp": 1.5, "ap": 0, "t": "2026-10-12T12:00:00Z"})


def test_a_price_that_is_not_there_is_unavailable(desk: Desk):
    with pytest.raises(Unavailable, match="no price of NOPE"):
        desk.broker.quote(Symbol.parse("NOPE"))


def test_the_clock_is_asked_once_in_a_while_and_its_skew_told(desk: Desk):
    assert [desk.broker.market_open(AAPL) for _ in range(5)] == [True] * 5
    assert len(desk.sim.requests("GET", "/v2/clock")) == 1
    desk.sim.clock_ahead = timedelta(seconds=42)
    assert abs(desk.broker.clock_skew() - timedelta(seconds=42)) < timedelta(seconds=1)


def test_the_hours_are_not_believed_past_the_next_change():
    changes = {"next_open": "2026-10-13T09:30:00-04:00", "next_close": "2026-10-12T16:00:00-04:00"}
    opened, left = wire.hours_of({"timestamp": "2026-10-12T15:59:50-04:00", "is_open": True, **changes})
    assert opened and left == timedelta(seconds=10)


def test_options_among_the_positions_are_left_out(desk: Desk):
    assert wire.position_of({"asset_class": "us_option", "symbol": "AAPL261016C00200000", "qty": "1"}) is None
    short = wire.position_of(
        {
            "asset_class": "us_equity",
            "symbol": "BRK.B",
            "qty": "-3",
            "side": "short",
            "avg_entry_price": "450",
        }
    )
    assert (short.symbol.short, short.quantity) == ("BRK.B", -3)


# --- the stream ---------------------------------------------------------------------------------------------


@pytest.fixture
def told(desk: Desk) -> list:
    reports: list = []
    desk.broker.listen(reports.append)
    eventually(lambda: desk.sim._stream.listeners)
    return reports


def test_the_stream_tells_of_a_fill_as_it_happens(desk: Desk, told: list):
    report = desk.order(BUY, 10)
    eventually(lambda: told and told[-1].status is VenueStatus.FILLED)
    assert {each.client_order_id for each in told} == {report.client_order_id}
    assert told[-1] == desk.find(report.client_order_id), (
        "the same totals as by polling, so nothing is counted twice"
    )


def test_a_dropped_stream_comes_back_and_loses_nothing(desk: Desk, told: list):
    desk.sim.drop_stream()
    eventually(lambda: not desk.sim._stream.listeners)
    missed = desk.order(BUY, 10)
    assert desk.find(missed.client_order_id).filled_quantity == 10
    eventually(lambda: desk.sim._stream.listeners)
    later = desk.order(BUY, 5)
    eventually(lambda: any(each.client_order_id == later.client_order_id for each in told))


def test_a_listener_that_fails_does_not_end_the_stream(desk: Desk):
    told: list = []

    def listener(report) -> None:
        told.append(report)
        raise RuntimeError("the listener's own trouble")

    desk.broker.listen(listener)
    eventually(lambda: desk.sim._stream.listeners)
    desk.order(BUY, 1)
    eventually(lambda: len(told) >= 2)


def test_closing_ends_the_stream_and_its_thread(desk: Desk, told: list):
    began = time.monotonic()
    desk.broker.close()
    assert time.monotonic() - began < 2 and not any(
        thread.name == "alpaca-stream" for thread in threading.enumerate()
    )


def test_closing_before_the_stream_is_there_ends_it_too(sim: AlpacaSimulator):
    broker = AlpacaBroker(
        sim.key, sim.secret, "paper", api_url=sim.url, stream_url="ws://127.0.0.1:1/stream", on_report=print
    )
    broker.close()
    assert not any(thread.name == "alpaca-stream" for thread in threading.enumerate())


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "options", "where"),
    [
        ({}, {}, "key"),
        ({"key": "PK1"}, {}, "secret"),
        ({"key": "PK1", "secret": " "}, {}, "secret"),
        ({"key": "P K", "secret": "s"}, {}, "key"),
        ({"key": "PK1", "secret": "s\n"}, {}, "secret"),
        ({"key": "PK1", "secret": "s"}, {"fed": "iex"}, "fed"),
        ({"key": "PK1", "secret": "s"}, {"feed": "free"}, "feed"),
        ({"key": 5, "secret": "s"}, {}, "key"),
    ],
)
def test_keys_that_cannot_be_right_are_refused_with_a_hint(credentials: dict, options: dict, where: str):
    with pytest.raises(Malformed) as caught:
        check(credentials, options)
    assert caught.value.where == where and caught.value.hint


def test_keys_that_may_be_right_pass():
    check({"key": "PK1", "secret": "s"}, {})
    check({"key": "PK1", "secret": "s"}, {"feed": "sip"})


def test_an_account_is_paper_or_live():
    with pytest.raises(Malformed):
        AlpacaBroker("k", "s", "demo")


def test_settle_times_can_be_set(sim: AlpacaSimulator):
    broker = AlpacaBroker("k", "s", "live", api_url=sim.url, settle=timedelta(seconds=1))
    assert broker.capabilities == replace(
        CAPABILITIES, settle=timedelta(seconds=1)
    ) and CAPABILITIES.settle == timedelta(seconds=5)
    broker.close()


# --- the simulator, by hand ---------------------------------------------------------------------------------


def test_the_simulator_can_be_started_and_steered_by_hand():
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.alpaca", "--port", "0", "--stream-port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = started.stdout.readline().strip().removeprefix("ALPACA_API_URL=")
        broker = AlpacaBroker("PKSIMULATOR", "simulator-secret", "paper", api_url=url, data_url=url)
        fault = {"kind": "bad_key", "path": "/v2/account", "method": "GET"}
        for path, body in (("/_price", {"symbol": "AAPL", "price": "77"}), ("/_faults", fault)):
            urllib.request.urlopen(
                urllib.request.Request(url + path, data=json.dumps(body).encode()), timeout=5
            ).close()
        assert broker.quote(AAPL).mid == 77
        with pytest.raises(BadCredentials):
            broker.account()
        assert broker.account().cash == 100_000
        broker.close()
    finally:
        started.kill()
        started.wait()
        started.stdout.close()
