"""Stop all, with its effects shown before it is pressed, and the progress of closing everything."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.bots.owned import any_engaged, bot_names, holding_bots
from dashtrade.services.trading import flatten
from dashtrade.services.trading.flatten import Flattening, FlattenItem
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import count, quantity, reason_sentence
from dashtrade.ui.risk import flatten_dialog
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import panel
from dashtrade.ui.shell.trading_state import TradingState, trading_state

FLATTEN = "flatten"
CHOICES: dict[str, tuple[str, str]] = {
    Stop.PAUSE_ENTRIES: (
        "Pause entries",
        "No new positions are opened. Open orders stay, and positions can still be closed.",
    ),
    Stop.REDUCE_ONLY: ("Reduce only", "No new positions are opened, and open entry orders are cancelled."),
    Stop.HALT: (
        "Halt",
        (
            "As reduce only, and every bot is paused until you resume it. Positions stay open; exits "
            "still work."
        ),
    ),
    FLATTEN: (
        "Close everything",
        "Entries are paused, and all positions of your bots are closed at market, the largest first.",
    ),
}
SHOWN_FOR = timedelta(minutes=10)  # after it has ended
TONES = {
    "done": ("Closed", "up"),
    "stuck": ("Stuck", "down"),
    "closing": ("Closing", "info"),
    "waiting": ("Retrying", "warn"),
}
COLUMNS = (
    Column(label="Position"),
    Column(label="Size", number=True),
    Column(label="State"),
    Column(label="Reason", wide_only=True),
)


def button(app: App, user: User) -> None:
    state = trading_state(app, user)
    confirming = "flattening" in st.session_state  # a new key makes a new menu, which is closed
    if state.stop is Stop.NONE:
        with st.popover("Stop all", icon=":material/front_hand:", key=f"stop_all_{confirming}"):
            _choose(app, user)
    else:
        with st.popover(
            state.text, icon=":material/front_hand:", type="primary", key=f"stopped_{confirming}"
        ):
            _back(app, user, state)
    flatten_dialog.show()


def _choose(app: App, user: User) -> None:
    st.markdown("**Stop your bots at once.** Exits always pass.")
    chosen = st.radio(
        "Level",
        list(CHOICES),
        format_func=lambda stop: CHOICES[stop][0],
        captions=[words for _, words in CHOICES.values()],
        key="stop_choice",
        label_visibility="collapsed",
    )
    held, engaged = len(holding_bots(app, user)), any_engaged(app, user)
    if chosen == FLATTEN and engaged:
        st.caption(
            f"You have {count(held, 'open position')}. The next step lists them by account and asks for "
            "confirmation."
        )
        if st.button(
            "Choose what to close", icon=":material/warning:", key="danger_stop_now", width="stretch"
        ):
            flatten_dialog.ask()
        return
    if chosen == FLATTEN:
        st.caption("You have no open positions to close; entries are paused.")
    else:
        st.caption(
            f"You have {count(held, 'open position')}: "
            f"{'it stays as it is' if held == 1 else 'they stay as they are'}."
        )
    if st.button("Stop now", type="primary", icon=":material/front_hand:", key="stop_now", width="stretch"):
        _switch(app, user, Stop.PAUSE_ENTRIES if chosen == FLATTEN else Stop(chosen))


def _back(app: App, user: User, state: TradingState) -> None:
    st.markdown(f"**{state.text}.** {CHOICES[state.stop][1]}")
    if state.for_everybody:
        st.caption("A superadmin stopped trading for all users. Only a superadmin can resume it.")
    elif not user.second_factor_due and st.button(
        "Resume trading", type="primary", icon=":material/play_arrow:", key="start_again", width="stretch"
    ):
        _switch(app, user, Stop.NONE)
    if any_engaged(app, user) and st.button(
        "Also close everything", icon=":material/warning:", key="danger_flatten_too", width="stretch"
    ):
        flatten_dialog.ask()


def _switch(app: App, user: User, stop: Stop) -> None:
    with trying() as attempt:
        switch_service.put_switch(app, user, scope="user", scope_id=None, stop=stop, reason="by its user")
    if attempt.ok:
        st.rerun()


def progress(app: App, user: User) -> None:
    """On the overview, while everything is being closed and a little longer."""
    row = next(iter(flatten.latest(app, user, limit=1)), None)
    if row is None or not row.items:
        return
    if row.ended_at is not None and app.clock.now() - row.ended_at > SHOWN_FOR:
        return
    with panel(_title(row), key="flatten_panel"):
        st.progress(row.done / len(row.items), text=f"{row.done} of {len(row.items)} closed")
        names = bot_names(app, user)
        clicked = table(
            "flatten_items",
            "Positions that are being closed",
            COLUMNS,
            [_item_row(user, item, names) for item in row.items[:50]],
            opens=not user.second_factor_due,
        )
        if any(item.status == "stuck" for item in row.items):
            st.caption(
                "Stuck positions need you: open the bot, check its order, and close the position there "
                "or at your broker."
            )
    if clicked:
        st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def _title(row: Flattening) -> str:
    if row.ended_at is None:
        return "Closing everything"
    return "Everything is closed" if row.done == len(row.items) else "Not everything could be closed"


def _item_row(user: User, item: FlattenItem, names: dict[int, str]) -> Row:
    words, tone = TONES.get(item.status, (item.status.capitalize(), "mute"))
    return Row(
        id=str(item.bot_id),
        cells=[
            Cell(text=item.symbol.short, sub=names.get(item.bot_id, "Deleted bot")),
            Cell(text=quantity(abs(item.quantity))),
            Cell(text=words, tone=tone, badge=True),
            Cell(text=reason_sentence(user, item.reason)),
        ],
    )
