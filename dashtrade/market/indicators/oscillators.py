"""Indicators of momentum: how fast, how far, how one-sided."""

from __future__ import annotations

from dashtrade.market.indicators.graph import Line, Market
from dashtrade.market.indicators.kinds import (
    IndicatorKind,
    Made,
    ema,
    falls,
    highest,
    lowest,
    one,
    period,
    rises,
    rma,
    sma,
)


def _rsi(line: Line, n: float) -> Line:
    up, down = rma(rises(line), n), rma(falls(line), n)
    return 100.0 * up / (up + down)


def _macd(market: Market, line: Line, fast: float, slow: float, signal: float) -> Made:
    main = ema(line, fast) - ema(line, slow)
    smoothed = ema(main, signal)
    return {"": main, "signal": smoothed, "histogram": main - smoothed}


def _ppo(market: Market, line: Line, fast: float, slow: float, signal: float) -> Made:
    base = ema(line, slow)
    main = 100.0 * (ema(line, fast) - base) / base
    smoothed = ema(main, signal)
    return {"": main, "signal": smoothed, "histogram": main - smoothed}


def _within_range(line: Line, low: Line, high: Line) -> Line:
    return 100.0 * (line - low) / (high - low)


def _stoch(market: Market, line: Line, n: float, smooth: float, signal: float) -> Made:
    low, high = lowest(market.line("low"), n), highest(market.line("high"), n)
    main = sma(_within_range(market.line("close"), low, high), smooth)
    return {"": main, "signal": sma(main, signal)}


def _stochrsi(market: Market, line: Line, n: float, span: float, smooth: float, signal: float) -> Made:
    rsi = _rsi(line, n)
    main = sma(_within_range(rsi, lowest(rsi, span), highest(rsi, span)), smooth)
    return {"": main, "signal": sma(main, signal)}


def _cci(market: Market, line: Line, n: float) -> Line:
    typical = market.line("hlc3")
    return (typical - sma(typical, n)) / (0.015 * typical.made("mean_deviation", settings=[n]))


def _roc(market: Market, line: Line, n: float) -> Line:
    return 100.0 * (line - line.before(int(n))) / line.before(int(n))


def _willr(market: Market, line: Line, n: float) -> Line:
    low, high = lowest(market.line("low"), n), highest(market.line("high"), n)
    return _within_range(market.line("close"), low, high) - 100.0


def _trix(market: Market, line: Line, n: float) -> Line:
    return _roc(market, ema(ema(ema(line, n), n), n), 1)


def _ao(market: Market, line: Line, fast: float, slow: float) -> Line:
    middle = market.line("hl2")
    return sma(middle, fast) - sma(middle, slow)


_FAST, _SLOW, _SIGNAL = period(12, "fast"), period(26, "slow"), period(9, "signal")

KINDS = (
    IndicatorKind(
        name="RSI",
        title="RSI",
        about="Wilder's relative strength index: the share of the rises in all moves, 0 to 100.",
        settings=(period(14, low=2),),
        build=one(lambda market, line, n: _rsi(line, n)),
    ),
    IndicatorKind(
        name="MACD",
        title="MACD",
        about="The fast exponential average less the slow one; its signal is an average of it.",
        settings=(_FAST, _SLOW, _SIGNAL),
        outputs=("signal", "histogram"),
        build=_macd,
    ),
    IndicatorKind(
        name="PPO",
        title="PPO",
        about="The MACD in percent of the slow average: comparable between symbols.",
        settings=(_FAST, _SLOW, _SIGNAL),
        outputs=("signal", "histogram"),
        build=_ppo,
    ),
    IndicatorKind(
        name="STOCH",
        title="stochastic",
        about="Where the close lies between the lowest low (0) and the highest high (100), smoothed.",
        settings=(period(14), period(3, "smooth"), period(3, "signal")),
        source=None,
        outputs=("signal",),
        build=_stoch,
    ),
    IndicatorKind(
        name="STOCHRSI",
        title="stochastic RSI",
        about="Where the RSI lies between its own lowest and highest, smoothed.",
        settings=(period(14, low=2), period(14, "span"), period(3, "smooth"), period(3, "signal")),
        outputs=("signal",),
        build=_stochrsi,
    ),
    IndicatorKind(
        name="CCI",
        title="CCI",
        about="How far the typical price lies from its mean, in units of its usual distance.",
        settings=(period(20, low=2),),
        source=None,
        build=one(_cci),
    ),
    IndicatorKind(
        name="ROC",
        title="rate of change",
        about="The change over so many candles, in percent.",
        settings=(period(10),),
        build=one(_roc),
    ),
    IndicatorKind(
        name="MOM",
        title="momentum",
        about="The change over so many candles, in units of the price.",
        settings=(period(10),),
        build=one(lambda market, line, n: line - line.before(int(n))),
    ),
    IndicatorKind(
        name="WILLR",
        title="Williams %R",
        about="Where the close lies below the highest high, -100 to 0.",
        settings=(period(14),),
        source=None,
        build=one(_willr),
    ),
    IndicatorKind(
        name="TRIX",
        title="TRIX",
        about="The change of a threefold exponential average from candle to candle, in percent.",
        settings=(period(18),),
        build=one(_trix),
    ),
    IndicatorKind(
        name="AO",
        title="awesome oscillator",
        about="The short mean of the candles' middles less the long one.",
        settings=(period(5, "fast"), period(34, "slow")),
        source=None,
        build=one(_ao),
    ),
)
