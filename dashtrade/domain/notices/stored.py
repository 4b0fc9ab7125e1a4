"""Notices as stored, and as read.

Stored notices must stay readable: a kind keeps its name, and a fact its name and type."""

from __future__ import annotations

from datetime import datetime, tzinfo

from dashtrade.domain.as_json import JsonValue, WrongType, from_json, to_json
from dashtrade.domain.notices import people, trading
from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.notices.trading import ExitsTakenOver
from dashtrade.domain.notices.wording import words
from dashtrade.domain.notices.wording_base import Words
from dashtrade.domain.record import record

KINDS: dict[str, type[Notice]] = {
    kind.kind: kind
    for module in (trading, people)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Notice) and kind is not Notice
}


@record(kw_only=False)
class Message:
    """A notice for its user. A message from before kinds were stored has none, but its text as `written`."""

    id: int
    at: datetime
    level: Level
    notice: Notice | None
    written: Words
    signal_id: str | None
    read_at: datetime | None

    def words(self, zone: tzinfo) -> Words:
        """In the reader's time zone."""
        return words(self.notice, zone) if self.notice is not None else self.written

    @property
    def kind(self) -> str | None:
        return self.notice.kind if self.notice is not None else None

    @property
    def facts(self) -> dict[str, JsonValue] | None:
        """In the current format, however it was stored."""
        return facts_of(self.notice) if self.notice is not None else None

    @property
    def page(self) -> Page | None:
        return self.notice.page if self.notice is not None else None


def facts_of(notice: Notice) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = to_json(notice)
    return facts


def notice_of(kind: str, facts: JsonValue) -> Notice:
    if kind not in KINDS:
        raise WrongType(f"no notice is called {kind[:40]!r}")
    notice: Notice = from_json(KINDS[kind], _without_sentences(kind, facts))
    return notice


def _without_sentences(kind: str, facts: JsonValue) -> JsonValue:
    """Exits were first stored as sentences; these are left out of the notice."""
    if kind != ExitsTakenOver.kind or not isinstance(facts, dict):
        return facts
    sentences = any(isinstance(line, str) for line in facts.get("exits", ()))
    return facts | {"exits": []} if sentences else facts
