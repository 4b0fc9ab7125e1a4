"""The system: health and latency, settings of the installation, backups, versions, and the live log."""

from __future__ import annotations

import os
import platform
from html import escape
from importlib.metadata import PackageNotFoundError, version

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.access import Permission, may
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.services.accounts import simulation
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.bots.switches import switches
from dashtrade.services.operations import health
from dashtrade.services.people import admin as service
from dashtrade.services.people import invitations as invitation_service
from dashtrade.services.people import second_factor_policy as policy
from dashtrade.ui.kit.components import Card, Cell, Column, Row, cards, table
from dashtrade.ui.kit.format import count, moment, quantity, text
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, live, panel

LOG_LINES = 120
SIGNUPS = {"open": "Open", "invite": "By invitation", "closed": "Closed"}


def show(app: App, user: User) -> None:
    if app.settings.unencrypted:
        st.warning(text(app.settings.unencrypted), icon=":material/lock_open:")
    _health()
    left, right = st.columns(2, gap="small")
    with left:
        if may(user.role, Permission.SWITCH_ALL):
            _switch(app, user)
        if may(user.role, Permission.MANAGE_SYSTEM):
            _simulation(app, user)
        _latencies(app)
    with right:
        if may(user.role, Permission.MANAGE_SYSTEM):
            _signup(app, user)
            _second_factor(app, user)
            _backups(app, user)
        _versions(app)
    if may(user.role, Permission.MANAGE_SYSTEM):
        with panel("Log", key="log_panel"):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.selectbox("Minimum level", list(service.LEVELS), index=1, key="log_level", width=150)
                st.text_input("Contains", key="log_text", max_chars=100, placeholder="Any", width=260)
            _log()


# --- health -------------------------------------------------------------------------------------------------


@live(every=3)
def _health(user: User) -> None:
    app = get_app()
    queue, silence = health.queue(app), health.worker_silence(app)
    running = silence is not None and silence <= health.WORKER_MISSING_SECONDS
    late = (app.clock.now() - queue.oldest).total_seconds() if queue.oldest else 0
    cards(
        "health",
        [
            Card(
                label="Worker",
                value="Running" if running else "Not responding",
                tone="up" if running else "down",
                note="executes signals" if running else "restart DashTrade, or read its log",
            ),
            Card(
                label="Waiting signals",
                value=f"{queue.waiting:,}",
                note=f"oldest waits {late:.0f} s" if queue.oldest else "none waiting",
                note_tone="warn" if late > 10 else "",
            ),
            Card(label="Database", value="SQLite" if app.db.is_sqlite else "PostgreSQL", note=_size(app)),
            Card(
                label="Users",
                value=f"{health.user_count(app):,}",
                note=f"sign-up: {SIGNUPS[invitation_service.signup(app)].lower()}",
            ),
            Card(label="Dashboard's memory", value=f"{_memory():.0f} MB", note="this process"),
        ],
    )


def _size(app: App) -> str:
    try:
        return (
            f"{os.path.getsize(app.db.url.database or '') / 1e6:,.1f} MB"
            if app.db.is_sqlite
            else app.settings.database_label.rpartition("@")[2]
        )
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


def _latencies(app: App) -> None:
    with panel("From alert to fill", key="pace"):
        measured = service.latencies(app)
        if not any(count for _, count, _ in measured):
            st.caption("Measured on recent alerts; no alerts yet.")
            return
        columns = [
            Column(label="Milliseconds"),
            *(Column(label=name, number=True) for name in ("p50", "p90", "p99")),
        ]
        rows = [
            Row(
                id=what,
                cells=[
                    Cell(text=what.capitalize(), sub=f"{count:,} measured"),
                    *(Cell(text=f"{shares[p]:,.1f}") for p in ("p50", "p90", "p99")),
                ],
            )
            for what, count, shares in measured
            if count
        ]
        table("pace_table", "Time from alert to fill", columns, rows)


# --- settings -----------------------------------------------------------------------------------------------


def _switch(app: App, user: User) -> None:
    every = [one for one in switches(app, user) if one.scope == "all"]
    with panel("Trading for all users", key="all_switch"):
        if every:
            st.markdown(
                f"**Stopped: {text(str(every[0].stop).replace('_', ' '))}**, since "
                f"{moment(user, every[0].at)}. Exits still pass."
            )
            if st.button(
                "Resume trading for all", type="primary", icon=":material/play_arrow:", key="all_on"
            ):
                _put_switch(app, user, Stop.NONE)
        else:
            st.caption(
                "On. Stopping takes effect at once, for every user's bots; positions stay, and exits still "
                "pass."
            )
            with st.container(horizontal=True):
                if st.button("Pause entries for all", key="all_pause"):
                    _confirm(Stop.PAUSE_ENTRIES)
                if st.button("Halt all bots", key="all_halt"):
                    _confirm(Stop.HALT)


@st.dialog("Stop trading for all users")
def _confirm(stop: Stop) -> None:
    question = (
        "No bot of any user opens a new position."
        if stop is Stop.PAUSE_ENTRIES
        else "All bots of all users stop until their owners resume them."
    )
    st.markdown(question)
    if st.button("Stop now", type="primary"):
        user = guard(Permission.SWITCH_ALL)
        _put_switch(get_app(), user, stop)


def _put_switch(app: App, user: User, stop: Stop) -> None:
    with trying() as attempt:
        switch_service.put_switch(app, user, scope="all", scope_id=None, stop=stop, reason=f"by {user.email}")
    if attempt.ok:
        st.rerun()


def _simulation(app: App, user: User) -> None:
    on, busy = simulation.is_on(app), simulation.blocking_bots(app)
    with panel("Simulation mode", key="simulation"):
        st.caption(
            (
                "On: all live accounts are traded on the built-in paper broker, at their real broker's "
                "prices; no real order is sent."
            )
            if on
            else (
                "Off. When on, all live accounts of all users are traded on the built-in paper broker, "
                "and every page says so."
            )
        )
        if busy:
            st.warning(
                "These bots have a position or an open order on a live account. Close them first, then "
                "switch: real and simulated positions must not mix."
            )
            named = [
                Row(
                    id=str(b.id),
                    cells=[
                        Cell(text=b.name, sub=b.email),
                        Cell(text=b.symbol.short),
                        Cell(text=quantity(b.quantity)),
                    ],
                )
                for b in busy[:20]
            ]
            table(
                "busy",
                "Bots with positions or orders on live accounts",
                [Column(label="Bot"), Column(label="Symbol"), Column(label="Position", number=True)],
                named,
            )
        if st.button(
            "Switch simulation off" if on else "Switch simulation on", key="simulate", disabled=bool(busy)
        ):
            with trying() as attempt:
                simulation.switch(app, user, not on)
            if attempt.ok:
                st.rerun()


def _signup(app: App, user: User) -> None:
    found = service.settings(app)
    with panel("Sign-up", key="joining"), st.form("joining_form", border=False):
        chosen = st.radio(
            "Who can create an account",
            list(SIGNUPS),
            index=list(SIGNUPS).index(found["signup"]),
            format_func=SIGNUPS.__getitem__,
            horizontal=True,
            help="Until you choose here, the setting DASHTRADE_SIGNUP applies.",
        )
        demo = st.checkbox(
            "Offer a demo on the sign-in page (not while sign-up is closed)", value=found["demo"]
        )
        if st.form_submit_button("Save"):
            with trying() as attempt:
                if chosen and chosen != found["signup"]:
                    service.put_setting(app, user, invitation_service.SIGNUP, chosen)
                if demo != found["demo"]:
                    service.put_setting(app, user, invitation_service.DEMO, "on" if demo else "off")
            if attempt.ok:
                st.session_state["toast"] = "Saved."
                st.rerun()


def _second_factor(app: App, user: User) -> None:
    required, found = policy.is_required(app), policy.figures(app)
    with panel("Two-factor authentication", key="factor_policy"):
        usage = (
            f"{found.with_factor:,} of {count(found.people, 'user')} use two-factor authentication."
            if found.people != 1
            else f"{found.with_factor} of 1 user uses two-factor authentication."
        )
        st.caption(
            f"Required for all users, who set it up before they can do anything else. {usage}"
            if required
            else f"Optional; users with real money are asked to set it up. {usage}"
        )
        if not required and st.button(
            "Require for all users", icon=":material/phonelink_lock:", key="require_factor"
        ):
            _require()
        if required and st.button("Make optional", key="require_factor_off"):
            _put_policy(app, user, False)


@st.dialog("Require two-factor authentication for all users")
def _require() -> None:
    user, app = guard(Permission.MANAGE_SYSTEM), get_app()
    found = policy.figures(app)
    st.markdown(
        f"**{count(found.people - found.with_factor, 'user')} without two-factor authentication.** They must "
        "set it up at their next click; until then they can only close positions and stop bots. All "
        "users get a message. Bots, alerts and API tokens keep working."
    )
    if not user.second_factor:
        st.info(
            "You do not use two-factor authentication yet: you set it up right after this.",
            icon=":material/info:",
        )
    if st.button("Require", type="primary", key="require_factor_yes"):
        _put_policy(app, user, True)


def _put_policy(app: App, user: User, required: bool) -> None:
    with trying() as attempt:
        policy.put(app, user, required)
    if attempt.ok:
        st.rerun()


# --- backups, versions, log ---------------------------------------------------------------------------------


def _backups(app: App, user: User) -> None:
    with panel("Backups", key="backups"):
        if not app.db.is_sqlite:
            st.caption(
                "PostgreSQL has its own tools: back up with pg_dump, and keep the encryption key in "
                "another place."
            )
            return
        backups = service.backups(app)
        st.caption(
            (
                "Backups are verified copies, made while DashTrade runs. Keep them, and the encryption "
                "key, somewhere other than this machine."
            )
            if backups
            else "No backups yet."
        )
        if backups:
            rows = [
                Row(
                    id=name,
                    cells=[Cell(text=name), Cell(text=moment(user, at)), Cell(text=f"{size / 1e6:,.1f} MB")],
                )
                for name, at, size in backups[:5]
            ]
            table(
                "backup_list",
                "Backups, newest first",
                [
                    Column(label="File"),
                    Column(label="Created", number=True),
                    Column(label="Size", number=True),
                ],
                rows,
            )
        if st.button("Back up now", icon=":material/save:", key="make_backup"):
            with trying() as attempt, st.spinner("Copying the database"):
                service.make_backup(app, user)
            if attempt.ok:
                st.rerun()


def _versions(app: App) -> None:
    with panel("Versions", key="versions"):
        shown = [
            ("DashTrade", _version("dashtrade")),
            ("Python", platform.python_version()),
            ("Streamlit", _version("streamlit")),
            ("SQLAlchemy", _version("sqlalchemy")),
        ]
        shown.append(("Database schema", app.db.version() or "–"))
        st.html(
            '<dl class="dt-facts">'
            + "".join(f"<dt>{name}</dt><dd>{escape(number)}</dd>" for name, number in shown)
            + "</dl>"
        )
        st.html(
            f'<small class="dt-mute">Webhooks: {escape(app.settings.public_url)}/webhook; dashboard: '
            f"{escape(app.settings.dashboard_url)}</small>"
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "from source"


@live(every=3)
def _log(user: User) -> None:
    found = service.log_lines(
        get_app(),
        user,
        level=st.session_state.get("log_level") or "INFO",
        text=st.session_state.get("log_text") or "",
        most=LOG_LINES,
    )
    if not found:
        st.caption("No lines match. Without ./start the processes log to their terminal instead.")
        return
    marks = {"ERROR": "down", "CRITICAL": "down", "WARNING": "warn"}
    shown = [([*line.split(" ", 2), "", ""])[1] for line in found]
    body = "".join(
        f'<span class="{marks.get(level, "")}">{escape(line)}</span>\n'
        for line, level in reversed(list(zip(found, shown, strict=True)))
    )
    st.html(f'<pre class="dt-log" tabindex="0" aria-label="Latest log lines">{body}</pre>')
