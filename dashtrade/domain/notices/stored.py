"""Notices as they are stored, and as they are read.

What is stored has to stay readable: a kind keeps its name, and a fact its name and type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashtrade.domain.as_json import JsonValue, NotOfThatKind, from_json, to_json
from dashtrade.domain.notices import people, trading
from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.notices.trading import ExitsTakenOver

KINDS: dict[str, type[Notice]] = {
    kind.kind: kind
    for module in (trading, people)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Notice) and kind is not Notice
}


@dataclass(frozen=True)
class Message:
    """A notice as its user reads it. `kind`, `facts` and `page` are None in messages from before they were
    stored: their words are as they were written."""

    id: int
    at: datetime
    level: Level
    kind: str | None
    facts: dict[str, Any] | None
    title: str
    text: str
    page: Page | None
    signal_id: str | None
    read_at: datetime | None


def facts_of(notice: Notice) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = to_json(notice)
    return facts


def notice_of(kind: str, facts: JsonValue) -> Notice:
    if kind not in KINDS:
        raise NotOfThatKind(f"no notice is called {kind[:40]!r}")
    notice: Notice = from_json(KINDS[kind], _without_sentences(kind, facts))
    return notice


def _without_sentences(kind: str, facts: JsonValue) -> JsonValue:
    """Exits were stored as sentences at first; the notice is read without them."""
    if kind != ExitsTakenOver.kind or not isinstance(facts, dict):
        return facts
    sentences = any(isinstance(line, str) for line in facts.get("exits", ()))
    return facts | {"exits": []} if sentences else facts
