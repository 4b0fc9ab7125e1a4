"""The second factor on the account page: scan, enter a code, save the recovery codes."""

from __future__ import annotations

import base64
import secrets

import streamlit as st

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.people import User
from dashtrade.services.people import second_factor as service
from dashtrade.services.people import second_factor_policy as policy
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import count, text
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, panel

FEW_CODES = 3  # recovery codes
WHY = (
    "Two-factor authentication protects your account even if your password leaks: signing in also takes a "
    "code from an app on your phone. [Set it up](/account)"
)
DECLINE = "Continue without two-factor authentication: anyone who gets my password can trade my money."


def show(app: App, user: User) -> None:
    with panel("Two-factor authentication", key="second_factor"):
        if not user.second_factor:
            st.caption(
                "Signing in also takes a 6-digit code from an app on your phone: protects your account "
                "even if your password leaks."
            )
            if st.button("Switch on", icon=":material/phonelink_lock:", key="factor_on"):
                set_up()
            return
        left = service.codes_left(app, user)
        st.markdown(f":green-badge[:material/check: On] {count(left, 'recovery code')} left")
        if left <= FEW_CODES:
            st.warning(
                "Only a few recovery codes are left. Create new ones before you need them.",
                icon=":material/warning:",
            )
        with st.container(horizontal=True):
            if st.button("New recovery codes", key="factor_codes"):
                _renew()
            if policy.is_required(app):
                st.caption("Required on this installation: two-factor authentication cannot be switched off.")
            elif st.button("Switch off", key="factor_off"):
                _disable()


def set_up() -> None:
    st.session_state["totp_secret"] = service.new_secret()
    _enable()


@st.dialog("Switch on two-factor authentication", on_dismiss="rerun")
def _enable() -> None:
    user, app = guard(without_factor=True), get_app()
    if codes := st.session_state.get("recovery_codes"):
        return _show_codes(codes)
    secret = st.session_state.setdefault("totp_secret", service.new_secret())
    address = totp.address(secret, user.email)
    st.markdown(
        "**1.** Scan this code with an authenticator app, such as Google Authenticator, Aegis or 1Password."
    )
    st.html(
        '<img class="dt-qr" alt="QR code of the secret" '
        f'src="data:image/svg+xml;base64,{base64.b64encode(qr_svg(address)).decode()}">'
    )
    with st.expander("Cannot scan the code?"):
        st.caption("Enter this key in the app, as a time-based code.")
        st.code(
            " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), language=None, wrap_lines=True
        )
    with st.form("factor_form", border=False):
        code = st.text_input(
            "**2.** Enter the 6-digit code", max_chars=10, autocomplete="one-time-code", placeholder="123 456"
        )
        password = st.text_input(
            "**3.** Your password", type="password", max_chars=500, autocomplete="current-password"
        )
        if st.form_submit_button("Switch on", type="primary"):
            with trying() as attempt:
                st.session_state["recovery_codes"] = service.enable(
                    app,
                    user,
                    secret=secret,
                    code=code or "",
                    password=password or "",
                    address=runtime.address(),
                    token=runtime.session_token(),
                )
            if attempt.ok:
                st.session_state.pop("totp_secret", None)
                st.rerun(scope="fragment")


def _show_codes(codes: list[str]) -> None:
    """Shown once, as only their hashes are stored."""
    st.success(
        ("Two-factor authentication is on. Other devices, and programs that had signed in, were signed out."),
        icon=":material/check:",
    )
    st.markdown(
        "**Save these recovery codes** somewhere other than your phone. Each signs you in once, and they "
        "are not shown again."
    )
    _codes_to_save(codes, key="factor_kept")


def _codes_to_save(codes: list[str], *, key: str) -> None:
    st.code("\n".join(codes), language=None)
    if st.button("I've saved these codes", type="primary", key=key):
        st.session_state.pop("recovery_codes", None)
        st.rerun()


@st.dialog("New recovery codes", on_dismiss="rerun")
def _renew() -> None:
    user, app = guard(), get_app()
    if codes := st.session_state.get("recovery_codes"):
        st.markdown("**These replace the old ones.** Each signs you in once, and they are not shown again.")
        _codes_to_save(codes, key="codes_kept")
        return
    with st.form("codes_form", border=False):
        password = st.text_input(
            "Your password", type="password", max_chars=500, autocomplete="current-password"
        )
        if st.form_submit_button("Create new codes", type="primary"):
            with trying() as attempt:
                st.session_state["recovery_codes"] = service.renew_codes(
                    app, user, password=password or "", address=runtime.address()
                )
            if attempt.ok:
                st.rerun(scope="fragment")


def _disable() -> None:
    st.dialog("Switch off two-factor authentication")(off_form)(secrets.token_hex(3))


def off_form(opened: str) -> None:
    """`opened` identifies this opening of the dialog, so that a tick from a dismissed one does not
    reappear."""
    user, app = guard(), get_app()
    st.markdown("Afterwards your password alone signs you in, and the recovery codes no longer work.")
    live, fields = policy.live(app, user), Form(f"factor_off_{opened}")
    with st.form(fields.name, border=False):
        declines = (
            decline_tick(fields, f"Real money: {', '.join(account.label for account in live)}.")
            if live
            else False
        )
        password = fields.text(
            "password", "Your password", type="password", max_chars=500, autocomplete="current-password"
        )
        fields.complaints()
        sent = st.form_submit_button("Switch off", type="primary")
    if sent:
        with fields.trying() as attempt:
            service.disable(app, user, password=password, address=runtime.address(), declines=declines)
        if attempt.ok:
            st.session_state["toast"] = "Two-factor authentication is off."
            st.rerun()


def decline_tick(fields: Form, about: str) -> bool:
    """The confirmation to trade live without a second factor. `about` is the subject, as a sentence."""
    st.warning(f"**{text(about)}** {WHY}", icon=":material/phonelink_lock:")
    slot = fields.at(
        "decline_second_factor",
        "two-factor authentication",
        hint="Tick the box to continue without it, or set it up on the Account page.",
    )
    return slot.checkbox(DECLINE, key=fields.key("decline_second_factor"))


def qr_svg(text: str) -> bytes:
    import io

    import segno

    drawn = io.BytesIO()
    segno.make(text, error="m").save(
        drawn, kind="svg", scale=5, border=3, dark="#0B0E11", light="#FFFFFF", xmldecl=False
    )
    return drawn.getvalue()
