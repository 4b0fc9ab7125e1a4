"""Passwords: which are accepted, and how they are hashed."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

import bcrypt

from dashtrade.domain.values import Malformed
from dashtrade.services.people import common_words

MIN_LENGTH, MAX_LENGTH = 8, 128
MOST_USED = 10_000
_AROUND = 6  # digits and punctuation beside a common password: a year and two marks
_ROUNDS = 12
_ROWS = (
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "azertyuiop",
    "qwertzuiop",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qazwsxedcrfvtgb",
    "1q2w3e4r5t6y7u8i",
)
# A character may stand for either of two letters: each reading is tried.
_READINGS: tuple[dict[int, int], ...] = (
    {},
    str.maketrans("013457@$!8", "oieastasib"),
    str.maketrans("013457@$!|", "oleastasll"),
)
# letters beside a common word; the word length that allows them; words in a row
_LEFT_OVER, _LONG_ENOUGH, _WORDS = 2, 5, 2


def check(password: str, *personal: str) -> None:
    """Refuse what attackers guess first: short passwords, keyboard rows, a repeated character, the most
    used passwords, a common word with a few digits, the user's own name."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Malformed(
            f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters, this one has {len(password)}",
            where="password",
            hint="Three or four words in a row make a good one.",
        )
    if "\x00" in password:
        raise Malformed(
            "a password cannot contain a NUL character", where="password", hint="Type it on a keyboard."
        )
    if _common(
        password.lower(),
        [part for own in personal for part in re.split(r"[@.\s]", own.lower()) if len(part) > 2],
    ):
        raise Malformed(
            "this password is too common",
            where="password",
            hint="Three or four words in a row make a good one.",
        )


@cache
def _common_words() -> tuple[str, ...]:
    return common_words.words()


@cache
def _most_used() -> frozenset[str]:
    """From leaks, as zxcvbn ships them. The lists take 15 MB and some time, so they are loaded at the
    first new password."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:MOST_USED])


def _is_used_most(text: str, bare: str) -> bool:
    """Whether it is one of the most used passwords, as is or with a few digits and marks around it, in any
    reading."""
    around = len(text) - len(bare)
    parts = (text, bare) if bare and around <= _AROUND else (text,)
    return any(part.translate(reading) in _most_used() for part in parts for reading in _READINGS)


def _common(text: str, personal: list[str]) -> bool:
    if len(set(text)) < 4:
        return True
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)  # "passw0rd!" does not end in i
    if _is_used_most(text, bare):
        return True
    words = sorted((*_common_words(), *personal), key=len, reverse=True)
    if any(
        _of_few_words(re.sub(r"[^a-z]+", "", part.translate(reading)), words)
        for part in (text, bare)
        for reading in _READINGS
    ):
        return True
    if re.fullmatch(r"(19|20)?\d{2}[01]?\d[0-3]?\d|\d{1,9}", text):
        return True
    return _mostly_runs(text)


def _of_few_words(letters: str, words: list[str]) -> bool:
    """Whether it is one or two common words and little else. Three different words make a good password."""
    left, used = letters, []
    for word in words:
        if word in left:
            left = left.replace(word, " ")
            used.append(word)
    rest = len(left.replace(" ", ""))
    return 0 < len(used) <= _WORDS and (
        not rest or (rest <= _LEFT_OVER and len(max(used, key=len)) >= _LONG_ENOUGH)
    )


def _mostly_runs(text: str) -> bool:
    """Whether it consists of keyboard runs and little else."""
    left = text
    for size in range(max(map(len, _ROWS)), 2, -1):
        for row in _ROWS:
            for start in range(len(row) - size + 1):
                run = row[start : start + size]
                left = left.replace(run, "").replace(run[::-1], "")
    return len(left) <= 2


def hashed(password: str) -> str:
    return bcrypt.hashpw(_material(password), bcrypt.gensalt(_ROUNDS)).decode()


def matches(password: str, stored: str) -> bool:
    known = stored.startswith("$2")  # without a stored hash: the same work, and no password matches
    return (
        bcrypt.checkpw(_material(password[: 4 * MAX_LENGTH]), (stored if known else DUMMY_HASH).encode())
        and known
    )


def _material(password: str) -> bytes:
    """bcrypt reads 72 bytes and stops at NUL: it gets a digest, so that every character of a long password
    counts."""
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


# checked for unknown emails: the same work as for a user
DUMMY_HASH = "$2b$12$GsiY7bLF8uPVBHosdr.TiuSg/xjLaBA00aiEOB08VBx8dDpVXHRZK"
