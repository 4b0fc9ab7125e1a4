"""Setup, broker accounts: add, test, change, reset, remove."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.ports import BrokerError
from dashtrade.services import bots as service
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User
from dashtrade.ui import data, prices
from dashtrade.ui.errors import trying
from dashtrade.ui.page import empty, guard, the_app
from dashtrade.ui.words import ago, count, money, sentence, text


def show(app: App, user: User) -> None:
    accounts = data.accounts(app, user)
    if not accounts:
        if empty("A paper account is where to begin: $100,000 of play money, no key, nothing to lose.", "Open a paper account", icon=":material/add:", key="account"):
            _add()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(count(len(accounts), "account"), anchor=False, width="content")
        st.space("stretch")
        if st.button("Add a paper account", icon=":material/add:", key="add_account"):
            _add()
    bots = data.bots(app, user)
    for account in accounts:
        _account(app, user, account, sum(bot.account_id == account.id for bot in bots))


def _account(app: App, user: User, account: Account, bots: int) -> None:
    state = prices.state_of(app, account)
    with st.container(border=True, key=f"account_{account.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{text(account.label)}**", width="content")
            st.badge("Live money" if account.mode == "live" else "Paper", color="orange" if account.mode == "live" else "green")
            if not account.is_active:
                st.badge("Disabled", color="red")
            st.space("stretch")
            _buttons(app, user, account)
        if account.disabled_reason:
            st.error(text(sentence(account.disabled_reason)))
        if isinstance(state, BrokerError):
            st.warning(text(sentence(state.message)))
        else:
            with st.container(horizontal=True, gap="medium"):
                for label, value in (("Equity", state.equity), ("Cash", state.cash), ("Buying power", state.buying_power)):
                    st.markdown(f":gray[{label}]  \n**{text(money(value))}**", width="content")
                st.markdown(f":gray[Bots]  \n**{bots}**", width="content")
        if account.checked_at and account.check_result:
            mark = ":green[:material/check_circle:]" if account.check_result.get("ok") else ":red[:material/error:]"
            st.caption(f"{mark} Tested {ago(app.clock.now(), account.checked_at)}: {text(account.check_result.get('message', ''))}")


def _buttons(app: App, user: User, account: Account) -> None:
    if st.button("Test", key=f"test_{account.id}", icon=":material/network_check:"):
        with trying():
            service.test_account(app, user, account.id)
            st.rerun()
    with st.popover("More", key=f"more_{account.id}"):
        if st.button("Rename", key=f"rename_{account.id}", width="stretch"):
            _rename(account)
        if account.broker == "paper" and st.button("Reset its money", key=f"reset_{account.id}", width="stretch"):
            _reset(account)
        if st.button("Remove", key=f"remove_{account.id}", width="stretch"):
            _remove(account)


@st.dialog("Add a paper account")
def _add() -> None:
    st.caption("Orders are filled on demo prices, at once, as a broker would. Nothing leaves this machine.")
    with st.form("add_paper", border=False):
        label = st.text_input("Name", value="Paper", max_chars=80)
        cash = st.text_input("Starting money, in dollars", value="100000")
        with st.expander("Make it more like a broker"):
            left, right = st.columns(2)
            fee = left.text_input("Fee per order, $", value="0")
            rate = right.text_input("Fee, % of the amount", value="0")
            slip = left.text_input("Slippage, %", value="0")
            leverage = right.text_input("Leverage", value="1")
            shorting = st.checkbox("Short selling allowed", value=True)
        sent = st.form_submit_button("Open the account", type="primary")
    if sent:
        options: dict[str, Any] = {
            "starting_cash": cash.replace(",", ""), "fee_per_order": fee, "fee_percent": rate, "slippage_percent": slip,
            "leverage": leverage, "shorting": "yes" if shorting else "no",
        }  # fmt: skip
        with trying() as attempt:
            service.add_account(the_app(), guard(), broker="paper", mode="paper", label=label, credentials={}, options=options)
        if attempt.ok:
            st.rerun()


@st.dialog("Rename the account")
def _rename(account: Account) -> None:
    label = st.text_input("Name", value=account.label, max_chars=80)
    if st.button("Save", type="primary") and label.strip():
        with trying() as attempt:
            service.change_account(the_app(), guard(), account.id, {"label": label})
        if attempt.ok:
            st.rerun()


@st.dialog("Reset the account's money")
def _reset(account: Account) -> None:
    st.markdown(f"**{text(account.label)}** starts over with fresh money. Its history stays, and its bots must own nothing.")
    if st.button("Reset", type="primary"):
        with trying() as attempt:
            service.reset_paper(the_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()


@st.dialog("Remove the account")
def _remove(account: Account) -> None:
    st.markdown(f"**{text(account.label)}** and its credentials are forgotten. Its history stays. Its bots have to be deleted first.")
    if st.button("Remove", type="primary"):
        with trying() as attempt:
            service.remove_account(the_app(), guard(), account.id)
        if attempt.ok:
            st.rerun()
