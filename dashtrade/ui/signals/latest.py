"""The latest signals, on the pages of others; a click opens one."""

from __future__ import annotations

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.services.trading import signals as service
from dashtrade.ui.kit.components import table
from dashtrade.ui.kit.rows import signal_rows
from dashtrade.ui.shell.page import get_app


def show(user: User, *, key: str, title: str, nothing: str, limit: int, bot_id: int | None = None) -> None:
    found = service.signals(get_app(), user, limit=limit, bot_id=bot_id)
    if not found:
        st.caption(nothing)
        return
    columns, rows = signal_rows(user, found, brief=True)
    clicked = table(key, title, columns, rows, opens=True)
    if clicked:
        st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})
