"""One's own account: name and time zone, password, where one is signed in, tokens for machines."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui import own_account

user = ui.page("Account", needs=Permission.TRADE)
left, right = st.columns(2, gap="small")
with left:
    own_account.profile(ui.the_app(), user)
    own_account.password(ui.the_app(), user)
with right:
    own_account.sessions(ui.the_app(), user)
    own_account.tokens(ui.the_app(), user)
