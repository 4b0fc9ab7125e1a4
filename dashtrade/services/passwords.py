"""Passwords: what is accepted, and how they are kept."""

from __future__ import annotations

import base64
import hashlib
import re

import bcrypt

from dashtrade.domain.values import Malformed

SHORTEST, LONGEST = 8, 128
_ROUNDS = 12
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "azertyuiop", "qwertzuiop", "1234567890", "abcdefghijklmnopqrstuvwxyz", "qazwsxedcrfvtgb", "1q2w3e4r5t6y7u8i")
_WORDS = (
    "password", "passwort", "passw", "pass", "welcome", "letme", "letmein", "admin", "administrator", "login", "secret", "dragon",
    "monkey", "football", "baseball", "master", "superman", "batman", "shadow", "sunshine", "princess", "iloveyou", "love", "trustno",
    "starwars", "whatever", "freedom", "hello", "charlie", "summer", "winter", "spring", "autumn", "michael", "jordan", "computer",
    "internet", "changeme", "default", "guest", "root", "test", "tester", "testing", "qwerty", "access", "money", "bitcoin", "crypto",
    "trading", "trader", "dashtrade", "tradingview", "user", "demo", "flower", "cookie", "killer", "soccer", "hunter", "ginger",
)
_LEET = str.maketrans("013457@$!", "oleastasi")


def check(password: str, *personal: str) -> None:
    """Refuse what is guessed first: too short, a row of keys, one character, a common word with a few digits, one's own name."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Malformed(
            f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}", where="password",
            hint="Three or four words in a row make a good one.",
        )
    if "\x00" in password:
        raise Malformed("a password cannot contain a NUL character", where="password", hint="Type it on a keyboard.")
    if _common(password.lower(), [part for own in personal for part in re.split(r"[@.\s]", own.lower()) if len(part) > 2]):
        raise Malformed("this password is one of those that are tried first", where="password", hint="Three or four words in a row make a good one.")


def _common(text: str, personal: list[str]) -> bool:
    if len(set(text)) < 4:
        return True
    for plain in (text, text.translate(_LEET)):
        core = re.sub(r"[^a-z]+", "", plain)
        left = core
        for word in sorted((*_WORDS, *personal), key=len, reverse=True):  # "letmein" before "letme"
            left = left.replace(word, "")
        if core and not left:
            return True
    if re.fullmatch(r"(19|20)?\d{2}[01]?\d[0-3]?\d|\d{1,9}", text):
        return True
    return _mostly_runs(text)


def _mostly_runs(text: str) -> bool:
    """Is it made of runs along rows of keys, with hardly anything else?"""
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
    known = stored.startswith("$2")  # else there is none: the same work, and no password fits
    return bcrypt.checkpw(_material(password[: 4 * LONGEST]), (stored if known else NOBODY).encode()) and known


def _material(password: str) -> bytes:
    """bcrypt reads 72 bytes and stops at a NUL: it gets a digest, so that every character of a long password counts."""
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


NOBODY = "$2b$12$GsiY7bLF8uPVBHosdr.TiuSg/xjLaBA00aiEOB08VBx8dDpVXHRZK"  # for strangers: the same work as for a user
