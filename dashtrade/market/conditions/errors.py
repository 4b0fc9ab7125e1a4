"""What is wrong with a condition: a code with facts, and where. The words are made here."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from dashtrade.domain.values import Malformed


class Fault(StrEnum):
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    TOO_BIG = "too_big"
    UNEXPECTED = "unexpected"
    UNEXPECTED_END = "unexpected_end"
    CHAINED = "chained"
    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_OUTPUT = "unknown_output"
    NOT_AN_INDICATOR = "not_an_indicator"
    NEEDS_NUMBER = "needs_number"
    NEEDS_CONDITION = "needs_condition"
    SETTING_COUNT = "setting_count"
    SETTING_VALUE = "setting_value"
    SETTING_KIND = "setting_kind"
    NO_SERIES = "no_series"
    BARS = "bars"
    NUMBER = "number"
    TIME = "time"
    ZONE = "zone"
    TIMEFRAME = "timeframe"
    SYMBOL = "symbol"
    NESTED_AT = "nested_at"
    CONSTANT = "constant"
    HELD_IN_HISTORY = "held_in_history"
    FINER = "finer"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_FAR_BACK = "too_far_back"
    TOO_COSTLY = "too_costly"
    UNKNOWN_PARAMETER = "unknown_parameter"
    MALFORMED_JSON = "malformed_json"


WORDS: dict[Fault, tuple[str, str]] = {  # what is wrong, and what would be right
    Fault.EMPTY: ("There is no condition", "Write one, for example: RSI(14) < 30"),
    Fault.TOO_LONG: ("The condition has {length} characters", "Use at most {most}."),
    Fault.TOO_DEEP: ("The condition is nested too deeply", "Use at most {most} levels."),
    Fault.TOO_BIG: ("The condition has too many parts", "Use at most {most}."),
    Fault.UNEXPECTED: ("Unexpected {found!r}", "{hint}"),
    Fault.UNEXPECTED_END: ("The condition ends too early", "{hint}"),
    Fault.CHAINED: ("Two comparisons in a row", "Write a < b and b < c."),
    Fault.UNKNOWN_NAME: ("{name!r} is not known", "{hint}"),
    Fault.UNKNOWN_OUTPUT: ("{indicator} has no {name!r}", "{hint}"),
    Fault.NOT_AN_INDICATOR: ("{name!r} takes no brackets", "Write it alone; only indicators have settings."),
    Fault.NEEDS_NUMBER: ("A number is needed here", "This is true or false and has no value."),
    Fault.NEEDS_CONDITION: (
        "This is a number, which is neither true nor false",
        "Compare it, for example: … > 0",
    ),
    Fault.SETTING_COUNT: ("{indicator} takes {most} settings at most", "Write {usage}."),
    Fault.SETTING_VALUE: ("{setting} of {indicator} is {value}", "Use a {kind} number from {low} to {high}."),
    Fault.SETTING_KIND: ("{setting} of {indicator} is not a number", "Write {usage}."),
    Fault.NO_SERIES: ("{indicator} always takes the same columns of the candles", "Write {usage}."),
    Fault.BARS: ("{value} candles", "Use a whole number from {low} to {high}."),
    Fault.NUMBER: ("{value} is not a finite number", "Use a smaller one."),
    Fault.TIME: ("{value!r} is no time of day", "Write hours and minutes, for example 09:30."),
    Fault.ZONE: ("{value!r} is no time zone", "{hint}"),
    Fault.TIMEFRAME: ("{value!r} is no timeframe", "Write it as 15m, 1h, 1d or 1w."),
    Fault.SYMBOL: ("{value!r} is no symbol", "Write it as BTC, BTC/USDT or AAPL."),
    Fault.NESTED_AT: (
        "`on` and `of` stand inside another `on` or `of`",
        "Name symbol and timeframe of each series once.",
    ),
    Fault.CONSTANT: ("A fixed number is the same at every candle", "Use it without [ ], `on` and `of`."),
    Fault.HELD_IN_HISTORY: (
        "{name!r} is known now, not at earlier candles",
        "Compare it directly; not inside indicators, [ ], crosses, for, within, on and of.",
    ),
    Fault.FINER: ("{timeframe} candles are shorter than the own ones of {own}", "Use {own} or longer."),
    Fault.TOO_MANY_FRAMES: ("{count} other symbols and timeframes", "Use at most {most}."),
    Fault.TOO_FAR_BACK: ("It needs {bars} candles before the first decision", "Use at most {most}."),
    Fault.TOO_COSTLY: (
        "It takes about {cost} ns a candle",
        "Use at most {most}: fewer or shorter indicators.",
    ),
    Fault.UNKNOWN_PARAMETER: ("{{{name}}} has no value", "Parameters: {known}."),
    Fault.MALFORMED_JSON: ("{problem}", "{hint}"),
}


class ConditionError(Malformed):
    """`column` counts from 1; 0 where there is no text. `path` leads to the place in JSON."""

    def __init__(self, code: Fault, **facts: Any) -> None:
        message, hint = (words.format(**facts) for words in WORDS[code])
        super().__init__(message, hint=hint)
        self.code, self.facts = code, facts
        self.column = self.length = 0
        self.text = self.path = ""

    def place(self, text: str, start: int, end: int) -> ConditionError:
        """Where in the text; the innermost place stays."""
        if not self.column:
            self.text, self.column, self.length = text, start + 1, max(end - start, 1)
        return self

    def shown(self) -> str:
        """With the line it is in, and marks below the place."""
        said = f"{self.message}. {self.hint}".strip()
        if not self.column:
            return said
        before = self.text[: self.column - 1]
        line_start = before.rfind("\n") + 1
        line = self.text[line_start:].partition("\n")[0]
        indent = len(before) - line_start
        marks = "^" * max(min(self.length, len(line) - indent), 1)
        return f"{said}\n{line}\n{' ' * indent}{marks}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest names, or all of them where none is near."""
    by_lower = {each.lower(): each for each in known}
    near = [by_lower[each] for each in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(by_lower.values())}."
