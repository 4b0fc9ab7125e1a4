"""Candles of every timeframe from the store, and the store filled from a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from bot_database import Database
from dashtrade import candle_history
from dashtrade.candle_history import CATCH_UP, LATE, PATIENCE, CandleHistory
from dashtrade.context import App
from dashtrade.domain.ports import NotOffered, Unavailable
from dashtrade.domain.sessions import NO_SESSIONS
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.demo_bars import DemoHistory
from dashtrade.market import timeframes
from dashtrade.market.bars import Bars, bars_of, joined, moment_of, ms_of
from dashtrade.market.history import Gap, Source
from dashtrade.market.series import Series
from dashtrade.tables import candles
from tests.support.fakes import ManualClock, add_user
from tests.support.sessions import new_york

NOW = datetime(
    2026, 11, 27, 15, 0, 20, tzinfo=UTC
)  # the half day after Thanksgiving, half an hour after the open
ANN, BOB = 1, 2
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BTC, AAPL = Symbol.parse("BTC/USDT"), Symbol.parse("AAPL")


def series(symbol: Symbol, timeframe: str, source: str = "demo") -> Series:
    return Series(source=source, symbol=symbol, timeframe=Timeframe.parse(timeframe))


class Recorded:
    """A source that answers from what it was given, and may be away, late or without some bars."""

    name = "recorded"
    delay = timedelta(0)

    def __init__(self, bars: Bars, clock: ManualClock, *, always_open: bool = True) -> None:
        self.all, self.clock, self.always_open = bars, clock, always_open
        self.asked: list[tuple[datetime, datetime]] = []
        self.away_after = 10**9
        self.news: list[Bars | None] = []
        self.on_pause: Callable[[], object] = lambda: clock.forward(10)

    def finest(self, wanted: Series) -> Series:
        return wanted.with_timeframe(Timeframe(60))

    def bars(self, wanted: Series, start: datetime, end: datetime) -> Bars:
        if len(self.asked) >= self.away_after:
            raise Unavailable("the source is away")
        self.asked.append((start, end))
        return timeframes.ended(self.all.between(start, end), wanted.timeframe, None, self.clock.time)

    def follow(self, wanted: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        for bars in self.news:
            yield None if bars is None else (wanted[0], bars)
            self.on_pause()
        raise Unavailable("the connection was lost")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    for name in ("ann", "bob"):
        add_user(cast(App, SimpleNamespace(db=database)), f"{name}@example.com")
    yield database
    database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def history(db: Database, clock: ManualClock, *sources: Source, owner: int = ANN) -> CandleHistory:
    known = {one.name: one for one in sources}
    return CandleHistory(db, clock, owner, known.get, lambda calendar: new_york())


def minutes(start: datetime, end: datetime) -> Bars:
    at = range(ms_of(start) // 60_000 * 60_000, ms_of(end), 60_000)
    return bars_of([(one, 100 + n % 7, 110, 90, 100 + n % 5, 1 + n % 3) for n, one in enumerate(at)])


def test_what_is_filled_is_read_in_every_timeframe(db: Database, clock: ManualClock):
    source = DemoHistory(clock)
    told, start, end = history(db, clock, source), NOW - 9 * DAY, NOW - DAY
    assert told.fill(series(BTC, "1h"), start, end) == 8 * 1440
    raw = source.bars(series(BTC, "1m"), start, end)
    assert told.bars(series(BTC, "1m"), start, end).is_same(raw)
    for text in ("5m", "1h", "4h", "1d"):
        made = timeframes.higher(raw, Timeframe(60), Timeframe.parse(text), None)
        whole = [one for one in made.candles() if start <= one.at <= end - Timeframe.parse(text).span]
        assert list(told.bars(series(BTC, text), start, end).candles()) == whole, text


def test_a_stretch_is_asked_for_once(db: Database, clock: ManualClock):
    source = Recorded(minutes(NOW - 3 * DAY, NOW), clock)
    told, btc = history(db, clock, source), series(BTC, "1h", "recorded")
    assert told.fill(btc, NOW - 2 * DAY, NOW - DAY) == 1440
    assert told.fill(btc, NOW - 2 * DAY, NOW - DAY) == 0 and len(source.asked) == 1
    assert told.fill(btc, NOW - 3 * DAY, NOW - HOUR) == 1440 + 1380
    assert source.asked[1:] == [
        (NOW.replace(second=0) - 3 * DAY + MINUTE, NOW.replace(second=0) - 2 * DAY + MINUTE),
        (NOW.replace(second=0) - DAY + MINUTE, NOW.replace(second=0) - HOUR + MINUTE),
    ]


def test_a_gap_is_named_asked_for_and_never_filled(db: Database, clock: ManualClock):
    whole, start = minutes(NOW - DAY, NOW), NOW.replace(second=0) - DAY
    holes = np.ones(len(whole), np.bool_)
    holes[[100, 101, 102, 500]] = False
    source = Recorded(whole.where(holes), clock)
    told, btc = history(db, clock, source), series(BTC, "1m", "recorded")
    told.fill(btc, start, NOW - HOUR)
    hole = Gap(start=start + 100 * MINUTE, end=start + 103 * MINUTE, bars=3, asked=True)
    assert told.missing(btc, start, NOW - HOUR)[0] == hole
    assert [gap.bars for gap in told.missing(btc, start, NOW - HOUR)] == [3, 1]
    assert told.missing(btc, start, NOW)[-1].asked is False
    assert len(told.bars(btc, start, NOW)) == 1440 - 60 - 4 + 1
    source.all = whole  # the source has found them
    assert told.fill(btc, start, NOW - HOUR) == 0
    assert told.fill(btc, start, NOW - HOUR, again=True) == 4
    assert told.missing(btc, start, NOW - HOUR) == []


def test_what_came_before_the_source_went_away_stays(db: Database, clock: ManualClock):
    source = Recorded(minutes(NOW - 9 * DAY, NOW), clock)
    source.away_after = 2
    told, btc = history(db, clock, source), series(BTC, "1m", "recorded")
    with pytest.raises(Unavailable):
        told.fill(btc, NOW - 9 * DAY, NOW - DAY)
    assert len(told.bars(btc, NOW - 9 * DAY, NOW)) == 2 * 4096
    source.away_after = 99
    assert told.fill(btc, NOW - 9 * DAY, NOW - DAY) == 8 * 1440 - 2 * 4096
    assert told.missing(btc, NOW - 9 * DAY, NOW - DAY) == []


def test_the_newest_bars_are_asked_for_again_until_they_are_settled(db: Database, clock: ManualClock):
    whole = minutes(NOW - DAY, NOW)
    source = Recorded(whole[:-3], clock)  # it is late with three
    told, btc = history(db, clock, source), series(BTC, "1m", "recorded")
    told.fill(btc, NOW - HOUR, NOW)
    source.all = whole
    assert [gap.bars for gap in told.missing(btc, NOW - HOUR, NOW)] == [2]  # the third has not ended
    assert told.fill(btc, NOW - HOUR, NOW) == 2
    assert told.missing(btc, NOW - HOUR, NOW) == []


def test_a_stock_has_no_gap_on_a_holiday_and_none_at_night(db: Database, clock: ManualClock):
    start = NOW - 3 * DAY
    open_hours = timeframes.expected(Timeframe(60), new_york(), start, NOW)
    whole = minutes(start, NOW)
    source = Recorded(whole.where(np.isin(whole.at, open_hours)), clock, always_open=False)
    told, aapl = history(db, clock, source), series(AAPL, "1h", "recorded")
    told.fill(aapl, start, NOW)
    assert told.missing(aapl, start, NOW - HOUR) == []
    hours = told.bars(aapl, start, NOW)
    assert [f"{one.at:%a %H:%M}" for one in hours.candles()][-3:] == ["Wed 18:30", "Wed 19:30", "Wed 20:30"]
    days = told.bars(series(AAPL, "1d", "recorded"), start - DAY, NOW)
    assert [f"{one.at:%a %H:%M}" for one in days.candles()] == ["Wed 00:00"]  # Tuesday lacks its beginning


def test_a_bar_is_not_told_before_it_is_whole(db: Database, clock: ManualClock):
    """Neither one whose span goes on, nor one whose end is not stored yet."""
    source = Recorded(minutes(NOW - DAY, NOW + DAY), clock)
    told, btc = history(db, clock, source), series(BTC, "1h", "recorded")
    told.fill(btc, NOW - 3 * HOUR, NOW)
    assert [f"{one.at:%H}" for one in told.bars(btc, NOW - 2 * HOUR, NOW + DAY).candles()] == ["14"]
    clock.time = NOW + timedelta(hours=5)  # and nobody asked the source
    assert [f"{one.at:%H}" for one in told.bars(btc, NOW - 2 * HOUR, NOW + DAY).candles()] == ["14"]


def test_the_open_bar_is_told_apart(db: Database, clock: ManualClock):
    whole = minutes(NOW - DAY, NOW + DAY)
    told, btc = history(db, clock, Recorded(whole, clock)), series(BTC, "1h", "recorded")
    clock.time = NOW + 25 * MINUTE
    told.fill(btc, NOW - 3 * HOUR, clock.time)
    so_far = whole.between(NOW.replace(second=0), NOW.replace(second=0) + 25 * MINUTE)
    (bar,) = told.open_bar(btc).candles()
    assert (bar.at, bar.volume) == (NOW.replace(second=0), int(so_far.volume.sum()))
    assert bar.at not in [one.at for one in told.bars(btc, NOW - 3 * HOUR, NOW + DAY).candles()]
    assert len(told.open_bar(series(BTC, "1m", "recorded"))) == 0
    clock.time = NOW.replace(hour=16, minute=0, second=1)
    assert len(told.open_bar(btc)) == 0


def test_without_trading_days_a_stock_has_no_timeframes(db: Database, clock: ManualClock):
    """They would be other candles than an hour later."""
    source = Recorded(minutes(NOW - DAY, NOW), clock, always_open=False)
    told = CandleHistory(db, clock, ANN, {"recorded": source}.get, lambda calendar: NO_SESSIONS)
    with pytest.raises(Unavailable, match="trading days"):
        told.bars(series(AAPL, "1h", "recorded"), NOW - DAY, NOW)


def test_years_are_filled_piece_by_piece(db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(candle_history, "BLOCKS_AT_ONCE", 1)
    source = Recorded(minutes(NOW - 9 * DAY, NOW), clock)
    source.away_after = 2
    told, btc = history(db, clock, source), series(BTC, "1m", "recorded")
    with pytest.raises(Unavailable):
        told.fill(btc, NOW - 9 * DAY, NOW - DAY)
    source.away_after = 99
    asked_before = len(source.asked)
    told.fill(btc, NOW - 9 * DAY, NOW - DAY)
    assert min(start for start, _ in source.asked[asked_before:]) > source.asked[1][0]
    assert told.missing(btc, NOW - 9 * DAY, NOW - DAY) == []


def test_imported_candles_are_read_in_longer_timeframes_too(db: Database, clock: ManualClock):
    bars = minutes(NOW - DAY, NOW)
    file = series(BTC, "1m", "my file")
    db.write(lambda conn: candles.write_own(conn, ANN, file, bars, NOW))
    told = history(db, clock)
    assert len(told.bars(series(BTC, "15m", "my file"), NOW - DAY, NOW)) == 95
    assert len(history(db, clock, owner=BOB).bars(series(BTC, "15m", "my file"), NOW - DAY, NOW)) == 0
    assert len(told.bars(series(BTC, "30s", "my file"), NOW - DAY, NOW)) == 0
    with pytest.raises(NotOffered, match="import"):
        told.fill(file, NOW - DAY, NOW)


def followed(
    told: CandleHistory, wanted: Sequence[Series], since: datetime | None = None
) -> list[tuple[str, str, int]]:
    """What it gives until the connection is lost."""
    given = []
    with pytest.raises(Unavailable):
        for news in told.follow(wanted, since):
            if news is not None:
                given += [
                    (news[0].timeframe.text, f"{one.at:%H:%M}", int(one.close)) for one in news[1].candles()
                ]
    return given


def test_bars_are_given_as_they_end_and_stored_before(db: Database, clock: ManualClock):
    clock.time = datetime(2026, 11, 27, 14, 57, 30, tzinfo=UTC)
    whole = minutes(clock.time - DAY, clock.time + DAY)
    source = Recorded(whole, clock)
    start = clock.time.replace(second=0)
    at = {moment_of(one): place for place, one in enumerate(whole.at)}
    for n in range(4):  # each a few seconds after its end
        source.news += [None] * 3 + [whole[at[start + n * MINUTE] : at[start + n * MINUTE] + 1]] + [None] * 2
    told = history(db, clock, source)
    one, five, hour = (series(BTC, text, "recorded") for text in ("1m", "5m", "1h"))
    given = followed(told, [one, five, hour])
    assert [(text, opened) for text, opened, _ in given] == [
        ("1m", "14:57"),
        ("1m", "14:58"),
        ("1m", "14:59"),
        ("5m", "14:55"),
        ("1h", "14:00"),
        ("1m", "15:00"),
    ]
    stored = told.bars(hour, start - HOUR, clock.time)
    assert int(stored.candle(len(stored) - 1).close) == given[4][2]
    assert stored.is_same(
        timeframes.higher(whole, Timeframe(60), hour.timeframe, None).between(start - HOUR, start)
    )


def test_what_ended_while_nobody_followed_is_given_first(db: Database, clock: ManualClock):
    source = Recorded(minutes(NOW - DAY, NOW + DAY), clock)
    source.news = [None]
    given = followed(history(db, clock, source), [series(BTC, "15m", "recorded")], NOW - HOUR)
    assert [opened for _, opened, _ in given] == ["14:00", "14:15", "14:30", "14:45"]


def test_of_all_that_is_made_of_one_series_it_is_asked_once(db: Database, clock: ManualClock):
    source = Recorded(minutes(NOW - DAY, NOW + DAY), clock)
    source.news = [None]
    wanted = [series(BTC, text, "recorded") for text in ("1h", "5m", "1m", "15m")]
    followed(history(db, clock, source), wanted, NOW - HOUR)
    assert [start for start, _ in source.asked] == [NOW.replace(hour=14, minute=0, second=0)]


def test_what_is_too_long_ago_is_not_made_up_for(db: Database, clock: ManualClock):
    source = Recorded(minutes(NOW - DAY, NOW), clock)
    source.news = [None]
    followed(history(db, clock, source), [series(BTC, "1d", "recorded")], NOW - 400 * DAY)
    assert min(start for start, _ in source.asked) >= NOW - CATCH_UP - DAY


def test_what_came_while_the_connection_was_made_is_asked_for(db: Database, clock: ManualClock):
    whole = minutes(NOW - DAY, NOW + DAY)
    source = Recorded(whole, clock)
    late = [
        place for place, one in enumerate(whole.at) if moment_of(one) == NOW.replace(second=0) + 3 * MINUTE
    ]
    source.news = [None] * 25 + [whole[late[0] : late[0] + 1]]
    told, btc = history(db, clock, source), series(BTC, "1m", "recorded")
    assert [opened for _, opened, _ in followed(told, [btc])] == ["15:00", "15:01", "15:02", "15:03"]


@pytest.mark.parametrize("delay", [timedelta(0), 5 * MINUTE])
def test_a_quiet_last_minute_does_not_hold_up_the_hour(db: Database, clock: ManualClock, delay: timedelta):
    clock.time = datetime(2026, 11, 27, 14, 57, 30, tzinfo=UTC)
    whole = minutes(clock.time - DAY, clock.time + MINUTE)  # nothing trades from 14:59 on
    source = Recorded(whole, clock)
    ends, told_at = clock.time.replace(hour=15, minute=0, second=0), []
    source.news, source.delay = [None] * 90, delay
    told, hour = history(db, clock, source), series(BTC, "1h", "recorded")
    with pytest.raises(Unavailable):
        for news in told.follow([hour]):
            if news is not None:
                told_at.append(clock.time)
    assert [at - ends for at in told_at] == [PATIENCE + delay]
    assert told_at[0] - ends < LATE


def test_the_demo_market_is_followed_through_the_store(db: Database, clock: ManualClock):
    source = DemoHistory(clock, pause=lambda seconds: clock.forward(20))
    told = history(db, clock, source)
    five, given = series(AAPL, "5m"), []
    for news in told.follow([five]):
        if news is not None:
            given.append(news[1])
        if clock.time > NOW + 16 * MINUTE:
            break
    start = moment_of(given[0].at[0])
    raw = source.bars(series(AAPL, "1m"), start, start + 15 * MINUTE)
    assert joined(given).is_same(timeframes.higher(raw, Timeframe(60), Timeframe(300), None))
    assert [len(one) for one in given] == [1, 1, 1]
