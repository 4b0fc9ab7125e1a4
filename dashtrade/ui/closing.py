"""Closing a position by hand. The request gets its name when the question is asked, so that two clicks are one order."""

from __future__ import annotations

import streamlit as st

from bot_engine import Receipt
from dashtrade.domain.values import new_id
from dashtrade.services import bots as service
from dashtrade.services import story
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, the_app
from dashtrade.ui.words import percent, quantity, sentence, signed, text

WAIT = 2.0  # seconds in which a market order usually has its fill


def ask(bot_id: int) -> None:
    """Asked at the next full run: a part of the page that renews itself would take the question away with it."""
    st.session_state["closing"] = (bot_id, new_id(the_app().clock.now()))
    st.rerun()


def show(user: User) -> None:
    """At the end of a page from which positions can be closed."""
    if "closing" in st.session_state:
        bot_id, request_id = st.session_state.pop("closing")
        with trying():
            bot = service.bot_of(the_app(), user, bot_id)
            account = next((a for a in data.accounts(the_app(), user) if a.id == bot.account_id), None)
            _question(data.holding(the_app(), bot, account), request_id)


@st.dialog("Close position", icon=":material/close:")
def _question(held: data.Holding, request_id: str) -> None:
    bot = held.bot
    place = "**with real money**" if held.account is not None and held.account.mode == "live" else "on paper"
    st.markdown(f"Close {bot.position.side} **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}** of {text(bot.name)} at the market, {place}?")
    st.caption(f"It stands at {text(signed(held.unrealized))} ({text(percent(held.percent, sign=True))}). The bot stays on and follows its next alert.")
    with st.container(horizontal=True):
        pressed = st.button("Close at market", type="primary", key=f"close_yes_{bot.id}")
        if st.button("Keep it", key=f"close_no_{bot.id}"):
            st.rerun()
    if pressed:
        _close(bot.id, bot.name, request_id)


def _close(bot_id: int, name: str, request_id: str) -> None:
    user, app = guard(), the_app()
    with trying() as attempt:
        said = service.close_bot(app, user, bot_id, request_id=request_id)
    if not attempt.ok:
        return
    if not isinstance(said, Receipt):
        st.error(f"**{text(sentence(said.message))}** Ask again.")
        return
    app.wait(user.id, said.signal_id, WAIT, fresh=not said.duplicate)
    outcome = story.outcome(app, user.id, said.signal_id) or {}
    words = outcome.get("reason") or {"filled": "closed", "working": "the order is on its way"}.get(outcome.get("status", ""), "sent")
    st.session_state["said"] = f"{text(name)}: {text(sentence(words))}"
    st.rerun()
