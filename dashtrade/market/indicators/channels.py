"""Indicators of the range of prices, and bands around them."""

from __future__ import annotations

from dashtrade.market.indicators.graph import Line, Market
from dashtrade.market.indicators.kinds import (
    IndicatorKind,
    Made,
    deviation,
    ema,
    factor,
    highest,
    lowest,
    one,
    period,
    rma,
    sma,
    true_range,
)


def atr(market: Market, n: float) -> Line:
    return rma(true_range(market), n)


def _bb(market: Market, line: Line, n: float, width: float) -> Made:
    middle, half = sma(line, n), width * deviation(line, n)
    upper, lower = middle + half, middle - half
    return {
        "": middle,
        "upper": upper,
        "lower": lower,
        "width": 100.0 * (upper - lower) / middle,
        "percent": (line - lower) / (upper - lower),
    }


def _keltner(market: Market, line: Line, n: float, width: float) -> Made:
    middle, half = ema(line, n), width * ema(true_range(market), n)
    return {"": middle, "upper": middle + half, "lower": middle - half}


def _donchian(market: Market, line: Line, n: float) -> Made:
    upper, lower = highest(market.line("high"), n), lowest(market.line("low"), n)
    return {"": (upper + lower) / 2.0, "upper": upper, "lower": lower}


KINDS = (
    IndicatorKind(
        name="TR",
        title="true range",
        about="The candle's range, the gap to the close before included.",
        source=None,
        build=one(lambda market, line: true_range(market)),
    ),
    IndicatorKind(
        name="ATR",
        title="average true range",
        about="Wilder's average of the true range.",
        settings=(period(14),),
        source=None,
        build=one(lambda market, line, n: atr(market, n)),
    ),
    IndicatorKind(
        name="NATR",
        title="average true range in percent",
        about="The ATR in percent of the close.",
        settings=(period(14),),
        source=None,
        build=one(lambda market, line, n: 100.0 * atr(market, n) / market.line("close")),
    ),
    IndicatorKind(
        name="BB",
        title="Bollinger band",
        about="The mean, and bands so many standard deviations above and below it; `width` of both in "
        "percent of the mean, `percent` where the price lies between them (0 to 1).",
        settings=(period(20, low=2), factor(2.0)),
        outputs=("upper", "lower", "width", "percent"),
        main="middle",
        build=_bb,
    ),
    IndicatorKind(
        name="KELTNER",
        title="Keltner channel",
        about="The exponential average, and bands so many average true ranges above and below it.",
        settings=(period(20), factor(2.0)),
        outputs=("upper", "lower"),
        main="middle",
        build=_keltner,
    ),
    IndicatorKind(
        name="DONCHIAN",
        title="Donchian channel",
        about="The middle of the highest high and the lowest low; both as `upper` and `lower`.",
        settings=(period(20),),
        source=None,
        outputs=("upper", "lower"),
        main="middle",
        build=_donchian,
    ),
)
