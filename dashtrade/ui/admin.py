"""The parts of the admin page. What a role may see and do here is asked of the one table of permissions."""

from __future__ import annotations

import os
from html import escape
from importlib.metadata import version
from typing import Any

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.access import Permission, Role, may
from dashtrade.domain.bots import Stop
from dashtrade.services import bots as bot_service
from dashtrade.services import people as service
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.people import User
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, live, panel, the_app
from dashtrade.ui.parts import Card, Cell, Column, Row, cards, table
from dashtrade.ui.words import ago, count, day, moment

SILENT = 10  # seconds after which a worker that beats every two is missing
PAGE = 50
SIGNUP = {"open": "Anybody who reaches this address can make an account.", "invite": "Joining needs an invitation.", "closed": "Nobody can join by themselves."}


# --- the system ------------------------------------------------------------------------------------------------------------


def system(app: App, user: User) -> None:
    _health()
    if may(user.role, Permission.SWITCH_ALL):
        _switch(app, user)
    _versions(app)


@live(every=3)
def _health(user: User) -> None:
    app = the_app()
    with app.db.read() as conn:
        oldest, waiting, quiet = signal_table.oldest_waiting(conn), signal_table.waiting_count(conn), signal_table.last_beat(conn)
        members = people_table.count(conn)
    well = quiet is not None and quiet <= SILENT
    late = (app.clock.now() - oldest).total_seconds() if oldest else 0
    cards("health", [
        Card(label="Worker", value="At work" if well else "Silent", tone="up" if well else "down", note="carries out signals" if well else "start DashTrade again, or read its log"),
        Card(label="Waiting signals", value=f"{waiting:,}", note=f"the oldest for {late:.0f} s" if oldest else "nothing waits", note_tone="warn" if late > 10 else ""),
        Card(label="Database", value="SQLite" if app.db.is_sqlite else "PostgreSQL", note=_size(app)),
        Card(label="People", value=f"{members:,}", note=app.settings.signup),
        Card(label="Dashboard's memory", value=f"{_memory():.0f} MB", note="this process"),
    ])  # fmt: skip


def _size(app: App) -> str:
    try:
        return f"{os.path.getsize(app.db.url.database or '') / 1e6:,.1f} MB" if app.db.is_sqlite else app.settings.database_label.rpartition("@")[2]
    except OSError:
        return ""


def _memory() -> float:
    import resource
    import sys

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _switch(app: App, user: User) -> None:
    with app.db.read() as conn:
        every = [row for row in bot_table.list_switches(conn, user.id) if row.scope == "all"]
    with panel("Trading for everybody", key="all_switch"):
        if every:
            st.markdown(f"**Stopped: {escape(str(every[0].stop)).replace('_', ' ')}**, since {moment(user, every[0].at)}. Exits still pass.")
            if st.button("Let everybody trade again", type="primary", icon=":material/play_arrow:", key="all_on"):
                _put(app, user, Stop.NONE)
        else:
            st.caption("On. Stopping takes effect at once, for every user's bots; positions stay, and exits still pass.")
            with st.container(horizontal=True):
                if st.button("Pause entries for all", key="all_pause"):
                    _confirm(Stop.PAUSE_ENTRIES)
                if st.button("Halt all bots", key="all_halt"):
                    _confirm(Stop.HALT)


@st.dialog("Stop trading for everybody")
def _confirm(stop: Stop) -> None:
    said = "No bot of any user opens anything new." if stop is Stop.PAUSE_ENTRIES else "Every bot of every user stops, until its owner resumes it."
    st.markdown(said)
    if st.button("Stop now", type="primary"):
        user = guard(Permission.SWITCH_ALL)
        _put(the_app(), user, stop)


def _put(app: App, user: User, stop: Stop) -> None:
    with trying() as attempt:
        bot_service.put_switch(app, user, scope="all", scope_id=None, stop=stop, reason=f"by {user.email}")
    if attempt.ok:
        st.rerun()


def _versions(app: App) -> None:
    import platform

    with panel("Versions", key="versions"):
        shown = [("DashTrade", _version("dashtrade")), ("Python", platform.python_version()), ("Streamlit", _version("streamlit")), ("SQLAlchemy", _version("sqlalchemy"))]
        st.html('<ul class="dt-list">' + "".join(f"<li class='dt-info'><i></i><span>{name}</span><time>{escape(number)}</time></li>" for name, number in shown) + "</ul>")
        st.caption(f"Logs: {app.settings.logs.name}/ in the home folder. Webhooks: {app.settings.public_url}/webhook")


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(name)
    except PackageNotFoundError:
        return "from source"


# --- people ----------------------------------------------------------------------------------------------------------------


def people(app: App, user: User) -> None:
    page = st.query_params.get("after", "")
    after = int(page) if page.isascii() and page.isdigit() and len(page) < 19 else 0
    with app.db.read() as conn:
        found = people_table.everyone(conn, after=after, limit=PAGE + 1)
    now = app.clock.now()
    columns = [Column(label="Who"), Column(label="Role"), Column(label="Joined", number=True, wide_only=True), Column(label="Last here", number=True)]
    rows = [
        Row(id=str(who.id), cells=[
            Cell(text=who.name, sub=who.email), Cell(text=str(who.role).capitalize(), tone="info" if who.role is not Role.STANDARD else "mute", badge=True),
            Cell(text=day(user, who.created_at)), Cell(text=ago(now, who.last_login_at) if who.is_active else "deactivated"),
        ])
        for who in found[:PAGE]
    ]  # fmt: skip
    with panel(key="people_panel"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(count(len(rows), "person") if len(rows) == 1 else f"{len(rows)} people", anchor=False, width="content")
            st.space("stretch")
            if st.button("Invite somebody", type="primary", icon=":material/person_add:", key="invite"):
                _invite()
        table("people", "People", columns, rows)
        st.caption(SIGNUP[app.settings.signup])
    _turn(found, after, "after", lambda who: who.id)


@st.dialog("Invite somebody")
def _invite() -> None:
    user, app = guard(Permission.INVITE), the_app()
    with st.form("invite_form", border=False):
        email = st.text_input("Their email", placeholder="Optional, to remember who it was for", max_chars=254)
        roles = [Role.STANDARD, Role.ADMIN, Role.SUPERADMIN] if may(user.role, Permission.MANAGE_ROLES) else [Role.STANDARD]
        role = st.selectbox("Role", roles, format_func=lambda one: str(one).capitalize())
        sent = st.form_submit_button("Make the link", type="primary")
    if sent:
        with trying() as attempt:
            code = service.invite(app, user, email=email.strip(), role=role or Role.STANDARD)
        if attempt.ok:
            st.markdown("**Send them this link.** It works once, for a week, and is not shown again.")
            st.code(f"{app.settings.ui_url}/join?invitation={code}", language=None, wrap_lines=True)
            if app.settings.signup == "closed":
                st.warning("Sign-up is closed on this installation: the link works once DASHTRADE\\_SIGNUP is set to invite.")


# --- what was done -----------------------------------------------------------------------------------------------------------


def deeds(app: App, user: User) -> None:
    page = st.query_params.get("before", "")
    before = int(page) if page.isascii() and page.isdigit() and len(page) < 19 else None
    with app.db.read() as conn:
        found = message_table.everything_recorded(conn, before=before, limit=PAGE + 1)
        who = {row.user_id: people_table.by_id(conn, row.user_id) for row in found if row.user_id}
    columns = [Column(label="What"), Column(label="Who"), Column(label="From", wide_only=True), Column(label="When", number=True)]
    rows = [
        Row(id=str(row.id), cells=[
            Cell(text=row.action.capitalize(), sub=_detail(row.detail)), Cell(text=_name(who.get(row.user_id))), Cell(text=row.address or "–"),
            Cell(text=moment(user, row.at, seconds=True)),
        ])
        for row in found[:PAGE]
    ]  # fmt: skip
    with panel(key="deeds_panel"):
        table("deeds", "What was done, newest first", columns, rows)
    _turn(found, before or 0, "before", lambda row: row.id)


def _detail(detail: Any) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if value not in ("", None))[:120] if isinstance(detail, dict) else ""


def _name(who: User | None) -> str:
    return who.email if who else "the system"


def _turn(found: list[Any], here: int, name: str, cursor: Any) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if here and st.button("First page", icon=":material/first_page:", key="first_page"):
            st.query_params.pop(name)
            st.rerun()
        if len(found) > PAGE and st.button("Next", icon=":material/chevron_right:", icon_position="right", key="next_page"):
            st.query_params[name] = str(cursor(found[PAGE - 1]))
            st.rerun()
