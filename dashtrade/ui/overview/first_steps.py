"""The first steps of a new user, up to the first fill."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import PAPER
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.owned import bots_of
from dashtrade.services.trading import signal_story
from dashtrade.services.trading import signals as signal_service
from dashtrade.services.trading.signal_story import StepKind
from dashtrade.services.trading.trades import any_trade
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, live


def show(app: App, user: User) -> None:
    """Until all steps are done; a tab that has shown them also shows their completion."""
    if "first_steps" in st.session_state or not all(done for done, *_ in _steps(app, user)):
        st.session_state["first_steps"] = "shown"
        _way()


@live
def _way(user: User) -> None:
    app = get_app()
    steps = _steps(app, user)
    ahead = next((index for index, step in enumerate(steps) if not step[0]), None)
    with st.container(border=True, key="first_steps"):
        st.header("Get started" if ahead is not None else "Your first trade is complete", anchor=False)
        lines = [
            f'<li class="{"done" if done else ""}"><i></i><span><b>{title}</b>'
            f"{'' if done else f'<small>{words}</small>'}</span></li>"
            for done, title, words in steps
        ]
        st.html(f'<ul class="dt-steps">{"".join(lines)}</ul>')
        if ahead is not None:
            _button(app, user, ahead)
        else:
            _finished(app, user)


def _finished(app: App, user: User) -> None:
    """How long the first fill took, with a link to its story."""
    filled = signal_service.signals(app, user, limit=1, status="filled")
    story = signal_story.story(app, user.id, filled[0].id) if filled else None
    if story is None:
        return
    at = next((step.at for step in story.steps if step.kind is StepKind.FILLED), None)
    if at is not None:
        took = at - story.signal.received_at
        st.caption(f"Filled {took // timedelta(milliseconds=1):,} ms after the alert came in.")
    if st.button("See each step", icon=":material/timeline:", key="first_story"):
        st.switch_page("pages/signals.py", query_params={"signal": story.signal.id})


def _steps(app: App, user: User) -> list[tuple[bool, str, str]]:
    """(done, what, why). Fixed texts without user input."""
    bots = bots_of(app, user)
    traded = any(bot.total_trades or bot.position.quantity for bot in bots) or any_trade(app, user)
    return [
        (True, "Create your account", ""),
        (
            bool(accounts_of(app, user)),
            "Open a paper account",
            "$100,000 of paper money on demo prices. No API key and no real money needed.",
        ),
        (
            bool(bots),
            "Create bot",
            "A bot takes alerts for one symbol on one timeframe, and trades the size you set.",
        ),
        (
            bool(signal_service.signals(app, user, limit=1)),
            "Send an alert",
            "Copy your webhook URL from Setup, or press Send a test alert there.",
        ),
        (traded, "Watch the fill", "The fill appears on this page."),
    ]


def _button(app: App, user: User, ahead: int) -> None:
    match ahead:
        case 1:
            if st.button("Open a paper account", type="primary", icon=":material/add:", key="first_account"):
                with trying() as attempt:
                    account_service.add_account(
                        app, user, broker=PAPER, mode="paper", label="Paper", credentials={}, options={}
                    )
                if attempt.ok:
                    st.rerun()
        case 2:
            if st.button("Create bot", type="primary", icon=":material/add:", key="first_bot"):
                st.switch_page("pages/bots.py", query_params={"new": "yes"})
        case _:
            if st.button("Send an alert", type="primary", icon=":material/bolt:", key="first_alert"):
                st.switch_page("pages/setup.py", query_params={"part": "Alerts"})
