"""The overview: money, positions, recent signals, what needs attention, and Stop all."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.overview import first_steps, overview
from dashtrade.ui.positions import close_dialog
from dashtrade.ui.risk import stop_all

user = ui.page("Overview", needs=Permission.TRADE, figures=True)
with ui.actions():
    if st.button("New bot", type="primary", icon=":material/add:", key="new_bot"):
        st.switch_page("pages/bots.py", query_params={"new": "yes"})
    stop_all.button(ui.get_app(), user)
first_steps.show(ui.get_app(), user)
overview.board()
close_dialog.show(user)
