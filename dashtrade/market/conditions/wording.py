"""Conditions and what they came to, in sentences for people. Made when somebody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.conditions import names
from dashtrade.market.conditions.evaluation import Finding, RuleOutcome, Truth
from dashtrade.market.conditions.reading import parse
from dashtrade.market.conditions.text import clock_text, number_text, place_text, text_of, zone_name
from dashtrade.market.conditions.tree import (
    AllOf,
    AnyOf,
    Arithmetic,
    Comparison,
    Condition,
    ConditionAt,
    Constant,
    Crossing,
    DayTime,
    Earlier,
    HeldValue,
    IndicatorValue,
    Lasting,
    Negation,
    Negative,
    Numeric,
    Parameter,
    PriceValue,
    Recent,
    SeriesAt,
)
from dashtrade.market.indicators.registry import INDICATORS

_COMPARED = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "=": "equals",
    "!=": "is not",
}
_SIGNS = {"*": "×", "/": "÷", "-": "−", "+": "+"}
_MARKS = {Truth.YES: "✓", Truth.NO: "✗", Truth.UNKNOWN: "?"}
_UNITS = {"Sec": "second", "Min": "minute", "Hour": "hour", "Day": "day", "Week": "week", "Month": "month"}


def sentence(condition: Condition) -> str:
    """`The close is above EMA(200) on 1-hour candles, and RSI(14) is below 30.`"""
    said = _said(condition)
    start = 1 if said.startswith("(") else 0
    return f"{said[:start]}{said[start].upper()}{said[start + 1 :]}."


def outcome_words(outcome: RuleOutcome) -> str:
    """`RSI(14) 28.4 < 30 ✓, MACD(12, 26, 9) 0.31 crosses above MACD(12, 26, 9).signal 0.29 ✓`"""
    return ", ".join(finding_words(finding) for finding in outcome.findings)


def finding_words(finding: Finding) -> str:
    mark = _MARKS[finding.truth]
    match finding.test:
        case Comparison(operator=operator, left=left, right=right):
            return f"{_valued(left, finding.left)} {operator} {_valued(right, finding.right)} {mark}"
        case Crossing(direction=direction, left=left, right=right):
            sides = (_valued(left, finding.left), _valued(right, finding.right))
            return f"{sides[0]} crosses {direction} {sides[1]} {mark}"
        case test:
            return f"{text_of(test)} {mark}"


def number_words(value: float | None) -> str:
    """Six digits; more are there as data."""
    return "not known" if value is None else f"{value:.6g}"


def _valued(side: Numeric, value: float | None) -> str:
    return text_of(side) if isinstance(side, Constant) else f"{text_of(side)} {number_words(value)}"


def _said(node: Condition) -> str:
    match node:
        case Comparison(operator=operator, left=left, right=right):
            return f"{_series(left)} {_COMPARED[operator]} {_series(right)}"
        case Crossing(direction=direction, left=left, right=right):
            return f"{_series(left)} crosses {direction} {_series(right)}"
        case AllOf(parts=parts):
            return ", and ".join(_part(part) for part in parts)
        case AnyOf(parts=parts):
            return ", or ".join(_part(part) for part in parts)
        case Negation(part=part):
            return f"it is not so that {_part(part)}"
        case Lasting(part=part, bars=bars):
            return f"{_part(part)}, for {_candles(bars)} in a row"
        case Recent(part=part, bars=bars):
            before = f" or one of the {bars - 1} before it" if bars > 1 else ""
            return f"{_part(part)}, at this candle{before}"
        case DayTime(start=start, end=end, zone=zone):
            return f"the candle closes between {clock_text(start)} and {clock_text(end)} ({zone_name(zone)})"
        case ConditionAt(part=part):
            return f"{_part(part)}{_where(node)}"


def _part(node: Condition) -> str:
    """In brackets, where it could be read together with its neighbours."""
    simple = isinstance(node, (Comparison, Crossing, DayTime))
    return _said(node) if simple else f"({_said(node)})"


def _series(node: Numeric) -> str:
    match node:
        case Constant(value=value):
            return number_text(value)
        case Parameter(name=name):
            return f"{{{name}}}"
        case PriceValue(name=name):
            return f"the {names.PRICES[name]}"
        case HeldValue(name=name):
            return f"the {names.HELD[name]}"
        case IndicatorValue():
            return _indicator(node)
        case Earlier(series=series, bars=bars):
            return f"{_series(series)} {_candles(bars)} before"
        case SeriesAt(series=series):
            return f"{_series(series)}{_where(node)}"
        case Arithmetic(operator=operator, left=left, right=right):
            return f"{_operand(left)} {_SIGNS[operator]} {_operand(right)}"
        case Negative(series=series):
            return f"minus {_operand(series)}"


def _operand(node: Numeric) -> str:
    return f"({_series(node)})" if isinstance(node, (Arithmetic, Negative)) else _series(node)


def _indicator(node: IndicatorValue) -> str:
    settings = ", ".join(_series(setting) for setting in node.settings)
    name = f"{node.name}({settings})" if settings else node.name
    kind = INDICATORS[node.name]
    output = node.output or ("" if kind.main == "line" else kind.main)
    output = f"the {output.replace('_', ' ')} of " if output else ""
    if node.series is None:
        return f"{output}{name}"
    if not kind.settings:
        return f"{output}the {kind.title} of ({_series(node.series)})"
    return f"{output}{name} of {_operand(node.series)}"


def _where(node: SeriesAt | ConditionAt) -> str:
    if not node.timeframe:
        return place_text(node)
    count, unit = Timeframe.parse(node.timeframe).shown.split()
    symbol = f" of {node.symbol}" if node.symbol else ""
    return f"{symbol} on {count}-{_UNITS[unit]} candles"


def _candles(count: int) -> str:
    return "1 candle" if count == 1 else f"{count} candles"


# --- as it is stored ----------------------------------------------------------------------------------------


def stored(outcome: RuleOutcome) -> dict[str, Any]:
    """As JSON: tests as their canonical text, and numbers."""
    return {
        "truth": outcome.truth.value,
        "closed_at": outcome.closed_at,
        "findings": [
            {
                "test": text_of(finding.test),
                "truth": finding.truth.value,
                "values": [finding.left, finding.right, finding.left_before, finding.right_before],
            }
            for finding in outcome.findings
        ],
    }


def read_stored(given: Mapping[str, Any]) -> RuleOutcome:
    return RuleOutcome(
        truth=Truth(given["truth"]),
        closed_at=given["closed_at"],
        findings=tuple(_read_finding(finding) for finding in given["findings"]),
    )


def _read_finding(given: Mapping[str, Any]) -> Finding:
    test = parse(given["test"])
    if not isinstance(test, (Comparison, Crossing, DayTime)):
        raise ValueError(f"{given['test']!r} is no single test")
    left, right, left_before, right_before = given["values"]
    return Finding(
        test=test,
        truth=Truth(given["truth"]),
        left=left,
        right=right,
        left_before=left_before,
        right_before=right_before,
    )
