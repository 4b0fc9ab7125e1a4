"""Changes of a bot's settings from the audit log, in the wording of the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.bots import spec
from dashtrade.tables import messages as message_table


@dataclass(frozen=True, slots=True, kw_only=True)
class BotChange:
    at: datetime
    what: str  # such as "bot changed"
    changes: tuple[tuple[str, str, str], ...]  # (field, from, to)


def history(app: App, user: User, bot_id: int, *, limit: int = 20) -> list[BotChange]:
    """Newest first."""
    with app.db.read() as conn:
        rows = message_table.about_bot(conn, user.id, bot_id, limit=limit)
    return [BotChange(at=row.at, what=row.action, changes=_changes(row.detail)) for row in rows]


def _changes(detail: Any) -> tuple[tuple[str, str, str], ...]:
    if not isinstance(detail, dict):
        return ()
    return tuple(_change(name, found) for name, found in detail.items())


def _change(name: str, found: Any) -> tuple[str, str, str]:
    """Older rows hold words; the oldest hold only the new value."""
    before, after = found if isinstance(found, list) and len(found) == 2 else ("", found)
    setting = spec.BY_NAME.get(name)
    if setting is None:
        return (name, str(before), str(after))
    return (name, "" if before == "" else setting.in_words(before), setting.in_words(after))
