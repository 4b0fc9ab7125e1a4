"""The demo market in arrays: every digit as the feed itself says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dashtrade.domain.ports import NotOffered
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds import demo_bars
from dashtrade.feeds.demo import DemoFeed
from dashtrade.feeds.demo_bars import DemoHistory
from dashtrade.market.bars import Bars, moment_of
from dashtrade.market.series import Series
from tests.support.fakes import ManualClock
from tests.unit.test_demo_feed import ANY

END = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)
symbols = some.one_of(
    some.sampled_from(ANY), some.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=5)
).map(Symbol.parse)
frames = some.sampled_from(["5s", "10s", "1m", "3m", "15m", "1h"]).map(Timeframe.parse)
moments = some.datetimes(datetime(1971, 1, 1), datetime(2040, 1, 1), timezones=some.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def series_of(symbol: Symbol, timeframe: str | Timeframe = "1m") -> Series:
    one = Timeframe.parse(timeframe) if isinstance(timeframe, str) else timeframe
    return Series(source="demo", symbol=symbol, timeframe=one)


def history(now: datetime = END) -> DemoHistory:
    return DemoHistory(ManualClock(now), pause=lambda seconds: None)


@settings(max_examples=150)
@given(symbols, frames, moments, some.integers(1, 60))
def test_every_candle_is_that_of_the_feed(symbol: Symbol, timeframe: Timeframe, moment: datetime, count: int):
    bars = history(moment).bars(series_of(symbol, timeframe), moment - count * timeframe.span, moment)
    feed = DemoFeed(ManualClock(moment))
    told = feed.candles(symbol, timeframe, end=moment, count=count + 1)
    whole = [one for one in told if moment - count * timeframe.span <= one.at <= moment - timeframe.span]
    assert list(bars.candles()) == whole and len(whole) >= count - 1


def test_a_stretch_of_several_pieces_is_one(monkeypatch: pytest.MonkeyPatch):
    series, start = series_of(Symbol.parse("TSLA")), END - timedelta(hours=5)
    whole = history().bars(series, start, END)
    monkeypatch.setattr(demo_bars, "_NODES_AT_ONCE", 100)
    assert history().bars(series, start, END).is_same(whole) and len(whole) == 299


def test_nothing_is_told_that_has_not_ended():
    series = series_of(Symbol.parse("BTC/USDT"))
    bars = history().bars(series, END - timedelta(minutes=2), END + timedelta(days=1))
    assert [moment_of(at) for at in bars.at] == [END.replace(minute=59, hour=11, second=0)]
    assert len(history().bars(series, END + timedelta(days=1), END + timedelta(days=2))) == 0


def test_it_is_made_of_minutes_or_of_five_seconds():
    tesla = Symbol.parse("TSLA")
    for asked, given_ in (
        ("1d", "1m"),
        ("1m", "1m"),
        ("15s", "5s"),
        ("5s", "5s"),
        ("90s", "5s"),
        ("1M", "1m"),
    ):
        assert history().finest(series_of(tesla, asked)) == series_of(tesla, given_)
    with pytest.raises(NotOffered):
        history().finest(series_of(tesla, "7s"))
    with pytest.raises(NotOffered):
        history().bars(series_of(tesla, "1d"), END, END)


def test_it_is_followed_candle_by_candle():
    clock = ManualClock(END)
    tesla, bitcoin = series_of(Symbol.parse("TSLA")), series_of(Symbol.parse("BTC/USDT"), "5s")
    news = DemoHistory(clock, pause=clock.forward).follow([tesla, bitcoin])
    told: dict[Series, list[Bars]] = {tesla: [], bitcoin: []}
    while clock.time < END + timedelta(minutes=2):
        found = next(news)
        if found is not None:
            told[found[0]].append(found[1])
    minutes = [moment_of(one.at[0]) for one in told[tesla]]
    assert minutes == [END.replace(second=0), END.replace(second=0) + timedelta(minutes=1)]
    assert [len(one) for one in told[bitcoin]] == [1] * 24
    assert told[tesla][0].is_same(history(clock.time).bars(tesla, minutes[0], minutes[1]))
