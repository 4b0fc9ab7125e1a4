"""Whose candles a plan reads, from the point of view of the bot that asks."""

from __future__ import annotations

from dataclasses import replace

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.indicators.graph import Frame
from dashtrade.market.series import Series


def series_of(frame: Frame, own: Series) -> Series:
    """The candles of a frame: from the same source, adjusted in the same way."""
    symbol = symbol_of(frame.symbol, own.symbol) if frame.symbol else own.symbol
    timeframe = Timeframe.parse(frame.timeframe) if frame.timeframe else own.timeframe
    return replace(own, symbol=symbol, timeframe=timeframe)


def symbol_of(written: str, own: Symbol) -> Symbol:
    """`BTC` beside ETH/USDT is BTC/USDT, and beside AAPL the stock of that name."""
    found = Symbol.parse(written)
    if own.is_crypto and not found.is_crypto and ":" not in written:
        return Symbol.parse(f"{written}/{own.quote}")
    return found
