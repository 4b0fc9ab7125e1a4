"""Candles as columns of integers: a million of them are six arrays, not a million objects.

Prices and volumes count steps, whose size stands beside them: sums and comparisons are exact, and
`close[i] * price_step` is the price as the source wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dashtrade.domain.ports import Candle

Column: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Number: TypeAlias = Decimal | int | str
Row: TypeAlias = tuple[int, Number, Number, Number, Number, Number]  # open time in ms, O, H, L, C, volume

PRICES = ("open", "high", "low", "close")
COLUMNS = ("at", *PRICES, "volume")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE = Decimal(1)
MOST_STEPS = 2**53  # the highest price, so that a float holds it exactly
MOST_VOLUME = 2**47  # the highest volume, so that those of 65,536 bars can be added
_MS = timedelta(milliseconds=1)


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // _MS


def moment_of(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=int(ms))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bars:
    """Candles, oldest first, each open time once. The columns are read-only; a slice shares them."""

    at: Column  # open time, milliseconds since 1970
    open: Column  # in price steps
    high: Column
    low: Column
    close: Column
    volume: Column  # in volume steps
    price_step: Decimal
    volume_step: Decimal

    def __post_init__(self) -> None:
        for name in COLUMNS:
            column = getattr(self, name)
            if column.dtype != np.int64 or column.shape != self.at.shape or column.ndim != 1:
                raise ValueError(f"{name}: {column.dtype} {column.shape} instead of {len(self.at)} int64")
            if column.flags.writeable:
                locked = column.view()
                locked.flags.writeable = False
                object.__setattr__(self, name, locked)
        if not (self.price_step > 0 and self.volume_step > 0):
            raise ValueError(f"steps are positive, not {self.price_step} and {self.volume_step}")
        if len(self.at) > 1 and not bool(np.all(self.at[1:] > self.at[:-1])):
            raise ValueError("bars go forward in time, each open time once")

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, part: slice) -> Bars:
        return replace(self, **{name: getattr(self, name)[part] for name in COLUMNS})

    def where(self, wanted: npt.NDArray[np.bool_]) -> Bars:
        return replace(self, **{name: getattr(self, name)[wanted] for name in COLUMNS})

    def between(self, start: datetime, end: datetime) -> Bars:
        """Those that open at `start` or later, and before `end`."""
        first, last = np.searchsorted(self.at, [ms_of(start), ms_of(end)])
        return self[int(first) : int(last)]

    def candle(self, index: int) -> Candle:
        return Candle(
            at=moment_of(self.at[index]),
            open=int(self.open[index]) * self.price_step,
            high=int(self.high[index]) * self.price_step,
            low=int(self.low[index]) * self.price_step,
            close=int(self.close[index]) * self.price_step,
            volume=int(self.volume[index]) * self.volume_step,
        )

    def candles(self) -> Iterator[Candle]:
        return (self.candle(index) for index in range(len(self)))

    def floats(self, name: str) -> Floats:
        """A column in units of price or volume: each value the float nearest to the exact one."""
        step = Fraction(self.volume_step if name == "volume" else self.price_step)
        column = getattr(self, name).astype(np.float64)
        if step.numerator != 1:
            column = column * float(step.numerator)
        return column if step.denominator == 1 else np.asarray(column / float(step.denominator))

    def in_steps(self, price_step: Decimal, volume_step: Decimal) -> Bars:
        """The same bars counted in finer steps."""
        price = _factor(self.price_step, price_step)
        volume = _factor(self.volume_step, volume_step)
        if price == volume == 1:
            return self
        for name in PRICES:
            _must_fit(getattr(self, name), MOST_STEPS // price, name)
        _must_fit(self.volume, MOST_VOLUME // volume, "volume")
        finer = {name: getattr(self, name) * price for name in PRICES}
        return replace(
            self, **finer, volume=self.volume * volume, price_step=price_step, volume_step=volume_step
        )

    def is_same(self, other: Bars) -> bool:
        """The same candles, whatever they are counted in."""
        if not np.array_equal(self.at, other.at):
            return False
        mine, its = in_common_steps([self, other])
        return all(np.array_equal(getattr(mine, name), getattr(its, name)) for name in COLUMNS)


def no_bars(price_step: Decimal = ONE, volume_step: Decimal = ONE) -> Bars:
    none = np.empty(0, np.int64)
    columns = dict.fromkeys(COLUMNS, none)
    return Bars(**columns, price_step=price_step, volume_step=volume_step)


def bars_of(rows: Iterable[Row]) -> Bars:
    """Bars of a source's answer, oldest first, counted in steps that hold every digit of every price. Numbers
    are Decimals, or texts as the source wrote them (read JSON with `parse_float=Decimal`)."""
    taken = list(rows)
    if not taken:
        return no_bars()
    numbers = [[Decimal(number) for number in row[1:]] for row in taken]
    if not all(number.is_finite() for row in numbers for number in row):
        raise ValueError("a candle holds a number that is not one")
    price_step = _step_of(number for row in numbers for number in row[:4])
    volume_step = _volume_step([row[4] for row in numbers])
    columns = [
        np.fromiter((row[0] for row in taken), np.int64, len(taken)),
        *(_counted([row[place] for row in numbers], price_step, PRICES[place]) for place in range(4)),
        _counted([row[4] for row in numbers], volume_step, "volume"),
    ]
    return Bars(**dict(zip(COLUMNS, columns, strict=True)), price_step=price_step, volume_step=volume_step)


def joined(parts: Sequence[Bars]) -> Bars:
    """Several stretches that follow each other as one."""
    filled = [part for part in parts if len(part)] or parts[:1]
    if not filled:
        return no_bars()
    if len(filled) == 1:
        return filled[0]
    same = in_common_steps(filled)
    columns = {name: np.concatenate([getattr(part, name) for part in same]) for name in COLUMNS}
    return Bars(**columns, price_step=same[0].price_step, volume_step=same[0].volume_step)


def in_common_steps(parts: Sequence[Bars]) -> list[Bars]:
    price_step = common_step([part.price_step for part in parts])
    volume_step = common_step([part.volume_step for part in parts])
    return [part.in_steps(price_step, volume_step) for part in parts]


def common_step(steps: Iterable[Decimal]) -> Decimal:
    """The coarsest step of which each of these is a multiple."""
    different = {Fraction(step) for step in steps}
    denominator = lcm(*(step.denominator for step in different))
    numerator = gcd(*(int(step * denominator) for step in different))
    return Decimal(numerator) / Decimal(denominator)


def _factor(coarse: Decimal, fine: Decimal) -> int:
    factor = Fraction(coarse) / Fraction(fine)
    if factor.denominator != 1:
        raise ValueError(f"{coarse} is no multiple of {fine}")
    return factor.numerator


def _step_of(numbers: Iterable[Decimal]) -> Decimal:
    digits = max(-int(number.normalize().as_tuple().exponent) for number in numbers)
    return Decimal(1).scaleb(-max(digits, 0))


def _volume_step(volumes: Sequence[Decimal]) -> Decimal:
    """As fine as they are written, unless the highest would not fit: the last digits of a huge volume are
    rounded."""
    step, highest = _step_of(volumes), max(map(abs, volumes))
    while highest / step >= MOST_VOLUME:
        step *= 10
    return step


def _counted(numbers: Sequence[Decimal], step: Decimal, name: str) -> Column:
    most = MOST_VOLUME if name == "volume" else MOST_STEPS
    counts = [int((number / step).to_integral_value()) for number in numbers]
    if max(map(abs, counts)) > most:
        raise ValueError(f"{name} {max(numbers, key=abs)} in steps of {step} does not fit")
    return np.array(counts, np.int64)


def _must_fit(column: Column, most: int, name: str) -> None:
    if len(column) and int(np.abs(column).max()) > most:
        raise ValueError(f"{name} in finer steps does not fit")
