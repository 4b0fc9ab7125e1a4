"""The parts of the account page."""

from __future__ import annotations

from zoneinfo import available_timezones

import streamlit as st

from dashtrade.app import App
from dashtrade.services import credentials, people
from dashtrade.services import sessions as service
from dashtrade.tables import people as people_table
from dashtrade.tables.people import User
from dashtrade.ui import runtime
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, panel, the_app
from dashtrade.ui.parts import Cell, Column, Row, table
from dashtrade.ui.words import ago, day

BROWSER = "UTC"  # what is stored for: read times by the browser's clock


def profile(app: App, user: User) -> None:
    with panel("Profile", key="profile"), st.form("profile_form", border=False):
        name = st.text_input("Name", value=user.name, max_chars=80)
        st.text_input("Email", value=user.email, disabled=True, help="An admin can change it.")
        zones = [BROWSER, "Etc/UTC", *sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))]
        if user.time_zone not in zones:
            zones.append(user.time_zone)
        here = st.context.timezone or "UTC"
        zone = st.selectbox(
            "Time zone", zones, index=zones.index(user.time_zone),
            format_func=lambda key: f"As in this browser ({here})" if key == BROWSER else "UTC" if key == "Etc/UTC" else key.replace("_", " "),
        )  # fmt: skip
        if st.form_submit_button("Save"):
            clean = " ".join("".join(c for c in name if ord(c) >= 32).split())
            with trying() as attempt:
                people.change_options(app, user, {"time_zone": zone, **({"name": clean} if clean else {})})
            if attempt.ok:
                st.rerun()


def password(app: App, user: User) -> None:
    with panel("Password", key="password"), st.form("password_form", border=False, clear_on_submit=True):
        old = st.text_input("Current password", type="password", autocomplete="current-password", max_chars=500)
        new = st.text_input("New password", type="password", autocomplete="new-password", max_chars=500, help="8 to 128 characters. Three or four words in a row make a good one.")
        again = st.text_input("New password, again", type="password", autocomplete="new-password", max_chars=500)
        sent = st.form_submit_button("Change the password")
    if not sent:
        return
    if new != again:
        st.error("**The two new passwords differ.** Type the same one twice.")
        return
    with trying() as attempt:
        address = getattr(st.context, "ip_address", None) or ""
        credentials.change_password(app, user, old=old, new=new, address=address, token=runtime.session_token())
    if attempt.ok:
        st.success("The password is changed, and every other device is signed out.")


def sessions(app: App, user: User) -> None:
    token = runtime.session_token()
    found = service.listed(app, user, token)
    columns = [Column(label="Signed in on"), Column(label="Last seen", number=True), Column(label="Until", number=True, wide_only=True)]
    rows = [
        Row(id=s.name, actions=() if s.current else (("revoke", "Sign out"),), cells=[
            Cell(text=s.device + (" · this one" if s.current else ""), sub=s.address), Cell(text="now" if s.current else ago(app.clock.now(), s.seen_at)),
            Cell(text=day(user, s.expires_at)),
        ])
        for s in found
    ]  # fmt: skip
    with panel("Where you are signed in", key="sessions"):
        clicked = table("session_list", "Sessions", columns, rows)
        if len(found) > 1 and st.button("Sign out everywhere else", key="others"):
            service.revoke_others(app, user, token)
            st.rerun()
    if clicked:
        with trying() as attempt:
            service.revoke(app, user, clicked[0])
        if attempt.ok:
            st.rerun()


def tokens(app: App, user: User) -> None:
    with app.db.read() as conn:
        found = people_table.list_api_tokens(conn, user.id)
    now = app.clock.now()
    with panel("API tokens", key="tokens"):
        st.caption("For programs of your own, on the REST API. A token can do what you can do on these pages: keep it as you keep a password.")
        clicked = None
        if found:
            columns = [Column(label="Token"), Column(label="Last used", number=True), Column(label="Until", number=True, wide_only=True)]
            rows = [
                Row(id=str(t.id), actions=(("revoke", "Revoke"),), cells=[
                    Cell(text=t.name, sub=f"made {day(user, t.created_at)}"), Cell(text=ago(now, t.used_at)), Cell(text=day(user, t.expires_at)),
                ])
                for t in found if t.expires_at > now
            ]  # fmt: skip
            clicked = table("token_list", "API tokens", columns, rows)
        if st.button("New token", icon=":material/add:", key="new_token"):
            _new_token()
    if clicked:
        app.db.write(lambda conn: people_table.revoke_api_token(conn, user.id, int(clicked[0]), now))
        st.rerun()


@st.dialog("New API token")
def _new_token() -> None:
    with st.form("token_form", border=False):
        name = st.text_input("What will use it", placeholder="Reporting script", max_chars=60)
        days = st.selectbox("It lives for", [7, 30, 90, 365], index=1, format_func=lambda count: f"{count} days")
        sent = st.form_submit_button("Make the token", type="primary")
    if sent:
        with trying() as attempt:
            token = service.add_api_token(the_app(), guard(), name=name, days=days or 30)
        if attempt.ok:
            st.markdown("**Copy it now: it is not shown again.**")
            st.code(token, language=None, wrap_lines=True)
