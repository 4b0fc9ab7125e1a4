"""What every part of the dashboard stands on: the one App of this process, and who is looking at the page
now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people import sessions

COOKIE = "dashtrade_session"
DEVICE_COOKIE = "dashtrade_device"  # opens nothing: says that its user signed in here before
PREFIX = "__Host-"  # over HTTPS: no other site can set a cookie of such a name, be it a sibling's
_app: App | None = None


def use(app: App | None) -> None:
    """Called once by the process that serves (and by tests)."""
    global _app
    _app = app
    if app is not None:
        app.db.before_write = _may_write


def running() -> bool:
    return _app is not None


def the_app() -> App:
    if _app is None:
        raise RuntimeError("the dashboard runs inside `python -m dashtrade.ui.shell.serve`")
    return _app


def session_token() -> str | None:
    import streamlit as st

    return cookie_of(st.context.cookies, COOKIE)


def cookie_of(cookies: Mapping[str, str], name: str) -> str | None:
    """With its prefix or without: the gate has left the one that counts."""
    return cookies.get(PREFIX + name) or cookies.get(name)


def _may_write() -> None:
    """Asked before anything is written by whatever runs for a page: whoever looks at another's pages changes
    nothing, whichever button they find; and a demo, which anybody may have, does not fill the disk."""
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    if get_script_run_ctx(suppress_warning=True) is None:
        return  # not a page: signing in and out, and leaving the view
    user = current_user(present=False)
    if user is not None and user.viewer:
        raise Refusal(
            "you are viewing another user's pages, which are read-only",
            "Exit the view first, at the top of the page.",
        )
    if (
        user is not None
        and user.demo_until is not None
        and not _budget.take(user.id, the_app().clock.now().date())
    ):
        raise Refusal(
            "this demo has reached its limit for today",
            "Continue tomorrow, or turn the demo into a real account on the Account page.",
        )


class Budget:
    """So many writes a day for each of those that are limited, in this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._day: date | None = None
        self._taken: Counter[int] = Counter()

    def take(self, key: int, today: date) -> bool:
        if today != self._day:
            self._day, self._taken = today, Counter()
        self._taken[key] += 1
        return self._taken[key] <= self.most


_budget = Budget(2000)


def address() -> str:
    """Where the browser is, for the log of deeds."""
    import streamlit as st

    found = st.context.ip_address
    return found if isinstance(found, str) else ""  # none where nobody is connected, as in a page's test


def current_user(*, present: bool = True) -> User | None:
    """Asked of the database on every run and in every fragment: a session that was ended ends on the screen
    too."""
    return sessions.find(the_app(), session_token(), present=present)
