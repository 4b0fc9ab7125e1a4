"""What each broker asks for when an account is added, as data; and the form that asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashtrade.services import schwab_sign_in
from dashtrade.services.schwab_sign_in import CALLBACK
from dashtrade.ui.errors import trying
from dashtrade.ui.page import the_app



@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    name: str
    label: str
    secret: bool = False
    hint: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`where` says where the key is to be found and what it may not be allowed to do."""

    title: str
    broker: str
    modes: tuple[str, ...]
    where: str
    keys: Sequence[Ask] = ()
    options: dict[str, Any] | None = None  # fixed ones


KEY, SECRET = Ask(name="key", label="API key"), Ask(name="secret", label="API secret", secret=True)
_NO_WITHDRAWAL = "Give it the right to read and to trade, and never the right to withdraw."


def _exchange(name: str, title: str, modes: tuple[str, ...], where: str, *more: Ask) -> Form:
    return Form(title=title, broker="crypto", modes=modes, where=f"{where} {_NO_WITHDRAWAL}", keys=(KEY, SECRET, *more), options={"exchange": name})


FORMS = (
    Form(title="Paper, built in", broker="paper", modes=("paper",), where="Orders are filled on demo prices, at once, as a broker would. Nothing leaves this machine."),
    Form(
        title="Alpaca", broker="alpaca", modes=("paper", "live"), keys=(KEY, SECRET),
        where="In Alpaca's dashboard, under API Keys. Paper and live have keys of their own.",
    ),
    _exchange("binance", "Binance", ("paper", "live"), "At Binance under API Management; for paper, at testnet.binance.vision."),
    _exchange("coinbase", "Coinbase", ("live",), "At portal.cdp.coinbase.com under API keys: the name of the key, and the private key."),
    _exchange("kraken", "Kraken", ("live",), "At Kraken under Settings, API."),
    _exchange("okx", "OKX", ("paper", "live"), "At OKX under API; a demo trading key is for paper.", Ask(name="passphrase", label="Passphrase", secret=True, hint="Chosen when the key was made.")),
    _exchange("gemini", "Gemini", ("paper", "live"), "At Gemini under API; a key of the sandbox is for paper."),
    Form(
        title="Schwab", broker="schwab", modes=("live",), where="Your app's key and secret, from developer.schwab.com; then you sign in at Schwab, every seven days.",
        keys=(Ask(name="key", label="App key"), Ask(name="secret", label="App secret", secret=True)),
    ),
)  # fmt: skip


def form_of(broker: str, options: dict[str, Any]) -> Form:
    return next(form for form in FORMS if form.broker == broker and (form.options or {}).items() <= options.items())


def credentials(form: Form, name: str) -> dict[str, str]:
    """The fields of the form, and what is in them now."""
    given = {
        ask.name: st.text_input(
            ask.label, type="password" if ask.secret else "default", help=ask.hint or None, max_chars=4000, key=f"{name}_{form.title}_{ask.name}", autocomplete="off",
        ).strip()
        for ask in form.keys
    }  # fmt: skip
    if form.broker == "schwab":
        given |= _schwab(given, name)
    return given


def _schwab(given: dict[str, str], name: str) -> dict[str, str]:
    """The token is fetched while the form is filled in: the code that Schwab gives lives for 30 seconds."""
    callback = st.text_input("Callback address, as registered there", value=CALLBACK, key=f"{name}_callback", max_chars=300)
    if not (given["key"] and given["secret"]):
        st.caption("With both filled in, the way to Schwab's sign-in shows up here.")
        return {}
    st.link_button("1. Sign in at Schwab", schwab_sign_in.address(the_app(), key=given["key"], callback=callback), icon=":material/open_in_new:")
    pasted = st.text_input("2. Paste the address you were sent back to", key=f"{name}_pasted", max_chars=4000, help="The page itself may not load; its address is what counts.")
    kept = f"{name}_schwab_token"
    if pasted and st.session_state.get(kept, ("",))[0] != pasted:
        with trying() as attempt:
            token = schwab_sign_in.token(the_app(), key=given["key"], secret=given["secret"], callback=callback, pasted=pasted)
        if attempt.ok:
            st.session_state[kept] = (pasted, token)
    found = st.session_state.get(kept)
    if found and found[0] == pasted:
        st.success("Schwab has let you in: finish this form, and the account can trade.")
        return {"token": found[1]}
    return {}


def paper_options(name: str) -> dict[str, Any]:
    cash = st.text_input("Starting money, in dollars", value="100000", key=f"{name}_cash")
    with st.expander("Make it more like a broker"):
        left, right = st.columns(2)
        fee = left.text_input("Fee per order, $", value="0", key=f"{name}_fee")
        rate = right.text_input("Fee, % of the amount", value="0", key=f"{name}_rate")
        slip = left.text_input("Slippage, %", value="0", key=f"{name}_slip")
        leverage = right.text_input("Leverage", value="1", key=f"{name}_leverage")
        shorting = st.checkbox("Short selling allowed", value=True, key=f"{name}_short")
    return {
        "starting_cash": cash.replace(",", ""), "fee_per_order": fee, "fee_percent": rate, "slippage_percent": slip,
        "leverage": leverage, "shorting": "yes" if shorting else "no",
    }  # fmt: skip
