"""Blocks of the store: what is packed comes back, and the same bars make the same block."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import Bars, bars_of, in_common_steps, joined
from dashtrade.market.blocks import BLOCK_BARS, Block, block_span, digest_of, merge, pack, split, unpack

MINUTE = Timeframe(60)


def walk(count: int, *, seed: int = 1, start: int = 0) -> Bars:
    """A random walk in cents, one bar a minute."""
    dice = random.Random(seed)
    rows, price = [], 65_000_00
    for n in range(count):
        opening, price = price, price + dice.randint(-900, 900)
        high, low = max(opening, price) + dice.randint(0, 500), min(opening, price) - dice.randint(0, 500)
        numbers = [Decimal(number).scaleb(-2) for number in (opening, high, low, price)]
        rows.append((start + n * 60_000, *numbers, Decimal(dice.randint(0, 10**7)).scaleb(-4)))
    return bars_of(rows)


numbers = some.integers(-(2**52), 2**52)


@given(some.lists(some.tuples(some.integers(1, 10**9), *[numbers] * 4, some.integers(0, 2**46)), min_size=1))
def test_what_is_packed_comes_back(written: list[tuple[int, ...]]):
    """Even what is no candle: the store judges nothing."""
    columns = np.array(written, np.int64).T
    bars = Bars(
        at=np.cumsum(columns[0]),
        **dict(zip(("open", "high", "low", "close", "volume"), columns[1:], strict=True)),
        price_step=Decimal("0.01"),
        volume_step=Decimal(1),
    )
    assert unpack(pack(0, bars)).is_same(bars)


def test_every_bar_is_in_the_block_of_its_time():
    bars = walk(3 * BLOCK_BARS, start=block_span(MINUTE) - 60_000)
    parts = list(split(bars, MINUTE))
    assert [number for number, _ in parts] == [0, 1, 2, 3]
    assert [len(part) for _, part in parts] == [1, BLOCK_BARS, BLOCK_BARS, BLOCK_BARS - 1]
    assert joined([part for _, part in parts]).is_same(bars)
    assert list(split(bars[:0], MINUTE)) == []


def test_a_bar_takes_about_ten_bytes():
    bars = walk(BLOCK_BARS)
    assert 5 < len(pack(0, bars).data) / len(bars) < 13


@given(some.permutations(range(8)), some.integers(0, 3))
def test_the_block_is_the_same_in_whatever_order_its_bars_came(order: list[int], again: int):
    whole = bars_of([(n * 60_000, *[Decimal(100 + n).scaleb(-(n % 3))] * 4, n) for n in range(8)])
    together = whole[:0]
    for n in [*order, *order[:again]]:
        together, replaced = merge(together, whole[n : n + 1])
        assert not len(replaced)
    assert without_data(pack(0, together)) == without_data(pack(0, whole))
    assert digest_of(together[:5]) == digest_of(bars_of_candles(whole[:5]))


def bars_of_candles(bars: Bars) -> Bars:
    """Counted in steps of their own."""
    rows = [
        (int(at), one.open, one.high, one.low, one.close, one.volume)
        for at, one in zip(bars.at, bars.candles(), strict=True)
    ]
    return bars_of(rows)


def without_data(block: Block) -> tuple[object, ...]:
    """A digest says what is in it; compressed bytes may differ by the machine's zlib."""
    return (block.number, block.first_at, block.last_at, block.bars, block.price_step, block.digest)


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
def test_a_bar_that_changed_replaces_and_is_given_back(name: str):
    stored, new = walk(9), walk(9)
    changed = getattr(new, name).copy()
    changed[4] += 1
    new = Bars(
        **{**{n: getattr(new, n) for n in ("at", "open", "high", "low", "close", "volume")}, name: changed},
        price_step=new.price_step,
        volume_step=new.volume_step,
    )
    merged, replaced = merge(stored, new[3:6])
    assert merged.is_same(new)
    assert replaced.is_same(stored[4:5])
    assert digest_of(merged) != digest_of(stored)


def test_bars_with_more_digits_than_before_change_none_of_the_others():
    stored, finer = walk(4), bars_of([(9 * 60_000, *["65000.125"] * 4, "0.00001")])
    merged, replaced = merge(stored, finer)
    assert not len(replaced) and merged[:4].is_same(stored) and merged[4:].is_same(finer)
    assert in_common_steps([merged, stored])[1].price_step == Decimal("0.001")
