"""Higher timeframes, against a plain reading of the rules with datetimes, one candle at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dashtrade.domain.ports import Candle
from dashtrade.domain.sessions import Sessions
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import EPOCH, Bars, bars_of, moment_of, ms_of
from dashtrade.market.timeframes import can_be_made, ended, ends, expected, gaps, higher, opening
from tests.support.sessions import new_york

MINUTE, DAY = Timeframe(60), Timeframe(86_400)
WEEK_OF_THANKSGIVING = datetime(2026, 11, 23, tzinfo=UTC)


def frame(text: str) -> Timeframe:
    return Timeframe.parse(text)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bars_at(moments: Iterable[int], seed: int = 0) -> Bars:
    dice, rows = np.random.default_rng(seed), []
    for moment in moments:
        low, a, b, high = sorted(int(one) for one in dice.integers(100, 900, 4))
        rows.append((int(moment), a, high, low, b, int(dice.integers(0, 50))))
    return bars_of(rows)


def minutes(start: datetime, count: int, every: int = 1) -> Bars:
    return bars_at(range(ms_of(start), ms_of(start) + count * 60_000, every * 60_000))


# --- a plain reading ----------------------------------------------------------------------------------------


def label_by_clock(moment: datetime, timeframe: Timeframe) -> datetime:
    count, unit = int(timeframe.text[:-1]), timeframe.text[-1]
    if unit == "M":
        months = (moment.year - 1970) * 12 + moment.month - 1
        months -= months % count
        return datetime(1970 + months // 12, months % 12 + 1, 1, tzinfo=UTC)
    start = datetime(1970, 1, 5, tzinfo=UTC) if unit == "w" else EPOCH
    return start + (moment - start) // timeframe.span * timeframe.span


def label_in_sessions(moment: datetime, timeframe: Timeframe, sessions: Sessions) -> datetime | None:
    session = sessions.of_day(moment.replace(hour=0, minute=0))
    if session is None or not session.opens_at <= moment < session.closes_at:
        return None
    if timeframe.seconds < 86_400:
        return session.opens_at + (moment - session.opens_at) // timeframe.span * timeframe.span
    return session.day if timeframe == DAY else label_by_clock(session.day, timeframe)


def by_hand(bars: Bars, timeframe: Timeframe, sessions: Sessions | None) -> list[Candle]:
    made: dict[datetime, Candle] = {}
    for one in bars.candles():
        label = (
            label_by_clock(one.at, timeframe)
            if sessions is None
            else label_in_sessions(one.at, timeframe, sessions)
        )
        if label is None:
            continue
        before = made.get(label)
        made[label] = Candle(
            at=label,
            open=before.open if before else one.open,
            high=max(before.high, one.high) if before else one.high,
            low=min(before.low, one.low) if before else one.low,
            close=one.close,
            volume=(before.volume if before else Decimal(0)) + one.volume,
        )
    return list(made.values())


FRAMES = ["3m", "5m", "15m", "1h", "4h", "1d", "1w", "1M", "3M"]


@settings(max_examples=40)
@given(
    some.sampled_from([*FRAMES, "7h", "2d", "2w"]),
    some.lists(some.integers(0, 3_000_000), min_size=1, max_size=80, unique=True),
    some.integers(0, 10**6),
)
def test_where_it_is_always_open_candles_go_by_the_clock(text: str, places: list[int], seed: int):
    bars = bars_at((1_700_000_040 + 60 * place) * 1000 for place in sorted(places))
    assert list(higher(bars, MINUTE, frame(text), None).candles()) == by_hand(bars, frame(text), None)


@settings(max_examples=40)
@given(
    some.sampled_from(FRAMES),
    some.lists(some.integers(0, 400_000), min_size=1, max_size=80, unique=True),
    some.integers(0, 10**6),
)
def test_where_there_are_sessions_candles_begin_at_the_opening(text: str, places: list[int], seed: int):
    bars = bars_at((ms_of(at("2026-03-01")) + 60_000 * place for place in sorted(places)), seed)
    made = higher(bars, MINUTE, frame(text), new_york())
    assert list(made.candles()) == by_hand(bars, frame(text), new_york())


def test_an_hour_of_a_stock_begins_at_half_past_and_the_last_one_ends_at_the_close():
    hours = higher(minutes(WEEK_OF_THANKSGIVING, 5 * 1440), MINUTE, frame("1h"), new_york())
    opened = [f"{moment_of(one):%a %H:%M}" for one in hours.at]
    whole_day = ["14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30"]
    assert (
        opened
        == [
            *(f"{day} {one}" for day in ("Mon", "Tue", "Wed") for one in whole_day),  # Thursday is a holiday
            *(f"Fri {one}" for one in whole_day[:4]),  # and Friday a half day
        ]
    )
    closing = [f"{moment_of(one):%a %H:%M}" for one in ends(hours.at, frame("1h"), new_york())]
    assert closing[6] == "Mon 21:00" and closing[-2:] == ["Fri 17:30", "Fri 18:00"]


def test_daily_bars_make_weeks_and_months_of_their_dates():
    sessions = new_york()
    days = bars_at(expected(DAY, sessions, at("2026-10-01"), at("2027-02-01")))
    weeks, months = (higher(days, DAY, frame(one), sessions) for one in ("1w", "1M"))
    assert [moment_of(one).strftime("%m-%d") for one in months.at] == ["10-01", "11-01", "12-01", "01-01"]
    assert {moment_of(one).weekday() for one in weeks.at} == {0}
    for made in (weeks, months):
        assert made.volume.sum() == days.volume.sum()
    closing = [moment_of(one) for one in ends(weeks.at, frame("1w"), sessions)]
    assert at("2026-11-27T18:00") in closing and at("2027-01-15T21:00") in closing
    assert moment_of(ends(months.at, frame("1M"), sessions)[1]) == at("2026-11-30T21:00")


def test_several_days_are_as_many_sessions():
    sessions = new_york()
    days = bars_at(expected(DAY, sessions, at("2026-11-16"), at("2026-12-12")))
    pairs = higher(days, DAY, frame("2d"), sessions)
    assert sum(pairs.volume.tolist()) == sum(days.volume.tolist())
    assert set(pairs.at.tolist()) <= set(
        expected(frame("2d"), sessions, at("2026-11-01"), at("2026-12-12")).tolist()
    )
    closing, starts = ends(pairs.at, frame("2d"), sessions), days.at
    for opened, closed in zip(pairs.at[1:-1].tolist(), closing[1:-1].tolist(), strict=True):
        assert ((starts >= opened) & (starts < closed)).sum() == 2


def test_hours_on_the_clock_that_reach_over_the_opening_belong_to_the_session():
    """As a source without minutes has them: the one from 14:00 holds the first half hour of trading."""
    hours = bars_at(ms_of(at("2026-11-25T12:00")) + n * 3_600_000 for n in range(12))
    made = higher(hours, frame("1h"), frame("4h"), new_york())
    assert [f"{moment_of(one):%H:%M}" for one in made.at] == ["14:30", "18:30"]
    assert made.volume.sum() == hours.volume[2:9].sum()


@pytest.mark.parametrize("text", ["5m", "1h", "1d", "1w", "1M"])
@pytest.mark.parametrize("stock", [False, True])
def test_a_bar_is_whole_once_its_span_has_ended_and_not_a_millisecond_before(text: str, stock: bool):
    sessions = new_york() if stock else None
    opens = expected(frame(text), sessions, at("2026-11-01"), at("2027-01-01"))
    bars, ms = bars_at(opens), timedelta(milliseconds=1)
    for place in (0, len(opens) // 2, len(opens) - 1):
        end = moment_of(ends(opens, frame(text), sessions)[place])
        assert len(ended(bars, frame(text), sessions, end)) == place + 1
        assert len(ended(bars, frame(text), sessions, end - ms)) == place


@given(some.integers(1, 1500), some.integers(1, 1500), some.sampled_from(["4h", "1d", "1w", "1M"]))
def test_bars_that_have_ended_stay_as_they_are_when_more_come(count: int, more: int, text: str):
    """What was decided on closes of the past was decided on what is there now."""
    every = minutes(at("2026-11-20"), (count + more) * 60, every=60)
    known = moment_of(every.at[count - 1]) + timedelta(hours=1)
    timeframe, hour = frame(text), frame("1h")
    then = ended(higher(every[:count], hour, timeframe, None), timeframe, None, known)
    assert higher(every, hour, timeframe, None)[: len(then)].is_same(then)


@pytest.mark.parametrize("text", ["1m", "15m", "1h", "4h", "1d", "1w", "1M"])
def test_of_whole_sessions_every_expected_bar_can_be_made(text: str):
    start, end = at("2026-11-01"), at("2027-01-01")
    for sessions in (None, new_york()):
        fine = bars_at(expected(MINUTE, sessions, at("2026-10-20"), end))
        made = higher(fine, MINUTE, frame(text), sessions).between(start, end)
        assert made.at.tolist() == expected(frame(text), sessions, start, end).tolist()
        assert gaps(made.at, frame(text), sessions, start, end) == []


def test_a_gap_is_named_from_its_first_missing_bar_to_the_end_of_its_last():
    sessions, start, end = new_york(), at("2026-11-25T20:00"), at("2026-11-27T15:00")
    whole = expected(MINUTE, sessions, start, end)
    assert len(whole) == 90
    lost = np.delete(whole, [3, 4, 5, 58, 59, 60, 61])  # the last two before the holiday, the first two after
    found = [(moment_of(a), moment_of(b), bars) for a, b, bars in gaps(lost, MINUTE, sessions, start, end)]
    assert found == [
        (at("2026-11-25T20:03"), at("2026-11-25T20:06"), 3),
        (at("2026-11-25T20:58"), at("2026-11-27T14:32"), 4),
    ]
    nights = ms_of(at("2026-11-25T23:00"))  # what trades at night is neither wanted nor in the way
    assert gaps(np.sort(np.append(whole, nights)), MINUTE, sessions, start, end) == []


@pytest.mark.parametrize(
    ("moment", "text", "opens"),
    [
        ("2026-11-25T17:45", "1h", "2026-11-25T17:30"),
        ("2026-11-26T12:00", "1h", "2026-11-27T14:30"),
        ("2026-11-28T12:00", "1d", "2026-11-30"),
        ("2026-11-25T17:45", "1M", "2026-11-01"),
    ],
)
def test_the_bar_a_moment_lies_in(moment: str, text: str, opens: str):
    assert moment_of(opening(at(moment), frame(text), new_york())) == at(opens)
    assert moment_of(opening(at(moment), frame("1h"), None)) == at(moment).replace(minute=0)


def test_a_timeframe_that_cannot_be_made_of_another_is_refused():
    with pytest.raises(ValueError, match="cannot be made"):
        higher(minutes(EPOCH, 9), frame("2m"), frame("3m"), None)
    for made_of, wanted, can in (
        ("1m", "7h", True),
        ("1h", "1M", True),
        ("1d", "1M", True),
        ("7h", "1d", False),
        ("1w", "1M", False),
        ("1w", "2w", True),
        ("2d", "1M", False),
        ("1M", "3M", True),
        ("2d", "4d", True),
        ("1d", "1h", False),
        ("1w", "1w", True),
    ):
        assert can_be_made(frame(made_of), frame(wanted)) is can, (made_of, wanted)
    assert higher(minutes(EPOCH, 9), MINUTE, MINUTE, None).is_same(minutes(EPOCH, 9))


def test_no_bars_make_none():
    assert len(higher(minutes(EPOCH, 0), MINUTE, DAY, None)) == 0
    at_night = minutes(at("2026-11-26T02:00"), 60)
    assert len(higher(at_night, MINUTE, DAY, new_york())) == 0
