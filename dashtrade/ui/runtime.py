"""What every part of the dashboard stands on: the one App of this process, and who is looking at the page now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashtrade.services import sessions

if TYPE_CHECKING:
    from dashtrade.app import App
    from dashtrade.tables.people import User

COOKIE, SECURE_COOKIE = "dashtrade_session", "__Host-dashtrade_session"
_app: App | None = None


def use(app: App | None) -> None:
    """Called once by the process that serves (and by tests)."""
    global _app
    _app = app


def running() -> bool:
    return _app is not None


def the_app() -> App:
    if _app is None:
        raise RuntimeError("the dashboard runs inside `python -m dashtrade.ui.serve`")
    return _app


def session_token() -> str | None:
    import streamlit as st

    cookies = st.context.cookies
    return cookies.get(SECURE_COOKIE) or cookies.get(COOKIE)


def current_user(*, present: bool = True) -> User | None:
    """Asked of the database on every run and in every fragment: a session that was ended ends on the screen too."""
    return sessions.find(the_app(), session_token(), present=present)
