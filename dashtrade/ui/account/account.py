"""The sections of the account page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.access import Permission, TokenScope
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.demo import demo
from dashtrade.services.people import credentials, invitations, removal, users
from dashtrade.services.people import sessions as service
from dashtrade.services.people import tokens as token_service
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import ago, day
from dashtrade.ui.kit.time_zones import with_own, zone_label
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.downloads import MY_DATA
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, panel

BROWSER = "UTC"  # stored value for: times in the browser's time zone


def keep_demo(app: App, user: User) -> None:
    """Turn the demo into a real account; everything in it stays."""
    with panel("Keep this as your account", key="keep_demo"), st.form("keep_form", border=False):
        st.caption(
            "Your bots, their history and your settings stay. Afterwards you sign in with this email and "
            "password."
        )
        name = st.text_input("Your name", max_chars=80, autocomplete="name")
        email = st.text_input("Email", max_chars=254, autocomplete="username")
        typed_password = st.text_input(
            "Password",
            type="password",
            max_chars=500,
            autocomplete="new-password",
            help="8 to 128 characters.",
        )
        code = ""
        if invitations.signup(app) == "invite":
            code = (
                st.text_input(
                    "Invitation",
                    max_chars=400,
                    help="Required on this installation: the link an admin sent you, or its code.",
                )
                or ""
            )
        if st.form_submit_button("Create account", type="primary"):
            with trying() as attempt:
                demo.claim(
                    app,
                    user,
                    email=email or "",
                    name=name or "",
                    password=typed_password or "",
                    code=code.rpartition("=")[2].strip(),
                    address=runtime.address(),
                )
            if attempt.ok:
                st.session_state["toast"] = "Your account is created; the demo is now yours."
                st.rerun()


def profile(app: App, user: User) -> None:
    with panel("Profile", key="profile"):
        with st.form("profile_form", border=False):
            name = st.text_input("Name", value=user.name, max_chars=80)
            zones = [BROWSER, *(zone for zone in with_own(user.time_zone) if zone != BROWSER)]
            browser_zone = st.context.timezone or "UTC"
            zone = st.selectbox(
                "Time zone",
                zones,
                index=zones.index(user.time_zone),
                help=(
                    "All times on these pages are shown in this time zone. Daily figures and daily limits "
                    "use UTC days."
                ),
                format_func=lambda key: (
                    f"Browser time zone ({browser_zone})" if key == BROWSER else zone_label(key)
                ),
                filter_mode="contains",
            )
            saved = st.form_submit_button("Save")
        if saved:
            clean = " ".join("".join(c for c in name or "" if ord(c) >= 32).split())
            with trying() as attempt:
                users.change_options(app, user, {"time_zone": zone, **({"name": clean} if clean else {})})
            if attempt.ok:
                st.session_state["toast"] = "Saved."
                st.rerun()
        if user.demo_until is None:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.html(f"Email: <b>{escape(user.email)}</b>", width="content")
                st.space("stretch")
                if st.button("Change", key="change_email"):
                    _change_email()


@st.dialog("Change your email")
def _change_email() -> None:
    user, app = guard(), get_app()
    with st.form("email_form", border=False):
        email = st.text_input("New email", max_chars=254, autocomplete="email")
        typed_password = st.text_input(
            "Your password", type="password", max_chars=500, autocomplete="current-password"
        )
        if st.form_submit_button("Save", type="primary"):
            with trying() as attempt:
                credentials.change_email(
                    app, user, email=email or "", password=typed_password or "", address=runtime.address()
                )
            if attempt.ok:
                st.session_state["toast"] = "Email changed. Sign in with the new one from now on."
                st.rerun()


def password(app: App, user: User) -> None:
    with panel("Password", key="password"), st.form("password_form", border=False, clear_on_submit=True):
        old = st.text_input(
            "Current password", type="password", autocomplete="current-password", max_chars=500
        )
        new = st.text_input(
            "New password",
            type="password",
            autocomplete="new-password",
            max_chars=500,
            help="8 to 128 characters. Three or four words in a row make a good one.",
        )
        repeated = st.text_input(
            "Repeat the new password", type="password", autocomplete="new-password", max_chars=500
        )
        st.caption(
            "If somebody else may know the old password, also revoke the tokens they may have read or "
            "created:"
        )
        end = st.checkbox("Revoke all API tokens", key="password_end_tokens")
        rotate = st.checkbox(
            "Replace the webhook token",
            key="password_rotate",
            help="Alerts with the old token are refused at once: put the new one into your alerts.",
        )
        sent = st.form_submit_button("Change password")
    if not sent:
        return
    if new != repeated:
        st.error("**The two new passwords differ.** Type the same one twice.")
        return
    with trying() as attempt:
        credentials.change_password(
            app,
            user,
            old=old,
            new=new,
            address=runtime.address(),
            token=runtime.session_token(),
            end_api_tokens=end,
            rotate_webhook_token=rotate,
        )
    if attempt.ok:
        more = f"{' All API tokens are revoked.' * end}{' The new webhook token is under Setup.' * rotate}"
        st.success(f"Password changed. All other devices are signed out.{more}")


def sessions(app: App, user: User) -> None:
    token = runtime.session_token()
    found = service.list_sessions(app, user, token)
    columns = [
        Column(label="Signed in on"),
        Column(label="Last seen", number=True),
        Column(label="Expires", number=True, wide_only=True),
    ]
    rows = [
        Row(
            id=s.name,
            actions=() if s.current else (("revoke", "Sign out"),),
            cells=[
                Cell(text=s.device + (" · this device" if s.current else ""), sub=s.address),
                Cell(text="now" if s.current else ago(app.clock.now(), s.seen_at)),
                Cell(text=day(user, s.expires_at)),
            ],
        )
        for s in found
    ]
    with panel("Active sessions", key="sessions"):
        clicked = table("session_list", "Sessions", columns, rows)
        if len(found) > 1 and st.button("Sign out all other sessions", key="others"):
            with trying() as ended:
                service.revoke_others(app, user, token)
            if ended.ok:
                st.rerun()
    if clicked:
        with trying() as attempt:
            service.revoke(app, user, clicked[0])
        if attempt.ok:
            st.rerun()


def tokens(app: App, user: User) -> None:
    found = token_service.api_tokens(app, user)
    now = app.clock.now()
    with panel("API tokens", key="tokens"):
        st.caption(
            "For your own programs that use the REST API. Give each token only the scopes it needs, and "
            "keep it like a password."
        )
        clicked = None
        if found:
            columns = [
                Column(label="Token"),
                Column(label="Last used", number=True),
                Column(label="Expires", number=True, wide_only=True),
            ]
            rows = [
                Row(
                    id=str(t.id),
                    actions=(("revoke", "Revoke"),),
                    cells=[
                        Cell(text=t.name, sub=f"{_scopes(t.scopes)} · created {day(user, t.created_at)}"),
                        Cell(text=ago(now, t.used_at)),
                        Cell(text=day(user, t.expires_at)),
                    ],
                )
                for t in found
                if t.expires_at > now
            ]
            clicked = table("token_list", "API tokens", columns, rows)
        if st.button("New token", icon=":material/add:", key="new_token"):
            _new_token()
    if clicked:
        with trying() as attempt:
            service.revoke_api_token(app, user, int(clicked[0]), address=runtime.address())
        if attempt.ok:
            st.rerun()


SCOPES = {
    TokenScope.READ: "Read",
    TokenScope.TRADE: "Trade (bots and orders)",
    TokenScope.STOP: "Stop (close, flatten, pause)",
    TokenScope.ADMIN: "Manage the account",
}


def _scopes(scopes: Sequence[str]) -> str:
    """For the list of tokens."""
    return "all scopes" if len(scopes) == len(TokenScope) else ", ".join(scopes)


@st.dialog("New API token")
def _new_token() -> None:
    with st.form("token_form", border=False):
        name = st.text_input("Name", placeholder="Reporting script", max_chars=60)
        scopes = st.multiselect(
            "Scopes",
            list(TokenScope),
            default=[TokenScope.READ],
            format_func=SCOPES.__getitem__,
            key="token_scopes",
        )
        days = st.selectbox(
            "Expires after", [7, 30, 90, 365], index=1, format_func=lambda count: f"{count} days"
        )
        typed_password = st.text_input(
            "Your password", type="password", max_chars=500, autocomplete="current-password"
        )
        sent = st.form_submit_button("Create token", type="primary")
    if sent:
        with trying() as attempt:
            token = service.add_api_token(
                get_app(),
                guard(),
                name=name,
                days=days or 30,
                scopes=scopes,
                password=typed_password or "",
                address=runtime.address(),
            )
        if attempt.ok:
            st.markdown("**Copy the token now: it is not shown again.**")
            st.code(token, language=None, wrap_lines=True)


# --- data export and deletion -------------------------------------------------------------------------------


def data(user: User) -> None:
    with panel("Your data", key="own_data"):
        st.caption(
            "All your data in DashTrade as CSV files in one ZIP: bots, signals, orders, trades. "
            "Passwords, tokens and broker keys are left out."
        )
        st.link_button("Download my data", MY_DATA, icon=":material/download:", disabled=bool(user.viewer))
        st.divider()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Permanently deletes your account and all its data.", width="content")
            st.space("stretch")
            if st.button("Delete account", icon=":material/delete:", key="delete_account"):
                _delete()


@st.dialog("Delete your account")
def _delete() -> None:
    user, app = guard(Permission.TRADE), get_app()
    st.markdown(
        "**Your bots, their history, your accounts and settings are permanently deleted.** This is not "
        "possible while a bot has a position on a live account."
    )
    with st.form("delete_form", border=False):
        typed_password = (
            ""
            if user.demo_until is not None
            else st.text_input(
                "Your password", type="password", max_chars=500, autocomplete="current-password"
            )
        )
        typed = st.text_input("Type DELETE", max_chars=20, autocomplete="off")
        if st.form_submit_button("Delete permanently", type="primary"):
            with trying() as attempt:
                if (typed or "").strip() != "DELETE":
                    raise Malformed("DELETE is missing", where="typed", hint="Type DELETE, in capitals.")
                if user.demo_until is None:
                    users.check_own_password(
                        app, user, typed_password or "", runtime.address(), where="password"
                    )
                removal.remove(
                    app,
                    user.id,
                    actor=user.id,
                    action=AuditAction.DELETED_THEIR_OWN_ACCOUNT,
                    address=runtime.address(),
                )
            if attempt.ok:
                st.rerun()
