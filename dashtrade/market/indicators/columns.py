"""What indicators read: closed candles as columns of floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dashtrade.domain.sessions import Sessions
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import Bars, ms_of
from dashtrade.market.timeframes import ends

Floats: TypeAlias = npt.NDArray[np.float64]  # NaN: not known
Moments: TypeAlias = npt.NDArray[np.int64]  # milliseconds since 1970
Truths: TypeAlias = npt.NDArray[np.int8]  # FALSE, UNKNOWN or TRUE
Array: TypeAlias = npt.NDArray[Any]  # one of the three

FALSE, UNKNOWN, TRUE = 0, 1, 2  # so that "and" is the lowest of them, "or" the highest
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Columns:
    """Closed candles, oldest first. `session` numbers the trading day of each candle (default: its UTC day);
    `after_gap` marks a candle before which candles are missing: what is computed begins there as if there
    were none before. `from_first` says that there are no earlier candles than these, nor will be: averages
    begin with the first ones instead of waiting until what came before no longer counts."""

    closed_at: Moments
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    bid: Floats | None = None
    ask: Floats | None = None
    session: Moments | None = None
    after_gap: npt.NDArray[np.bool_] | None = None
    from_first: bool = False

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            column = getattr(self, name)
            if column is not None and column.shape != self.closed_at.shape:
                raise ValueError(f"{name} has the shape {column.shape}, closed_at {self.closed_at.shape}")

    def __len__(self) -> int:
        return len(self.closed_at)

    def __getitem__(self, part: slice) -> Columns:
        columns = {name: getattr(self, name) for name in _ARRAYS}
        cut: dict[str, Any] = {
            name: None if column is None else column[part] for name, column in columns.items()
        }
        begins = self.from_first and part.indices(len(self))[0] == 0
        return Columns(from_first=begins, **cut)

    def column(self, name: str) -> Array:
        """NaN where these candles come without it."""
        column = getattr(self, name)
        if column is None and name == "session":
            return (self.closed_at - 1) // DAY_MS
        return np.full(len(self), np.nan) if column is None else np.asarray(column)


_ARRAYS = tuple(field.name for field in fields(Columns) if field.name != "from_first")


def columns_of(
    bars: Bars,
    timeframe: Timeframe,
    sessions: Sessions | None,
    *,
    missing: Sequence[tuple[datetime, datetime]] = (),
    from_first: bool = False,
) -> Columns:
    """Of stored candles that have ended; `missing` as `history.History` tells it."""
    after_gap = np.zeros(len(bars), bool)
    places = np.searchsorted(bars.at, [ms_of(start) for start, _ in missing])
    after_gap[places[(places > 0) & (places < len(bars))]] = True
    return Columns(
        closed_at=ends(bars.at, timeframe, sessions),
        open=bars.floats("open"),
        high=bars.floats("high"),
        low=bars.floats("low"),
        close=bars.floats("close"),
        volume=bars.floats("volume"),
        session=bars.at // DAY_MS,
        after_gap=after_gap,
        from_first=from_first,
    )
