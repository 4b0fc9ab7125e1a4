"""Closing a position by hand. The request gets its name when the question is asked, so that two clicks are one order."""

from __future__ import annotations

import streamlit as st

from bot_engine import Receipt
from dashtrade.domain.values import new_id
from dashtrade.services import bots as service
from dashtrade.services import story
from dashtrade.ui.data import Holding
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, the_app
from dashtrade.ui.words import percent, quantity, sentence, signed, text

WAIT = 2.0  # seconds in which a market order usually has its fill


@st.dialog("Close position", icon=":material/close:")
def ask_to_close(held: Holding) -> None:
    bot = held.bot
    name = f"close_request_{bot.id}"
    if name not in st.session_state:
        st.session_state[name] = new_id(the_app().clock.now())
    place = "**with real money**" if held.account is not None and held.account.mode == "live" else "on paper"
    st.markdown(f"Close {bot.position.side} **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}** of {text(bot.name)} at the market, {place}?")
    st.caption(f"It stands at {signed(held.unrealized)} ({percent(held.percent, sign=True)}). The bot stays on and follows the next alert.")
    with st.container(horizontal=True):
        pressed = st.button("Close at market", type="primary", key=f"yes_{bot.id}")
        if st.button("Keep it", key=f"no_{bot.id}"):
            _leave(name)
    if pressed:
        with trying() as attempt:
            said = service.close_bot(the_app(), guard(), bot.id, request_id=st.session_state[name])
        if attempt.ok:
            st.session_state["closed"] = said.signal_id if isinstance(said, Receipt) else ""
            if isinstance(said, Receipt):
                the_app().wait(bot.user_id, said.signal_id, WAIT)
                outcome = story.outcome(the_app(), bot.user_id, said.signal_id) or {}
                st.toast(f"{text(bot.name)}: {text(sentence(outcome.get('reason') or outcome.get('status', 'sent')))}", icon=":material/check:")
                _leave(name)
            st.error(f"**{text(sentence(said.message))}** Close it again in a moment.")


def _leave(name: str) -> None:
    st.session_state.pop(name, None)
    st.rerun()
