"""Checks an app's key before it is stored."""

from __future__ import annotations

from typing import Any

from dashtrade.brokers.schwab.auth import Token
from dashtrade.domain.values import Malformed


def check(credentials: dict[str, str], options: dict[str, Any]) -> None:
    """Raises Malformed with a hint."""
    for name in ("key", "secret"):
        if not str(credentials.get(name) or "").strip():
            raise Malformed(
                f"the {name} is missing",
                where=f"credentials.{name}",
                hint="Copy the app key and its secret from developer.schwab.com.",
            )
    if options.get("mode") == "paper":
        raise Malformed(
            "Schwab has no sandbox", where="mode", hint="Choose live, or use the built-in paper account."
        )
    if not credentials.get("token"):
        return  # its user has yet to sign in
    Token.read(credentials["token"])
