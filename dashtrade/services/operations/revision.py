"""Whether anything of a user's changed since it was last looked at."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.tables import change_token


def revision(app: App, user: User) -> str:
    """Another one means that something changed."""
    with app.db.read() as conn:
        return change_token.of(conn, user.id)
