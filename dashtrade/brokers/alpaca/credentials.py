"""Checks an Alpaca key and its options before they are stored."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from dashtrade.domain.values import Malformed

FEEDS = ("iex", "sip")


def check(credentials: dict[str, str], options: dict[str, Any]) -> None:
    """Raises Malformed with a hint."""
    for name, label in (("key", "API key"), ("secret", "API secret")):
        value = credentials.get(name)
        if not isinstance(value, str) or not value.strip():
            raise Malformed(
                f"the {label} is missing",
                where=name,
                hint="Copy both from the API Keys box of Alpaca's dashboard.",
            )
        if len(value) > 200 or not value.isascii() or not value.isprintable() or " " in value:
            raise Malformed(
                f"the {label} contains characters that are not allowed in a key",
                where=name,
                hint="Copy the key again, without spaces or line breaks.",
            )
    for name in (*credentials.keys() - {"key", "secret", "passphrase"}, *options.keys() - {"feed", "mode"}):
        near = get_close_matches(name, ["key", "secret", "feed"], 1)
        hint = (
            f"Did you mean {near[0]}?"
            if near
            else "Alpaca accounts take key and secret, and the option feed."
        )
        raise Malformed(f"an Alpaca account has no {name[:40]!r}", where=name, hint=hint)
    if options.get("feed") not in (None, *FEEDS):
        raise Malformed(
            "feed sets the source of stock prices",
            where="feed",
            hint="iex (free) or sip (with Alpaca's paid plan).",
        )
