"""Indicators of direction, and of volume behind it."""

from __future__ import annotations

from dashtrade.market.indicators.channels import atr
from dashtrade.market.indicators.graph import Line, Market
from dashtrade.market.indicators.kinds import (
    IndicatorKind,
    Made,
    factor,
    falls,
    highest,
    lowest,
    one,
    period,
    rises,
    rma,
    true_range,
)

NO_RANGE = 1e-300  # in place of 0 under a numerator that is 0 then, too


def _total(line: Line, n: float) -> Line:
    return line.made("total", settings=[n])


def _adx(market: Market, line: Line, n: float, smooth: float) -> Made:
    up, down = rises(market.line("high")), falls(market.line("low"))
    side = (up - down).made("sign")
    ranges = rma(true_range(market), n)
    plus = 100.0 * rma(up * side.made("higher", 0.0), n) / ranges
    minus = 100.0 * rma(down * side.made("negative").made("higher", 0.0), n) / ranges
    apart = 100.0 * (plus - minus).made("absolute") / (plus + minus)
    return {"": rma(apart, smooth), "plus": plus, "minus": minus}


def _supertrend(market: Market, line: Line, n: float, width: float) -> Made:
    close, middle, half = market.line("close"), market.line("hl2"), width * atr(market, n)
    bands = (middle + half, middle - half)
    return {
        "": close.made("supertrend", *bands, settings=[0]),
        "direction": close.made("supertrend", *bands, settings=[1]),
    }


def _ichimoku(market: Market, line: Line, short: float, middle: float, long: float) -> Made:
    def center(n: float) -> Line:
        return (highest(market.line("high"), n) + lowest(market.line("low"), n)) / 2.0

    conversion, base = center(short), center(middle)
    ahead = int(middle)
    return {
        "": conversion,
        "base": base,
        "span_a": ((conversion + base) / 2.0).before(ahead),
        "span_b": center(long).before(ahead),
    }


def _aroon(market: Market, line: Line, n: float) -> Made:
    high, low = market.line("high"), market.line("low")
    up = 100.0 - 100.0 * high.made("since_highest", settings=[n + 1]) / n
    down = 100.0 - 100.0 * low.made("since_lowest", settings=[n + 1]) / n
    return {"": up - down, "up": up, "down": down}


def _obv(market: Market, line: Line, n: float) -> Line:
    close = market.line("close")
    return _total((close - close.before()).made("sign") * market.line("volume"), n)


def _vwap(market: Market, line: Line) -> Line:
    return market.line("hlc3").made("vwap", market.line("volume"), market.line("session"))


def _cmf(market: Market, line: Line, n: float) -> Line:
    high, low, close = market.line("high"), market.line("low"), market.line("close")
    volume, span = market.line("volume"), (high - low).made("higher", NO_RANGE)
    return _total((2.0 * close - (high + low)) / span * volume, n) / _total(volume, n)


def _mfi(market: Market, line: Line, n: float) -> Line:
    typical = market.line("hlc3")
    flow, side = typical * market.line("volume"), (typical - typical.before()).made("sign")
    up = _total(flow * side.made("higher", 0.0), n)
    down = _total(flow * side.made("negative").made("higher", 0.0), n)
    return 100.0 * up / (up + down)


KINDS = (
    IndicatorKind(
        name="ADX",
        title="ADX",
        about="Wilder's strength of the trend, up or down; `plus` and `minus` are the two directions.",
        settings=(period(14), period(14, "smooth")),
        source=None,
        outputs=("plus", "minus"),
        build=_adx,
    ),
    IndicatorKind(
        name="SUPERTREND",
        title="SuperTrend",
        about="A trailing stop so many average true ranges from the middle; `direction` is 1 below the price "
        "and -1 above it.",
        settings=(period(10), factor(3.0)),
        source=None,
        outputs=("direction",),
        build=_supertrend,
    ),
    IndicatorKind(
        name="ICHIMOKU",
        title="Ichimoku line",
        about="The conversion line; `base`, and the spans of the cloud as they stand at this candle.",
        settings=(period(9, "conversion"), period(26, "base"), period(52, "span")),
        source=None,
        outputs=("base", "span_a", "span_b"),
        main="conversion",
        build=_ichimoku,
    ),
    IndicatorKind(
        name="AROON",
        title="Aroon",
        about="How recent the highest high (`up`) and the lowest low (`down`) are, 100 for now; and the "
        "difference.",
        settings=(period(14),),
        source=None,
        outputs=("up", "down"),
        build=_aroon,
    ),
    IndicatorKind(
        name="OBV",
        title="on-balance volume",
        about="The volume of rising candles less that of falling ones, over so many candles. (A total since "
        "some first candle would depend on which that was.)",
        settings=(period(200),),
        source=None,
        build=one(_obv),
    ),
    IndicatorKind(
        name="VWAP",
        title="VWAP",
        about="The mean price of the trading day so far, by volume.",
        source=None,
        build=one(_vwap),
    ),
    IndicatorKind(
        name="CMF",
        title="Chaikin money flow",
        about="The volume, by where each close lies in its candle: -1 all at the low, 1 all at the high.",
        settings=(period(20),),
        source=None,
        build=one(_cmf),
    ),
    IndicatorKind(
        name="MFI",
        title="money flow index",
        about="The share of the money that moved at rising prices, 0 to 100.",
        settings=(period(14),),
        source=None,
        build=one(_mfi),
    ),
)
