"""Shared by the whole dashboard: the process's one App, and the current user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people import sessions

COOKIE = "dashtrade_session"
DEVICE_COOKIE = "dashtrade_device"  # grants nothing: marks a device on which its user has signed in
PREFIX = "__Host-"  # over HTTPS: no other site, not even a sibling domain, can set such a cookie
_app: App | None = None


def use(app: App | None) -> None:
    """Called once by the serving process (and by tests)."""
    global _app
    _app = app
    if app is not None:
        app.db.before_write = _may_write


def running() -> bool:
    return _app is not None


def get_app() -> App:
    if _app is None:
        raise RuntimeError("the dashboard runs inside `python -m dashtrade.ui.shell.serve`")
    return _app


def session_token() -> str | None:
    import streamlit as st

    return cookie_of(st.context.cookies, COOKIE)


def cookie_of(cookies: Mapping[str, str], name: str) -> str | None:
    """With or without the prefix: the middleware has left only the valid one."""
    return cookies.get(PREFIX + name) or cookies.get(name)


def _may_write() -> None:
    """Checked before each write from a page: an admin viewing another user's pages changes nothing,
    whichever button they press; and a demo, which anyone can start, must not fill the disk."""
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    if get_script_run_ctx(suppress_warning=True) is None:
        return  # not a page: sign-in, sign-out, exiting the view
    user = current_user(present=False)
    if user is not None and user.viewer:
        raise Refusal(
            "you are viewing another user's pages, which are read-only",
            "Exit the view first, at the top of the page.",
        )
    if (
        user is not None
        and user.demo_until is not None
        and not _budget.take(user.id, get_app().clock.now().date())
    ):
        raise Refusal(
            "this demo has reached its limit for today",
            "Continue tomorrow, or turn the demo into a real account on the Account page.",
        )


class WriteBudget:
    """A daily number of writes for each limited user, in this process."""

    def __init__(self, max_writes: int) -> None:
        self.max_writes = max_writes
        self._day: date | None = None
        self._taken: Counter[int] = Counter()

    def take(self, key: int, today: date) -> bool:
        if today != self._day:
            self._day, self._taken = today, Counter()
        self._taken[key] += 1
        return self._taken[key] <= self.max_writes


_budget = WriteBudget(2000)


def address() -> str:
    """The browser's address, for the audit log."""
    import streamlit as st

    found = st.context.ip_address
    return found if isinstance(found, str) else ""  # none without a connection, as in a page's test


def current_user(*, present: bool = True) -> User | None:
    """Read from the database on every run and in every fragment, so that an ended session also ends on
    screen."""
    return sessions.find(get_app(), session_token(), present=present)
