"""Which candles: from one source, of one symbol, of one length, adjusted in one way.

Candles of two sources are never mixed: the same hour of the same stock differs between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe


class Adjustment(StrEnum):
    """What history was adjusted for. Adjusted prices change afterwards, with every new split or dividend."""

    RAW = "raw"  # as traded
    SPLIT = "split"
    DIVIDEND = "dividend"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    source: str  # the source's name: "binance", "demo"; a user's own candles have the name of their import
    symbol: Symbol
    timeframe: Timeframe
    adjustment: Adjustment = Adjustment.RAW

    def with_timeframe(self, timeframe: Timeframe) -> Series:
        return replace(self, timeframe=timeframe)

    @property
    def text(self) -> str:
        adjusted = "" if self.adjustment is Adjustment.RAW else f" {self.adjustment}"
        return f"{self.source} {self.symbol} {self.timeframe}{adjusted}"

    def __str__(self) -> str:
        return self.text
