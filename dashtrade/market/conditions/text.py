"""Tree to text, in one canonical way: reading it gives the same tree."""

from __future__ import annotations

from dashtrade.market.conditions import names
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
    TreeNode,
)

_OR, _AND, _NOT, _LASTING, _COMPARISON, _SUM, _PRODUCT, _UNARY, _POSTFIX = range(9)

_ZONE_NAMES = {zone: name for name, zone in reversed(names.ZONES.items())}


def text_of(node: TreeNode) -> str:
    return _written(node)[0]


def number_text(value: float) -> str:
    """The shortest that reads as the same number."""
    written = repr(value)
    return written.removesuffix(".0")


def clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def zone_name(zone: str) -> str:
    return _ZONE_NAMES.get(zone, zone)


def place_text(node: SeriesAt | ConditionAt) -> str:
    of = f" of {node.symbol}" if node.symbol else ""
    return f"{of} on {node.timeframe}" if node.timeframe else of


def _in(node: TreeNode, weakest: int) -> str:
    """In brackets where it binds less than what it stands in."""
    text, binds = _written(node)
    return text if binds >= weakest else f"({text})"


def _written(node: TreeNode) -> tuple[str, int]:
    """With how strongly it binds."""
    match node:
        case Constant() | Parameter() | PriceValue() | HeldValue() | IndicatorValue():
            return _atom(node)
        case Earlier() | SeriesAt() | Arithmetic() | Negative():
            return _series(node)
    return _condition(node)


def _atom(node: Constant | Parameter | PriceValue | HeldValue | IndicatorValue) -> tuple[str, int]:
    match node:
        case Constant(value=value):
            return number_text(value), _POSTFIX if value >= 0 else _UNARY
        case Parameter(name=name):
            return f"{{{name}}}", _POSTFIX
        case IndicatorValue():
            return indicator_text(node), _POSTFIX
        case PriceValue(name=name) | HeldValue(name=name):
            return name, _POSTFIX


def indicator_text(node: IndicatorValue) -> str:
    series = [] if node.series is None else [text_of(node.series)]
    arguments = ", ".join([*series, *map(text_of, node.settings)])
    name = f"{node.name}({arguments})" if arguments else node.name
    return f"{name}.{node.output}" if node.output else name


def _series(node: Earlier | SeriesAt | Arithmetic | Negative) -> tuple[str, int]:
    match node:
        case Earlier(series=series, bars=bars):
            return f"{_bare(series)}[{bars}]", _POSTFIX
        case SeriesAt(series=series):
            return f"{_in(series, _POSTFIX)}{place_text(node)}", _POSTFIX
        case Arithmetic(operator=operator, left=left, right=right):
            binds = _SUM if operator in "+-" else _PRODUCT
            return f"{_in(left, binds)} {operator} {_in(right, binds + 1)}", binds
        case Negative(series=Constant() as number):
            return f"-({text_of(number)})", _UNARY
        case Negative(series=series):
            return f"-{_in(series, _UNARY)}", _UNARY


def _bare(series: Numeric) -> str:
    """Before `[3]`, which would be read as part of `on 1h` otherwise."""
    return f"({text_of(series)})" if isinstance(series, SeriesAt) else _in(series, _POSTFIX)


def _condition(node: Condition | Numeric) -> tuple[str, int]:
    match node:
        case Comparison(operator=operator, left=left, right=right):
            return f"{_in(left, _SUM)} {operator} {_in(right, _SUM)}", _COMPARISON
        case Crossing(direction=direction, left=left, right=right):
            return f"{_in(left, _SUM)} crosses {direction} {_in(right, _SUM)}", _COMPARISON
        case AllOf(parts=parts):
            return " and ".join(_in(part, _NOT) for part in parts), _AND
        case AnyOf(parts=parts):
            return " or ".join(_in(part, _AND) for part in parts), _OR
        case Negation(part=part):
            return f"not {_in(part, _NOT)}", _NOT
        case Lasting(part=part, bars=bars):
            return f"{_in(part, _LASTING)} for {bars} bars", _LASTING
        case Recent(part=part, bars=bars):
            return f"{_in(part, _LASTING)} within {bars} bars", _LASTING
        case DayTime(start=start, end=end, zone=zone):
            between = f"time between {clock_text(start)} and {clock_text(end)}"
            return f"{between} {zone_name(zone)}", _COMPARISON
        case ConditionAt(part=part):
            return f"({text_of(part)}){place_text(node)}", _POSTFIX
    raise TypeError(node)
