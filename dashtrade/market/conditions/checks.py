"""What a condition may be, whichever face it came by: kinds, bounds, and what may stand in what."""

from __future__ import annotations

from functools import cache
from math import isfinite
from zoneinfo import available_timezones

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.market.conditions import names
from dashtrade.market.conditions.errors import ConditionError, Fault, did_you_mean
from dashtrade.market.conditions.tree import (
    AllOf,
    AnyOf,
    Arithmetic,
    Comparison,
    ConditionAt,
    Constant,
    Crossing,
    DayTime,
    Earlier,
    HeldValue,
    IndicatorValue,
    Lasting,
    PriceValue,
    Recent,
    SeriesAt,
    TreeNode,
    children,
    walk,
)
from dashtrade.market.indicators.kinds import IndicatorKind, IndicatorSetting
from dashtrade.market.indicators.registry import INDICATORS

MINUTES_OF_A_DAY = 1440


def check_node(node: TreeNode) -> None:
    """This node, whose children have been checked."""
    match node:
        case Constant(value=value) if not isfinite(value):
            raise ConditionError(Fault.NUMBER, value=value)
        case PriceValue(name=name) if name not in names.PRICES:
            raise unknown_name(name)
        case HeldValue(name=name) if name not in names.HELD:
            raise unknown_name(name)
        case IndicatorValue():
            _check_indicator(node)
        case Earlier(bars=bars):
            _check_bars(bars, 0)
            _check_history(node)
        case Lasting(bars=bars) | Recent(bars=bars):
            _check_bars(bars, 1)
            _check_history(node)
        case Crossing():
            _one_of(node.direction, names.DIRECTIONS)
            _check_history(node)
        case Comparison(operator=operator):
            _one_of(operator, names.COMPARISONS)
        case Arithmetic(operator=operator):
            _one_of(operator, names.OPERATORS)
        case AllOf(parts=parts) | AnyOf(parts=parts) if len(parts) < 2:
            raise ConditionError(
                Fault.MALFORMED_JSON, problem="Fewer than two parts", hint="Name two or more."
            )
        case DayTime():
            _check_day_time(node)
        case SeriesAt() | ConditionAt():
            _check_at(node)


def check_size(node: TreeNode) -> None:
    """Of a whole tree, before anything walks it by recursion."""
    level, depth, count = [node], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if count > names.MOST_NODES:
            raise ConditionError(Fault.TOO_BIG, most=names.MOST_NODES)
        if depth > names.MOST_DEPTH:
            raise ConditionError(Fault.TOO_DEEP, most=names.MOST_DEPTH)
        level = [child for each in level for child in children(each)]


def check(node: TreeNode) -> None:
    """A whole tree, leaves first."""
    check_size(node)
    for each in reversed(list(walk(node))):
        check_node(each)


def unknown_name(name: str) -> ConditionError:
    own = [kind.name for kind in INDICATORS.values() if name.lower() in kind.outputs]
    if own:
        hint = f"Write {' or '.join(f'{kind}.{name.lower()}' for kind in own)}."
    else:
        hint = did_you_mean(name, [*names.PRICES, *names.HELD, *INDICATORS])
    return ConditionError(Fault.UNKNOWN_NAME, name=name, hint=hint)


def usage(kind: IndicatorKind) -> str:
    """`BB(20, 2)`"""
    settings = ", ".join(f"{setting.default:g}" for setting in kind.settings)
    return f"{kind.name}({settings})" if settings else kind.name


def check_setting(kind: IndicatorKind, setting: IndicatorSetting, value: float) -> None:
    if not setting.fits(value):
        raise ConditionError(
            Fault.SETTING_VALUE,
            setting=setting.name,
            indicator=kind.name,
            value=f"{value:g}",
            low=f"{setting.low:g}",
            high=f"{setting.high:g}",
            kind="whole" if setting.is_whole else "positive",
        )


def timeframe_text(written: str) -> str:
    try:
        return Timeframe.parse(written).text
    except Malformed as error:
        raise ConditionError(Fault.TIMEFRAME, value=written) from error


def _check_indicator(node: IndicatorValue) -> None:
    kind = INDICATORS.get(node.name)
    if kind is None:
        raise unknown_name(node.name)
    if len(node.settings) != len(kind.settings):
        raise ConditionError(
            Fault.SETTING_COUNT, indicator=kind.name, most=len(kind.settings), usage=usage(kind)
        )
    for setting, value in zip(kind.settings, node.settings, strict=True):
        if isinstance(value, Constant):
            check_setting(kind, setting, value.value)
    if node.output and node.output not in kind.outputs:
        known = kind.outputs or ("no outputs of its own",)
        hint = did_you_mean(node.output, known)
        raise ConditionError(Fault.UNKNOWN_OUTPUT, indicator=kind.name, name=node.output, hint=hint)
    if node.series is not None and kind.source is None:
        raise ConditionError(Fault.NO_SERIES, indicator=kind.name, usage=usage(kind))
    if node.series is not None:
        _check_history(node)


def _check_bars(bars: int, low: int) -> None:
    if not low <= bars <= names.MOST_BARS:
        raise ConditionError(Fault.BARS, value=bars, low=low, high=names.MOST_BARS)


def _check_history(node: TreeNode) -> None:
    """Of what stands inside it, earlier candles are asked."""
    for each in walk(node):
        if isinstance(each, HeldValue):
            raise ConditionError(Fault.HELD_IN_HISTORY, name=each.name)
    if isinstance(node, (Earlier, SeriesAt, IndicatorValue)) and not any(
        isinstance(each, (PriceValue, IndicatorValue)) and each is not node for each in walk(node)
    ):
        raise ConditionError(Fault.CONSTANT)


def _check_at(node: SeriesAt | ConditionAt) -> None:
    below = [each for each in walk(node) if each is not node]
    if any(isinstance(each, (SeriesAt, ConditionAt)) for each in below):
        raise ConditionError(Fault.NESTED_AT)
    _check_history(node)
    if node.timeframe and timeframe_text(node.timeframe) != node.timeframe:
        raise ConditionError(Fault.TIMEFRAME, value=node.timeframe)
    if not (node.timeframe or node.symbol):
        raise ConditionError(
            Fault.MALFORMED_JSON, problem="Neither timeframe nor symbol", hint="Name one of them."
        )
    if node.symbol:
        _check_symbol(node.symbol)


def _check_symbol(written: str) -> None:
    try:
        Symbol.parse(written)
    except Malformed as error:
        raise ConditionError(Fault.SYMBOL, value=written) from error
    if written != written.upper():
        raise ConditionError(Fault.SYMBOL, value=written)


def _check_day_time(node: DayTime) -> None:
    for minute in (node.start, node.end):
        if not 0 <= minute < MINUTES_OF_A_DAY:
            raise ConditionError(Fault.TIME, value=minute)
    if node.zone not in _zones():
        raise ConditionError(Fault.ZONE, value=node.zone, hint=did_you_mean(node.zone, names.ZONES))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) | {"UTC"}


def _one_of(value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConditionError(
            Fault.MALFORMED_JSON, problem=f"{value!r} is not known", hint=f"Known: {', '.join(known)}."
        )
