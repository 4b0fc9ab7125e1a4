"""The installation: overview, users, all trades, system, audit log."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.admin import admin, people, system, trades

user = ui.page("Admin", needs=Permission.SEE_SYSTEM)
PARTS = {
    "Overview": admin.overview,
    "Users": people.show,
    "Trades": trades.show,
    "System": system.show,
    "Audit log": admin.audit_log,
}
part = st.segmented_control(
    "Part",
    list(PARTS),
    default="Overview",
    required=True,
    key="part",
    bind="query-params",
    label_visibility="collapsed",
)
PARTS[part or "Overview"](ui.get_app(), user)
