"""Bars: exact, immutable, cut and joined without loss."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dashtrade.domain.ports import Candle
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import COLUMNS, Bars, bars_of, common_step, joined, moment_of, ms_of, no_bars
from dashtrade.market.series import Adjustment, Series

START = ms_of(datetime(2026, 3, 2, 14, 30, tzinfo=UTC))
MINUTE = 60_000

prices = some.decimals(min_value=Decimal("0.00000001"), max_value=Decimal("99999"), places=8).map(
    lambda price: price.quantize(Decimal("0.01")) if price > 1 else price
)
volumes = some.decimals(min_value=0, max_value=Decimal("1e6"), places=4)


@some.composite
def rows(draw: some.DrawFn) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
    made, at = [], START
    for _ in range(draw(some.integers(1, 12))):
        four = sorted(draw(some.lists(prices, min_size=4, max_size=4)))
        made.append((at, four[1], four[3], four[0], four[2], draw(volumes)))
        at += MINUTE * draw(some.integers(1, 3))
    return made


def as_candle(row: tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]) -> Candle:
    at, opening, high, low, close, volume = row
    return Candle(at=moment_of(at), open=opening, high=high, low=low, close=close, volume=volume)


@given(rows())
def test_every_number_comes_back_to_the_last_digit(written):
    assert list(bars_of(written).candles()) == [as_candle(row) for row in written]


@given(rows(), some.integers(0, 12))
def test_what_is_cut_is_whole_again_once_joined(written, at):
    whole = bars_of(written)
    assert joined([whole[:at], whole[at:]]).is_same(whole)
    halves = [bars_of(part) for part in (written[:at], written[at:]) if part]  # each in steps of its own
    assert joined(halves).is_same(whole)


@given(rows())
def test_a_float_is_the_one_nearest_to_the_exact_number(written):
    bars = bars_of(written)
    for name, place in (("open", 1), ("high", 2), ("low", 3), ("close", 4), ("volume", 5)):
        assert bars.floats(name).tolist() == [float(row[place]) for row in written]


def four_minutes() -> Bars:
    return bars_of([(START + n * MINUTE, 100 + n, 101 + n, 99 + n, "100.5", n) for n in range(4)])


def test_columns_cannot_be_changed_and_slices_share_them():
    bars = four_minutes()
    part = bars[1:3]
    for name in COLUMNS:
        assert np.shares_memory(getattr(part, name), getattr(bars, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(part, name)[0] = 1


def test_a_stretch_of_time_holds_its_start_and_not_its_end():
    bars, first = four_minutes(), moment_of(START)
    part = bars.between(first + timedelta(minutes=1), first + timedelta(minutes=3))
    assert part.at.tolist() == [START + MINUTE, START + 2 * MINUTE]
    assert len(bars.between(first, first)) == 0
    assert bars.between(first - timedelta(days=1), first + timedelta(days=1)).is_same(bars)


@pytest.mark.parametrize("at", [[START, START], [START + MINUTE, START]])
def test_bars_go_forward_in_time(at: list[int]):
    with pytest.raises(ValueError, match="forward"):
        bars_of([(moment, 1, 1, 1, 1, 0) for moment in at])


def test_columns_are_whole_numbers_of_one_length():
    whole, floats = np.array([START]), np.array([1.0])
    good = dict.fromkeys(COLUMNS, whole)
    for bad in (floats, np.array([1, 2]), np.array([[1]])):
        with pytest.raises(ValueError, match="instead of 1 int64"):
            Bars(**{**good, "close": bad}, price_step=Decimal(1), volume_step=Decimal(1))
    with pytest.raises(ValueError, match="positive"):
        Bars(**good, price_step=Decimal(0), volume_step=Decimal(1))


@pytest.mark.parametrize(
    ("steps", "common"),
    [
        (["0.01", "0.001"], "0.001"),
        (["0.25", "0.1"], "0.05"),
        (["0.25"], "0.25"),
        (["5", "0.5", "2"], "0.5"),
        (["1e-8", "0.01"], "1e-8"),
    ],
)
def test_the_common_step_is_the_coarsest_that_counts_all(steps: list[str], common: str):
    assert common_step([Decimal(step) for step in steps]) == Decimal(common)


def test_bars_in_quarters_and_bars_in_cents_can_be_joined():
    quarters = Bars(
        **{name: np.array([START if name == "at" else 3]) for name in COLUMNS},
        price_step=Decimal("0.25"),
        volume_step=Decimal(1),
    )
    cents = bars_of([(START + MINUTE, "0.81", "0.81", "0.81", "0.81", "0.5")])
    both = joined([quarters, cents])
    assert [candle.close for candle in both.candles()] == [Decimal("0.75"), Decimal("0.81")]
    assert [candle.volume for candle in both.candles()] == [3, Decimal("0.5")]


def test_what_does_not_fit_is_refused_and_not_cut():
    with pytest.raises(ValueError, match="does not fit"):
        bars_of([(START, "1e12", "1e12", "1e12", "1e12", 1), (START + MINUTE, *["0.00000001"] * 4, 1)])
    coarse = bars_of([(START, *["1e14"] * 4, 1)])
    with pytest.raises(ValueError, match="does not fit"):
        joined([coarse, bars_of([(START + MINUTE, *["0.0001"] * 4, 1)])])
    with pytest.raises(ValueError, match="number"):
        bars_of([(START, "NaN", 1, 1, 1, 1)])


def test_a_huge_volume_keeps_its_price_and_loses_its_last_digits_only():
    bars = bars_of([(START, *["0.00001"] * 4, Decimal("123456789012345678.987"))])
    candle = bars.candle(0)
    assert candle.close == Decimal("0.00001")
    assert candle.volume == Decimal("123456789012346000")
    assert bars.volume_step == 1000


def test_no_bars_are_bars_too():
    assert len(no_bars()) == 0 and list(no_bars().candles()) == []
    assert joined([]).is_same(no_bars()) and bars_of([]).is_same(no_bars())
    assert joined([no_bars(), four_minutes()]).is_same(four_minutes())


def test_a_series_says_what_it_is():
    series = Series(source="binance", symbol=Symbol.parse("BTC/USDT"), timeframe=Timeframe.parse("1m"))
    assert str(series) == "binance CRYPTO:BTC/USDT 1m"
    split = Series(
        source="alpaca",
        symbol=Symbol.parse("AAPL"),
        timeframe=Timeframe.parse("1d"),
        adjustment=Adjustment.SPLIT,
    )
    assert str(split) == "alpaca NYSE:AAPL-EQ 1d split"
    assert str(split.with_timeframe(Timeframe.parse("1w"))) == "alpaca NYSE:AAPL-EQ 1w split"
