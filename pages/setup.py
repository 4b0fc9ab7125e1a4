"""Setup: broker accounts, the webhook URL, and the alerts that use it."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.setup import accounts, alerts, webhook

user = ui.page("Setup", needs=Permission.TRADE)
PARTS = {"Accounts": accounts.show, "Webhook": webhook.show, "Alerts": alerts.show}
part = st.segmented_control(
    "Part",
    list(PARTS),
    default="Accounts",
    required=True,
    key="part",
    bind="query-params",
    label_visibility="collapsed",
)
PARTS[part or "Accounts"](ui.get_app(), user)
