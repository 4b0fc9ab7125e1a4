"""Reasons: stored as a code and exact facts, read as a sentence; and what older records hold stays
readable."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.reason_words import WORDS
from dashtrade.domain.reasons import (
    MOMENTS,
    NO_REASON,
    Code,
    Reason,
    as_data,
    numbers_of,
    quoted,
    read_stored,
    reason,
    stored,
)
from dashtrade.domain.wording import sentence, words

names = st.text(min_size=1, max_size=8).filter(lambda name: name not in MOMENTS)
facts = st.recursive(
    st.text(max_size=20)
    | st.integers(-(10**9), 10**9)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9),
    lambda inner: st.builds(Reason, st.sampled_from([*Code][1:]), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
reasons = st.builds(
    lambda code, others, moments: Reason(code, others | moments),
    st.sampled_from([*Code][1:]),
    st.dictionaries(names, facts, max_size=4),
    st.dictionaries(st.sampled_from(sorted(MOMENTS)), st.datetimes(timezones=st.just(UTC)), max_size=2),
)


@given(reasons)
def test_what_is_stored_is_read_back_the_same(why: Reason):
    again = read_stored(stored(why))
    assert again == why and hash(again) == hash(why) and stored(again) == stored(why)


def test_every_code_has_words_and_no_words_are_without_a_code():
    assert not set(Code) - set(WORDS), "dashtrade/domain/reason_words.py lacks the words of these"
    assert set(WORDS) == set(Code)


def test_the_words_are_made_of_the_facts_fresh_or_stored():
    why = reason(
        Code.MONEY_LACKS, needs=Decimal("1234.5"), buying_power=Decimal(1000), reserved=Decimal("50.1")
    )
    answer = (
        "needs 1,234.50 of 1,000.00 buying power (50.10 held for open orders): reduce the size or close "
        "something"
    )
    assert words(why) == words(read_stored(stored(why))) == answer


def test_a_nested_reason_appears_within_its_sentence():
    inner = reason(Code.COOLDOWN_RUNS, cooldown=600, left="12")
    why = reason(Code.EXIT_ONLY, because=inner)
    assert sentence(why) == "Exit only (entry blocked: the cooldown of 600 s has 12 s left)."
    assert numbers_of(why) == {"cooldown": "600", "left": "12"}


def test_times_are_stored_in_utc_and_shown_in_the_readers_time_zone():
    late = reason(Code.TOO_OLD, good_until=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), late="5")
    why = reason(Code.EXIT_ONLY, because=late)
    for one in (why, read_stored(stored(why))):
        assert as_data(one)["facts"]["because"]["facts"]["good_until"] == "2026-01-02T03:04:00.000Z"
        assert "at 2 Jan 2026 03:04 UTC, 5 s" in words(one)
        assert "at 1 Jan 2026 22:04 EST, 5 s" in sentence(one, ZoneInfo("America/New_York"))


def test_a_moment_under_a_name_that_is_none_of_a_moment_is_not_stored():
    with pytest.raises(TypeError, match="MOMENTS"):
        stored(reason(Code.DUST, left=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)))


def test_pages_tell_reasons_in_their_users_zone():
    """By `kit.format`, which knows the zone."""
    ui = Path(__file__).parents[2] / "dashtrade" / "ui"
    makes = re.compile(r"domain import .*\bwording\b|domain\.wording\b")
    reads = [file for file in ui.rglob("*.py") if makes.search(file.read_text(encoding="utf-8"))]
    assert reads == [ui / "kit" / "format.py"]


@pytest.mark.parametrize("text", ["nothing to close: the bot owns nothing", '{"a": 1}', "Insufficient funds"])
def test_a_sentence_of_an_older_record_stays_that_sentence(text: str):
    assert words(read_stored(text)) == text


def test_who_paused_a_bot_is_known_of_older_records_too():
    assert read_stored("paused by its user").code is Code.PAUSED_BY_USER


def test_a_code_of_a_newer_version_is_shown_by_its_name():
    assert words(read_stored('{"code":"moon_in_the_way","facts":{}}')) == "moon in the way"


def test_no_reason_is_nothing():
    assert (
        not NO_REASON and stored(NO_REASON) == "" and read_stored("") == NO_REASON and words(NO_REASON) == ""
    )
    assert quoted("") == NO_REASON


def test_a_reason_cannot_slip_into_a_text_by_itself():
    with pytest.raises(TypeError, match=r"wording\.words"):
        f"{quoted('no')}"
