"""The dashboard's entry point: identifies the user and shows the menu for their role. Started by
`./start`."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashtrade.domain.access import Permission, may
from dashtrade.settings import ROOT
from dashtrade.ui.shell import second_factor_first
from dashtrade.ui.shell.page import foot, guard
from dashtrade.ui.shell.render_lock import render_turn

st.set_page_config(
    page_title="DashTrade",
    page_icon=str(ROOT / "static" / "icon.png"),
    layout="wide",
    initial_sidebar_state="auto",
)
user = guard(without_factor=True)

menu = {
    "Trade": [
        st.Page("pages/overview.py", title="Overview", icon=":material/space_dashboard:", default=True),
        st.Page("pages/positions.py", title="Live positions", icon=":material/swap_vert:"),
        st.Page("pages/bots.py", title="Bots", icon=":material/smart_toy:"),
        # /setup is the link for the first account, so this page has another address.
        st.Page("pages/setup.py", title="Setup", icon=":material/cable:", url_path="connect"),
    ],
    "Review": [
        st.Page("pages/signals.py", title="Signals", icon=":material/bolt:"),
        st.Page("pages/history.py", title="Trade history", icon=":material/receipt_long:"),
        st.Page("pages/performance.py", title="Performance", icon=":material/monitoring:"),
        st.Page("pages/risk_events.py", title="Risk events", icon=":material/shield:"),
    ],
    "You": [st.Page("pages/account.py", title="Account", icon=":material/person:")],
}
if may(user.role, Permission.SEE_SYSTEM):
    menu["Installation"] = [st.Page("pages/admin.py", title="Admin", icon=":material/admin_panel_settings:")]

if user.second_factor_due:  # until it is set up, only closing and stopping are possible
    menu = {
        "": [
            st.Page(
                second_factor_first.show,
                title="Two-factor authentication",
                icon=":material/phonelink_lock:",
                default=True,
            )
        ]
    }

st.logo(str(ROOT / "static" / "logo.svg"), icon_image=str(ROOT / "static" / "icon.png"), size="large")
chosen = st.navigation(menu, position="sidebar", expanded=True)
with st.sidebar, st.container(key="who"):
    shown = user.email if user.demo_until is None else "a demo account"
    st.html(f'<div class="dt-who"><b>{escape(user.name)}</b><small>{escape(shown)}</small></div>')
    foot()
with render_turn():
    chosen.run()
