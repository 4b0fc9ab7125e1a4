"""Common to all notices: a kind, a level, and the page where the user can act on it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from dashtrade.domain.record import record


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Page(StrEnum):
    """A page to view or act on the subject of a notice."""

    ACCOUNT = "account"
    BOTS = "bots"
    HISTORY = "history"
    POSITIONS = "positions"
    RISK_EVENTS = "risk_events"
    SETUP = "setup"
    SIGNALS = "signals"
    ADMIN = "admin"


@record(kw_only=False)
class Notice:
    """One message to a user. Symbols are in their universal form; `bot` and `account` are names."""

    kind: ClassVar[str]
    level: ClassVar[Level]
    page: ClassVar[Page]
