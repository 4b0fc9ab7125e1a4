"""Checks an exchange's key and its options before they are stored."""

from __future__ import annotations

import re

from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.brokers.crypto.venues import exchange_of
from dashtrade.domain.values import Malformed


def check(credentials: dict[str, str], options: dict[str, object]) -> None:
    """Raises Malformed with a hint."""
    row = exchange_of(options.get("exchange"))
    if options.get("mode") == "paper" and not row.sandbox:
        raise no_sandbox(row)
    for name in ("key", "secret", *(("passphrase",) if row.passphrase else ())):
        if not str(credentials.get(name) or "").strip():
            raise Malformed(
                f"the {name} is missing", where=f"credentials.{name}", hint=_where_to_find(row, name)
            )
    if row.key_form and not re.search(row.key_form, credentials["key"]):
        raise Malformed(f"this is not a key for {row.name}", where="credentials.key", hint=row.key_hint)
    _check_secret(row, credentials)
    _check_quote(options)


def no_sandbox(row: Exchange) -> Malformed:
    return Malformed(
        f"{row.name} has no sandbox", where="mode", hint="Choose live, or use the built-in paper account."
    )


def _where_to_find(row: Exchange, name: str) -> str:
    if name == "passphrase":
        return f"{row.name} keys have a passphrase, chosen when the key was created."
    return row.key_hint or (
        f"Create an API key at {row.name} that can read and trade but not withdraw; copy both parts."
    )


def _check_secret(row: Exchange, credentials: dict[str, str]) -> None:
    secret = credentials["secret"].strip()
    if row.id == "kraken" and not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", secret):
        raise Malformed("this is not a Kraken private key", where="credentials.secret", hint=row.secret_hint)
    if (
        row.id == "coinbase"
        and "organizations/" in credentials["key"]
        and "-----BEGIN" not in secret
        and len(secret) != 88
    ):
        raise Malformed(
            "the private key does not match this kind of key", where="credentials.secret", hint=row.key_hint
        )


def _check_quote(options: dict[str, object]) -> None:
    quote = options.get("quote")
    if quote is not None and not re.fullmatch(r"[A-Za-z]{3,6}", str(quote)):
        raise Malformed(
            "the quote currency cannot be read", where="options.quote", hint="Write it as USDT, USD or EUR."
        )
