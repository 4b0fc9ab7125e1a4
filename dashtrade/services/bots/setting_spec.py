"""What is declared of one setting of a bot, and what follows from it."""

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

NEW = BotSettings(name="", size=Size(kind=SizeKind.DOLLARS, value=ZERO))  # before anything is set


class Group(StrEnum):
    """What stands together in a form."""

    PLACE = "Place"
    TRADE = "Trade"
    LIMITS = "Limits"
    ORDERS = "Order options"
    EXITS = "Stop and target"
    HOURS = "Trading hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    name: str  # in REST, in forms and in the history
    attribute: str  # of the bot
    label: str
    help: str  # a sentence or two: for REST's description and beside the field
    group: Group
    kind: Kind
    accepts: Any = Any  # the JSON type, where REST refuses another before anything is read
    needed: bool = False  # of a new bot
    fixed: bool = False  # belongs to the bot's history: set once
    nullable: bool = False  # null: as it is where nothing was set
    if_none: Any = None  # how REST writes that there is none
    at_broker: bool = False  # a change is checked against what the broker can do
    empty: str = ""  # what pages say where nothing is set; without it, they leave the setting out then
    effect: str = ""  # said after the value
    page_hint: str = ""  # what to do about a refusal, where REST's hint would speak of REST

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
        """As REST shows it where nothing was set."""
        return self.shown(NEW)

    def value(self, settings: BotSettings) -> Any:
        return attrgetter(self.attribute)(settings)

    def read(self, given: Any) -> Any:
        if given is not None:
            return self.kind.read(given, self.name)
        if not self.nullable:
            raise Malformed(f"{self.name} is null", where=self.name, hint="Leave it out, or give it a value.")
        return self.value(NEW)

    def put(self, settings: BotSettings, value: Any) -> BotSettings:
        part, _, inner = self.attribute.partition(".")
        if not inner:
            return replace(settings, **{part: value})
        return replace(settings, **{part: replace(getattr(settings, part), **{inner: value})})

    def shown(self, settings: BotSettings) -> Any:
        """As REST shows it, and as it may be sent back."""
        value = self.value(settings)
        return self.if_none if value is None else self.kind.written(value)

    def said(self, written: Any) -> str:
        """In words, what `shown` gave. (A text says itself: older rows of the history hold words.)"""
        if written in (None, "", []):
            return "none"
        if isinstance(written, str) and not isinstance(self.kind, ChoiceKind):
            return written
        return self.kind.said(written)
