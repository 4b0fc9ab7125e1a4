"""What an indicator is: a row that says its settings, outputs and how it is made of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from dashtrade.domain.record import record
from dashtrade.market.indicators.graph import Line, Market

LONGEST_PERIOD = 1000

Made: TypeAlias = Mapping[str, Line]  # by output; the main one has the name ""


@record
class IndicatorSetting:
    name: str
    default: float
    low: float
    high: float
    is_whole: bool = True

    def fits(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.is_whole and value != int(value))


def period(default: int, name: str = "period", low: int = 1) -> IndicatorSetting:
    return IndicatorSetting(name=name, default=default, low=low, high=LONGEST_PERIOD)


def factor(default: float, name: str = "factor") -> IndicatorSetting:
    return IndicatorSetting(name=name, default=default, low=0.1, high=20.0, is_whole=False)


@record
class IndicatorKind:
    """`source` is the price that it is made of when no other series is named; None where it always takes the
    same columns. `build` gets market, source (the close where there is none) and settings in order."""

    name: str
    title: str  # for people, inside a sentence
    about: str
    build: Callable[..., Made]
    settings: tuple[IndicatorSetting, ...] = ()
    source: str | None = "close"
    outputs: tuple[str, ...] = ()  # besides the main one
    main: str = "line"  # what the main one is called, if anybody calls it


def one(function: Callable[..., Line]) -> Callable[..., Made]:
    """Of an indicator with one output."""
    return lambda market, source, *settings: {"": function(market, source, *settings)}


def sma(line: Line, n: float) -> Line:
    return line.made("total", settings=[n]) / n


def ema(line: Line, n: float) -> Line:
    return line.made("ema", settings=[n])


def rma(line: Line, n: float) -> Line:
    return line.made("rma", settings=[n])


def highest(line: Line, n: float) -> Line:
    return line.made("highest", settings=[n])


def lowest(line: Line, n: float) -> Line:
    return line.made("lowest", settings=[n])


def deviation(line: Line, n: float) -> Line:
    return line.made("deviation", settings=[n])


def true_range(market: Market) -> Line:
    high, low, before = market.line("high"), market.line("low"), market.line("close").before()
    return highest_of(high - low, (high - before).made("absolute"), (before - low).made("absolute"))


def highest_of(first: Line, *others: Line | float) -> Line:
    for other in others:
        first = first.made("higher", other)
    return first


def rises(line: Line) -> Line:
    return (line - line.before()).made("higher", 0.0)


def falls(line: Line) -> Line:
    return (line.before() - line).made("higher", 0.0)
