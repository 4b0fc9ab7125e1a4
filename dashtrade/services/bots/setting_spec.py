"""The declaration of one bot setting, and what is derived from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any

from dashtrade.domain.bots import BotSettings
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.values import ZERO, Malformed
from dashtrade.services.bots.kinds import ChoiceKind, Kind, Number, Span, Unit

DEFAULTS = BotSettings(name="", size=Size(kind=SizeKind.DOLLARS, value=ZERO))  # before any setting


class Group(StrEnum):
    """A group of fields in a form."""

    PLACE = "Place"
    TRADE = "Trade"
    LIMITS = "Limits"
    ORDERS = "Order options"
    EXITS = "Stop and target"
    HOURS = "Trading hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    name: str  # in REST, in forms and in the history
    attribute: str  # attribute of the bot
    label: str
    help: str  # a sentence or two for the REST description and beside the field
    group: Group
    kind: Kind
    accepts: Any = Any  # JSON type; REST refuses others before parsing
    needed: bool = False  # required of a new bot
    fixed: bool = False  # set once, as the bot's history depends on it
    nullable: bool = False  # null resets to the default
    if_none: Any = None  # REST's value for none
    at_broker: bool = False  # a change is checked against what the broker can do
    empty: str = ""  # shown on pages when unset; if empty, pages leave the setting out then
    effect: str = ""  # shown after the value
    page_hint: str = ""  # replaces REST's hint on a page

    @property
    def description(self) -> str:
        found = f"{self.help} {self.kind.hint}{' Null for none.' if self.nullable else ''}"
        if self.needed or self.default in (None, ""):
            return found
        return f"{found} Default: {json.dumps(self.default)}."

    @property
    def unit(self) -> Unit:
        return self.kind.unit if isinstance(self.kind, Number | Span) else Unit.NONE

    @property
    def field_label(self) -> str:
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def default(self) -> Any:
        """The default, as REST shows it."""
        return self.shown(DEFAULTS)

    def value(self, settings: BotSettings) -> Any:
        return attrgetter(self.attribute)(settings)

    def read(self, given: Any) -> Any:
        if given is not None:
            return self.kind.read(given, self.name)
        if not self.nullable:
            raise Malformed(f"{self.name} is null", where=self.name, hint="Leave it out, or give it a value.")
        return self.value(DEFAULTS)

    def put(self, settings: BotSettings, value: Any) -> BotSettings:
        part, _, inner = self.attribute.partition(".")
        if not inner:
            return replace(settings, **{part: value})
        return replace(settings, **{part: replace(getattr(settings, part), **{inner: value})})

    def shown(self, settings: BotSettings) -> Any:
        """The value as REST shows and accepts it."""
        value = self.value(settings)
        return self.if_none if value is None else self.kind.written(value)

    def in_words(self, written: Any) -> str:
        """In words, the value that `shown` gave. Text is returned as is: older history rows hold words."""
        if written in (None, "", []):
            return "none"
        if isinstance(written, str) and not isinstance(self.kind, ChoiceKind):
            return written
        return self.kind.in_words(written)
