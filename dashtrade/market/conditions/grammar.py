"""The grammar, for lark, and what its words are called when one is missing. Keywords in any case."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from dashtrade.market.conditions.names import ZONES

if TYPE_CHECKING:
    from lark import Lark

_PLACES = "|".join(name.replace(" ", r"\s+") for name in ZONES)

GRAMMAR = rf"""
start: expression
?expression: conjunction (_OR conjunction)+ -> any_of
    | conjunction
?conjunction: negation (_AND negation)+ -> all_of
    | negation
?negation: _NOT negation -> negation
    | lasting
?lasting: lasting _FOR NUMBER _BARS -> lasting
    | lasting _WITHIN NUMBER _BARS -> recent
    | comparison
?comparison: sum COMPARE sum -> comparison
    | sum _CROSSES DIRECTION sum -> crossing
    | sum
?sum: sum (PLUS | MINUS) product -> arithmetic
    | product
?product: product (TIMES | OVER) unary -> arithmetic
    | unary
?unary: MINUS unary -> negative
    | postfix
?postfix: postfix _LEFT_BRACKET NUMBER _RIGHT_BRACKET -> earlier
    | postfix _ON TIMEFRAME -> on
    | postfix _OF SYMBOL -> of
    | postfix _DOT NAME -> output
    | atom
?atom: NUMBER -> number
    | PARAMETER -> parameter
    | NAME _LEFT (expression (_COMMA expression)*)? _RIGHT -> call
    | NAME -> name
    | _LEFT expression _RIGHT -> group
    | _TIME _BETWEEN CLOCK _AND CLOCK ZONE? -> day_time

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_FOR: /for\b/i
_WITHIN: /within\b/i
_BARS: /(bars?|candles?)\b/i
_CROSSES: /crosses\b/i
DIRECTION: /(above|below)\b/i
_ON: /on\b/i
_OF: /of\b/i
_TIME.3: /time(?=\s+between\b)/i
_BETWEEN: /between\b/i
COMPARE: "<=" | ">=" | "!=" | "==" | "<" | ">" | "="
PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
_LEFT: "("
_RIGHT: ")"
_LEFT_BRACKET: "["
_RIGHT_BRACKET: "]"
_COMMA: ","
_DOT: "."
NUMBER: /(\d+(\.\d+)?|\.\d+)(e[+-]?\d+)?/i
PARAMETER: /\{{[a-z][a-z0-9_]{{0,30}}\}}/
NAME: /(?!(?:and|or|not|on|of|for|within|crosses|above|below|between)\b)[A-Za-z_]\w*%?/i
TIMEFRAME: /\d{{1,5}} ?(?:sec|min|hour|day|week|month)[a-z]*|\d{{1,5}}[A-Za-z]+/
SYMBOL: /[A-Za-z0-9][A-Za-z0-9:.\/_-]*/
CLOCK: /\d{{1,2}}:\d{{2}}/
ZONE: /(?:{_PLACES})\b|[A-Za-z]+\/[A-Za-z_\/+0-9-]+/i
%ignore /\s+/
"""

_VALUE = "a value (close, RSI(14), 30, …)"
_EXPECTED = {
    "NAME": _VALUE,
    "NUMBER": "a number",
    "COMPARE": "a comparison (<, >, =, crosses above)",
    "_AND": "and",
    "_OR": "or",
    "_RIGHT": ")",
    "_RIGHT_BRACKET": "]",
    "_BARS": "bars",
    "DIRECTION": "above or below",
    "TIMEFRAME": "a timeframe (15m, 1h, 1d)",
    "SYMBOL": "a symbol (BTC, AAPL)",
    "CLOCK": "a time (09:30)",
    "_BETWEEN": "between",
}

_INSTEAD = {
    "&&": "Write and.",
    "&": "Write and.",
    "||": "Write or.",
    "|": "Write or.",
    "!": "Write not.",
    "=>": "Write >=.",
    "=<": "Write <=.",
    "<>": "Write !=.",
    "is": "Write = or a comparison.",
    "above": "Write > or crosses above.",
    "below": "Write < or crosses below.",
    "over": "Write > or crosses above.",
    "under": "Write < or crosses below.",
    "cross": "Write crosses above or crosses below.",
    "crossing": "Write crosses above or crosses below.",
    "crossed": "Write crosses above or crosses below.",
    "crossover": "Write crosses above.",
    "crossunder": "Write crosses below.",
    "between": "Write x > a and x < b.",
    "at": "Write on for a timeframe, of for a symbol.",
    "in": "Write on for a timeframe, of for a symbol, within for candles.",
    "last": "Write within 5 bars.",
    "%": "Only names such as profit% have it; write 2 percent of close as 0.02 * close.",
}


@cache
def parser() -> Lark:
    """Made by the first condition that is read."""
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def hint_for(found: str, expected: set[str]) -> str:
    """What would be right in place of this word; what is likeliest first."""
    instead = _INSTEAD.get(found.lower())
    if instead:
        return instead
    words = [word for name, word in _EXPECTED.items() if name in expected]
    if "NAME" in expected:
        words = [_VALUE]
    return f"Expected {', '.join(words)}." if words else ""


def names_of(expected: Any) -> set[str]:
    return {str(getattr(each, "name", each)) for each in expected or ()}
