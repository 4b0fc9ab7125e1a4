"""Risk events: which limit triggered, at what value, what it did, and what to do now."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.risk import protections, risk_events

user = ui.page("Risk events", needs=Permission.TRADE)
part = st.segmented_control(
    "Part",
    ["Events", "Protections"],
    default="Events",
    required=True,
    key="part",
    bind="query-params",
    label_visibility="collapsed",
)
if part == "Protections":
    protections.show()
    protections.ask(user)
else:
    risk_events.show(ui.get_app(), user)
