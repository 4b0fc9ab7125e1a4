"""Position mismatches: shown on the Positions page, and resolved there by the user."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.domain.position_mismatch import Remedy
from dashtrade.domain.values import as_sentence
from dashtrade.services.accounts import position_mismatch as service
from dashtrade.ui.kit.format import price, quantity, text
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard


def short(drift: dict[str, Any]) -> str:
    return str(drift["symbol"]).partition(":")[2].removesuffix("-EQ")


def summary(drift: dict[str, Any]) -> str:
    """The figures only."""
    outside = Decimal(drift["outside"])
    outside_text = f", {quantity(outside)} are held outside DashTrade" if outside else ""
    return (
        f"The broker has {quantity(Decimal(drift['broker_quantity']))}, your bots own "
        f"{quantity(Decimal(drift['bots_quantity']))}{outside_text}."
    )


def notice(drift: dict[str, Any]) -> None:
    """One line with a button; the dialog opens at the next full run."""
    frozen = drift["status"] == "frozen"
    with (
        st.container(border=True, key=f"drift_{drift['id']}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        st.markdown(
            f":orange[:material/difference:] **{text(short(drift))} position mismatch: "
            f"{text(quantity(Decimal(drift['difference'])))}"
            f"{' (frozen: entries are refused)' if frozen else ''}.** {text(summary(drift))}",
            width="stretch",
        )
        if st.button("Resolve", key=f"sort_{drift['id']}", type="primary"):
            st.session_state["drift"] = drift["id"]
            st.rerun()


def show(user: User) -> None:
    """Called at the end of the page that lists mismatches."""
    if "drift" in st.session_state:
        drift_id = st.session_state.pop("drift")
        with trying():
            _question(service.drift(get_app(), user, drift_id))


@st.dialog("Resolve position mismatch", width="medium", icon=":material/difference:")
def _question(drift: dict[str, Any]) -> None:
    st.markdown(
        f"**{text(short(drift))}** on {text(drift['account'])}. "
        f"{text(as_sentence(drift['detail'] or summary(drift)))}"
    )
    more = Decimal(drift["difference"]) > 0
    choices = {Remedy.GIVE: _give_words(drift, more), Remedy.OUTSIDE: _outside_words(drift, more)}
    if drift["status"] != "frozen":
        choices[Remedy.FREEZE] = (
            "Not sure yet",
            (
                "Freeze the symbol: no bot opens a position in it until you resolve the mismatch. Closing "
                "still works."
            ),
        )
    if not drift["bots"] and drift["split"] is None:
        choices.pop(Remedy.GIVE)
    way = st.radio(
        "What happened?",
        list(choices),
        format_func=lambda one: choices[one][0],
        captions=[words for _, words in choices.values()],
        key=f"way_{drift['id']}",
    )
    bot_id, typed = _details(drift) if way is Remedy.GIVE and drift["split"] is None else (None, "")
    with st.container(horizontal=True):
        pressed = st.button("Apply", type="primary", key=f"settle_{drift['id']}")
        unfreeze_pressed = drift["status"] == "frozen" and st.button(
            "Unfreeze only", key=f"thaw_{drift['id']}"
        )
    if pressed or unfreeze_pressed:
        with trying() as attempt:
            if unfreeze_pressed:
                service.unfreeze(get_app(), guard(), drift["id"])
            else:
                service.resolve(get_app(), guard(), drift["id"], way=way, bot_id=bot_id, price=typed or None)
        if attempt.ok:
            st.session_state["toast"] = f"{text(short(drift))}: resolved."
            st.rerun()


def _give_words(drift: dict[str, Any], more: bool) -> tuple[str, str]:
    if drift["split"] is not None:
        return (
            f"Split {drift['split']}",
            (
                "Quantities and prices of all bots that hold the symbol are adjusted. This makes no "
                "profit or loss."
            ),
        )
    verb = "bought" if more else "sold"
    return (
        f"Assign to a bot: it {verb} {quantity(abs(Decimal(drift['difference'])))}",
        "Booked to the bot you choose, as if the bot had traded it.",
    )


def _outside_words(drift: dict[str, Any], more: bool) -> tuple[str, str]:
    if more:
        return (
            "Keep outside: I bought it myself",
            "DashTrade leaves these holdings alone and does not report them again.",
        )
    return (
        "Reduce my outside holdings: I sold them myself",
        "Your holdings outside DashTrade are reduced; the bots' positions stay as they are.",
    )


def _details(drift: dict[str, Any]) -> tuple[int | None, str]:
    names = {
        bot["bot_id"]: f"{bot['name']} (owns {quantity(Decimal(bot['quantity']))})" for bot in drift["bots"]
    }
    left, right = st.columns(2)
    bot_id = left.selectbox("Bot", list(names), format_func=names.__getitem__, key=f"drift_bot_{drift['id']}")
    all_new = not Decimal(drift["bots_quantity"]) + Decimal(drift["outside"])
    # the booking price if none is entered
    guess = drift["average_price"] if all_new and drift["average_price"] else drift["mark"]
    typed = right.text_input(
        "Price",
        placeholder=f"about {price(Decimal(guess))}" if guess else "Market price",
        max_chars=30,
        key=f"drift_price_{drift['id']}",
    )
    return bot_id, typed.replace(",", "").strip()
