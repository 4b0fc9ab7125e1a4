"""Candles of a seeded random walk, as columns."""

from __future__ import annotations

import numpy as np

from dashtrade.market.indicators.columns import Columns, Moments

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC


def closes(count: int, seconds: int, start_ms: int = MONDAY_MS) -> Moments:
    return start_ms + np.arange(1, count + 1, dtype=np.int64) * seconds * 1000


def walk(
    count: int, seed: int, *, seconds: int = 3600, price: float = 100.0, from_first: bool = False
) -> Columns:
    """In steps of a cent, with whole volumes, some candles flat and some without trades."""
    rng = np.random.default_rng(seed)
    close = np.round(price * np.exp(np.cumsum(rng.standard_normal(count) * 0.004)), 2)
    open_ = np.concatenate(([price], close[:-1]))
    high = np.round(np.maximum(open_, close) + rng.integers(0, 60, count) / 100, 2)
    low = np.round(np.minimum(open_, close) - rng.integers(0, 60, count) / 100, 2)
    volume = rng.integers(0, 5000, count).astype(np.float64)
    flat = rng.random(count) < 0.01
    open_, high, low = (np.where(flat, close, column) for column in (open_, high, low))
    return Columns(
        closed_at=closes(count, seconds),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        from_first=from_first,
    )
