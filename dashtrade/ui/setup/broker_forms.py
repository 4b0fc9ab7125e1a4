"""The fields of an account's form, generated from the broker's descriptor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import AccountOption, BrokerChoice, BrokerKind, BrokerSignIn
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.accounts import sign_in
from dashtrade.services.accounts.accounts import REAL_MONEY
from dashtrade.ui.account.second_factor import decline_tick
from dashtrade.ui.kit import form as forms
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerForm:
    """The form for one choice of a broker."""

    broker: str
    kind: BrokerKind
    choice: BrokerChoice

    @property
    def button(self) -> str:
        """The first step's button, where a sign-in follows."""
        return f"Continue to {self.kind.name}'s sign-in"


def offered(app: App) -> dict[str, BrokerForm]:
    """The choices by title. Unverified ones are available by the API only."""
    return {
        choice.title: BrokerForm(broker=broker, kind=kind, choice=choice)
        for broker, kind in app.brokers.kinds.items()
        for choice in kind.choices
        if choice.proven
    }


def form_of(app: App, account: Account) -> BrokerForm:
    kind = app.brokers.kind(account.broker)
    choice = kind.choice(account.options)
    assert choice is not None, "a broker that people have accounts at offers something to choose"
    return BrokerForm(broker=account.broker, kind=kind, choice=choice)


def credentials(fields: forms.Form, choice: BrokerChoice) -> dict[str, str]:
    """The credential fields, and their values when last sent. They must be in an `st.form`: a field
    outside one loses its text when the keyboard moves on to "Show password"."""
    return {
        options.name: fields.text(
            options.name,
            options.label,
            type="password" if options.secret else "default",
            max_chars=4000,
            autocomplete="off",
        )
        for options in choice.credentials
        if options.label
    }


def callback_field(fields: forms.Form, sign_in: BrokerSignIn) -> str:
    return fields.text("callback", "Callback URL, as registered there", value=sign_in.callback, max_chars=300)


def real_money(fields: forms.Form) -> str:
    st.warning(
        "**Real money.** Bots on this account trade with the money and positions you have at your broker.",
        icon=":material/warning:",
    )
    return fields.text(
        "acknowledge",
        f'Type "{REAL_MONEY}"',
        hint=f"Type {REAL_MONEY} to confirm.",
        max_chars=20,
        autocomplete="off",
    )


def without_factor(fields: forms.Form, user: User) -> bool:
    """Shown beside the live confirmation: a user without a second factor confirms going on without one."""
    return False if user.second_factor else decline_tick(fields, "You do not use two-factor authentication.")


def pasted_field(fields: forms.Form) -> str:
    return fields.text(
        "redirected_to",
        "2. Paste the address you were sent back to",
        max_chars=4000,
        help="The page itself may not load; only its address is needed.",
    )


def sign_in_link(
    name: str, user: User, form: BrokerForm, begin: Callable[[], str], account_id: int | None = None
) -> Callable[[], None]:
    """The link is kept between runs, as the callback is matched to it. Returns a function that draws a new
    link once the old one is used."""
    place, session_key = st.empty(), f"{name}_link"

    def draw() -> None:
        if not sign_in.is_pending(
            get_app(), user, form.broker, st.session_state.get(session_key, ""), account_id
        ):
            with trying() as attempt:
                st.session_state[session_key] = begin()
            if not attempt.ok:
                return
        words = f"1. Sign in at {form.kind.name}"
        place.link_button(words, st.session_state[session_key], icon=":material/open_in_new:")

    draw()
    return draw


def signed_in_token(
    fields: forms.Form,
    form: BrokerForm,
    given: dict[str, str],
    callback: str,
    button: str,
    account_id: int | None = None,
) -> str | None:
    """The second step: the broker's own sign-in, and the callback address. Its code is short-lived, so it
    is exchanged as soon as it is pasted; the token is kept until the rest of the form is valid."""
    app, user = get_app(), guard()
    about = {"broker": form.broker, "key": given["key"], "callback": callback}
    name = f"{fields.name}_{sha256(str(about))[:8]}"
    redraw = sign_in_link(
        name, user, form, lambda: sign_in.begin(app, user, account_id=account_id, **about), account_id
    )
    with st.form(f"{fields.name}_second", border=False):
        pasted = pasted_field(fields)
        second = forms.Form(f"{fields.name}_2", places=fields.places)
        second.complaints()
        sent = st.form_submit_button(button, type="primary")
    if not sent:
        return None
    session_key = f"{fields.name}_token"
    if st.session_state.get(session_key, ("",))[0] != (pasted, given["key"]):
        with second.trying() as attempt:
            if not pasted:
                raise Malformed(
                    "the address is missing",
                    where="redirected_to",
                    hint="Sign in through the link, and paste the address of the page you are sent to.",
                )
            token = sign_in.token(
                app, user, secret=given["secret"], pasted=pasted, account_id=account_id, **about
            )
        if not attempt.ok:
            redraw()
            return None
        st.session_state[session_key] = ((pasted, given["key"]), token)
    return st.session_state[session_key][1]


def option_fields(fields: forms.Form, choice: BrokerChoice) -> Callable[[], dict[str, Any]]:
    """The fields of the form's options; returns a function that reads them."""
    options = [option for option in choice.options if option.label]
    given = {option.name: _option(fields, option) for option in options if not option.folded}
    if folded := [option for option in options if option.folded]:
        with st.expander("Simulation settings"):
            columns = st.columns(2)
            for number, option in enumerate(option for option in folded if option.unit != "yes or no"):
                given[option.name] = _option(fields, option, columns[number % 2])
            for option in folded:
                if option.unit == "yes or no":
                    given[option.name] = _option(fields, option)

    def read() -> dict[str, Any]:
        return {option.name: _read(fields, option, given[option.name]) for option in options}

    return read


def _option(fields: forms.Form, option: AccountOption, column: Any = None) -> str:
    if option.unit != "yes or no":
        return fields.text(option.name, option.label, column, value=option.default, max_chars=40)
    ticked = st.checkbox(option.label, value=option.default == "yes", key=fields.key(option.name))
    return "yes" if ticked else "no"


def _read(fields: forms.Form, option: AccountOption, given: str) -> str | None:
    if option.unit == "yes or no":
        return given
    if option.missing:
        return fields.number(option.name, given, missing=option.missing)
    return fields.number(option.name, given, above=None, percent=option.unit == "percent") or "0"
