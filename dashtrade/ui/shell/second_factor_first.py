"""The only page for users who must set up a second factor first: the set-up, and closing positions."""

from __future__ import annotations

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.services.trading import portfolio_summary
from dashtrade.ui.account import second_factor
from dashtrade.ui.kit.components import table
from dashtrade.ui.kit.rows import position_rows
from dashtrade.ui.positions import close_dialog
from dashtrade.ui.risk import stop_all
from dashtrade.ui.shell.banners import banners
from dashtrade.ui.shell.page import get_app, guard, live, panel, tab_title


def show() -> None:
    user, app = guard(without_factor=True), get_app()
    tab_title("Two-factor authentication")
    banners(app, user)
    st.title("Set up two-factor authentication", anchor=False)
    st.space("small")
    if toast := st.session_state.pop("toast", None):  # from the close just before this run
        st.toast(toast, icon=":material/check:")
    with panel("Two-factor authentication is required", key="factor_first"):
        st.markdown(
            "A superadmin requires two-factor authentication for all users: a code from an app on your "
            "phone in addition to your password. Setting it up takes a minute."
        )
        if st.button("Set up", type="primary", icon=":material/phonelink_lock:", key="factor_first_on"):
            second_factor.set_up()
    with panel("Close or stop", key="factor_first_exits"):
        st.caption(
            "Your bots keep running: their alerts and exits work as before. You can close positions and "
            "stop your bots without two-factor authentication."
        )
        stop_all.button(app, user)
        _positions()
    close_dialog.show(user)


@live(every=15, without_factor=True)
def _positions(user: User) -> None:
    app = get_app()
    stop_all.progress(app, user)
    held = portfolio_summary.holdings(app, user, open_only=True)
    if not held:
        st.caption("No open positions.")
        return
    columns, rows = position_rows(held)
    clicked = table("positions", "Open positions", columns, rows)
    if clicked and clicked[1] == "close":
        close_dialog.ask(int(clicked[0]))
