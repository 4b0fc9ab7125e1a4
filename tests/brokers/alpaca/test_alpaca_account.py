"""Alpaca's readings: orders in bulk, prices, hours, the stream and keys."""

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
from dashtrade.brokers.alpaca.adapter import AlpacaBroker
from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.credentials import check
from dashtrade.domain.ports import BadCredentials, Rejected, Unavailable, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.adapter_harness import AAPL, BUY, LIMIT, ref
from tests.support.alpaca_harness import BTC, ROOT, AlpacaHarness, eventually

# --- reading in bulk ----------------------------------------------------------------------------------------


def test_many_orders_are_polled_with_one_request(harness: AlpacaHarness):
    names = [harness.order(BUY, 1, LIMIT, limit_price="90").client_order_id for _ in range(6)]
    before = len(harness.sim.requests("GET", "/v2/orders"))
    assert {report.client_order_id for report in harness.broker.poll([ref(name) for name in names])} == set(
        names
    )
    assert len(harness.sim.requests("GET", "/v2/orders")) == before + 1


def test_orders_too_old_for_the_list_are_asked_for_by_name_some_at_a_time(
    harness: AlpacaHarness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dashtrade.brokers.alpaca.lookup.PAGE_SIZE", 2)
    monkeypatch.setattr("dashtrade.brokers.alpaca.lookup.MAX_SINGLE_LOOKUPS", 2)
    refs = [ref(harness.order(BUY, 1, LIMIT, limit_price="90").client_order_id) for _ in range(6)]
    polls = [{report.client_order_id for report in harness.broker.poll(refs)} for _ in range(2)]
    assert [len(poll) for poll in polls] == [4, 4] and set.union(*polls) == {
        each.client_order_id for each in refs
    }


# --- prices and hours ---------------------------------------------------------------------------------------


def test_without_a_paid_plan_prices_come_from_one_exchange():
    with AlpacaSimulator(plan="free") as sim:
        harness = AlpacaHarness(sim)
        assert len(harness.broker.candles(AAPL, Timeframe.parse("1m"), end=datetime.now(UTC), count=5)) == 5
        harness.broker.candles(AAPL, Timeframe.parse("1m"), end=datetime.now(UTC), count=5)
        assert [seen.query.get("feed") for seen in sim.requests("GET", "/v2/stocks/bars")] == [
            None,
            "iex",
            "iex",
        ]
        paid = AlpacaHarness(sim, feed="sip")
        with pytest.raises(Unavailable, match="iex"):
            paid.broker.quote(AAPL)
        harness.broker.close()
        paid.broker.close()


def test_candles_are_the_last_ones_before_the_end_oldest_first(harness: AlpacaHarness):
    end = datetime.now(UTC) - timedelta(days=2)
    for symbol in (AAPL, BTC):
        candles = harness.broker.candles(symbol, Timeframe.parse("1h"), end=end, count=30)
        assert len(candles) == 30 and all(
            b.at - a.at == timedelta(hours=1) for a, b in itertools.pairwise(candles)
        )
        assert end - timedelta(hours=1) < candles[-1].at <= end
    assert harness.sim.requests("GET", "/v2/stocks/bars")[0].query["adjustment"] == "split"
    with pytest.raises(Rejected, match="no candles of 2 Day"):
        harness.broker.candles(AAPL, Timeframe.parse("2d"), end=end, count=3)


def test_a_quote_with_one_side_missing_is_no_quote():
    with pytest.raises(Malformed, match="no ask for AAPL"):
        wire.quote_of(AAPL, {"bp": 1.5, "ap": 0, "t": "2026-10-12T12:00:00Z"})


def test_a_price_that_is_not_there_is_unavailable(harness: AlpacaHarness):
    with pytest.raises(Unavailable, match="no current price of NOPE"):
        harness.broker.quote(Symbol.parse("NOPE"))


def test_the_clock_is_read_now_and_then_and_its_skew_reported(harness: AlpacaHarness):
    assert [harness.broker.market_open(AAPL) for _ in range(5)] == [True] * 5
    assert len(harness.sim.requests("GET", "/v2/clock")) == 1
    harness.sim.clock_ahead = timedelta(seconds=42)
    assert abs(harness.broker.clock_skew() - timedelta(seconds=42)) < timedelta(seconds=1)


def test_the_hours_are_not_believed_past_the_next_change():
    changes = {"next_open": "2026-10-13T09:30:00-04:00", "next_close": "2026-10-12T16:00:00-04:00"}
    opened, left = wire.hours_of({"timestamp": "2026-10-12T15:59:50-04:00", "is_open": True, **changes})
    assert opened and left == timedelta(seconds=10)


def test_options_among_the_positions_are_left_out(harness: AlpacaHarness):
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
def reports(harness: AlpacaHarness) -> list:
    reports: list = []
    harness.broker.listen(reports.append)
    eventually(lambda: harness.sim._stream.listeners)
    return reports


def test_the_stream_tells_of_a_fill_as_it_happens(harness: AlpacaHarness, reports: list):
    report = harness.order(BUY, 10)
    eventually(lambda: reports and reports[-1].status is VenueStatus.FILLED)
    assert {each.client_order_id for each in reports} == {report.client_order_id}
    assert reports[-1] == harness.find(report.client_order_id), (
        "the same totals as by polling, so nothing is counted twice"
    )


def test_a_dropped_stream_comes_back_and_loses_nothing(harness: AlpacaHarness, reports: list):
    harness.sim.drop_stream()
    eventually(lambda: not harness.sim._stream.listeners)
    missed = harness.order(BUY, 10)
    assert harness.find(missed.client_order_id).filled_quantity == 10
    eventually(lambda: harness.sim._stream.listeners)
    later = harness.order(BUY, 5)
    eventually(lambda: any(each.client_order_id == later.client_order_id for each in reports))


def test_a_listener_that_fails_does_not_end_the_stream(harness: AlpacaHarness):
    reports: list = []

    def listener(report) -> None:
        reports.append(report)
        raise RuntimeError("the listener's own trouble")

    harness.broker.listen(listener)
    eventually(lambda: harness.sim._stream.listeners)
    harness.order(BUY, 1)
    eventually(lambda: len(reports) >= 2)


def test_closing_ends_the_stream_and_its_thread(harness: AlpacaHarness, reports: list):
    began = time.monotonic()
    harness.broker.close()
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
