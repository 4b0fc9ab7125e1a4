"""The way to the first fill, until it has been walked."""

from __future__ import annotations

import streamlit as st

from dashtrade.app import App
from dashtrade.services import bots as bot_service
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.errors import trying


def show(app: App, user: User) -> None:
    steps = _steps(app, user)
    if all(done for done, *_ in steps):
        return
    ahead = next(index for index, step in enumerate(steps) if not step[0])
    with st.container(border=True, key="first_steps"):
        st.header("From here to your first trade", anchor=False)
        lines = [
            f'<li class="{"done" if done else ""}"><i></i><span><b>{title}</b>{"" if done else f"<small>{words}</small>"}</span></li>'
            for done, title, words in steps
        ]
        st.html(f'<ul class="dt-steps">{"".join(lines)}</ul>')
        _button(app, user, ahead)


def _steps(app: App, user: User) -> list[tuple[bool, str, str]]:
    """(done, what, why). Fixed words: nothing a user wrote is in them."""
    bots = data.bots(app, user)
    traded = any(bot.total_trades or bot.position.quantity for bot in bots) or bool(data.days(app, user))
    return [
        (True, "Make your account", ""),
        (bool(data.accounts(app, user)), "Open a paper account", "$100,000 of play money on demo prices. No key needed, nothing can be lost."),
        (bool(bots), "Make a bot", "It listens for one symbol on one timeframe, and trades at the size you give it."),
        (bool(data.signals(app, user, limit=1)), "Send it an alert", "Take your webhook address from Setup, or press Send a test alert there."),
        (traded, "See it filled", "The fill shows up on this page by itself."),
    ]


def _button(app: App, user: User, ahead: int) -> None:
    match ahead:
        case 1:
            if st.button("Open a paper account", type="primary", icon=":material/add:", key="first_account"):
                with trying() as attempt:
                    bot_service.add_account(app, user, broker="paper", mode="paper", label="Paper", credentials={}, options={})
                if attempt.ok:
                    st.rerun()
        case 2:
            if st.button("Make a bot", type="primary", icon=":material/add:", key="first_bot"):
                st.switch_page("pages/bots.py", query_params={"new": "yes"})
        case _:
            if st.button("Send it an alert", type="primary", icon=":material/bolt:", key="first_alert"):
                st.switch_page("pages/setup.py", query_params={"part": "Alerts"})
