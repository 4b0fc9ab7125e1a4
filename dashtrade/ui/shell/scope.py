"""The header's switch: Live | Paper | one account. Every figure below it is of that scope only.

The choice is kept in the address, so that links carry it, in the tab, and with the user for the next
visit."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.trading import scope as service
from dashtrade.services.trading.scope import covered, money_of
from dashtrade.ui.kit.components import mounted
from dashtrade.ui.kit.format import text

NAMES = {MoneyKind.LIVE: "Live", MoneyKind.PAPER: "Paper"}
_TAB_SCOPE = "scope_of_tab"


def current(app: App, user: User) -> MoneyScope:
    """The scope of this tab; also for parts of the page that rerun themselves."""
    return _read(accounts_of(app, user), st.session_state.get(_TAB_SCOPE) or user.scope)


def _read(accounts: Sequence[Account], written: str | None) -> MoneyScope:
    try:
        return service.read(accounts, written)
    except Malformed:  # a removed account, or an invalid address
        return service.default(accounts)


def switch(app: App, user: User) -> None:
    """Drawn where there is a choice."""
    accounts = accounts_of(app, user)
    scope = _read(accounts, st.query_params.get("scope") or st.session_state.get(_TAB_SCOPE) or user.scope)
    st.session_state[_TAB_SCOPE] = scope.text
    if any(account.mode == "live" for account in accounts) and any(
        money_of(account) is MoneyKind.PAPER for account in accounts
    ):
        st.session_state["scope_money"] = scope.money
        st.segmented_control(
            "Show figures of",
            list(MoneyKind),
            key="scope_money",
            format_func=NAMES.__getitem__,
            required=True,
            label_visibility="collapsed",
            on_change=_choose_money,
            args=(app, user),
            width="content",
        )
    alike = {account.id: account for account in covered(MoneyScope(money=scope.money), accounts)}
    if len(alike) > 1:
        st.session_state["scope_account"] = scope.account_id
        st.selectbox(
            "Account",
            [None, *alike],
            key="scope_account",
            label_visibility="collapsed",
            on_change=_choose_account,
            args=(app, user, scope.money),
            format_func=lambda key: alike[key].label if key else f"All {NAMES[scope.money].lower()} accounts",
            width=210,
        )
    if accounts:
        # Sent again whenever the address changes, as a page that sets its own query would drop the scope.
        mounted("address", "<i hidden></i>")(
            key="address",
            data={"scope": scope.text, "query": str(st.query_params.to_dict())},
            height="content",
        )


def _choose_money(app: App, user: User) -> None:
    _choose(app, user, MoneyScope(money=MoneyKind(st.session_state["scope_money"])))


def _choose_account(app: App, user: User, money: MoneyKind) -> None:
    _choose(app, user, MoneyScope(money=money, account_id=st.session_state["scope_account"]))


def _choose(app: App, user: User, scope: MoneyScope) -> None:
    show(scope)
    if not user.viewer:
        service.remember(app, user, scope)


def show(scope: MoneyScope) -> None:
    """From the next run on."""
    st.session_state[_TAB_SCOPE] = scope.text
    if "scope" in st.query_params:
        st.query_params["scope"] = scope.text


def account_label(account: Account | None) -> str:
    """The money and account, for the small line of a row."""
    if account is None:
        return ""
    return f"LIVE · {account.label}" if money_of(account) is MoneyKind.LIVE else f"Paper · {account.label}"


def kind(account: Account | None) -> str:
    """The kind of a row: live rows are highlighted."""
    return "live" if money_of(account) is MoneyKind.LIVE else ""


def badge(account: Account | None) -> None:
    """For pages and dialogs about one bot: what it trades with, in plain sight."""
    if account is not None:
        st.badge(
            text(account_label(account)), color="orange" if money_of(account) is MoneyKind.LIVE else "gray"
        )
