"""The admin page's first tab, the overview, and its last, the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.audit import AuditTopic, label_of
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.services.people import admin as service
from dashtrade.services.people import audit
from dashtrade.services.people.audit import AuditEntry
from dashtrade.ui.kit.components import Card, Cell, Column, Row, cards, lines, milliseconds, table
from dashtrade.ui.kit.format import count, moment
from dashtrade.ui.shell.page import get_app, live, panel

PAGE = 50
TRADED = (Column(label="Trades", number=True), Column(label="Volume", number=True))


def overview(app: App, user: User) -> None:
    _figures()
    found = service.overview(app)
    left, right = st.columns([1.6, 1], gap="small")
    with left, panel(f"Volume by day, last {service.DAYS} days", key="by_day"):
        _volume_by_day(found["days"])
    with right, panel("Most traded", key="by_symbol"):
        _most_traded(found["symbols"])


def _volume_by_day(days: Sequence[tuple[date, int, float]]) -> None:
    if not days:
        st.caption("No trades yet. Days with trades appear here.")
        return
    points = [(milliseconds(day), volume) for day, _, volume in days]
    lines("volume", "Volume in dollars", [("Volume", points)], height=190, colour="blue")
    rows = [
        Row(id=day.isoformat(), cells=[Cell(text=f"{day.day} {day:%b}"), *_traded(trades, volume)])
        for day, trades, volume in reversed(days[-7:])
    ]
    table("days", "Trades and volume by day, newest first", [Column(label="Day"), *TRADED], rows)


def _most_traded(symbols: Sequence[tuple[Symbol, int, float]]) -> None:
    if not symbols:
        st.caption("No trades yet.")
        return
    rows = [
        Row(
            id=symbol.text,
            cells=[
                Cell(text=symbol.short, sub=symbol.text if symbol.text != symbol.short else ""),
                *_traded(trades, volume),
            ],
        )
        for symbol, trades, volume in symbols
    ]
    table("symbols", "Most traded symbols", [Column(label="Symbol"), *TRADED], rows)


def _traded(trades: int, volume: float) -> list[Cell]:
    return [Cell(text=f"{trades:,}"), Cell(text=f"${volume:,.0f}")]


@live(every=10)
def _figures(user: User) -> None:
    n = service.overview(get_app())["counts"]
    problems = n["attention_orders"] + n["disabled_accounts"]
    cards(
        "figures",
        [
            Card(label="Users", value=f"{n['users']:,}", note=count(n["demos"], "demo")),
            Card(
                label="Active this week", value=f"{n['active_users']:,}", note="signed in and opened a page"
            ),
            Card(
                label="Bots running",
                value=f"{n['running_bots']:,}",
                note=f"of {n['bots']:,}; {n['holding_bots']:,} in a position",
            ),
            Card(
                label="Needs attention",
                value=f"{problems:,}",
                tone="down" if problems else "",
                note=(
                    f"{count(n['attention_orders'], 'order')}, "
                    f"{count(n['disabled_accounts'], 'disabled account')}"
                ),
            ),
            Card(
                label="Refused, last 24 h",
                value=f"{n['refused_signals']:,}",
                note=f"{count(n['risk_events'], 'risk event')}",
                tone="",
            ),
        ],
    )


# --- audit log ----------------------------------------------------------------------------------------------


def audit_log(app: App, user: User) -> None:
    before = cursor("before")
    found = audit.entries(app, user, before=before or None, limit=PAGE + 1)
    users_by_id = service.find_users(app, user, {row.user_id for row in found if row.user_id})
    columns = [
        Column(label="Action"),
        Column(label="User"),
        Column(label="From", wide_only=True),
        Column(label="Time", number=True),
    ]
    rows = [
        Row(
            id=str(row.id),
            cells=[
                Cell(text=label_of(row.action).capitalize(), sub=_detail(row)),
                Cell(text=_name(row.user_id, users_by_id)),
                Cell(text=row.address or "–"),
                Cell(text=moment(user, row.at, seconds=True)),
            ],
        )
        for row in found[:PAGE]
    ]
    with panel(key="deeds_panel"):
        table("deeds", "Audit log, newest first", columns, rows)
    pager(found, before, "before", lambda row: row.id)


def _detail(row: AuditEntry) -> str:
    names_subject = row.subject_id != row.user_id or row.topic is not AuditTopic.PEOPLE
    about = [f"#{row.subject_id}"] if row.subject_id and names_subject else []
    if isinstance(row.detail, dict):
        about += [
            f"{name.replace('_', ' ')}: {_value_text(value)}"
            for name, value in row.detail.items()
            if value not in ("", None)
        ]
    return ", ".join(about)[:160]


def _value_text(value: Any) -> str:
    """A change is stored as [before, after]."""
    match value:
        case [before, after]:
            return f"{before} → {after}"
        case list():
            return ", ".join(map(str, value))
        case float():
            return f"{value:g}"
    return str(value)


def _name(number: int | None, users_by_id: dict[int, User]) -> str:
    if number is None:
        return "System"
    found = users_by_id.get(number)
    return found.email if found else f"#{number}, deleted"


# --- paging -------------------------------------------------------------------------------------------------


def cursor(name: str) -> int:
    """From the address; 0 is the first page."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def pager(found: list[Any], cursor_now: int, name: str, cursor_of: Any) -> None:
    """`found` has one more than a page if there is a next page."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        if cursor_now and st.button("First page", icon=":material/first_page:", key="first_page"):
            st.query_params.pop(name)
            st.rerun()
        if len(found) > PAGE and st.button(
            "Next", icon=":material/chevron_right:", icon_position="right", key="next_page"
        ):
            st.query_params[name] = str(cursor_of(found[PAGE - 1]))
            st.rerun()
