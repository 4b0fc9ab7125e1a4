"""The passwords that are used most are refused, as they are and with digits and marks around them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from dashtrade.domain.values import Malformed
from dashtrade.services.people import passwords

ROOT = Path(__file__).resolve().parents[2]


def refused(password: str) -> bool:
    try:
        passwords.check(password, "ann@example.com", "Ann Example")
    except Malformed as error:
        assert error.where == "password"
        assert error.hint
        return True
    return False


def test_every_one_of_the_ten_thousand_is_refused():
    used = [word for word in FREQUENCY_LISTS["passwords"][:10_000] if len(word) >= passwords.MIN_LENGTH]
    assert len(used) > 2000
    assert [word for word in used if not refused(word)] == []


@pytest.mark.parametrize(
    "password",
    [
        "maverick",
        "Maverick99",
        "!midnight2024",
        "brooklyn!!",
        "M4verick#1",
        "12qwaszx",
        "elephant7",
        "R3dwings!",
    ],
)
def test_digits_marks_and_look_alikes_hide_none_of_them(password: str):
    assert refused(password)


@pytest.mark.parametrize(
    "password", ["mavericks of the lane", "dog 91837364", "elephant sofa 41", "qpzm-brooklyn-tiles"]
)
def test_a_used_word_among_others_is_no_used_password(password: str):
    assert not refused(password)


def test_the_password_lists_are_loaded_only_when_a_password_is_chosen():
    asked = (
        "import sys, dashtrade.services.people.users, dashtrade.services.people.passwords as p; {}; "
        "print('zxcvbn' in "
        "sys.modules)"
    )
    for does, loaded in (
        ("p.matches('x' * 9, p.DUMMY_HASH)", "False"),
        ("p.check('mango sofa 41 rivers')", "True"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", asked.format(does)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == loaded
