"""What a trader writes is read, written back in one way and said in a sentence; mistakes are pointed at."""

from __future__ import annotations

import json
from random import Random

import jsonschema
import pytest

from bench.conditions.made import Maker
from dashtrade.market.conditions import names
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.json_face import from_json, schema, to_json
from dashtrade.market.conditions.parameters import ParameterRange, bind, check_ranges
from dashtrade.market.conditions.reading import parse
from dashtrade.market.conditions.text import text_of
from dashtrade.market.conditions.tree import (
    AllOf,
    Comparison,
    Constant,
    Crossing,
    IndicatorValue,
    Negative,
    PriceValue,
    SeriesAt,
    parameters,
)
from dashtrade.market.conditions.wording import sentence

CANONICAL = {
    "close > EMA(200) on 1h and RSI(14) < 30 and MACD crosses above signal": (
        "close > EMA(200) on 1h and RSI(14) < 30 and MACD(12, 26, 9) crosses above MACD(12, 26, 9).signal"
    ),
    "profit% > 3 or bars_since_entry > 48": "profit% > 3 or bars_since_entry > 48",
    "volume > 2 * SMA(volume, 20)": "volume > 2 * SMA(volume, 20)",
    "time between 9:30 and 15:55 new york": "time between 09:30 and 15:55 New York",
    "time between 22:00 and 4:00": "time between 22:00 and 04:00 UTC",
    "time between 09:00 and 17:00 Europe/Lisbon": "time between 09:00 and 17:00 Europe/Lisbon",
    "rsi < 30 for 3 bars": "RSI(14) < 30 for 3 bars",
    "MACD crosses above signal within 5 candles": (
        "MACD(12, 26, 9) crosses above MACD(12, 26, 9).signal within 5 bars"
    ),
    "MACD on 1h crosses above signal": ("MACD(12, 26, 9) on 1h crosses above MACD(12, 26, 9).signal on 1h"),
    "RSI(14) on 4 hours of btc > 50": "RSI(14) of BTC on 4h > 50",
    "close > close[1] of BTC/USDT": "close > close[1] of BTC/USDT",
    "(close > open) on 1h for 2 bars": "(close > open) on 1h for 2 bars",
    "NOT close > BB.upper AND close == BB(close, 20).middle": (
        "not close > BB(20, 2).upper and close = BB(20, 2)"
    ),
    "HIGHEST(high, 20) > HIGHEST(close, 20)": "HIGHEST(20) > HIGHEST(close, 20)",
    "close - (open - -3) * 2 > 1e6": "close - (open - -3) * 2 > 1000000",
    "close - open - 3 > 0": "close - open - 3 > 0",
    "((close > 1) and (open > 1)) or close < .5": "close > 1 and open > 1 or close < 0.5",
    "close > 1 and (open > 1 or high > 1)": "close > 1 and (open > 1 or high > 1)",
    "(close > 1 and open > 1) and high > 1": "(close > 1 and open > 1) and high > 1",
    "(RSI(14) on 1h)[1] > RSI(14)[1] on 1h": "(RSI(14) on 1h)[1] > RSI(14)[1] on 1h",
    "EMA({fast}) crosses below EMA({slow})": "EMA({fast}) crosses below EMA({slow})",
    "close > -close": "close > -close",
}


@pytest.mark.parametrize("written", CANONICAL)
def test_it_is_written_back_in_one_way(written: str) -> None:
    tree = parse(written)
    assert text_of(tree) == CANONICAL[written]
    assert parse(text_of(tree)) == tree


def test_the_tree_of_the_first_example() -> None:
    macd = IndicatorValue(name="MACD", settings=(Constant(12.0), Constant(26.0), Constant(9.0)))
    signal = IndicatorValue(name="MACD", settings=macd.settings, output="signal")
    trend = IndicatorValue(name="EMA", settings=(Constant(200.0),))
    rsi = IndicatorValue(name="RSI", settings=(Constant(14.0),))
    assert parse("close > EMA(200) on 1h and RSI(14) < 30 and MACD crosses above signal") == AllOf(
        (
            Comparison(operator=">", left=PriceValue("close"), right=SeriesAt(series=trend, timeframe="1h")),
            Comparison(operator="<", left=rsi, right=Constant(30.0)),
            Crossing(direction="above", left=macd, right=signal),
        )
    )


WRONG = {  # text: the fault, and what its marks stand below
    "RSI(14) <": (Fault.UNEXPECTED_END, ""),
    "close": (Fault.NEEDS_CONDITION, "close"),
    "(close > 5) > 3": (Fault.NEEDS_NUMBER, "close > 5"),
    "RSY(14) > 3": (Fault.UNKNOWN_NAME, "RSY"),
    "close > upper": (Fault.UNKNOWN_NAME, "upper"),
    "close > BB.uper": (Fault.UNKNOWN_OUTPUT, "uper"),
    "close > signal": (Fault.UNKNOWN_NAME, "signal"),
    "RSI(5000) > 3": (Fault.SETTING_VALUE, "5000"),
    "RSI(14.5) > 3": (Fault.SETTING_VALUE, "14.5"),
    "RSI(close, high) > 3": (Fault.SETTING_KIND, "high"),
    "RSI(14, 3) > 3": (Fault.SETTING_COUNT, "3"),
    "ATR(close, 14) > 3": (Fault.NO_SERIES, "ATR(close, 14)"),
    "close(5) > 3": (Fault.NOT_AN_INDICATOR, "close"),
    "RSI(14) < 30 && close > 5": (Fault.UNEXPECTED, "&&"),
    "1 < close < 5": (Fault.CHAINED, "<"),
    "close above 5": (Fault.UNEXPECTED, "above"),
    "close[600] > 1": (Fault.BARS, "close[600]"),
    "close > 5 for 0 bars": (Fault.BARS, "close > 5 for 0 bars"),
    "close > 5 for 1.5 bars": (Fault.BARS, "1.5"),
    "close on 7x > 3": (Fault.TIMEFRAME, "7x"),
    "time between 25:00 and 3:00": (Fault.TIME, "25:00"),
    "time between 9:00 and 10:00 Foo/Bar": (Fault.ZONE, "Foo/Bar"),
    "close of A:B:C:D > 3": (Fault.SYMBOL, "close of A:B:C:D"),
    "(RSI(14) on 1h) on 1d > 3": (Fault.NESTED_AT, "(RSI(14) on 1h) on 1d"),
    "(RSI(14) on 1h > 3) on 1d": (Fault.NESTED_AT, "(RSI(14) on 1h > 3) on 1d"),
    "profit%[1] > 3": (Fault.HELD_IN_HISTORY, "profit%[1]"),
    "profit% crosses above 3": (Fault.HELD_IN_HISTORY, "profit% crosses above 3"),
    "(close > 1 and profit% > 3) for 2 bars": (
        Fault.HELD_IN_HISTORY,
        "(close > 1 and profit% > 3) for 2 bars",
    ),
    "EMA(profit% + close, 5) > 3": (Fault.HELD_IN_HISTORY, "EMA(profit% + close, 5)"),
    "5[1] > 3": (Fault.CONSTANT, "5[1]"),
    "close > 1e999": (Fault.NUMBER, "1e999"),
    "__import__('os')": (Fault.UNEXPECTED, "'"),
    "close > 5; close > 6": (Fault.UNEXPECTED, ";"),
}


@pytest.mark.parametrize("written", WRONG)
def test_what_is_wrong_is_pointed_at(written: str) -> None:
    code, part = WRONG[written]
    with pytest.raises(ConditionError) as raised:
        parse(written)
    error = raised.value
    marked = written[error.column - 1 : error.column - 1 + error.length]
    assert (error.code, marked) == (code, part)
    assert (error.message and error.hint) or code is Fault.UNKNOWN_OUTPUT


def test_the_place_is_marked_below_its_line() -> None:
    with pytest.raises(ConditionError) as raised:
        parse("close > 5\n  and RSY(14) < 30")
    *_, line, marks = raised.value.shown().splitlines()
    assert line == "  and RSY(14) < 30" and marks == "      ^^^"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("RSY(14) > 3", "RSI"),
        ("clsoe > 3", "close"),
        ("close > upper", "BB.upper"),
        ("profit > MACD.sgnal", "signal"),
    ],
)
def test_what_was_meant_is_named(written: str, meant: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(written)
    assert meant in raised.value.facts["hint"]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", Fault.EMPTY),
        ("close > 1 or " * 200 + "close > 1", Fault.TOO_LONG),
        (" or ".join(["close>1"] * 150), Fault.TOO_BIG),
        ("not " * 300 + "close > 1", Fault.TOO_DEEP),
        ("close > " + "-" * 900 + "1", Fault.TOO_DEEP),
        ("close" + "[1]" * 300 + " > 1", Fault.TOO_DEEP),
        ("+".join(["close"] * 60) + " > 1", Fault.TOO_DEEP),
    ],
)
def test_length_depth_and_size_are_bounded(written: str, code: Fault) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(written)
    assert raised.value.code is code


def test_a_thousand_brackets_are_read() -> None:
    assert parse("(" * 950 + "close > 1" + ")" * 950) == parse("close > 1")


def test_random_conditions_keep_their_meaning_in_text_and_json() -> None:
    form, random = schema(), Random(7)
    validator = jsonschema.Draft202012Validator(form)
    for _ in range(150):
        tree = parse(Maker(random, with_held=True).condition(depth=1))
        canonical, face = text_of(tree), to_json(tree)
        assert parse(canonical) == tree and text_of(parse(canonical)) == canonical
        assert from_json(json.loads(json.dumps(face))) == tree
        validator.validate(face)
        assert sentence(tree)


def test_the_usual_series_of_an_indicator_is_left_out_in_json_too() -> None:
    face = to_json(parse("EMA(high, 20) > 1"))
    face["left"]["series"]["name"] = "close"
    assert from_json(face) == parse("EMA(20) > 1")


def test_a_number_below_a_minus_is_kept_apart_from_a_negative_number() -> None:
    tree = Comparison(operator=">", left=PriceValue("close"), right=Negative(series=Constant(5.0)))
    assert parse(text_of(tree)) == tree != parse("close > -5")


BROKEN = [
    (None, "$", Fault.MALFORMED_JSON),
    ({"kind": "price", "name": "close"}, "$", Fault.MALFORMED_JSON),
    ({"kind": "not", "part": {"kind": "all", "parts": []}}, "$.part", Fault.MALFORMED_JSON),
    ({"kind": "not", "part": {"kind": "when"}}, "$.part", Fault.MALFORMED_JSON),
    ({"kind": "not", "part": {"kind": "not"}, "more": 1}, "$", Fault.MALFORMED_JSON),
    (
        {"kind": "comparison", "operator": "<", "left": {"kind": "price", "name": "cloze"}, "right": {}},
        "$.left",
        Fault.UNKNOWN_NAME,
    ),
    (
        {"kind": "comparison", "operator": "<", "left": {"kind": "number", "value": True}, "right": {}},
        "$.left.value",
        Fault.MALFORMED_JSON,
    ),
]


@pytest.mark.parametrize(("face", "path", "code"), BROKEN)
def test_what_is_wrong_in_json_is_named_by_its_path(face: object, path: str, code: Fault) -> None:
    with pytest.raises(ConditionError) as raised:
        from_json(face)
    assert (raised.value.path, raised.value.code) == (path, code)


def test_json_is_bounded_as_text_is() -> None:
    face = to_json(parse("close > 1"))
    for _ in range(names.MOST_DEPTH + 2):
        face = {"kind": "not", "part": face}
    with pytest.raises(ConditionError) as raised:
        from_json(face)
    assert raised.value.code is Fault.TOO_DEEP
    setting = to_json(parse("RSI(14) > 1"))
    setting["left"]["settings"][0]["value"] = 5000
    with pytest.raises(ConditionError) as raised:
        from_json(setting)
    assert raised.value.code is Fault.SETTING_VALUE


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    face = to_json(parse("RSI(14) > 1"))
    assert validator.is_valid(face)
    face["left"]["settings"][0]["value"] = 5000
    assert not validator.is_valid(face)


# --- parameters ---------------------------------------------------------------------------------------------

CROSS = parse("EMA({fast}) crosses above EMA({slow}) and RSI(14) < {low}")


def test_parameters_get_their_values() -> None:
    assert parameters(CROSS) == {"fast", "slow", "low"}
    assert bind(CROSS, {"fast": 12, "slow": 26, "low": 30}) == parse(
        "EMA(12) crosses above EMA(26) and RSI(14) < 30"
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"fast": 12, "slow": 26}, Fault.UNKNOWN_PARAMETER),
        ({"fast": 12, "slow": 26.5, "low": 30}, Fault.SETTING_VALUE),
        ({"fast": 12, "slow": 5000, "low": 30}, Fault.SETTING_VALUE),
    ],
)
def test_a_parameter_has_to_fit_its_place(values: dict[str, float], code: Fault) -> None:
    with pytest.raises(ConditionError) as raised:
        bind(CROSS, values)
    assert raised.value.code is code


def test_every_value_of_a_range_has_to_fit() -> None:
    slow = ParameterRange(name="slow", default=26, low=20, high=60, step=10)
    low = ParameterRange(name="low", default=30, low=20, high=40, step=2.5)
    assert slow.values() == (20, 30, 40, 50, 60)
    check_ranges(CROSS, [ParameterRange(name="fast", default=12, low=5, high=15, step=5), slow, low])
    with pytest.raises(ConditionError):
        check_ranges(CROSS, [ParameterRange(name="fast", default=12, low=5, high=15, step=2.5), slow, low])
