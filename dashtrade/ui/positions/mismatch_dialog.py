"""Position mismatches: shown on the Positions page, and resolved there by the user."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.domain.position_mismatch import Drift, DriftStatus, Remedy, ratio_words
from dashtrade.services.accounts import position_mismatch as service
from dashtrade.services.accounts.position_mismatch import Mismatch
from dashtrade.ui.kit.format import price, quantity, reason_sentence, text
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard


def summary(*, broker: Decimal, bots: Decimal, outside: Decimal) -> str:
    """The figures only."""
    outside_text = f", {quantity(outside)} are held outside DashTrade" if outside else ""
    return f"The broker has {quantity(broker)}, your bots own {quantity(bots)}{outside_text}."


def _summary(drift: Drift) -> str:
    return summary(broker=drift.broker_quantity, bots=drift.bots_quantity, outside=drift.outside)


def notice(drift: Drift) -> None:
    """One line with a button; the dialog opens at the next full run."""
    frozen = drift.status is DriftStatus.FROZEN
    with (
        st.container(border=True, key=f"drift_{drift.id}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        st.markdown(
            f":orange[:material/difference:] **{text(drift.symbol.short)} position mismatch: "
            f"{text(quantity(drift.difference))}"
            f"{' (frozen: entries are refused)' if frozen else ''}.** {text(_summary(drift))}",
            width="stretch",
        )
        if st.button("Resolve", key=f"sort_{drift.id}", type="primary"):
            st.session_state["drift"] = drift.id
            st.rerun()


def show(user: User) -> None:
    """Called at the end of the page that lists mismatches."""
    if "drift" in st.session_state:
        drift_id = st.session_state.pop("drift")
        with trying():
            _question(user, service.drift(get_app(), user, drift_id))


@st.dialog("Resolve position mismatch", width="medium", icon=":material/difference:")
def _question(user: User, found: Mismatch) -> None:
    drift = found.drift
    st.markdown(
        f"**{text(drift.symbol.short)}** on {text(found.account)}. "
        f"{text(reason_sentence(user, drift.detail) or _summary(drift))}"
    )
    more = drift.difference > 0
    choices = {Remedy.GIVE: _give_words(drift, more), Remedy.OUTSIDE: _outside_words(drift, more)}
    if drift.status is not DriftStatus.FROZEN:
        choices[Remedy.FREEZE] = (
            "Not sure yet",
            (
                "Freeze the symbol: no bot opens a position in it until you resolve the mismatch. Closing "
                "still works."
            ),
        )
    if not found.bots and drift.ratio is None:
        choices.pop(Remedy.GIVE)
    way = st.radio(
        "What happened?",
        list(choices),
        format_func=lambda one: choices[one][0],
        captions=[words for _, words in choices.values()],
        key=f"way_{drift.id}",
    )
    bot_id, typed = _details(found) if way is Remedy.GIVE and drift.ratio is None else (None, "")
    with st.container(horizontal=True):
        pressed = st.button("Apply", type="primary", key=f"settle_{drift.id}")
        thaw = drift.status is DriftStatus.FROZEN and st.button("Unfreeze only", key=f"thaw_{drift.id}")
    if pressed or thaw:
        with trying() as attempt:
            if thaw:
                service.unfreeze(get_app(), guard(), drift.id)
            else:
                service.resolve(get_app(), guard(), drift.id, way=way, bot_id=bot_id, price=typed or None)
        if attempt.ok:
            st.session_state["toast"] = f"{text(drift.symbol.short)}: resolved."
            st.rerun()


def _give_words(drift: Drift, more: bool) -> tuple[str, str]:
    if drift.ratio is not None:
        return (
            f"Split {ratio_words(drift.ratio)}",
            (
                "Quantities and prices of all bots that hold the symbol are adjusted. This makes no "
                "profit or loss."
            ),
        )
    verb = "bought" if more else "sold"
    return (
        f"Assign to a bot: it {verb} {quantity(abs(drift.difference))}",
        "Booked to the bot you choose, as if the bot had traded it.",
    )


def _outside_words(drift: Drift, more: bool) -> tuple[str, str]:
    if more:
        return (
            "Keep outside: I bought it myself",
            "DashTrade leaves these holdings alone and does not report them again.",
        )
    return (
        "Reduce my outside holdings: I sold them myself",
        "Your holdings outside DashTrade are reduced; the bots' positions stay as they are.",
    )


def _details(found: Mismatch) -> tuple[int | None, str]:
    drift = found.drift
    names = {bot.bot_id: f"{bot.name} (owns {quantity(bot.quantity)})" for bot in found.bots}
    left, right = st.columns(2)
    bot_id = left.selectbox("Bot", list(names), format_func=names.__getitem__, key=f"drift_bot_{drift.id}")
    all_new = not drift.bots_quantity + drift.outside
    # the booking price if none is entered
    guess = drift.average_price if all_new and drift.average_price else drift.mark
    typed = right.text_input(
        "Price",
        placeholder=f"about {price(guess)}" if guess else "Market price",
        max_chars=30,
        key=f"drift_price_{drift.id}",
    )
    return bot_id, typed.replace(",", "").strip()
