"""The candle store filled from sources over the network: drops, limits and missing candles in between, and
nothing lost, mixed or made up at the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot_database import Database
from dashtrade.candle_history import CandleHistory
from dashtrade.context import App
from dashtrade.domain.ports import RetryLater, Unavailable
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds import binance_stream
from dashtrade.market.bars import moment_of
from tests.simulators.source_binance import BinanceStream, minute
from tests.simulators.source_server import Fault
from tests.support.fakes import add_user
from tests.support.sessions import new_york
from tests.support.source_contract import SourceHarness, rows_of
from tests.support.source_harnesses import HARNESSES

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Iterator[SourceHarness]:
    with HARNESSES[getattr(request, "param", "binance")]() as made:
        yield made


def history(app: App, harness: SourceHarness) -> CandleHistory:
    owner, source, db = add_user(app).id, harness.make(), app.db
    assert isinstance(db, Database)
    return CandleHistory(db, harness.clock, owner, {source.name: source}.get, lambda calendar: new_york())


def truth(harness: SourceHarness, start: datetime, end: datetime) -> list[tuple[object, ...]]:
    found = harness.sim.market.candles(harness.at_source, 60, start.timestamp(), end.timestamp())
    return [one.row for one in found if one.at + 60 <= harness.sim.market.now.timestamp()]


def test_a_refusal_in_between_loses_nothing_and_is_gone_on_from(app: App, harness: SourceHarness):
    told, start, end = history(app, harness), minute("00:00") - 9 * DAY, minute("00:00")
    harness.sim.fault(*[Fault(kind="through")] * 7, harness.limited)
    with pytest.raises(RetryLater):
        told.fill(harness.series, start, end)
    stored = len(told.bars(harness.series, start, end))
    assert 0 < stored < 9 * 1440
    assert told.fill(harness.series, start, end) == 9 * 1440 - stored
    assert rows_of(told.bars(harness.series, start, end)) == truth(harness, start, end)


def test_a_hole_of_the_source_is_asked_for_once_and_named(app: App, harness: SourceHarness):
    start, end = minute("08:00"), minute("12:00")
    lost = [minute("09:30"), minute("09:31")]
    harness.sim.market.holes = {int(at.timestamp()) for at in lost}
    told = history(app, harness)
    assert told.fill(harness.series, start, end) == 238
    asked = len(harness.sim.asked)
    assert told.fill(harness.series, start, end) == 0 and len(harness.sim.asked) == asked
    gaps = told.missing(harness.series, start, end)
    assert [(gap.start, gap.bars, gap.asked) for gap in gaps] == [(lost[0], 2, True)]


@pytest.mark.parametrize("harness", ["alpaca delayed"], indirect=True)
def test_what_a_source_gives_later_is_asked_for_again_later(app: App, harness: SourceHarness):
    """A quarter of an hour late: what it does not give now is no gap of it."""
    told, start = history(app, harness), datetime(2025, 11, 5, 14, 30, tzinfo=UTC)  # the open
    assert told.fill(harness.series, start, harness.clock.time) == 14
    for _ in range(2):
        harness.sim.market.now = harness.clock.forward(20 * 60)
        assert told.fill(harness.series, start, harness.clock.time) == 20


@pytest.mark.parametrize("harness", ["alpha_vantage"], indirect=True)
def test_three_weeks_of_minutes_are_one_request_of_the_day(app: App, harness: SourceHarness):
    start, end = datetime(2025, 10, 6, tzinfo=UTC), datetime(2025, 10, 25, tzinfo=UTC)
    told = history(app, harness)
    assert told.fill(harness.series, start, end) == 15 * 390
    assert len(harness.sim.asked) == 1
    days = told.bars(harness.series.with_timeframe(Timeframe(86_400)), start, end)
    assert [moment_of(int(at)).weekday() for at in days.at] == [0, 1, 2, 3, 4] * 3


def test_a_stream_that_breaks_off_leaves_no_gap_in_the_store(
    app: App, harness: SourceHarness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(binance_stream, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(binance_stream, "_pause", lambda seconds: iter(()))
    now = minute("12:00")
    harness.sim.market.now = harness.clock.time = now
    with BinanceStream(harness.sim.market) as stream:
        harness.addresses["BINANCE_STREAM_URL"] = stream.url
        told = history(app, harness)
        given: list[datetime] = []
        news = told.follow([harness.series], since=now - 3 * MINUTE)

        def until(count: int, connections: int = 1) -> None:
            for _ in range(400):
                if len(given) >= count and len(stream.paths) >= connections:
                    return
                found = next(news)
                if found is not None:
                    given.extend(moment_of(int(at)) for at in found[1].at)
            raise AssertionError(f"{given} came")

        def closes(at: datetime) -> None:
            harness.sim.market.now = harness.clock.time = at + MINUTE
            stream.send_kline("BTCUSDT", at, closed=True)

        until(0, 1)
        closes(now)
        until(4)
        stream.drop()
        until(4, 2)
        closes(now + 5 * MINUTE)  # four candles ended while there was no connection
        until(9)
        assert given == [now + n * MINUTE for n in range(-3, 6)]
        stored = told.bars(harness.series, now - 3 * MINUTE, now + 6 * MINUTE)
        assert rows_of(stored) == truth(harness, now - 3 * MINUTE, now + 6 * MINUTE)
        stream.refusing = True
        stream.drop()
        with pytest.raises(Unavailable):
            until(99)
