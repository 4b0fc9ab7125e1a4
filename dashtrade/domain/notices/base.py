"""What every notice has: a kind, a level, and the page where its user can do something about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Page(StrEnum):
    """Where something can be seen or done about a notice."""

    ACCOUNT = "account"
    BOTS = "bots"
    HISTORY = "history"
    POSITIONS = "positions"
    RISK_EVENTS = "risk_events"
    SETUP = "setup"
    SIGNALS = "signals"
    ADMIN = "admin"


@dataclass(frozen=True)
class Notice:
    """One thing a user is told. Symbols are in their universal form; `bot` and `account` are names."""

    kind: ClassVar[str]
    level: ClassVar[Level]
    page: ClassVar[Page]
