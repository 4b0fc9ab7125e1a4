"""Bars as the store keeps them: a series in blocks of 4,096 timeframes each, every block one compressed blob.

Which block a bar belongs to follows from its time alone, so the stored blocks are the same in whatever order
bars came: one may be written twice, two writers of different blocks do not meet, and a block's digest says
what is in it. In a block stand differences (from the last close, from the candle's own body), which are small
numbers: 8 to 10 bytes a bar, read at some millions of bars a second."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

import numpy as np

from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import COLUMNS, PRICES, Bars, Column, in_common_steps, joined

BLOCK_BARS = 4096
_QUICK = 1  # zlib's fastest level: the others save a tenth and take several times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A packed stretch of bars."""

    number: int
    first_at: int
    last_at: int
    bars: int
    price_step: Decimal
    volume_step: Decimal
    digest: str
    data: bytes


def block_span(timeframe: Timeframe) -> int:
    """Milliseconds."""
    return BLOCK_BARS * timeframe.seconds * 1000


def split(bars: Bars, timeframe: Timeframe) -> Iterator[tuple[int, Bars]]:
    """The bars of each block, by its number."""
    if not len(bars):
        return
    numbers = bars.at // block_span(timeframe)
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(bars)]
    for first, last in pairwise(edges):
        yield int(numbers[first]), bars[first:last]


def pack(number: int, bars: Bars) -> Block:
    bars = _in_coarsest_steps(bars)
    differences = _differences(bars).tobytes()
    return Block(
        number=number,
        first_at=int(bars.at[0]),
        last_at=int(bars.at[-1]),
        bars=len(bars),
        price_step=bars.price_step,
        volume_step=bars.volume_step,
        digest=_digest(bars, differences),
        data=zlib.compress(differences, _QUICK),
    )


def digest_of(bars: Bars) -> str:
    bars = _in_coarsest_steps(bars)
    return _digest(bars, _differences(bars).tobytes())


def unpack(block: Block) -> Bars:
    rows = np.frombuffer(zlib.decompress(block.data), "<i8").reshape(6, block.bars)
    at, moved, body, above, below, volume = rows.astype(np.int64, copy=False)
    total = np.cumsum(moved + body)
    close, opening = total, total - body
    columns = {
        "at": np.cumsum(at),
        "open": opening,
        "high": np.maximum(opening, close) + above,
        "low": np.minimum(opening, close) - below,
        "close": close,
        "volume": volume,
    }
    return Bars(**columns, price_step=block.price_step, volume_step=block.volume_step)


def merge(stored: Bars, new: Bars) -> tuple[Bars, Bars]:
    """Both together, where the new ones count; and of the stored ones those that changed by it."""
    if not len(stored) or not len(new) or new.at[0] > stored.at[-1]:
        return joined([stored, new]), stored[:0]
    old, fresh = in_common_steps([stored, new])
    replaced = np.isin(old.at, fresh.at)
    again = np.isin(fresh.at, old.at)
    differs = np.zeros(int(replaced.sum()), np.bool_)
    for name in (*PRICES, "volume"):
        differs |= getattr(old, name)[replaced] != getattr(fresh, name)[again]
    kept = old.where(~replaced)
    order = np.argsort(np.concatenate([kept.at, fresh.at]), kind="stable")
    columns = {name: np.concatenate([getattr(kept, name), getattr(fresh, name)])[order] for name in COLUMNS}
    merged = Bars(**columns, price_step=old.price_step, volume_step=old.volume_step)
    return merged, old.where(replaced).where(differs)


def fingerprint(digests: Sequence[tuple[int, str]]) -> str:
    """Of a stretch of a series: it differs as soon as any number of any bar does."""
    return hashlib.sha256(repr(list(digests)).encode()).hexdigest()


def _in_coarsest_steps(bars: Bars) -> Bars:
    """Counted in the coarsest steps by tens, so that the same bars always make the same block."""
    factor = _tens([getattr(bars, name) for name in PRICES])
    volumes = _tens([bars.volume])
    if factor > 1:
        coarse = {name: getattr(bars, name) // factor for name in PRICES}
        bars = replace(bars, **coarse, price_step=bars.price_step * factor)
    return replace(bars, volume=bars.volume // volumes, volume_step=bars.volume_step * volumes)


def _tens(columns: Sequence[Column]) -> int:
    """The highest power of ten by which all these can be divided."""
    factor = 1
    while factor < 10**15 and all(not np.any(column % (factor * 10)) for column in columns):
        factor *= 10
    return factor


def _differences(bars: Bars) -> Column:
    body = bars.close - bars.open
    before = np.concatenate([np.zeros(1, np.int64), bars.close[:-1]])
    rows = [
        np.diff(bars.at, prepend=0),
        bars.open - before,
        body,
        bars.high - np.maximum(bars.open, bars.close),
        np.minimum(bars.open, bars.close) - bars.low,
        bars.volume,
    ]
    return np.stack(rows).astype("<i8", copy=False)


def _digest(bars: Bars, differences: bytes) -> str:
    steps = f"{bars.price_step.normalize()} {bars.volume_step.normalize()} "
    return hashlib.sha256(steps.encode() + differences).hexdigest()
