"""The dialog before everything is closed: the positions by account, a checkbox for each account, and a
typed confirmation for live money."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.domain.values import ZERO, Malformed
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.accounts.prices import BotHolding, real_money
from dashtrade.services.bots.owned import engaged
from dashtrade.services.trading import flatten
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import count, money, signed, text
from dashtrade.ui.shell.page import get_app, guard
from dashtrade.ui.shell.trading_state import trading_state

CONFIRM_WORD = "FLATTEN"
MAX_NAMED = 6  # symbols listed per account


def ask() -> None:
    """Opens at the next full run, which also closes the menu."""
    st.session_state["flattening"] = secrets.token_hex(3)
    st.rerun()


def show() -> None:
    if "flattening" in st.session_state:
        opened = st.session_state.pop("flattening")
        st.dialog("Close everything at market?", icon=":material/warning:", width="medium")(question)(opened)


def question(opened: str) -> None:
    app, user = get_app(), guard(without_factor=True)
    held = engaged(app, user)
    paused = trading_state(app, user).stop is not Stop.NONE
    st.markdown(
        "All bot positions on the ticked accounts are closed at market, the largest first, and the "
        "bots' open orders are cancelled. "
        f"{'Entries stay paused' if paused else 'Entries are paused on **all** accounts'} until you "
        "resume trading."
    )
    ticked = [
        account
        for account in _accounts(app, user, held)
        if _tick(account, [h for h in held if h.bot.account_id == account.id], opened)
    ]
    closing = [h for h in held if h.bot.account_id in {account.id for account in ticked}]
    real = [h for h in closing if real_money(h.account)]
    form = Form(f"flatten_{opened}")
    with st.form(f"{form.name}_form", border=False):
        word = ""
        if real:
            word = form.text(
                "word",
                f"{_counted(real)} with real money: type {CONFIRM_WORD}",
                max_chars=20,
                autocomplete="off",
            )
        form.complaints()
        sure = st.form_submit_button(
            f"Close {_counted(closing)}", type="primary", icon=":material/warning:", key="danger_flatten"
        )
    # Outside the form: with two buttons in a form, Enter would press one of them.
    if st.button("Cancel", key="flatten_no"):
        st.rerun()
    if sure:
        _begin(app, user, form, [account.id for account in ticked], word if real else CONFIRM_WORD)


def _accounts(app: App, user: User, held: Sequence[BotHolding]) -> list[Account]:
    """Accounts with something to close, live ones first."""
    holding = {h.bot.account_id for h in held}
    return sorted(
        (account for account in accounts_of(app, user) if account.id in holding),
        key=lambda account: not real_money(account),
    )


def _tick(account: Account, held: Sequence[BotHolding], opened: str) -> bool:
    live = ":red-badge[LIVE] " if real_money(account) else ":gray-badge[Paper] "
    label = f"{live}**{text(account.label)}** · {text(' · '.join([_counted(held), *_sums(held)]))}"
    on = st.checkbox(label, value=True, key=f"flatten_{opened}_{account.id}")
    symbols = list(dict.fromkeys(h.bot.symbol.short for h in held))
    more = f" and {len(symbols) - MAX_NAMED} more" if len(symbols) > MAX_NAMED else ""
    st.caption(f"{text(', '.join(symbols[:MAX_NAMED]))}{more}")
    return on


def _counted(held: Sequence[BotHolding]) -> str:
    owning = sum(bool(one.bot.position.quantity) for one in held)
    out = len(held) - owning
    if not out:
        return count(owning, "position")
    return (
        f"{count(owning, 'position')} and {count(out, 'bot')} with an open order"
        if owning
        else f"{count(out, 'bot')} with an open order"
    )


def _sums(held: Sequence[BotHolding]) -> list[str]:
    """Value and open profit, each currency separately."""
    by_currency: dict[str, list[BotHolding]] = defaultdict(list)
    for one in [h for h in held if h.bot.position.quantity]:
        by_currency[one.currency].append(one)
    return [_sum(currency, of_it) for currency, of_it in by_currency.items()]


def _sum(currency: str, held: Sequence[BotHolding]) -> str:
    if any(one.mark is None for one in held):
        return "value unknown"
    worth = sum((abs(one.value or ZERO) for one in held), ZERO)
    profit = sum((one.unrealized or ZERO for one in held), ZERO)
    return f"worth {money(worth, currency)}, unrealised P&L {signed(profit, currency)}"


def _begin(app: App, user: User, form: Form, accounts: Sequence[int], word: str) -> None:
    with form.trying() as attempt:
        if not accounts:
            raise Malformed(
                "no account is ticked, so there is nothing to close", hint="Tick at least one, or cancel."
            )
        if word.upper() != CONFIRM_WORD:
            raise Malformed(
                "this closes positions with real money", where="word", hint=f"Type {CONFIRM_WORD} to confirm."
            )
        flatten.start(app, user, scope="user", scope_id=None, pause=True, accounts=accounts)
    if attempt.ok:
        st.rerun()
