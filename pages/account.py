"""The user's account: profile, sign-in, messages, tokens for programs, data export."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.account import account, messages, second_factor

user = ui.page("Account", needs=Permission.TRADE)
left, right = st.columns(2, gap="small")
with left:
    if user.demo_until is not None:
        account.keep_demo(ui.get_app(), user)
    account.profile(ui.get_app(), user)
    if user.demo_until is None:
        account.password(ui.get_app(), user)
        second_factor.show(ui.get_app(), user)
with right:
    messages.messages(ui.get_app(), user)
    account.sessions(ui.get_app(), user)
    if user.demo_until is None:
        account.tokens(ui.get_app(), user)
    account.data(user)
