"""The big switch, with what each of its positions will do said before it is pressed."""

from __future__ import annotations

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.bots import Stop
from dashtrade.services import bots as service
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.errors import trying
from dashtrade.ui.words import count

CHOICES = {
    Stop.PAUSE_ENTRIES: ("Pause entries", "Nothing new is opened. Orders already at the broker stay, and positions can still be closed."),
    Stop.REDUCE_ONLY: ("Reduce only", "Nothing new is opened, and entry orders that rest at the broker are taken back."),
    Stop.HALT: ("Halt", "The same, and every bot stops until you resume it, one by one. Positions stay open; exits still work."),
}


def button(app: App, user: User) -> None:
    state = data.trading_state(app, user)
    if state.stop is Stop.NONE:
        with st.popover("Stop all", icon=":material/front_hand:"):
            _choose(app, user)
    else:
        with st.popover(state.said, icon=":material/front_hand:", type="primary"):
            _back(app, user, state)


def _choose(app: App, user: User) -> None:
    bots = data.bots(app, user)
    active, holding = sum(bot.is_active for bot in bots), sum(bool(bot.position.quantity) for bot in bots)
    st.markdown("**Stop your bots, at once.** Exits and closing always pass.")
    chosen = st.radio(
        "How far", list(CHOICES), format_func=lambda stop: CHOICES[stop][0], captions=[words for _, words in CHOICES.values()], key="stop_choice",
        label_visibility="collapsed",
    )  # fmt: skip
    st.caption(f"You have {count(active, 'active bot')} and {count(holding, 'open position')}.")
    if st.button("Stop now", type="primary", icon=":material/front_hand:", key="stop_now", width="stretch"):
        _switch(app, user, chosen)


def _back(app: App, user: User, state: data.TradingState) -> None:
    st.markdown(f"**{state.said}.** {CHOICES[state.stop][1]}")
    if st.button("Let my bots trade again", type="primary", icon=":material/play_arrow:", key="start_again", width="stretch"):
        _switch(app, user, Stop.NONE)
    if state.said.endswith("everybody"):
        st.caption("A superadmin stopped trading for everybody; that stays until they lift it.")


def _switch(app: App, user: User, stop: Stop) -> None:
    with trying() as attempt:
        service.put_switch(app, user, scope="user", scope_id=None, stop=stop, reason="by its user")
    if attempt.ok:
        st.rerun()
