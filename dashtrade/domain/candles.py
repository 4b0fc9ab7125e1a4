"""Longer candles, built from shorter ones where a broker has none of that length."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dashtrade.domain.ports import Candle
from dashtrade.domain.values import ZERO


def by_span(parts: Sequence[Candle], seconds: int) -> list[tuple[datetime, list[Candle]]]:
    """The start of each span of that length, and the candles in it."""
    groups: dict[int, list[Candle]] = {}
    for part in parts:
        groups.setdefault(int(part.at.timestamp()) // seconds * seconds, []).append(part)
    return [(datetime.fromtimestamp(at, UTC), group) for at, group in sorted(groups.items())]


def merged_candle(at: datetime, parts: Sequence[Candle]) -> Candle:
    """One longer candle of several that follow each other."""
    return Candle(
        at=at,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum((part.volume for part in parts), ZERO),
    )
