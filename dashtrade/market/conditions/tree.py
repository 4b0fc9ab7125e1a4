"""A condition as a tree of records. What is written in it holds at a closed candle; nothing in it can name a
later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, TypeAlias, get_args

from dashtrade.domain.record import record, replace

# --- numbers ------------------------------------------------------------------------------------------------


@record(kw_only=False)
class Constant:
    value: float


@record(kw_only=False)
class Parameter:
    """`{name}`: a number that a strategy sets, and a search tries."""

    name: str


@record(kw_only=False)
class PriceValue:
    """A column of the candles, or a mean of columns: `close`, `hl2`, `spread`."""

    name: str


@record(kw_only=False)
class HeldValue:
    """What the bot holds, and what its account has: `profit%`, `bars_since_entry`."""

    name: str


@record
class IndicatorValue:
    """`series` is None where it is the indicator's usual one."""

    name: str
    settings: tuple[Constant | Parameter, ...]
    series: Numeric | None = None
    output: str = ""


@record
class Earlier:
    """`close[3]`: three candles ago."""

    series: Numeric
    bars: int


@record
class SeriesAt:
    """`RSI(14) of BTC on 1h`: of another symbol, at another timeframe's last closed candle. Empty: own."""

    series: Numeric
    timeframe: str = ""
    symbol: str = ""


@record
class Arithmetic:
    operator: str
    left: Numeric
    right: Numeric


@record
class Negative:
    series: Numeric


# --- true, false, or not known ------------------------------------------------------------------------------


@record
class Comparison:
    operator: str
    left: Numeric
    right: Numeric


@record
class Crossing:
    """At this candle `left` is above (or below) `right`, and at the one before it was not."""

    direction: str
    left: Numeric
    right: Numeric


@record(kw_only=False)
class AllOf:
    parts: tuple[Condition, ...]


@record(kw_only=False)
class AnyOf:
    parts: tuple[Condition, ...]


@record(kw_only=False)
class Negation:
    part: Condition


@record
class Lasting:
    """`… for 3 bars`: at each of the last candles, this one included."""

    part: Condition
    bars: int


@record
class Recent:
    """`… within 5 bars`: at one of the last candles at least, this one included."""

    part: Condition
    bars: int


@record
class DayTime:
    """The candle closes between these minutes of the day, both included. `zone` is an IANA name."""

    start: int
    end: int
    zone: str


@record
class ConditionAt:
    """`(close > open) on 1h`: as it was at the last closed candle there."""

    part: Condition
    timeframe: str = ""
    symbol: str = ""


Fixed: TypeAlias = Constant | Parameter
Named: TypeAlias = Fixed | PriceValue | HeldValue | IndicatorValue
Numeric: TypeAlias = Named | Earlier | SeriesAt | Arithmetic | Negative
Logical: TypeAlias = Comparison | Crossing | AllOf | AnyOf | Negation | Lasting | Recent
Condition: TypeAlias = Logical | DayTime | ConditionAt
TreeNode: TypeAlias = Numeric | Condition


NODES = get_args(Named) + get_args(Numeric) + get_args(Condition)


def children(node: TreeNode) -> tuple[TreeNode, ...]:
    match node:
        case IndicatorValue(settings=settings, series=series):
            return (*settings, *(() if series is None else (series,)))
        case Earlier(series=series) | SeriesAt(series=series) | Negative(series=series):
            return (series,)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            return (left, right)
        case Crossing(left=left, right=right):
            return (left, right)
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return parts
        case Negation(part=part) | Lasting(part=part) | Recent(part=part) | ConditionAt(part=part):
            return (part,)
    return ()


def walk(node: TreeNode) -> Iterator[TreeNode]:
    """The node and all below it."""
    left = [node]
    while left:
        each = left.pop()
        yield each
        left += children(each)


def rebuilt(node: TreeNode, change: Callable[[TreeNode], TreeNode]) -> TreeNode:
    """With `change` made of every node, leaves first."""
    changes: dict[str, Any] = {}
    for name in (each.name for each in fields(node)):
        value = getattr(node, name)
        if isinstance(value, NODES):
            changes[name] = rebuilt(value, change)
        elif isinstance(value, tuple):
            changes[name] = tuple(rebuilt(each, change) for each in value)
    return change(replace(node, **changes) if changes else node)


def parameters(node: TreeNode) -> set[str]:
    return {each.name for each in walk(node) if isinstance(each, Parameter)}
