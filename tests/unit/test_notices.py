"""Notices: every kind has words and is told somewhere, and what is stored comes back as it was."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.as_json import WrongType
from dashtrade.domain.exits.wording import ExitLine
from dashtrade.domain.notices import wording_base
from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.notices.stored import KINDS, facts_of, notice_of
from dashtrade.domain.notices.trading import OrderFilled, PositionLeft
from dashtrade.domain.notices.wording import words
from dashtrade.domain.reasons import MOMENTS, Code, Reason
from dashtrade.domain.values import OrderSide

ROOT = Path(__file__).resolve().parents[2]
# One or more of every kind, as it is stored: old messages are read from such facts as long as they are kept.
SAMPLES: list[dict[str, Any]] = json.loads((ROOT / "tests/support/notices.json").read_text(encoding="utf-8"))
FILLED = OrderFilled(
    bot="Turtle",
    side=OrderSide.BUY,
    quantity=Decimal("0.30"),
    symbol="NYSE:AAPL-EQ",
    price=Decimal("1E+2"),
    realized=None,
)


@pytest.mark.parametrize("stored", SAMPLES, ids=lambda stored: stored["kind"])
def test_what_is_stored_is_read_as_words(stored: dict[str, Any]):
    notice = notice_of(stored["kind"], stored["facts"])
    assert facts_of(notice) == stored["facts"]
    assert words(notice, UTC) == (stored["title"], stored["text"])


@pytest.mark.parametrize(
    ("kind", "older", "now"),
    [
        (
            "order_refused",
            {"side": "buy", "quantity": "10", "symbol": "NYSE:AAPL-EQ", "reason": "AAPL is halted."},
            "The broker refused the order to buy 10 AAPL: AAPL is halted. Nothing was traded.",
        ),
        (
            "flatten_incomplete",
            {"positions": 1, "left": [{"bot_id": 4, "symbol": "NYSE:AAPL-EQ", "reason": "AAPL is halted"}]},
            "0 of 1 positions are closed. Left: AAPL (bot 4): AAPL is halted. Close the rest at your broker, "
            "or try again.",
        ),
    ],
)
def test_a_sentence_that_an_older_notice_holds_stays_that_sentence(
    kind: str, older: dict[str, Any], now: str
):
    notice = notice_of(kind, older)
    assert words(notice, UTC).text == now
    assert notice_of(kind, facts_of(notice)) == notice, "and can be stored as a reason"


def test_times_are_shown_in_the_readers_time_zone():
    [waits] = [stored for stored in SAMPLES if stored["kind"] == "close_waits_for_market"]
    locked = next(stored for stored in SAMPLES if stored["kind"] == "entries_locked")
    told = [
        words(notice_of(one["kind"], one["facts"]), ZoneInfo("Europe/Berlin")).text for one in (waits, locked)
    ]
    assert "9 Jun 2025 15:30 CEST" in told[0] and "UTC" not in told[0]
    assert "4 Jun 2025 16:10 CEST" in told[1] and "4 Jun 2025 18:10 CEST" in told[1] and "UTC" not in told[1]


def test_there_is_a_sample_of_every_kind():
    assert {stored["kind"] for stored in SAMPLES} == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_is_whole(kind: type[Notice]):
    assert wording_base.words.dispatch(kind) is not wording_base.words.dispatch(Notice), "it has words"
    assert isinstance(kind.level, Level) and isinstance(kind.page, Page)
    assert all(kind is KINDS[kind.kind] for kind in KINDS.values()), "no two have one name"


def test_no_kind_is_unused():
    own = ROOT / "dashtrade" / "domain" / "notices"
    files = [ROOT / "bot_engine.py", *(ROOT / "dashtrade").rglob("*.py")]
    told = {
        node.id
        for file in files
        if own not in file.parents
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    assert [kind.__name__ for kind in KINDS.values() if kind.__name__ not in told] == []


def test_sentences_end_once():
    for stored in SAMPLES:
        title, text = stored["title"], stored["text"]
        assert not title.endswith(".") and text.endswith(".") and ".." not in text and "  " not in text


# --- as they are stored -------------------------------------------------------------------------------------


NAMES = st.text().filter(lambda name: name not in MOMENTS)


def some(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a fact's declared type."""
    args = get_args(hint)
    if get_origin(hint) is UnionType:
        [one] = [arg for arg in args if arg is not NoneType]
        return st.none() | some(one)
    if get_origin(hint) is tuple:
        return st.lists(some(args[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if hint is Reason:
        return st.builds(Reason, st.sampled_from(Code), st.dictionaries(NAMES, st.text(), max_size=2))
    if hint in (PositionLeft, ExitLine):
        return records(hint)
    return {
        str: st.text(),
        int: st.integers(),
        bool: st.booleans(),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False),
        datetime: st.datetimes(timezones=st.just(UTC)),
    }[hint]


def records(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: some(hints[field.name]) for field in fields(kind)})


@given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: records(KINDS[kind])))
def test_from_stored_facts_the_same_notice_comes_back(notice: Notice):
    stored = json.loads(json.dumps(facts_of(notice)))
    back = notice_of(notice.kind, stored)
    assert back == notice and type(back) is type(notice)
    assert facts_of(back) == stored, "digit for digit"


def test_exits_that_were_stored_as_sentences_are_left_out():
    stored = next(one for one in SAMPLES if one["kind"] == "exits_taken_over")["facts"]
    old = notice_of("exits_taken_over", stored | {"exits": ["take profit at 110", "stop at 95"]})
    assert old == notice_of("exits_taken_over", stored | {"exits": []})
    assert words(old, UTC).text.endswith("while it runs.")


def test_decimals_are_stored_digit_for_digit():
    stored = facts_of(FILLED)
    assert (stored["quantity"], stored["price"], stored["realized"]) == ("0.30", "1E+2", None)


@pytest.mark.parametrize(
    "reason", [7, {}, {"code": "dust"}, {"code": 7, "facts": {}}, {"code": "dust", "facts": []}]
)
def test_what_is_no_reason_is_no_notice(reason: Any):
    with pytest.raises(WrongType):
        notice_of("bot_stopped", {"bot": "Turtle", "reason": reason})


@pytest.mark.parametrize(
    "facts",
    [
        {},
        facts_of(FILLED) | {"quantity": 0.3},
        facts_of(FILLED) | {"side": "hold"},
        facts_of(FILLED) | {"more": 1},
        [],
    ],
)
def test_other_facts_are_no_notice(facts: Any):
    with pytest.raises(WrongType):
        notice_of(FILLED.kind, facts)


def test_an_unknown_kind_is_no_notice():
    with pytest.raises(WrongType, match="order_eaten"):
        notice_of("order_eaten", {})
