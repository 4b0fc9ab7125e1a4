"""What was changed of a bot, when: from the log of deeds, told in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.context import App
from dashtrade.domain.bots import Bot, Window
from dashtrade.domain.exits.exits import written
from dashtrade.domain.people import User
from dashtrade.domain.values import plain
from dashtrade.tables import messages as message_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    at: datetime
    what: str  # "bot changed"
    changes: tuple[tuple[str, str, str], ...]  # (field, from, to)


def differences(bot: Bot, values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the new values change, as {field: [from, to]}; fields that stay as they are do not count."""
    found = {}
    for name, new in values.items():
        old = {
            "size_kind": bot.size.kind,
            "size_value": bot.size.value,
            "exit_plan": written(bot.exit_plan),
            "ordering": bot.order_defaults.written(),
        }.get(name, getattr(bot, name, None))
        before, after = _written(old), _written(new)
        if before != after:
            found[name] = [before, after]
    return found


def _written(value: Any) -> str:
    match value:
        case None | "" | [] | ():
            return "none"
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain(value)
        case dict():
            return ", ".join(
                f"{name.replace('_', ' ')} {_written(part)}"
                for name, part in value.items()
                if part not in (None, [], False)
            )[:200]
        case list() | tuple():
            if any("days" not in part for part in value if isinstance(part, dict)):
                return "; ".join(map(_written, value))
            windows = [window.written() if isinstance(window, Window) else window for window in value]
            return "; ".join(f"{'/'.join(w['days'])} {w['from']}-{w['to']}" for w in windows)  # type: ignore[arg-type]
    return str(value)[:200]


def history(app: App, user: User, bot_id: int, *, limit: int = 20) -> list[Deed]:
    """The newest first."""
    with app.db.read() as conn:
        rows = message_table.about_bot(conn, user.id, bot_id, limit=limit)
    return [Deed(at=row.at, what=row.action, changes=_changes(row.detail)) for row in rows]


def _changes(detail: Any) -> tuple[tuple[str, str, str], ...]:
    """Older rows hold the new value alone."""
    if not isinstance(detail, dict):
        return ()
    return tuple(
        (name, *map(str, said)) if isinstance(said, list) and len(said) == 2 else (name, "", str(said))
        for name, said in detail.items()
    )
