"""The installation: its people, invitations, and whether all is well."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui import admin

user = ui.page("Admin", needs=Permission.SEE_SYSTEM)
PARTS = {"System": admin.system, "People": admin.people, "Log of deeds": admin.deeds}
part = st.segmented_control("Part", list(PARTS), default="System", required=True, key="part", bind="query-params", label_visibility="collapsed")
PARTS[part or "System"](ui.the_app(), user)
