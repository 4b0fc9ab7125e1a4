"""What each broker asks for when an account is added, as data; and the form that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.accounts import schwab_sign_in
from dashtrade.services.accounts.accounts import REAL_MONEY
from dashtrade.services.accounts.schwab_sign_in import CALLBACK
from dashtrade.ui.account.second_factor import decline_tick
from dashtrade.ui.kit import form as forms
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import guard, the_app


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
    return Form(
        title=title,
        broker="crypto",
        modes=modes,
        where=f"{where} {_NO_WITHDRAWAL}",
        keys=(KEY, SECRET, *more),
        options={"exchange": name},
    )


FORMS = (
    Form(
        title="Paper, built in",
        broker="paper",
        modes=("paper",),
        where="Orders are filled on demo prices, at once, as a broker would. Nothing leaves this machine.",
    ),
    Form(
        title="Alpaca",
        broker="alpaca",
        modes=("paper", "live"),
        keys=(KEY, SECRET),
        where="In Alpaca's dashboard, under API Keys. Paper and live have keys of their own.",
    ),
    _exchange(
        "binance",
        "Binance",
        ("paper", "live"),
        "At Binance under API Management; for paper, at testnet.binance.vision.",
    ),
    _exchange(
        "coinbase",
        "Coinbase",
        ("live",),
        "At portal.cdp.coinbase.com under API keys: the name of the key, and the private key.",
    ),
    _exchange("kraken", "Kraken", ("live",), "At Kraken under Settings, API."),
    _exchange(
        "okx",
        "OKX",
        ("paper", "live"),
        "At OKX under API; a demo trading key is for paper.",
        Ask(name="passphrase", label="Passphrase", secret=True, hint="Chosen when the key was made."),
    ),
    _exchange(
        "gemini", "Gemini", ("paper", "live"), "At Gemini under API; a key of the sandbox is for paper."
    ),
    Form(
        title="Schwab",
        broker="schwab",
        modes=("live",),
        where=(
            "Your app's key and secret, from developer.schwab.com; then you sign in at Schwab, every seven "
            "days."
        ),
        keys=(Ask(name="key", label="App key"), Ask(name="secret", label="App secret", secret=True)),
    ),
)


def form_of(broker: str, options: dict[str, Any]) -> Form:
    return next(
        form for form in FORMS if form.broker == broker and (form.options or {}).items() <= options.items()
    )


def credentials(fields: forms.Form, form: Form) -> dict[str, str]:
    """The fields of the form, and what was in them when it was last sent. They stand in an `st.form`: a field
    outside of one says nothing of what was typed when the keyboard leaves it for its own "Show password"."""
    return {
        ask.name: fields.text(
            ask.name,
            ask.label,
            type="password" if ask.secret else "default",
            help=ask.hint or None,
            max_chars=4000,
            autocomplete="off",
        )
        for ask in form.keys
    }


def callback_field(fields: forms.Form) -> str:
    return fields.text("callback", "Callback address, as registered there", value=CALLBACK, max_chars=300)


def real_money(fields: forms.Form) -> str:
    st.warning(
        "**Real money.** Bots on this account buy and sell at your broker, with what you own there.",
        icon=":material/warning:",
    )
    return fields.text(
        "acknowledge",
        f'Type "{REAL_MONEY}"',
        hint=f"Type {REAL_MONEY} to say that you mean it.",
        max_chars=20,
        autocomplete="off",
    )


def without_factor(fields: forms.Form, user: User) -> bool:
    """Asked beside the word for real money: who has no second factor says that they go on without."""
    return False if user.second_factor else decline_tick(fields, "Your password alone opens this account.")


def pasted_field(fields: forms.Form) -> str:
    return fields.text(
        "redirected_to",
        "2. Paste the address you were sent back to",
        max_chars=4000,
        help="The page itself may not load; its address is what counts.",
    )


def schwab_link(
    name: str, user: User, begin: Callable[[], str], account_id: int | None = None
) -> Callable[[], None]:
    """The link, the same from run to run, as what comes back is matched to it. What is returned draws another
    one if it was used."""
    place, kept = st.empty(), f"{name}_link"

    def draw() -> None:
        if not schwab_sign_in.waits(the_app(), user, st.session_state.get(kept, ""), account_id):
            with trying() as attempt:
                st.session_state[kept] = begin()
            if not attempt.ok:
                return
        place.link_button("1. Sign in at Schwab", st.session_state[kept], icon=":material/open_in_new:")

    draw()
    return draw


def schwab_token(
    fields: forms.Form, given: dict[str, str], callback: str, button: str, account_id: int | None = None
) -> str | None:
    """The second step at Schwab: its own sign-in, and the address it sends one back to. The code in that
    lives for 30 seconds, so it is exchanged as soon as it is pasted; what it brought is kept while the rest
    is not in order."""
    app, user = the_app(), guard()
    about = {"key": given["key"], "callback": callback}
    name = f"{fields.name}_{sha256(str(about))[:8]}"
    redraw = schwab_link(
        name, user, lambda: schwab_sign_in.begin(app, user, account_id=account_id, **about), account_id
    )
    with st.form(f"{fields.name}_second", border=False):
        pasted = pasted_field(fields)
        second = forms.Form(f"{fields.name}_2", places=fields.places)
        second.complaints()
        sent = st.form_submit_button(button, type="primary")
    if not sent:
        return None
    kept = f"{fields.name}_token"
    if st.session_state.get(kept, ("",))[0] != (pasted, given["key"]):
        with second.trying() as attempt:
            if not pasted:
                raise Malformed(
                    "the address is missing",
                    where="redirected_to",
                    hint="Sign in by the link, and paste the address of the page you come to.",
                )
            token = schwab_sign_in.token(
                app, user, secret=given["secret"], pasted=pasted, account_id=account_id, **about
            )
        if not attempt.ok:
            redraw()
            return None
        st.session_state[kept] = ((pasted, given["key"]), token)
    return st.session_state[kept][1]


def paper_options(fields: forms.Form) -> Any:
    """The fields; returns what reads them."""
    cash = fields.text("starting_cash", "Starting money, in dollars", value="100000", max_chars=40)
    with st.expander("Make it more like a broker"):
        left, right = st.columns(2)
        asked = {
            "fee_per_order": fields.text("fee_per_order", "Fee per order, $", left, value="0", max_chars=40),
            "fee_percent": fields.text("fee_percent", "Fee, % of the amount", right, value="0", max_chars=40),
        }
        left, right = st.columns(2)
        asked["slippage_percent"] = fields.text(
            "slippage_percent", "Slippage, %", left, value="0", max_chars=40
        )
        asked["leverage"] = fields.text("leverage", "Leverage", right, value="1", max_chars=40)
        shorting = st.checkbox("Short selling allowed", value=True, key=fields.key("shorting"))

    def read() -> dict[str, Any]:
        numbers = {
            name: fields.number(name, said, above=None, percent="percent" in name) or "0"
            for name, said in asked.items()
        }
        money = fields.number(
            "starting_cash", cash, missing="Enter how much it begins with, such as 100,000."
        )
        return {"starting_cash": money, **numbers, "shorting": "yes" if shorting else "no"}

    return read
