"""Risk events, and the next step for each."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.services.bots import bots as service
from dashtrade.services.bots.owned import find_bots
from dashtrade.services.bots.spec import MAX_LOSS_PER_POSITION
from dashtrade.services.trading.risk_events import RiskEvent, risk_events
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import moment, money, price, reason_sentence, reason_words
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, get_app, live, panel

PAGE = 50
COLUMNS = [
    Column(label="Event"),
    Column(label="Bot", wide_only=True),
    Column(label="Limit", number=True, wide_only=True),
    Column(label="Actual", number=True, wide_only=True),
    Column(label="Action", wide_only=True),
    Column(label="Next step", wide_only=True),
    Column(label="Time", number=True),
]
NAMES = {
    "risk_limit": MAX_LOSS_PER_POSITION,
    "daily_loss": "Daily loss limit",
    "stop_loss": "Stop",
    "take_profit": "Target",
    "time_limit": "Time limit",
}
PERCENT, MONEY = {"risk_limit"}, {"daily_loss"}
GOOD = {"take_profit"}
NOW = {  # next step, while the bot is still stopped
    "risk_limit": "Review the bot's trades, then resume the bot or raise its max loss.",
    "daily_loss": "Wait for the next day, or resume the bot now; the limit counts the whole day.",
}


def show(app: App, user: User) -> None:
    older = st.query_params.get("before", "")
    before = int(older) if older.isascii() and older.isdigit() and len(older) < 19 else None
    if not risk_events(app, user, before=before, limit=1):
        empty(
            (
                "No risk events. When a bot reaches a daily loss limit, a stop or a target, the event "
                "appears here."
            ),
            "See your bots",
            to="pages/bots.py",
            icon=":material/shield:",
        )
        return
    _list(before)


@live
def _list(user: User, before: int | None) -> None:
    app = get_app()
    found = risk_events(app, user, before=before, limit=PAGE + 1)
    bots = {bot.id: bot for bot in find_bots(app, user, {row.bot_id for row in found})}
    newest: set[int] = set()
    rows = []
    for row in found[:PAGE]:
        rows.append(_row(user, row, bots.get(row.bot_id), latest=before is None and row.bot_id not in newest))
        newest.add(row.bot_id)
    with panel(key="events_panel"):
        clicked = table("risk_events", "Risk events, newest first", COLUMNS, rows, opens=True)
    _pages(found, before)
    if clicked and clicked[1] == "resume":
        with trying() as attempt:
            service.set_active(app, user, int(clicked[0].partition(":")[0]), True)
        if attempt.ok:
            st.rerun(scope="fragment")
    elif clicked:
        st.switch_page("pages/bots.py", query_params={"bot": clicked[0].partition(":")[0]})


def _row(user: User, row: RiskEvent, bot: Bot | None, *, latest: bool) -> Row:
    """Only a bot's latest event can still need its user."""
    waits = latest and bot is not None and not bot.is_active and row.kind in NOW
    now = NOW[row.kind] if waits else "–"
    return Row(
        id=f"{row.bot_id}:{row.id}",
        actions=(("resume", "Resume"),) if waits else (),
        cells=[
            Cell(
                text=NAMES.get(row.kind, row.kind.replace("_", " ").capitalize()),
                sub=reason_sentence(user, row.detail),
            ),
            Cell(text=bot.name if bot else "Deleted bot"),
            Cell(text=_figure(row.kind, row.threshold)),
            Cell(text=_figure(row.kind, row.actual)),
            Cell(
                text=reason_words(user, row.action).capitalize(),
                tone="up" if row.kind in GOOD else "warn",
                badge=True,
            ),
            Cell(text=now, tone="" if waits else "mute"),
            Cell(text=moment(user, row.at, seconds=True)),
        ],
    )


def _figure(kind: str, number: Decimal) -> str:
    if kind in PERCENT:
        return f"{number:.2f}%"
    return money(number) if kind in MONEY else price(number)


def _pages(found: Sequence[RiskEvent], before: int | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if before is not None and st.button("Newest", icon=":material/first_page:"):
            st.query_params.pop("before")
            st.rerun()
        if len(found) > PAGE and st.button("Older", icon=":material/chevron_right:", icon_position="right"):
            st.query_params["before"] = str(found[PAGE - 1].id)
            st.rerun()
