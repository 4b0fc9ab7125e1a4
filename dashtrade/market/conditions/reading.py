"""Text to tree. What is wrong is said with its place; a bare `signal` is the left side's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from dashtrade.domain.record import replace
from dashtrade.market.conditions import names
from dashtrade.market.conditions.checks import (
    check_node,
    check_setting,
    check_size,
    timeframe_text,
    unknown_name,
    usage,
)
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.grammar import hint_for, names_of, parser
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
    Fixed,
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
from dashtrade.market.indicators.kinds import IndicatorKind
from dashtrade.market.indicators.registry import INDICATORS

if TYPE_CHECKING:
    from lark import Tree

_CONDITIONS = {"any_of", "all_of", "negation", "lasting", "recent", "comparison", "crossing", "day_time"}
Found = TypeVar("Found", bound=TreeNode)
Answer = TypeVar("Answer")
_WORD = re.compile(r"\w+%?|[^\w\s]{1,2}")
_CANONICAL_ZONES = {name.lower(): zone for name, zone in names.ZONES.items()}


def parse(text: str) -> Condition:
    """Raises ConditionError."""
    if len(text) > names.MOST_CHARACTERS:
        raise ConditionError(Fault.TOO_LONG, length=len(text), most=names.MOST_CHARACTERS)
    if not text.strip():
        raise ConditionError(Fault.EMPTY)
    found = _Reader(text).condition(_tree(text).children[0])
    check_size(found)
    return found


def _tree(text: str) -> Tree[Any]:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        return parser().parse(text)
    except UnexpectedCharacters as error:
        start, expected = error.pos_in_stream or 0, names_of(error.allowed)
    except UnexpectedToken as error:
        expected = names_of(error.accepts or error.expected)
        start = len(text) if error.token.type == "$END" else error.token.start_pos or 0
    raise _unexpected(text, start, expected)


def _unexpected(text: str, start: int, expected: set[str]) -> ConditionError:
    word = _WORD.match(text, start)
    if word is None:
        hint = hint_for("", expected)
        return ConditionError(Fault.UNEXPECTED_END, hint=hint).place(text, start, start + 1)
    found = word.group()
    if re.fullmatch(r"[<>=!]=?", found) and "_AND" in expected and "COMPARE" not in expected:
        return ConditionError(Fault.CHAINED).place(text, start, word.end())
    if hint_for(found, set()) == "" and hint_for(found[:1], set()) and not found.isalnum():
        found = found[:1]
    hint = hint_for(found, expected)
    return ConditionError(Fault.UNEXPECTED, found=found, hint=hint).place(text, start, start + len(found))


class _Reader:
    """Walks lark's tree."""

    def __init__(self, text: str) -> None:
        self._text, self._depth = text, 0

    def condition(self, node: Any) -> Condition:
        while node.data == "group":
            node = node.children[0]
        if node.data in ("on", "of") and _is_condition(node.children[0]):
            return self._placed(node, lambda: self._condition_at(node))
        if node.data not in _CONDITIONS:
            self._placed(node, lambda: self.series(node))  # a mistake inside it says more
            raise self._error(node, Fault.NEEDS_CONDITION)
        return self._placed(node, lambda: self._condition(node))

    def series(self, node: Any, beside: IndicatorValue | SeriesAt | None = None) -> Numeric:
        """`beside` is what it is compared with, whose outputs may be named alone."""
        while node.data == "group":
            node = node.children[0]
        if _is_condition(node):
            raise self._error(node, Fault.NEEDS_NUMBER)
        return self._placed(node, lambda: self._series(node, beside))

    def _condition(self, node: Any) -> Condition:
        parts: Sequence[Any] = node.children
        match node.data:
            case "any_of":
                return AnyOf(tuple(self.condition(part) for part in parts))
            case "all_of":
                return AllOf(tuple(self.condition(part) for part in parts))
            case "negation":
                return Negation(self.condition(parts[0]))
            case "lasting":
                return Lasting(part=self.condition(parts[0]), bars=self._bars(parts[1]))
            case "recent":
                return Recent(part=self.condition(parts[0]), bars=self._bars(parts[1]))
            case "comparison" | "crossing":
                left, right = self._sides(parts[0], parts[2])
                word = str(parts[1]).lower()
                if node.data == "crossing":
                    return Crossing(direction=word, left=left, right=right)
                return Comparison(operator="=" if word == "==" else word, left=left, right=right)
            case _:
                return self._day_time(parts)

    def _sides(self, left: Any, right: Any) -> tuple[Numeric, Numeric]:
        first = self.series(left)
        beside = first if isinstance(first, (IndicatorValue, SeriesAt)) else None
        return first, self.series(right, beside)

    def _series(self, node: Any, beside: IndicatorValue | SeriesAt | None) -> Numeric:
        parts = node.children
        match node.data:
            case "number":
                return Constant(float(parts[0]))
            case "parameter":
                return Parameter(str(parts[0])[1:-1])
            case "name":
                return self._named(parts[0], beside)
            case "call":
                return self._called(parts[0], parts[1:])
            case "output":
                return self._output(parts[0], parts[1])
            case "earlier":
                return Earlier(series=self.series(parts[0], beside), bars=self._bars(parts[1]))
            case "on" | "of":
                return self._series_at(node, beside)
            case "negative":
                return self._negative(parts[1])
            case _:
                left, right = self.series(parts[0]), self.series(parts[2])
                return Arithmetic(operator=str(parts[1]), left=left, right=right)

    def _negative(self, node: Any) -> Numeric:
        value = self.series(node)
        if node.data == "number" and isinstance(value, Constant):
            return Constant(-value.value)
        return Negative(series=value)

    def _named(self, token: Any, beside: IndicatorValue | SeriesAt | None) -> Numeric:
        name = str(token).lower()
        indicator = beside.series if isinstance(beside, SeriesAt) else beside
        if isinstance(indicator, IndicatorValue) and name in INDICATORS[indicator.name].outputs:
            found = replace(indicator, output=name)
            if isinstance(beside, SeriesAt):
                return SeriesAt(series=found, timeframe=beside.timeframe, symbol=beside.symbol)
            return found
        if name in names.PRICES:
            return PriceValue(name)
        if name in names.HELD:
            return HeldValue(name)
        kind = INDICATORS.get(name.upper())
        if kind is None:
            raise self._place(token, unknown_name(str(token)))
        return _with_defaults(kind, ())

    def _called(self, token: Any, arguments: Sequence[Any]) -> Numeric:
        kind = INDICATORS.get(str(token).upper())
        if kind is None:
            known = str(token).lower() in (*names.PRICES, *names.HELD)
            fault = ConditionError(Fault.NOT_AN_INDICATOR, name=str(token).lower())
            raise self._place(token, fault if known else unknown_name(str(token)))
        values = [self.series(argument) for argument in arguments]
        series: Numeric | None = None
        if values and not isinstance(values[0], (Constant, Parameter)):
            series, values, arguments = values[0], values[1:], arguments[1:]
        settings = [
            self._setting(kind, place, argument, value)
            for place, (argument, value) in enumerate(zip(arguments, values, strict=True))
        ]
        return _with_defaults(kind, settings, series)

    def _setting(self, kind: IndicatorKind, place: int, argument: Any, value: Numeric) -> Fixed:
        if place >= len(kind.settings):
            most = len(kind.settings)
            fault = ConditionError(Fault.SETTING_COUNT, indicator=kind.name, most=most, usage=usage(kind))
            raise self._place(argument, fault)
        setting = kind.settings[place]
        if not isinstance(value, (Constant, Parameter)):
            fault = ConditionError(
                Fault.SETTING_KIND, setting=setting.name, indicator=kind.name, usage=usage(kind)
            )
            raise self._place(argument, fault)
        if isinstance(value, Constant):
            number = value.value
            self._at(argument, lambda: check_setting(kind, setting, number))
        return value

    def _output(self, node: Any, token: Any) -> Numeric:
        value = self.series(node)
        if not isinstance(value, IndicatorValue) or value.output:
            fault = ConditionError(Fault.UNKNOWN_OUTPUT, indicator="This", name=str(token), hint="")
            raise self._place(token, fault)
        output = str(token).lower()
        if output == INDICATORS[value.name].main:
            return value
        found = replace(value, output=output)
        self._at(token, lambda: check_node(found))
        return found

    def _series_at(self, node: Any, beside: IndicatorValue | SeriesAt | None) -> Numeric:
        timeframe, symbol = self._where(node)
        own = beside.series if isinstance(beside, SeriesAt) else beside
        inner = self.series(node.children[0], own if isinstance(own, IndicatorValue) else None)
        if isinstance(inner, SeriesAt) and not _collide(inner, timeframe, symbol):
            timeframe, symbol = timeframe or inner.timeframe, symbol or inner.symbol
            inner = inner.series
        return SeriesAt(series=inner, timeframe=timeframe, symbol=symbol)

    def _condition_at(self, node: Any) -> Condition:
        timeframe, symbol = self._where(node)
        inner = self.condition(node.children[0])
        if isinstance(inner, ConditionAt) and not _collide(inner, timeframe, symbol):
            timeframe, symbol = timeframe or inner.timeframe, symbol or inner.symbol
            inner = inner.part
        return ConditionAt(part=inner, timeframe=timeframe, symbol=symbol)

    def _where(self, node: Any) -> tuple[str, str]:
        token = node.children[1]
        if node.data == "of":
            return "", str(token).upper()
        return self._at(token, lambda: timeframe_text(str(token))), ""

    def _bars(self, token: Any) -> int:
        if not str(token).isdigit():
            fault = ConditionError(Fault.BARS, value=str(token), low=1, high=names.MOST_BARS)
            raise self._place(token, fault)
        return int(token)

    def _day_time(self, parts: Sequence[Any]) -> DayTime:
        written = " ".join(str(parts[2]).split()) if len(parts) > 2 else names.DEFAULT_ZONE
        zone = _CANONICAL_ZONES.get(written.lower(), written)
        found = DayTime(start=self._minute(parts[0]), end=self._minute(parts[1]), zone=zone)
        self._at(parts[-1], lambda: check_node(found))
        return found

    def _minute(self, token: Any) -> int:
        hours, minutes = (int(part) for part in str(token).split(":"))
        if hours > 23 or minutes > 59:
            raise self._place(token, ConditionError(Fault.TIME, value=str(token)))
        return 60 * hours + minutes

    def _placed(self, node: Any, read: Callable[[], Found]) -> Found:
        self._depth += 1
        try:
            if self._depth > 2 * names.MOST_DEPTH:
                raise ConditionError(Fault.TOO_DEEP, most=names.MOST_DEPTH)
            found = read()
            check_node(found)
            return found
        except ConditionError as error:
            raise self._place(node, error) from None
        finally:
            self._depth -= 1

    def _at(self, place: Any, act: Callable[[], Answer]) -> Answer:
        try:
            return act()
        except ConditionError as error:
            raise self._place(place, error) from None

    def _error(self, node: Any, code: Fault) -> ConditionError:
        return self._place(node, ConditionError(code))

    def _place(self, at: Any, error: ConditionError) -> ConditionError:
        """At a token or a tree."""
        place = at if hasattr(at, "start_pos") else at.meta
        return error.place(self._text, place.start_pos, place.end_pos)


def _collide(inner: SeriesAt | ConditionAt, timeframe: str, symbol: str) -> bool:
    return bool((inner.timeframe and timeframe) or (inner.symbol and symbol))


def _is_condition(node: Any) -> bool:
    while node.data in ("group", "on", "of"):
        node = node.children[0]
    return node.data in _CONDITIONS


def _with_defaults(
    kind: IndicatorKind, settings: Sequence[Fixed], series: Numeric | None = None
) -> IndicatorValue:
    left_out = [Constant(float(setting.default)) for setting in kind.settings[len(settings) :]]
    usual = kind.source is not None and series == PriceValue(kind.source)
    return IndicatorValue(name=kind.name, settings=(*settings, *left_out), series=None if usual else series)
