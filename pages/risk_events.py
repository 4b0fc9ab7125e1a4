"""Limits that were passed: what fired, at what, what it did, and what to do now."""

from __future__ import annotations

import streamlit as st

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.tables import bots as bot_table

PAGE = 50
COLUMNS = [
    ui.Column(label="What"), ui.Column(label="Bot"), ui.Column(label="Limit", number=True, wide_only=True), ui.Column(label="Was", number=True, wide_only=True),
    ui.Column(label="What it did"), ui.Column(label="Time", number=True),
]  # fmt: skip

user = ui.page("Risk events", needs=Permission.TRADE)
app = ui.the_app()
older = st.query_params.get("before", "")
before = int(older) if older.isascii() and older.isdigit() and len(older) < 19 else None
with app.db.read() as conn:
    found = bot_table.list_risk_events(conn, user.id, before=before, limit=PAGE + 1)
names = ui.data.bot_names(app, user)
if not found:
    ui.empty("No limit has been passed. Give a bot a daily loss limit or a stop, and what they do is told here.", "See your bots", to="pages/bots.py", icon=":material/shield:")
else:
    rows = [
        ui.Row(id=str(row.bot_id), cells=[
            ui.Cell(text=row.kind.replace("_", " ").capitalize(), sub=row.detail), ui.Cell(text=names.get(row.bot_id, "Deleted bot")),
            ui.Cell(text=ui.words.price(row.threshold)), ui.Cell(text=ui.words.price(row.actual)),
            ui.Cell(text=row.action.replace("_", " ").capitalize(), tone="warn", badge=True), ui.Cell(text=ui.words.moment(user, row.at, seconds=True)),
        ])
        for row in found[:PAGE]
    ]  # fmt: skip
    with ui.panel(key="events_panel"):
        clicked = ui.table("risk_events", "Risk events, newest first", COLUMNS, rows, opens=True)
    st.caption("A bot that was stopped stays so until you resume it: open it, see what happened, then press Resume.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if before is not None and st.button("Newest", icon=":material/first_page:"):
            st.query_params.pop("before")
            st.rerun()
        if len(found) > PAGE and st.button("Older", icon=":material/chevron_right:", icon_position="right"):
            st.query_params["before"] = str(found[PAGE - 1].id)
            st.rerun()
    if clicked:
        st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})
