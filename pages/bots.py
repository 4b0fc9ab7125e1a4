"""Bots: the list, creating and changing them, and one bot's page."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.bots import bot_form, bot_list, bot_page
from dashtrade.ui.positions import close_dialog, exits_dialog, open_orders

user = ui.page("Bots", needs=Permission.TRADE, figures="bot" not in st.query_params)
chosen = st.query_params.get("bot", "")
if chosen.isascii() and chosen.isdigit() and len(chosen) < 19:
    bot_page.show(ui.get_app(), user, int(chosen))
else:
    with ui.actions():
        if st.button("New bot", type="primary", icon=":material/add:", key="new_bot"):
            bot_form.ask_new()
    bot_list.show(ui.get_app(), user)
    if st.query_params.get("new"):
        bot_form.ask_new()
        st.query_params.pop("new", "")  # after drawing: a run interrupted earlier opens the form again
close_dialog.show(user)
exits_dialog.show(user)
open_orders.show(user)
