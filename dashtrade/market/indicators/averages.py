"""Moving averages, and other values on the scale of a price."""

from __future__ import annotations

from math import isqrt

from dashtrade.market.indicators.graph import Line, Market
from dashtrade.market.indicators.kinds import (
    IndicatorKind,
    deviation,
    ema,
    highest,
    lowest,
    one,
    period,
    rma,
    sma,
)


def wma(line: Line, n: float) -> Line:
    return line.made("weighted_total", settings=[n]) / (n * (n + 1) / 2)


def _dema(market: Market, line: Line, n: float) -> Line:
    once = ema(line, n)
    return 2.0 * once - ema(once, n)


def _tema(market: Market, line: Line, n: float) -> Line:
    once = ema(line, n)
    twice = ema(once, n)
    return 3.0 * once - 3.0 * twice + ema(twice, n)


def _hma(market: Market, line: Line, n: float) -> Line:
    return wma(2.0 * wma(line, int(n) // 2) - wma(line, n), isqrt(int(n)))


def _vwma(market: Market, line: Line, n: float) -> Line:
    volume = market.line("volume")
    return sma(line * volume, n) / sma(volume, n)


KINDS = (
    IndicatorKind(
        name="SMA",
        title="simple moving average",
        about="The mean of the last candles.",
        settings=(period(20),),
        build=one(lambda market, line, n: sma(line, n)),
    ),
    IndicatorKind(
        name="EMA",
        title="exponential moving average",
        about="An average in which each candle counts 2 / (period + 1), and what came before the rest.",
        settings=(period(20),),
        build=one(lambda market, line, n: ema(line, n)),
    ),
    IndicatorKind(
        name="RMA",
        title="Wilder's moving average",
        about="An average in which each candle counts 1 / period, and what came before the rest.",
        settings=(period(14),),
        build=one(lambda market, line, n: rma(line, n)),
    ),
    IndicatorKind(
        name="WMA",
        title="weighted moving average",
        about="The mean of the last candles, in which the newest counts most and each older one less.",
        settings=(period(20),),
        build=one(lambda market, line, n: wma(line, n)),
    ),
    IndicatorKind(
        name="DEMA",
        title="double exponential moving average",
        about="Twice the exponential average less the average of it: it lags less.",
        settings=(period(20),),
        build=one(_dema),
    ),
    IndicatorKind(
        name="TEMA",
        title="triple exponential moving average",
        about="Three exponential averages of each other, joined so that it lags less still.",
        settings=(period(20),),
        build=one(_tema),
    ),
    IndicatorKind(
        name="HMA",
        title="Hull moving average",
        about="Weighted averages of the period, its half and its root: quick and smooth.",
        settings=(period(20, low=4),),
        build=one(_hma),
    ),
    IndicatorKind(
        name="VWMA",
        title="volume-weighted moving average",
        about="The mean of the last candles, each counting by its volume.",
        settings=(period(20),),
        build=one(_vwma),
    ),
    IndicatorKind(
        name="HIGHEST",
        title="highest",
        about="The highest of the last candles, the current one included.",
        settings=(period(20),),
        source="high",
        build=one(lambda market, line, n: highest(line, n)),
    ),
    IndicatorKind(
        name="LOWEST",
        title="lowest",
        about="The lowest of the last candles, the current one included.",
        settings=(period(20),),
        source="low",
        build=one(lambda market, line, n: lowest(line, n)),
    ),
    IndicatorKind(
        name="STDEV",
        title="standard deviation",
        about="How far the last candles lie from their mean: the root of the mean square, of all of them.",
        settings=(period(20, low=2),),
        build=one(lambda market, line, n: deviation(line, n)),
    ),
    IndicatorKind(
        name="ABS",
        title="absolute value",
        about="Without its minus sign.",
        build=one(lambda market, line: line.made("absolute")),
    ),
)
