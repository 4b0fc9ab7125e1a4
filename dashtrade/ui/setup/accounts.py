"""Setup, broker accounts: add, test, give a new key, rename, reset, remove."""

from __future__ import annotations

import secrets
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import UNCONFIRMED, Account
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import connections, prices, schwab_sign_in
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.ui.account.second_factor import WHY
from dashtrade.ui.kit import data
from dashtrade.ui.kit.form import Form as Fields
from dashtrade.ui.kit.format import ago, count, day, moment, money, sentence, text
from dashtrade.ui.setup.broker_forms import (
    FORMS,
    Form,
    callback_field,
    credentials,
    form_of,
    paper_options,
    pasted_field,
    real_money,
    schwab_link,
    schwab_token,
    without_factor,
)
from dashtrade.ui.shell import connection_state
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, guard, live, the_app

MODES = {"paper": "Paper or sandbox: play money", "live": "Live: real money"}


def show(app: App, user: User) -> None:
    accounts = data.accounts(app, user)
    if not accounts:
        if empty(
            "A paper account is where to begin: $100,000 of play money, no key, nothing to lose.",
            "Add an account",
            icon=":material/add:",
            key="account",
        ):
            _add()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(count(len(accounts), "account"), anchor=False, width="content")
        st.space("stretch")
        if st.button("Add an account", type="primary", icon=":material/add:", key="add_account"):
            _add()
    bots = data.bots(app, user)
    for account in accounts:
        _account(app, user, account, sum(bot.account_id == account.id for bot in bots))


def _account(app: App, user: User, account: Account, bots: int) -> None:
    real = account.mode == "live"
    with st.container(border=True, key=f"account_{account.mode}_{account.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{text(account.label)}**", width="content")
            words, colour = prices.money_badge(account)
            st.badge(words, color=colour, icon=":material/warning:" if real else None)
            st.caption(
                form_of(account.broker, account.options).title if account.broker != "paper" else "Built in",
                width="content",
            )
            if account.problem:
                st.badge("Not confirmed" if account.is_active else "Disabled", color="red")
            st.space("stretch")
            _buttons(app, user, account)
        if account.is_active and account.problem:
            st.warning(text(sentence(UNCONFIRMED)))
            if st.button("Let it trade", key=f"confirm_{account.id}"):
                _confirm(account)
        if account.confirmed_live and not user.second_factor:
            _without_factor(user, account)
        if account.broker == "schwab":
            _signed_in(app, account)
        elif account.disabled_reason:
            st.error(f"{text(sentence(account.disabled_reason))} Give it a new key under More.")
        _state(account.id, bots)


def _without_factor(user: User, account: Account) -> None:
    """It trades real money behind a password alone: as its owner chose, or before they were asked."""
    if account.second_factor_declined_at is not None:
        st.caption(
            ":orange[:material/lock_open:] Without a second factor, as you chose on "
            f"{day(user, account.second_factor_declined_at)}. [Set it up](/account)"
        )
        return
    st.warning(f"**Your password alone opens this account.** {WHY}", icon=":material/phonelink_lock:")
    if st.button("Go on without it", key=f"decline_{account.id}"):
        _confirm(account)


def _signed_in(app: App, account: Account) -> None:
    """Where a person has to sign in: why, and the way there."""
    soon = app.brokers.sign_in_warning(account)
    if account.disabled_reason:
        st.error(text(sentence(account.disabled_reason)))
    elif soon:
        st.warning(text(sentence(soon)))
    if (account.disabled_reason or soon) and st.button(
        "Sign in at Schwab", key=f"sign_in_now_{account.id}", type="primary", icon=":material/login:"
    ):
        _sign_in(account)


@live(every=15)
def _state(user: User, account_id: int, bots: int) -> None:
    """What the broker said last, and how old that is."""
    app = the_app()
    account = data.account_by_id(app, user, account_id)
    if account is None:
        return
    one = connection_state.connection(app, account)
    state = one.known.state
    if one.known.failing_since is not None and account.is_active:  # why a disabled one is, is said above
        st.error(
            f"**No connection since {moment(user, one.known.failing_since)}.** "
            f"{text(connection_state.reason(one))} {last_answer(app, one.known)}"
        )
    elif state is None and account.is_active:
        st.caption("The broker is being asked for the first time …")
    elif not one.known.fresh and account.is_active:
        st.warning(
            f"**Nothing new is heard of this account.** {last_answer(app, one.known)} DashTrade's worker "
            "may have stopped."
        )
    if state is not None:
        with st.container(horizontal=True, gap="medium"):
            for label, value in (
                ("Equity", state.equity),
                ("Cash", state.cash),
                ("Buying power", state.buying_power),
            ):
                st.markdown(f":gray[{label}]  \n**{text(money(value, state.currency))}**", width="content")
            st.markdown(f":gray[Bots]  \n**{bots}**", width="content")
        if state.can_withdraw:
            st.warning(
                (
                    "**This key may withdraw money.** DashTrade never does; make one without that right, so "
                    "that nobody can."
                ),
                icon=":material/key:",
            )
    if account.checked_at and account.check_result:
        mark = (
            ":green[:material/check_circle:]" if account.check_result.get("ok") else ":red[:material/error:]"
        )
        for warning in account.check_result.get("warnings", ()):
            st.warning(text(warning))
        st.caption(
            f"{mark} Tested {ago(app.clock.now(), account.checked_at)}: "
            f"{text(account.check_result.get('message', ''))}"
        )


def last_answer(app: App, known: prices.Known) -> str:
    return (
        f"Last answer {ago(app.clock.now(), known.read_at)}."
        if known.read_at is not None
        else "It has never answered yet."
    )


def _buttons(app: App, user: User, account: Account) -> None:
    if st.button("Test", key=f"test_{account.id}", icon=":material/network_check:"):
        with st.spinner("Asking the broker, 5 seconds at most …"), trying():
            connections.test(app, user, account.id)
            st.rerun()
    with st.popover("More", key=f"more_{account.id}"):
        if account.broker != "paper" and st.button("New key", key=f"key_{account.id}", width="stretch"):
            _new_key(account)
        if account.broker == "schwab" and st.button(
            "Sign in again", key=f"sign_in_{account.id}", width="stretch"
        ):
            _sign_in(account)
        if st.button("Rename", key=f"rename_{account.id}", width="stretch"):
            _rename(account)
        if account.broker == "paper" and st.button(
            "Reset its money", key=f"reset_{account.id}", width="stretch"
        ):
            _reset(account)
        if st.button("Remove", key=f"remove_{account.id}", width="stretch"):
            _remove(account)


def _add() -> None:
    st.dialog("Add an account", width="medium")(add_form)(secrets.token_hex(3))


def add_form(opened: str) -> None:
    """`opened` names this asking: a key that was typed into one that was dismissed is not met again."""
    user = guard()
    titles = {form.title: form for form in FORMS}
    form = titles[st.selectbox("Broker", list(titles), key=f"add_broker_{opened}") or FORMS[0].title]
    st.caption(form.where)
    mode = (
        st.radio(
            "Money",
            form.modes,
            format_func=MODES.__getitem__,
            key=f"add_mode_{opened}_{form.title}",
            horizontal=True,
        )
        or "paper"
    )
    live, schwab = mode == "live", form.broker == "schwab"
    add = "Add the live account" if live else "Add the account"
    fields = Fields(f"add_{opened}_{FORMS.index(form)}_{mode}")
    with st.form(fields.name, border=False):
        label = fields.text("label", "Name", placeholder=form.title, max_chars=80)
        given = credentials(fields, form)
        options: dict[str, Any] = {"callback": callback_field(fields)} if schwab else dict(form.options or {})
        paper = paper_options(fields) if form.broker == "paper" else dict
        word = real_money(fields) if live else ""
        declines = without_factor(fields, user) if live else False
        fields.complaints()
        sent = st.form_submit_button("Go on to Schwab's sign-in" if schwab else add, type="primary")
    step = f"{fields.name}_sent"  # its keys are in order; at Schwab a second step follows
    if sent or not schwab:
        st.session_state.pop(step, None)
    if sent:
        with fields.trying() as attempt:
            account_service.check_new_account(
                the_app(),
                user,
                broker=form.broker,
                mode=mode,
                credentials=given,
                options=options | paper(),
                acknowledge=word,
                decline_second_factor=declines,
            )
        if attempt.ok:
            st.session_state[step] = True
    if not st.session_state.get(step):
        return
    if schwab:
        token = schwab_token(fields, given, options["callback"], add)
        if token is None:
            return
        given |= {"token": token}
    with fields.trying():
        _save_new(form, mode, label or form.title, given, options | paper(), word, declines)


def _save_new(
    form: Form,
    mode: str,
    label: str,
    given: dict[str, str],
    options: dict[str, Any],
    word: str,
    declines: bool,
) -> None:
    app, user = the_app(), guard()
    account_id = account_service.add_account(
        app,
        user,
        broker=form.broker,
        mode=mode,
        label=label,
        credentials=given,
        options=options,
        acknowledge=word,
        decline_second_factor=declines,
    )
    if form.broker != "paper" and owned_accounts.account_of(app, user, account_id).is_active:
        with st.spinner("Asking the broker, 5 seconds at most …"):
            connections.test(app, user, account_id)  # what it says stands with the account
    st.session_state["said"] = f"{text(label)} is added."
    st.rerun()


def _new_key(account: Account) -> None:
    st.dialog("New key", width="medium")(key_form)(account, secrets.token_hex(3))


def key_form(account: Account, opened: str) -> None:
    form = form_of(account.broker, account.options)
    st.markdown(
        f"**{text(account.label)}** uses it from its next order on; the old one is forgotten. {form.where}"
    )
    fields, schwab = Fields(f"key_{opened}"), account.broker == "schwab"
    with st.form(fields.name, border=False):
        given = credentials(fields, form)
        callback = callback_field(fields) if schwab else ""
        fields.complaints()
        sent = st.form_submit_button(
            "Go on to Schwab's sign-in" if schwab else "Use the new key", type="primary"
        )
    step = f"{fields.name}_sent"  # its keys are in order; at Schwab a second step follows
    if sent or not schwab:
        st.session_state.pop(step, None)
    if sent:
        with fields.trying() as attempt:
            the_app().brokers.kind(account.broker).check(given, {**account.options, "mode": account.mode})
        if attempt.ok:
            st.session_state[step] = True
    if not st.session_state.get(step):
        return
    changes: dict[str, Any] = {}
    if schwab:
        token = schwab_token(fields, given, callback, "Use the new key", account.id)
        if token is None:
            return
        given |= {"token": token}
        changes["options"] = {**account.options, "callback": callback}
    with fields.trying():
        account_service.change_account(the_app(), guard(), account.id, {"credentials": given, **changes})
        with st.spinner("Asking the broker, 5 seconds at most …"):
            connections.test(the_app(), guard(), account.id)
        st.rerun()


def _sign_in(account: Account) -> None:
    st.dialog("Sign in at Schwab")(sign_in_form)(account, secrets.token_hex(3))


def sign_in_form(account: Account, opened: str) -> None:
    app, user = the_app(), guard()
    st.caption(
        "That is needed every seven days. The page you are sent back to may not load; its address is what "
        "counts."
    )
    fields = Fields(f"sign_in_{opened}")
    redraw = schwab_link(
        fields.name, user, lambda: schwab_sign_in.renew_address(app, user, account.id), account.id
    )
    with st.form(fields.name, border=False):
        pasted = pasted_field(fields)
        fields.complaints()
        sent = st.form_submit_button("Save the sign-in", type="primary")
    if sent:
        with st.spinner("Asking the broker, 5 seconds at most …"), fields.trying() as attempt:
            schwab_sign_in.renew(app, user, account.id, pasted)
        if attempt.ok:
            st.session_state["said"] = f"{text(account.label)}: signed in for seven days."
            st.rerun()
        redraw()


def _confirm(account: Account) -> None:
    st.dialog("Real money")(confirm_form)(account, secrets.token_hex(3))


def confirm_form(account: Account, opened: str) -> None:
    fields, user = Fields(f"confirm_{opened}"), guard()
    with st.form(fields.name, border=False):
        word = real_money(fields)
        declines = without_factor(fields, user)
        fields.complaints()
        sent = st.form_submit_button("Go on" if account.confirmed_live else "Let it trade", type="primary")
    if sent:
        with fields.trying() as attempt:
            account_service.change_account(
                the_app(), user, account.id, {"acknowledge": word, "decline_second_factor": declines}
            )
        if attempt.ok:
            st.rerun()


@st.dialog("Rename the account")
def _rename(account: Account) -> None:
    label = st.text_input("Name", value=account.label, max_chars=80)
    if st.button("Save", type="primary") and label.strip():
        with trying() as attempt:
            account_service.change_account(the_app(), guard(), account.id, {"label": label})
        if attempt.ok:
            st.rerun()


@st.dialog("Reset the account's money")
def _reset(account: Account) -> None:
    st.markdown(
        f"**{text(account.label)}** starts over with fresh money. Its history stays, and its bots must own "
        "nothing."
    )
    if st.button("Reset", type="primary"):
        with trying() as attempt:
            account_service.reset_paper(the_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()


@st.dialog("Remove the account")
def _remove(account: Account) -> None:
    st.markdown(
        f"**{text(account.label)}** and its credentials are forgotten. Its history stays. Its bots have to "
        "be deleted first."
    )
    if st.button("Remove", type="primary"):
        with trying() as attempt:
            account_service.remove_account(the_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()
