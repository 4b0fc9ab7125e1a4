"""Setup, broker accounts: add, test, replace key, rename, reset, remove."""

from __future__ import annotations

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason
from dashtrade.services.accounts import connections, prices
from dashtrade.services.accounts.owned import accounts_of, find_account
from dashtrade.services.bots.owned import bots_of
from dashtrade.ui.account.second_factor import WHY
from dashtrade.ui.kit.format import ago, count, day, moment, money, reason_sentence, text
from dashtrade.ui.setup.account_dialogs import (
    ask_name,
    ask_new_key,
    ask_remove,
    ask_reset,
    ask_sign_in,
    ask_to_add,
    ask_to_confirm,
)
from dashtrade.ui.shell import connection_state
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, get_app, live


def show(app: App, user: User) -> None:
    accounts = accounts_of(app, user)
    if not accounts:
        if empty(
            "No accounts yet. Start with a paper account: $100,000 of paper money, no API key, no risk.",
            "Add account",
            icon=":material/add:",
            key="account",
        ):
            ask_to_add()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(count(len(accounts), "account"), anchor=False, width="content")
        st.space("stretch")
        if st.button("Add account", type="primary", icon=":material/add:", key="add_account"):
            ask_to_add()
    bots = bots_of(app, user)
    for account in accounts:
        _account(app, user, account, sum(bot.account_id == account.id for bot in bots))


def _account(app: App, user: User, account: Account, bots: int) -> None:
    real = account.mode == "live"
    with st.container(border=True, key=f"account_{account.mode}_{account.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{text(account.label)}**", width="content")
            words, colour = prices.money_badge(account)
            st.badge(words, color=colour, icon=":material/warning:" if real else None)
            st.caption(_title(app, account), width="content")
            if account.problem:
                st.badge("Not confirmed" if account.is_active else "Disabled", color="red")
            st.space("stretch")
            _buttons(app, user, account)
        if account.is_active and account.problem:
            st.warning(text(reason_sentence(user, Reason(Code.ACCOUNT_UNCONFIRMED))))
            if st.button("Enable live trading", key=f"confirm_{account.id}"):
                ask_to_confirm(account)
        if account.confirmed_live and not user.second_factor:
            _without_factor(user, account)
        if app.brokers.kind(account.broker).sign_in is not None:
            _signed_in(app, user, account)
        elif account.disabled_reason:
            st.error(f"{text(reason_sentence(user, account.disabled_reason))} Replace the key under More.")
        _state(account.id, bots)


def _without_factor(user: User, account: Account) -> None:
    """The account trades live with a password alone: its owner declined, or was not asked yet."""
    if account.second_factor_declined_at is not None:
        st.caption(
            ":orange[:material/lock_open:] Without two-factor authentication, as you chose on "
            f"{day(user, account.second_factor_declined_at)}. [Set it up](/account)"
        )
        return
    st.warning(f"**This account has no two-factor authentication.** {WHY}", icon=":material/phonelink_lock:")
    if st.button("Continue without two-factor authentication", key=f"decline_{account.id}"):
        ask_to_confirm(account)


def _signed_in(app: App, user: User, account: Account) -> None:
    """For brokers that require a sign-in: why it is needed, and the button."""
    soon = app.brokers.sign_in_warning(account)
    if account.disabled_reason:
        st.error(text(reason_sentence(user, account.disabled_reason)))
    elif soon:
        st.warning(text(reason_sentence(user, soon)))
    if (account.disabled_reason or soon) and st.button(
        f"Sign in at {app.brokers.kind(account.broker).name}",
        key=f"sign_in_now_{account.id}",
        type="primary",
        icon=":material/login:",
    ):
        ask_sign_in(account)


@live(every=15)
def _state(user: User, account_id: int, bots: int) -> None:
    """The account's data as last reported by the broker, and its age."""
    app = get_app()
    account = find_account(app, user, account_id)
    if account is None:
        return
    one = connection_state.connection(app, account)
    state = one.known.state
    if one.known.failing_since is not None and account.is_active:  # a disabled account shows its reason above
        st.error(
            f"**No connection since {moment(user, one.known.failing_since)}.** "
            f"{text(connection_state.reason(one))} {last_answer(app, one.known)}"
        )
    elif state is None and account.is_active:
        st.caption("Connecting to the broker for the first time …")
    elif not one.known.fresh and account.is_active:
        st.warning(
            f"**No new data for this account.** {last_answer(app, one.known)} DashTrade's worker may "
            "have stopped."
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
                    "**This API key can withdraw money.** DashTrade never withdraws; create a key "
                    "without that permission."
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


def last_answer(app: App, known: prices.KnownAccount) -> str:
    return (
        f"Last answer {ago(app.clock.now(), known.read_at)}."
        if known.read_at is not None
        else "No answer yet."
    )


def _title(app: App, account: Account) -> str:
    if account.built_in:  # the badge already says paper; both are too wide for a phone
        return "Built in"
    kind = app.brokers.kind(account.broker)
    choice = kind.choice(account.options)
    return choice.title if choice is not None else kind.name


def _buttons(app: App, user: User, account: Account) -> None:
    kind = app.brokers.kind(account.broker)
    choice = kind.choice(account.options)
    if st.button("Test", key=f"test_{account.id}", icon=":material/network_check:"):
        with st.spinner("Asking the broker, 5 seconds at most …"), trying():
            connections.test(app, user, account.id)
            st.rerun()
    with st.popover("More", key=f"more_{account.id}"):
        if (
            choice is not None
            and choice.credentials
            and st.button("New key", key=f"key_{account.id}", width="stretch")
        ):
            ask_new_key(account)
        if kind.sign_in and st.button("Sign in again", key=f"sign_in_{account.id}", width="stretch"):
            ask_sign_in(account)
        if st.button("Rename", key=f"rename_{account.id}", width="stretch"):
            ask_name(account)
        if kind.starting_cash and st.button(
            "Reset paper balance", key=f"reset_{account.id}", width="stretch"
        ):
            ask_reset(account)
        if st.button("Remove", key=f"remove_{account.id}", width="stretch"):
            ask_remove(account)
