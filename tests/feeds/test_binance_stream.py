"""Binance's WebSocket: what it sends, how it breaks off, and that no candle is lost by it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dashtrade.domain.ports import NotOffered, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.feeds import binance_stream
from dashtrade.feeds.kinds import PriceSource
from dashtrade.market.bars import moment_of
from tests.simulators.source_binance import BinanceStream, minute
from tests.support.source_contract import SourceHarness
from tests.support.source_harnesses import HARNESSES


@pytest.fixture
def harness() -> Iterator[SourceHarness]:
    with HARNESSES["binance"]() as made:
        made.sim.market.now = minute("12:00")
        made.clock.time = minute("12:00")
        yield made


@pytest.fixture
def stream(harness: SourceHarness) -> Iterator[BinanceStream]:
    with BinanceStream(harness.sim.market) as made:
        harness.addresses["BINANCE_STREAM_URL"] = made.url
        yield made


@pytest.fixture
def source(harness: SourceHarness, stream: BinanceStream) -> Iterator[PriceSource]:
    made = harness.make()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(binance_stream, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(binance_stream, "_pause", lambda seconds: iter(()))


class Follower:
    """Follows one series, and steps until something comes."""

    def __init__(self, source: PriceSource, harness: SourceHarness) -> None:
        self.series = harness.series
        self._found = source.follow([self.series])

    def connect(self, stream: BinanceStream, count: int = 1) -> None:
        for _ in range(400):
            if len(stream.paths) >= count:
                return
            assert next(self._found) is None
        raise AssertionError("no connection was made")

    def next(self) -> tuple[datetime, int]:
        """The open time of the first bar that comes, and how many there are."""
        for found in itertools.islice(self._found, 400):
            if found is not None:
                series, bars = found
                assert series == self.series
                return moment_of(int(bars.at[0])), len(bars)
        raise AssertionError("nothing came")

    def nothing(self) -> None:
        assert [next(self._found) for _ in range(4)] == [None] * 4


@pytest.fixture
def follower(source: PriceSource, harness: SourceHarness) -> Follower:
    return Follower(source, harness)


def shown(at: str, count: int = 1) -> tuple[datetime, int]:
    return minute(at), count


def test_one_connection_carries_all_series(source, stream: BinanceStream, harness: SourceHarness):
    other = harness.series.__class__(
        source="binance", symbol=Symbol.parse("ETH/USDT"), timeframe=harness.timeframe
    )
    found = source.follow([harness.series, other])
    assert next(found) is None
    assert stream.paths == ["/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m"]
    stream.send_kline("ETHUSDT", minute("12:00"), closed=True)
    got = next(each for each in found if each is not None)
    assert got[0] == other and got[1].candle(0).at == minute("12:00")


def test_a_candle_is_given_once_when_it_has_closed(follower, stream: BinanceStream):
    follower.connect(stream)
    for closed in (False, False, True, True):
        stream.send_kline("BTCUSDT", minute("12:00"), closed=closed)
    stream.send_kline("BTCUSDT", minute("12:01"), closed=False)
    assert follower.next() == shown("12:00")
    follower.nothing()


def test_a_candle_that_is_told_late_changes_nothing(follower, stream: BinanceStream):
    follower.connect(stream)
    stream.send_kline("BTCUSDT", minute("12:01"), closed=True)
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    assert follower.next() == shown("12:01")
    follower.nothing()


BREAKS: dict[str, Callable[[BinanceStream], None]] = {
    "it drops": BinanceStream.drop,
    "it is closed after 24 hours": BinanceStream.close,
    "it is told to go": BinanceStream.send_shutdown,
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_was_missed_comes_over_rest_before_anything_newer(
    follower, stream: BinanceStream, harness: SourceHarness, broken: str
):
    follower.connect(stream)
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    assert follower.next() == shown("12:00")
    BREAKS[broken](stream)
    follower.connect(stream, 2)
    harness.sim.market.now = harness.clock.time = minute("12:04").replace(second=5)
    stream.send_kline("BTCUSDT", minute("12:04"), closed=False)
    assert follower.next() == shown("12:01", 3)
    stream.send_kline("BTCUSDT", minute("12:04"), closed=True)
    assert follower.next() == shown("12:04")
    assert len(harness.sim.asked) == 1


def test_a_candle_missing_in_one_connection_is_filled_too(follower, stream, harness: SourceHarness):
    follower.connect(stream)
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    harness.sim.market.now = harness.clock.time = minute("12:02").replace(second=1)
    stream.send_kline("BTCUSDT", minute("12:02"), closed=False)
    assert [follower.next() for _ in range(2)] == [shown("12:00"), shown("12:01")]


def test_a_gap_of_binance_itself_is_asked_for_three_times_and_left(
    follower, stream: BinanceStream, harness: SourceHarness
):
    follower.connect(stream)
    harness.sim.market.holes = {int(minute("12:01").timestamp())}
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    harness.sim.market.now = harness.clock.time = minute("12:02").replace(second=30)
    for closed in (False, False, False, False, True):
        stream.send_kline("BTCUSDT", minute("12:02"), closed=closed)
    assert [follower.next() for _ in range(2)] == [shown("12:00"), shown("12:02")]
    assert len(harness.sim.asked) == 3


@pytest.mark.parametrize(
    "garbage",
    [
        "not json",
        "[1, 2]",
        '{"result": null, "id": 1}',
        '{"code": 2, "msg": "Invalid request"}',
        '{"stream": "btcusdt@kline_1m", "data": {"e": "kline"}}',
        '{"stream": "btcusdt@kline_1m", "data": {"e": "kline", "k": {"t": "x"}}}',
        '{"stream": "another@kline_1m", "data": {"e": "kline", "k": {}}}',
    ],
)
def test_garbage_does_not_end_the_stream(follower, stream: BinanceStream, garbage: str):
    follower.connect(stream)
    stream.send(garbage)
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    assert follower.next() == shown("12:00")


def test_a_connection_that_goes_quiet_is_made_again(follower, stream: BinanceStream, monkeypatch):
    monkeypatch.setattr(binance_stream, "QUIET_SECONDS", 0.5)
    follower.connect(stream, 2)
    stream.send_kline("BTCUSDT", minute("12:00"), closed=True)
    assert follower.next() == shown("12:00")


def test_without_a_connection_the_caller_is_told(follower, stream: BinanceStream):
    stream.refusing = True
    with pytest.raises(Unavailable):
        for _ in range(200):
            follower.nothing()


def test_more_streams_than_a_connection_takes_are_refused(stream: BinanceStream):
    with pytest.raises(NotOffered):
        next(binance_stream.messages(stream.url, [f"s{number}" for number in range(1025)]))


def test_best_bid_and_ask_come_with_the_time_of_their_arrival(stream: BinanceStream, harness: SourceHarness):
    found: Iterator[Any] = binance_stream.quotes(stream.url, [harness.symbol], harness.clock)
    assert next(found) is None
    stream.send_book("BTCUSDT", "25.35190000", "25.36520000")
    stream.send_book("BTCUSDT", "0.00000000", "0.00000000")
    stream.send_book("BTCUSDT", "25.36000000", "25.37000000")
    first, second = itertools.islice((each for each in found if each is not None), 2)
    assert (str(first.bid), str(first.ask)) == ("25.35190000", "25.36520000")
    assert str(second.bid) == "25.36000000"
    assert first.at == minute("12:00") == datetime(2025, 11, 5, 12, tzinfo=UTC)
