"""Time-based one-time codes (RFC 6238) as authenticator apps generate them: SHA-1, six digits, thirty
seconds."""

from __future__ import annotations

import base64
import hmac
import struct
from datetime import datetime
from urllib.parse import quote, urlencode

SECONDS, DIGITS = 30, 6
DRIFT = 1  # steps that a phone's clock may be off, either way


def code_at(secret: str, step: int) -> str:
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}d}"


def step_at(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is, if current; the caller stores the step, as a code works once."""
    here = step_at(now)
    fitting = [
        step
        for step in range(here - DRIFT, here + DRIFT + 1)
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode())
    ]
    return fitting[0] if fitting else None


def address(secret: str, email: str) -> str:
    """The content of the QR code: authenticator apps read the secret and a name from it."""
    return (
        f"otpauth://totp/{quote(f'DashTrade:{email}')}?{urlencode({'secret': secret, 'issuer': 'DashTrade'})}"
    )
