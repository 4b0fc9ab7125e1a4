"""Email addresses: parsing and normalising."""

from __future__ import annotations

import re

from dashtrade.domain.values import Malformed

_EMAIL = re.compile(r"[^@\s\x00-\x1f<>\"']{1,64}@[^@\s\x00-\x1f<>\"']+\.[^@\s\x00-\x1f<>\"'.]{2,}")


def read_email(text: str) -> str:
    email = text.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise Malformed("this is not an email address", where="email", hint="Write it as name@example.com.")
    return email
