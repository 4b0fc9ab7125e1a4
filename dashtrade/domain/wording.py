"""The sentences of reasons, made on display and only here.

Each begins in lower case and ends without a full stop, as it is used in lists, order histories and within
other sentences; pages capitalise it. Times are in the reader's time zone. The texts are in
`reason_words.py`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, TypeVar

from dashtrade.domain.reason_words import WORDS
from dashtrade.domain.reasons import Fact, Reason
from dashtrade.domain.record import replace
from dashtrade.domain.values import as_sentence, plain

T = TypeVar("T")


def words(given: Reason, zone: tzinfo | None = None) -> str:
    """Times in the reader's `zone`; without one in their own: UTC, as stored."""
    here = given if zone is None else in_zone(given, zone)
    made = WORDS[here.code]
    facts = {name: _as_text(fact) for name, fact in here.facts.items()}
    return made.format_map(facts) if isinstance(made, str) else made(facts)


def sentence(given: Reason, zone: tzinfo | None = None) -> str:
    return as_sentence(words(given, zone))


def in_zone(given: T, zone: tzinfo) -> T:
    """A reason, or a record with reasons, with its times in that zone."""
    moved: Any = given
    if isinstance(given, datetime):
        moved = given.astimezone(zone)
    elif isinstance(given, Reason):
        moved = Reason(given.code, {name: in_zone(fact, zone) for name, fact in given.facts.items()})
    elif isinstance(given, tuple):
        moved = tuple(in_zone(one, zone) for one in given)
    elif is_dataclass(given) and not isinstance(given, type):
        held = {field.name: getattr(given, field.name) for field in fields(given)}
        moved = replace(given, **{name: in_zone(value, zone) for name, value in held.items()})
    return moved  # type: ignore[no-any-return]


def moment(at: datetime) -> str:
    """In the time's own zone."""
    clock = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    return f"{at.day} {at:%b %Y} {clock} {at:%Z}"


def _as_text(fact: Fact) -> Any:
    match fact:
        case Decimal():
            return plain(fact)
        case datetime():
            return moment(fact)
        case Reason():
            return words(fact)
        case tuple():
            return "; ".join(words(one) for one in fact)
    return fact
