"""A source's rows made into bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.rows import Row, bars_of_rows, row
from dashtrade.market.bars import ms_of

START = datetime(2025, 11, 5, tzinfo=UTC)
END = START + timedelta(hours=1)
AT = ms_of(START)


def bars(rows: list[Row | None], ended_by: datetime = END + timedelta(hours=1)):
    return bars_of_rows("Somewhere", rows, START, END, ended_by, Timeframe(60))


def at(minute: int, close: object = "2") -> Row:
    found = row(AT + minute * 60_000, "2", "3", "1", close, "5")
    assert found is not None
    return found


def test_of_two_candles_with_one_open_time_the_later_answer_counts():
    found = bars([at(0, "1.5"), at(1), at(0, "2.5")])
    assert [candle.close for candle in found.candles()] == [Decimal("2.5"), Decimal(2)]


def test_what_opens_outside_of_the_stretch_is_left_out():
    assert [int(each) for each in bars([at(-1), at(0), at(59), at(60)]).at] == [AT, AT + 59 * 60_000]


def test_a_candle_counts_from_the_moment_in_which_it_ends():
    end_of_first = START + timedelta(minutes=1)
    assert len(bars([at(0), at(1)], end_of_first)) == 1
    assert len(bars([at(0), at(1)], end_of_first - timedelta(milliseconds=1))) == 0


@pytest.mark.parametrize(
    "values",
    [
        ("2", "3", "1", "4", "5"),  # the close above the high
        ("2", "3", "1", "0.5", "5"),  # below the low
        ("4", "3", "1", "2", "5"),
        ("2", "1", "3", "2", "5"),
        ("0", "3", "0", "2", "5"),
        ("-2", "3", "-3", "2", "5"),
        ("2", "3", "1", "2", "-5"),
        ("NaN", "3", "1", "2", "5"),
        ("2", "Infinity", "1", "2", "5"),
        (None, "3", "1", "2", "5"),
        ("2", "3", "1", "2", None),
        ("", "3", "1", "2", "5"),
        (True, "3", "1", "2", "5"),
        ([], "3", "1", "2", "5"),
    ],
)
def test_what_cannot_be_a_candle_is_none(values: tuple[object, ...]):
    assert row(AT, *values) is None


def test_a_flat_candle_without_volume_is_one():
    assert row(AT, "2", "2", "2", "2", "0") is not None


def test_the_error_of_a_float_is_no_digit_of_the_price():
    found = row(AT, Decimal("160.31500000000001"), 161, Decimal("160.1"), Decimal("160.2"), 7)
    assert found is not None and found[1] == Decimal("160.315")


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(100, 300)), max_size=60))
def test_bars_are_in_order_and_each_once_whatever_came(given_rows: list[tuple[int, int]]):
    found = bars([at(minute, f"{close / 100}") for minute, close in given_rows])
    last = dict(given_rows)
    assert [int(each) for each in found.at] == [AT + minute * 60_000 for minute in sorted(last)]
    assert [candle.close for candle in found.candles()] == [
        Decimal(last[minute]) / 100 for minute in sorted(last)
    ]
