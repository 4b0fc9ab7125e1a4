"""A user's messages."""

from __future__ import annotations

from dataclasses import dataclass

from dashtrade.context import App
from dashtrade.domain.notices.stored import Message
from dashtrade.domain.people import User
from dashtrade.tables import messages as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    count: int
    newest: int | None


def messages(
    app: App,
    user: User,
    *,
    limit: int,
    before: int | None = None,
    unread_only: bool = False,
    problems_only: bool = False,
) -> list[Message]:
    """Newest first."""
    with app.db.read() as conn:
        return table.list_page(
            conn, user.id, before=before, limit=limit, unread_only=unread_only, problems_only=problems_only
        )


def unread(app: App, user: User) -> Unread:
    """Counts among the latest messages only, so that a long history stays cheap."""
    with app.db.read() as conn:
        found = table.unread(conn, user.id)
    return Unread(count=found.number, newest=found.newest)


def mark_read(app: App, user: User, *, up_to: int) -> int:
    """Returns how many were unread."""
    now = app.clock.now()
    return app.db.write(lambda conn: table.mark_read(conn, user.id, up_to=up_to, now=now))
