"""The conditions of the manual can be traded; its indicators, words and bounds are those of the program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dashtrade.market.conditions import names
from dashtrade.market.conditions.checks import usage
from dashtrade.market.conditions.errors import ConditionError
from dashtrade.market.conditions.json_face import from_json
from dashtrade.market.conditions.parameters import bind
from dashtrade.market.conditions.plan import plan_for
from dashtrade.market.conditions.reading import parse
from dashtrade.market.conditions.text import text_of
from dashtrade.market.indicators.kinds import LONGEST_PERIOD
from dashtrade.market.indicators.registry import INDICATORS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")
EXAMPLES = [
    line for block in re.findall(r"```condition\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


def rows() -> str:
    """What stands between the marks."""
    lines = ["| write | of | what it is | outputs |", "|---|---|---|---|"]
    for kind in INDICATORS.values():
        outputs = ", ".join(f"`.{output}`" for output in kind.outputs)
        series = f"`{kind.source}`" if kind.source else "the candles"
        lines.append(f"| `{usage(kind)}` | {series} | {kind.about} | {outputs} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_traded(example: str) -> None:
    condition = bind(parse(example), {"fast": 12, "slow": 26})
    assert parse(text_of(condition)) == condition
    assert plan_for({"rule": condition}, "5m").nanoseconds > 0


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 15


def test_the_indicators_of_the_page_are_those_there_are() -> None:
    found = re.search(r"<!-- indicators -->\n(.*)<!-- /indicators -->", PAGE, re.DOTALL)
    assert found is not None and found.group(1) == rows(), f"put this between the marks:\n{rows()}"


def test_every_value_and_place_stands_on_the_page() -> None:
    assert [name for name in (*names.PRICES, *names.HELD) if f"`{name}`" not in PAGE] == []
    assert f"Places: {', '.join(names.ZONES)}." in PAGE


def test_the_bounds_of_the_page_hold() -> None:
    bounds = " ".join(PAGE[PAGE.index("## Bounds") : PAGE.index("## As JSON")].split())
    for number, what in (
        (names.MOST_CHARACTERS, "characters"),
        (names.MOST_NODES, "parts"),
        (names.MOST_DEPTH, "levels"),
        (LONGEST_PERIOD, "candles"),
        (names.MOST_WARM_UP_BARS, "candles before"),
    ):
        assert f"{number:,} {what}" in bounds
    assert f"up to {names.MOST_BARS}" in bounds and f"{names.MOST_FRAMES} other symbols" in bounds
    assert f"{names.MOST_NANOSECONDS // 1000} µs" in bounds


def test_the_json_of_the_page_is_read() -> None:
    (written,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert text_of(from_json(json.loads(written))) == "RSI(14) < 30"


def test_the_mistake_of_the_page_is_pointed_at_so() -> None:
    (shown,) = re.findall(r"```\n('RSY'.*?)\n```", PAGE, re.DOTALL)
    with pytest.raises(ConditionError) as raised:
        parse(shown.splitlines()[1])
    assert raised.value.shown() == shown
