"""The dialogs of a broker account: add, replace key, sign in, enable live trading, rename, reset, remove."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import BrokerChoice
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import connections, sign_in
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.ui.kit.form import Form as Fields
from dashtrade.ui.kit.format import text
from dashtrade.ui.setup.broker_forms import (
    BrokerForm,
    callback_field,
    credentials,
    form_of,
    offered,
    option_fields,
    pasted_field,
    real_money,
    sign_in_link,
    signed_in_token,
    without_factor,
)
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard

MODES = {"paper": "Paper or sandbox: no real money", "live": "Live: real money"}


def ask_to_add() -> None:
    st.dialog("Add account", width="medium")(add_form)(secrets.token_hex(3))


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewAccount:
    """What the form for a new account was last sent with."""

    form: BrokerForm
    mode: str
    label: str
    credentials: dict[str, str]
    options: dict[str, Any]
    chosen: Callable[[], dict[str, Any]]  # options that are read, and may be wrong
    acknowledge: str
    declines: bool

    def read(self) -> dict[str, Any]:
        """As the service takes it."""
        return {
            "broker": self.form.broker,
            "mode": self.mode,
            "credentials": self.credentials,
            "options": self.options | self.chosen(),
            "acknowledge": self.acknowledge,
            "decline_second_factor": self.declines,
        }


def add_form(opened: str) -> None:
    """`opened` identifies this opening of the dialog, so that a key from a dismissed one does not
    reappear."""
    user, titles = guard(), offered(get_app())
    title = st.selectbox("Broker", list(titles), key=f"add_broker_{opened}") or next(iter(titles))
    form = titles[title]
    st.caption(form.choice.guide)
    mode = _mode(form.choice, f"add_mode_{opened}_{title}")
    button = "Add live account" if mode == "live" else "Add account"
    fields = Fields(f"add_{opened}_{list(titles).index(title)}_{mode}")
    with st.form(fields.name, border=False):
        new = _account_fields(fields, form, mode)
        fields.complaints()
        sent = st.form_submit_button(form.button if form.kind.sign_in else button, type="primary")
    if not _sent_validly(
        fields, form, sent, lambda: account_service.check_new_account(get_app(), user, **new.read())
    ):
        return
    if form.kind.sign_in:
        token = signed_in_token(fields, form, new.credentials, new.options["callback"], button)
        if token is None:
            return
        new = replace(new, credentials={**new.credentials, "token": token})
    with fields.trying():
        _save_new(new)


def _mode(choice: BrokerChoice, key: str) -> str:
    chosen = st.radio("Money", choice.modes, format_func=MODES.__getitem__, key=key, horizontal=True)
    return chosen or choice.modes[0]


def _account_fields(fields: Fields, form: BrokerForm, mode: str) -> _NewAccount:
    choice, live = form.choice, mode == "live"
    label = fields.text("label", "Name", placeholder=choice.title, max_chars=80)
    given = credentials(fields, choice)
    options: dict[str, Any] = dict(choice.fixed)
    if form.kind.sign_in:
        options["callback"] = callback_field(fields, form.kind.sign_in)
    return _NewAccount(
        form=form,
        mode=mode,
        label=label or choice.title,
        credentials=given,
        options=options,
        chosen=option_fields(fields, choice),
        acknowledge=real_money(fields) if live else "",
        declines=without_factor(fields, guard()) if live else False,
    )


def _sent_validly(fields: Fields, form: BrokerForm, sent: bool, check: Callable[[], None]) -> bool:
    """A broker with its own sign-in has a second step: what was sent stays valid for it over the runs that
    follow."""
    step = f"{fields.name}_sent"
    if sent or not form.kind.sign_in:
        st.session_state.pop(step, None)
    if sent:
        with fields.trying() as attempt:
            check()
        if attempt.ok:
            st.session_state[step] = True
    return bool(st.session_state.get(step))


def _save_new(new: _NewAccount) -> None:
    app, user = get_app(), guard()
    account_id = account_service.add_account(app, user, label=new.label, **new.read())
    if new.form.choice.credentials and owned_accounts.account_of(app, user, account_id).is_active:
        with st.spinner("Asking the broker, 5 seconds at most …"):
            connections.test(app, user, account_id)  # the result is stored with the account
    st.session_state["toast"] = f"{text(new.label)} is added."
    st.rerun()


def ask_new_key(account: Account) -> None:
    st.dialog("New key", width="medium")(key_form)(account, secrets.token_hex(3))


def key_form(account: Account, opened: str) -> None:
    form = form_of(get_app(), account)
    signs_in = form.kind.sign_in
    st.markdown(
        f"**{text(account.label)}** uses the new key from its next order on; the old key is deleted. "
        f"{form.choice.guide}"
    )
    fields = Fields(f"key_{opened}")
    with st.form(fields.name, border=False):
        given = credentials(fields, form.choice)
        callback = callback_field(fields, signs_in) if signs_in else ""
        fields.complaints()
        sent = st.form_submit_button(form.button if signs_in else "Save", type="primary")
    if not _sent_validly(
        fields, form, sent, lambda: form.kind.check(given, {**account.options, "mode": account.mode})
    ):
        return
    changes: dict[str, Any] = {}
    if signs_in:
        token = signed_in_token(fields, form, given, callback, "Save", account.id)
        if token is None:
            return
        given |= {"token": token}
        changes["options"] = {**account.options, "callback": callback}
    with fields.trying():
        account_service.change_account(get_app(), guard(), account.id, {"credentials": given, **changes})
        with st.spinner("Asking the broker, 5 seconds at most …"):
            connections.test(get_app(), guard(), account.id)
        st.rerun()


def ask_sign_in(account: Account) -> None:
    name = get_app().brokers.kind(account.broker).name
    st.dialog(f"Sign in at {name}")(sign_in_form)(account, secrets.token_hex(3))


def sign_in_form(account: Account, opened: str) -> None:
    app, user = get_app(), guard()
    form = form_of(app, account)
    every = form.kind.sign_in.every if form.kind.sign_in else ""
    st.caption(
        f"Required every {every}. The page you are sent back to may not load; only its address is needed."
    )
    fields = Fields(f"sign_in_{opened}")
    redraw = sign_in_link(
        fields.name, user, form, lambda: sign_in.renew_address(app, user, account.id), account.id
    )
    with st.form(fields.name, border=False):
        pasted = pasted_field(fields)
        fields.complaints()
        sent = st.form_submit_button("Save", type="primary")
    if sent:
        with st.spinner("Asking the broker, 5 seconds at most …"), fields.trying() as attempt:
            sign_in.renew(app, user, account.id, pasted)
        if attempt.ok:
            st.session_state["toast"] = f"{text(account.label)}: signed in for {every}."
            st.rerun()
        redraw()


def ask_to_confirm(account: Account) -> None:
    st.dialog("Real money")(confirm_form)(account, secrets.token_hex(3))


def confirm_form(account: Account, opened: str) -> None:
    fields, user = Fields(f"confirm_{opened}"), guard()
    with st.form(fields.name, border=False):
        word = real_money(fields)
        declines = without_factor(fields, user)
        fields.complaints()
        sent = st.form_submit_button(
            "Continue" if account.confirmed_live else "Enable live trading", type="primary"
        )
    if sent:
        with fields.trying() as attempt:
            account_service.change_account(
                get_app(), user, account.id, {"acknowledge": word, "decline_second_factor": declines}
            )
        if attempt.ok:
            st.rerun()


@st.dialog("Rename account")
def ask_name(account: Account) -> None:
    label = st.text_input("Name", value=account.label, max_chars=80)
    if st.button("Save", type="primary") and label.strip():
        with trying() as attempt:
            account_service.change_account(get_app(), guard(), account.id, {"label": label})
        if attempt.ok:
            st.rerun()


@st.dialog("Reset paper balance")
def ask_reset(account: Account) -> None:
    st.markdown(
        f"The balance of **{text(account.label)}** is set to its starting money. The history stays. Its "
        "bots must have no positions."
    )
    if st.button("Reset", type="primary"):
        with trying() as attempt:
            account_service.reset_paper(get_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()


@st.dialog("Remove account")
def ask_remove(account: Account) -> None:
    st.markdown(
        f"**{text(account.label)}** and its credentials are deleted. The history stays. Delete its bots "
        "first."
    )
    if st.button("Remove", type="primary"):
        with trying() as attempt:
            account_service.remove_account(get_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()
