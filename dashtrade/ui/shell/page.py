"""The start of every page: the user, their permission, and the status line of trading."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from html import escape
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashtrade.domain.access import Permission, may
from dashtrade.domain.accounts import Account
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.services.operations.revision import revision
from dashtrade.ui.kit.components import mounted, pulse
from dashtrade.ui.kit.format import count, zone, zone_text
from dashtrade.ui.shell import connection_state, runtime, scope
from dashtrade.ui.shell.banners import banners
from dashtrade.ui.shell.render_lock import render_turn
from dashtrade.ui.shell.trading_state import trading_state

START = (
    "DashTrade's dashboard is started with ./start (or: python -m dashtrade.ui.shell.serve), not with "
    "`streamlit run`."
)
RERUN_SECONDS = 60  # seconds
_THEMES = (("System", "Auto"), ("Light", "Light"), ("Dark", "Dark"))
_FOOT = (
    '<div class="foot"><div class="themes" role="group" aria-label="Colours">'
    + "".join(
        f'<button type="button" name="theme" value="{name}">{words}</button>' for name, words in _THEMES
    )
    + (
        '</div><form method="post" action="/auth/logout"><button type="submit" class="act">Sign '
        "out</button></form></div>"
    )
)


def get_app() -> Any:
    return runtime.get_app()


def page(name: str, *, needs: Permission = Permission.TRADE, figures: bool = False) -> User:
    """The user; without permission the page ends here. Shows the page's title and the status of trading;
    with `figures`, also the scope."""
    user = guard(needs)
    title(name, user, figures=figures)
    if toast := st.session_state.pop("toast", None):  # from the action just before this run
        st.toast(toast, icon=":material/check:")
    return user


def guard(
    needs: Permission = Permission.TRADE, *, present: bool = True, without_factor: bool = False
) -> User:
    """Checked on every run, however the page was reached. `without_factor`: also open to users who must
    set up a second factor first, because the page leads there, closes a position, or stops a bot."""
    if not runtime.running():
        print(START, file=sys.stderr)
        st.error(START)
        st.stop()
    user = runtime.current_user(present=present)
    if user is None:
        _to_sign_in()
        st.stop()
    # Another user in this tab's session must not find this user's data.
    if st.session_state.setdefault("_user_id", user.id) != user.id:
        st.session_state.clear()
        st.session_state["_user_id"] = user.id
    if user.second_factor_due and not without_factor:
        _second_factor_first()
        st.stop()
    if not may(user.role, needs):
        get_app().notes.note(
            AuditAction.REFUSED,
            actor=user.id,
            who=user.email,
            reason=f"a page that needs {needs}",
            address=runtime.address(),
        )
        st.title("You don't have access to this page", anchor=False)
        st.info(
            "Your role does not include this page. Ask an admin to change your role.", icon=":material/lock:"
        )
        st.stop()
    return user


def _second_factor_first() -> None:
    """A fragment or dialog that was open when the second factor became due reruns the whole page, which
    shows the set-up page. The message is only for a page that runs before Home.py ever did."""
    running = get_script_run_ctx(suppress_warning=True)
    if running is not None and running.fragment_ids_this_run:
        st.rerun()
    st.title("Two-factor authentication first", anchor=False)
    st.info(
        "This installation requires two-factor authentication. [Set it up](/)",
        icon=":material/phonelink_lock:",
    )


_title_row: ContextVar[Any] = ContextVar("title_row")


def title(name: str, user: User, *, figures: bool = False) -> None:
    tab_title(name)
    banners(get_app(), user)
    row = st.container(horizontal=True, vertical_alignment="center", key="title_row")
    with row:
        st.title(name, anchor=False, width="content")
        if figures:
            scope.switch(get_app(), user)
        st.space("stretch")
    _title_row.set(row)
    _status_bar()


def tab_title(name: str) -> None:
    """The title in the tab, the history and bookmarks."""
    st.set_page_config(page_title=f"{name} · DashTrade")


def actions() -> Any:
    """`with ui.actions():` puts buttons to the right of the page's title."""
    return _title_row.get()


def _status(user: User) -> Iterator[str]:
    """Broker connections, price sources, switches, and the user."""
    app = get_app()
    state = trading_state(app, user)
    if not state.accounts:
        yield _badge("No broker account yet", "mute")
    shown, more = connection_state.shown(app, state.accounts)
    sources = {connection_state.price_source(account) for account in state.accounts}
    for one in shown:
        parts = [
            _money(one.account),
            connection_state.words(user, one),
            connection_state.price_source(one.account) if len(sources) > 1 else "",
        ]
        name = one.account.label or one.account.broker
        yield _badge(
            f"{name} · {', '.join(filter(None, parts))}", one.tone, dot=True, why=connection_state.reason(one)
        )
    if more:
        yield _badge(f"{count(more, 'more paper account')}", "mute")
    if sources == {"demo prices"}:
        yield _badge("Demo prices", "info")
    elif len(sources) == 1:
        well = all(one.tone == "up" for one in shown)
        yield _badge("Live prices" if well else "Prices may be old", "up" if well else "warn")
    yield _badge(state.text, state.tone)
    yield _badge(str(user.role).capitalize(), "mute")
    yield _badge(f"Times: {zone_text(user)}", "mute")


def _money(account: Account) -> str:
    if account.mode != "live":
        return "paper"
    return "live, simulated" if account.simulated else "LIVE"


def _badge(words: str, tone: str, *, dot: bool = False, why: str = "") -> str:
    mark = "<i></i>" if dot else ""
    title = f' title="{escape(why)}"' if why else ""
    return f'<span class="dt-badge {tone}"{title}>{mark}{escape(words)}</span>'


def live(
    draw: Callable[..., None] | None = None, *, every: float = RERUN_SECONDS, without_factor: bool = False
) -> Any:
    """A part that reruns when the user's data changes (the ticker signals it), and periodically for texts
    such as "3 min ago". Checks the session each time: a fragment runs without the page above it."""
    if draw is None:
        return partial(live, every=every, without_factor=without_factor)

    @st.fragment(run_every=every)
    def run(*given: Any, **more: Any) -> None:
        with render_turn():
            user = guard(present=False, without_factor=without_factor)
            drawn_revision = revision(
                get_app(), user
            )  # read before drawing, so that a change in between is not missed
            draw(user, *given, **more)
            pulse(
                "_".join(
                    [draw.__name__.strip("_"), *(str(each) for each in given if isinstance(each, (int, str)))]
                ),
                drawn_revision,
            )

    return run


@live(every=15)  # a green dot fades without news
def _status_bar(user: User) -> None:
    st.html(f'<div class="dt-status" data-zone="{zone(user).key}">{"".join(_status(user))}</div>')


@contextlib.contextmanager
def panel(heading: str = "", *, key: str | None = None) -> Iterator[Any]:
    """A framed part of a page."""
    with st.container(border=True, key=key) as box:
        if heading:
            st.header(heading, anchor=False)
        yield box


def empty(
    words: str,
    button: str = "",
    *,
    to: str = "",
    query: dict[str, str] | None = None,
    icon: str = "",
    key: str = "",
) -> bool:
    """An empty state: one sentence, and one button. True when a button without a page was pressed."""
    with st.container(
        border=True,
        horizontal_alignment="center",
        key=f"empty_{key or to or button}".replace("/", "_").replace(".", "_").replace(" ", "_"),
    ):
        st.html(f'<p class="dt-empty">{escape(words)}</p>')
        if not button:
            return False
        pressed = st.button(
            button, type="primary", icon=icon or None, key=f"empty_button_{key or to or button}"
        )
        if pressed and to:
            st.switch_page(to, query_params=query)
        return pressed and not to


def _to_sign_in() -> None:
    mounted("sign_in", "<p>Your session has ended.</p>")(key="to_sign_in")


def foot() -> None:
    """Theme and sign-out: a separate form, which works when nothing else on the page does, and sends the
    browser's origin."""
    mounted("foot", _FOOT)(key="foot", height="content")
