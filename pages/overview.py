"""How things stand, at a glance: money, positions, what the last alerts came to, what wants attention, and the big switch."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.tables.people import User
from dashtrade.ui import closing, first_steps, stop_all
from dashtrade.ui.lists import position_rows, signal_rows, worry_list
from dashtrade.ui.words import count, money, percent, signed, tone

user = ui.page("Overview", needs=Permission.TRADE)
with ui.actions():
    if st.button("New bot", icon=":material/add:", key="new_bot"):
        st.switch_page("pages/bots.py", query_params={"new": "yes"})
    stop_all.button(ui.the_app(), user)
first_steps.show(ui.the_app(), user)


def figures(user: User, held: list[ui.data.Holding]) -> ui.data.Figures:
    found = ui.data.figures(ui.the_app(), user, held)
    total = [float(value) for value in ui.data.running(found.days)][-30:]
    ui.cards("figures", [
        ui.Card(
            label="Equity", value=money(found.equity), note=f"{count(found.away, 'account')} not reached" if found.away else "all accounts",
            note_tone="warn" if found.away else "", spark=total,
        ),
        ui.Card(label="Today, realised", value=signed(found.today), tone=tone(found.today), note=count(found.trades_today, "trade")),
        ui.Card(label="Open profit", value=signed(found.open_profit), tone=tone(found.open_profit), note=count(found.positions, "open position")),
        ui.Card(
            label="Win rate, 30 days", value=percent(found.win_rate).replace(".00%", "%"), note=f"{found.wins} won, {found.losses} lost",
        ),
    ])  # fmt: skip
    return found


def positions(user: User, held: list[ui.data.Holding]) -> None:
    with ui.panel("Open positions", key="positions_panel"):
        holding = [h for h in held if h.bot.position.quantity]
        if not holding:
            st.caption("Nothing is open. What your bots buy shows up here, live.")
            return
        columns, rows = position_rows(holding)
        clicked = ui.table("positions", "Open positions", columns, rows, opens=True)
        if clicked and clicked[1] == "close":
            closing.ask(int(clicked[0]))
        elif clicked:
            st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def latest(user: User) -> None:
    with ui.panel("Latest signals", key="signals_panel"):
        found = ui.data.signals(ui.the_app(), user, limit=6)
        if not found:
            st.caption("No alert has come in yet. Each one shows up here with what became of it.")
            return
        columns, rows = signal_rows(user, found, brief=True)
        clicked = ui.table("latest", "Latest signals", columns, rows, opens=True)
        if clicked:
            st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})


@ui.live(every=2)
def board(user: User) -> None:
    held = ui.data.holdings(ui.the_app(), user)
    found = figures(user, held)
    left, right = st.columns([1.85, 1], gap="small")
    with left:
        positions(user, held)
        if any(net for _, net in found.days):
            with ui.panel("Profit so far", key="profit_panel"):
                ui.profit_curve("profit", found.days, height=200)
    with right:
        with ui.panel("Attention", key="attention_panel"):
            worry_list(ui.the_app(), ui.data.worries(ui.the_app(), user))
        latest(user)


board()
closing.show(user)
