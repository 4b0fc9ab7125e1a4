"""Setup, webhook: the URL that receives alerts, and its token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.people import tokens, users
from dashtrade.ui.kit.components import copy_line
from dashtrade.ui.kit.format import ago, day
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, get_app, guard

OVERLAPS = {
    "At once": timedelta(0),
    "In an hour": timedelta(hours=1),
    "In a day": timedelta(days=1),
    "In a week": timedelta(days=7),
}


def show(app: App, user: User) -> None:
    found = tokens.webhook_token(app, user)
    if found is None:
        if empty(
            "TradingView, or any other sender, posts its alerts to your webhook URL.",
            "Create webhook URL",
            icon=":material/link:",
            key="webhook",
        ):
            tokens.rotate_webhook_token(app, user)
            st.rerun()
        return
    with st.container(border=True, key="webhook_panel"):
        st.header("Your webhook URL", anchor=False)
        address_line(app, found.text, "webhook_url", shown=st.toggle("Show", key="reveal"))
        st.caption(
            f"Created {day(user, found.created_at)} · last used {ago(app.clock.now(), found.used_at)} · "
            "anyone who has this URL can send alerts to your bots, and can do nothing else."
        )
        with st.container(horizontal=True):
            if st.button("Replace", icon=":material/autorenew:", key="rotate"):
                _rotate()
            if st.button("Revoke", icon=":material/block:", key="revoke"):
                _revoke()
    _reach(app)
    _options(app, user)


def address_line(app: App, token: str, key: str, *, shown: bool = False) -> None:
    """Always copies the full URL, whether its token is shown or hidden."""
    url = f"{app.settings.public_url}/webhook?token="
    copy_line(key, "webhook URL", url + token, shown=url + (token if shown else "•" * 12))


def _reach(app: App) -> None:
    local = any(
        part in app.settings.public_url for part in ("://127.", "://localhost", "://[::1]", "://0.0.0.0")
    )
    if local:
        st.info(
            "This URL works on this machine only. For TradingView, which sends to ports 80 and 443 only, "
            "put a reverse proxy or a tunnel in front and set **DASHTRADE\\_PUBLIC\\_URL** to its address.",
            icon=":material/public_off:",
        )


@st.dialog("Replace webhook URL")
def _rotate() -> None:
    st.markdown("You get a new URL. When should the old one stop working?")
    chosen = st.radio("Old URL expires", list(OVERLAPS), index=2, label_visibility="collapsed")
    st.caption("Leave time to update your alerts. If the URL has leaked, choose At once.")
    if st.button("Create new URL", type="primary"):
        with trying() as attempt:
            tokens.rotate_webhook_token(get_app(), guard(), overlap=OVERLAPS[chosen or "At once"])
        if attempt.ok:
            st.rerun()


@st.dialog("Revoke webhook URL")
def _revoke() -> None:
    st.markdown(
        "The URL stops working now, and so do older URLs that have not expired yet. Alerts are refused "
        "until you create a new one."
    )
    if st.button("Revoke", type="primary"):
        with trying() as attempt:
            tokens.revoke_webhook_tokens(get_app(), guard())
        if attempt.ok:
            st.rerun()


def _options(app: App, user: User) -> None:
    with st.container(border=True, key="webhook_options"):
        st.header("Alert security", anchor=False)
        with st.form("options", border=False):
            only = st.checkbox("Accept alerts from TradingView's addresses only", value=user.tradingview_only)
            age = st.number_input(
                "Refuse alerts older than, in seconds (0: never)",
                min_value=0,
                max_value=86400,
                value=user.max_alert_age or 0,
                step=10,
                help=(
                    "Counted from the time in the alert, or from its arrival. An old alert would trade "
                    "at a different price."
                ),
            )
            has = user.body_secret_hash is not None
            secret = st.text_input(
                "Required secret in the alert's body",
                type="password",
                max_chars=200,
                autocomplete="off",
                placeholder="A secret is set; type another to change it"
                if has
                else 'Each alert must then contain "secret": "…"',
            )
            drop = st.checkbox("No longer require the secret", value=False) if has else False
            sent = st.form_submit_button("Save")
        if sent:
            changes: dict[str, Any] = {"tradingview_only": only, "max_alert_age": int(age) or None}
            if secret or drop:
                changes["body_secret"] = "" if drop else secret
            with trying() as attempt:
                users.change_options(app, user, changes)
            if attempt.ok:
                st.toast("Saved.", icon=":material/check:")
