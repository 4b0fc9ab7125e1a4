"""Detects changes to a user's data."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.tables import change_token


def revision(app: App, user: User) -> str:
    """A value that differs after any change to the user's data."""
    with app.db.read() as conn:
        return change_token.of(conn, user.id)
