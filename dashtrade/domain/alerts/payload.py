"""An alert's body before its interpretation: parsed, searched for its secret, and compared with others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from dashtrade.domain.values import Malformed

MAX_DEPTH = 32
MAX_FIELDS, MAX_VALUES, MAX_TEXT = 200, 2000, 4000  # checked before any processing
HIDDEN = "•••"

_AUTH = ("token", "secret", "passphrase", "key")
# `key` is also used for an alert's id: only this form authenticates a sender
_TOKEN = re.compile(r"usr_[\w\-]{6,}")
WORD = re.compile(r"([A-Za-z][A-Za-z_]*)=(\S+)")
_TEXT = re.compile(
    r"(?P<action>[a-z_]+)(?:\s+(?P<quantity>[-+]?\d[\d.,]*%?))?\s+(?P<symbol>\S+)"
    r"(?:\s+(?P<size>[-+]?\d[\d.,]*%))?(?:\s+(?P<timeframe>.+))?",
    re.IGNORECASE,
)
_TEXT_HINT = (
    "Write BUY AAPL, BUY 10 AAPL, BUY AAPL 5%, CLOSE BTCUSDT or SELL AAPL 15 Min, or send a JSON object."
)


_BETWEEN = re.compile(r"[\s_\-.]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def open_body(raw: bytes) -> dict[str, Any] | str:
    """Parse the JSON object or the text. The content is not checked yet, so that the sender is identified
    first."""
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8 text", where="body", hint="Send it as UTF-8.") from None
    if not text:
        raise Malformed("The body is empty", where="body", hint=_TEXT_HINT)
    opened = _json(text)
    if isinstance(opened, str) and len(opened) > MAX_TEXT:
        raise Malformed(
            "The text is too long",
            where="text",
            hint=f"At most {MAX_TEXT} characters; send more as a JSON object.",
        )
    if isinstance(opened, dict) and len(opened) > MAX_FIELDS:
        raise Malformed("There are too many fields", where="body", hint=f"At most {MAX_FIELDS}.")
    for number, (path, found) in enumerate(leaves(opened)):
        if number >= MAX_VALUES:
            raise Malformed("There are too many values", where="body", hint=f"At most {MAX_VALUES}.")
        if not isinstance(found, float) and not (isinstance(found, str) and _UNSTORABLE.search(found)):
            continue
        where = shown(path)
        if isinstance(found, float):
            raise Malformed(
                f"{where} is out of range", where=where, hint="Send a finite number of at most 30 digits."
            )
        raise Malformed(
            f"{where} holds a character that cannot be stored", where=where, hint="Send plain text."
        )
    return opened


def _json(text: str) -> dict[str, Any] | str:
    try:
        opened = json.loads(
            text,
            parse_float=_number,
            parse_int=_number,
            parse_constant=_number,
            object_pairs_hook=_unrepeated,
        )
    except RecursionError:
        raise Malformed(
            "The body is nested too deep", where="body", hint=f"At most {MAX_DEPTH} levels."
        ) from None
    except json.JSONDecodeError as error:
        if text[0] not in '{["':
            return text
        hint = (
            "A {{placeholder}} was not filled in." if "{{" in text else f"{error.msg} (line {error.lineno})."
        )
        raise Malformed("The body looks like JSON but is not valid", where="body", hint=hint) from None
    if not isinstance(opened, dict):
        hint = 'Send {"action": "buy", "symbol": "AAPL"}.'
        raise Malformed("The body is JSON, but not an object", where="body", hint=hint)
    return opened


def _number(text: str) -> int | Decimal | float:
    """Exact; a number no alert can contain becomes a float, for the later check that knows the field's
    name."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return math.nan
    if not number.is_finite() or len(text) > 100 or abs(number.adjusted()) > 308:
        return math.nan
    return int(text) if text.lstrip("-").isdigit() else number


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Malformed(f"{shown(key)} appears twice", where=shown(key), hint="Send each field once.")
        found[key] = value
    return found


def shown(path: str) -> str:
    if path.isprintable() and 0 < len(path) <= 80:
        return path
    return "".join(letter if letter.isprintable() else "?" for letter in path[:80]) or "text"


def leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value, and the names of fields, with the path as sent (`shown` makes it safe for display)."""
    if depth > MAX_DEPTH:
        raise Malformed("The body is nested too deep", where=shown(path), hint=f"At most {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for key, inner in value.items():
            here = (f"{path}.{key}" if path else key)[:200]
            yield here, key
            if depth == MAX_DEPTH or isinstance(inner, (dict, list)):
                yield from leaves(inner, here, depth + 1)
            else:
                yield here, inner
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]", depth + 1)
    else:
        yield path, value


def bare(name: str) -> str:
    return _bare_short(name) if len(name) <= 40 else _BETWEEN.sub("", name.lower())


@lru_cache(maxsize=2000)
def _bare_short(name: str) -> str:
    return _BETWEEN.sub("", name.lower())


def is_auth(key: str, value: object) -> bool:
    name = bare(key)
    return name in _AUTH and (
        name != "key" or (isinstance(value, str) and bool(_TOKEN.fullmatch(value.strip())))
    )


def secrets_in(opened: dict[str, Any] | str | None) -> list[str]:
    """Possible values of a body secret; the token is none of them."""
    pairs = _named_in(opened) if isinstance(opened, str) else list((opened or {}).items())
    return [value for key, value in pairs if bare(key) in _AUTH[1:] and isinstance(value, str)]


def secret_of(opened: dict[str, Any] | str) -> str | None:
    pairs = _named_in(opened) if isinstance(opened, str) else list(opened.items())
    found = [
        (bare(key), str(value).strip())
        for key, value in pairs
        if is_auth(key, value) and isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)
    ]
    return next((text for name in _AUTH for key, text in found if key == name and text), None)


def redact(opened: dict[str, Any] | str) -> dict[str, Any] | str:
    """For logs and pages: hides more than is accepted as a secret."""
    if isinstance(opened, dict):
        return {
            key: HIDDEN if bare(key) in _AUTH and value is not None else value
            for key, value in opened.items()
        }
    named = re.sub(r"(?i)\b(token|secret|pass_?phrase|key)(\s*[=:]\s*)\S+", rf"\1\2{HIDDEN}", opened)
    return _TOKEN.sub(HIDDEN, named)


def _named_in(text: str) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for word in text.split() if (found := WORD.fullmatch(word))]


def fields_of_text(text: str) -> dict[str, Any]:
    """`BUY 10 AAPL 15 Min bot=Turtle` as fields."""
    sentence = " ".join(word for word in text.split() if not WORD.fullmatch(word))
    found = _TEXT.fullmatch(sentence)
    if sentence and not found:
        raise Malformed("The text cannot be read as an order", where="text", hint=_TEXT_HINT)
    said = {name: value for name, value in found.groupdict().items() if value} if found else {}
    if said.get("timeframe", "").isdigit():
        hint = (
            f"Write {said['action']} {said['timeframe']} {said['symbol']} for a quantity, 15 Min for a "
            "timeframe."
        )
        raise Malformed(
            "The number after the symbol may be a quantity or a timeframe", where="text", hint=hint
        )
    return _unrepeated([*said.items(), *_named_in(text)])


def canonical_text(value: Any) -> str:
    """JSON in canonical form, every number exactly as sent."""
    if isinstance(value, dict):
        return (
            "{"
            + ",".join([f"{canonical_text(key)}:{canonical_text(value[key])}" for key in sorted(value)])
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_text, value)) + "]"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return str(value) if isinstance(value, Decimal) else json.dumps(value)
