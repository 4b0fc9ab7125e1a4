"""Moving the stop and the target of what a bot owns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain import exits as rules
from dashtrade.services import bots as bot_service
from dashtrade.services import prices
from dashtrade.services import exits as service
from dashtrade.tables.people import User
from dashtrade.ui import data, scope
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, the_app
from dashtrade.ui.words import price, quantity, text

KINDS = ("At a price", "Trailing", "None")


def ask(bot_id: int) -> None:
    st.session_state["moving"] = bot_id
    st.rerun()


def show(user: User) -> None:
    """At the end of a page from which exits can be moved."""
    if "moving" in st.session_state:
        bot_id = st.session_state.pop("moving")
        with trying():
            bot = bot_service.bot_of(the_app(), user, bot_id)
            _question(prices.holding(the_app(), bot, data.account_by_id(the_app(), user, bot.account_id)))


@st.dialog("Stop and target", icon=":material/vertical_align_center:")
def _question(held: prices.Holding) -> None:
    bot, kept = held.bot, held.bot.exits or {}
    entry = bot.position.average_price
    scope.badge(held.account)
    st.markdown(
        f"{text(bot.name)} is {bot.position.side} **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}**, in at {price(entry)}, now {price(held.mark)}."
    )
    for line in rules.said(bot.exits):
        st.caption(text(line))
    was = "Trailing" if "trail" in kept else "At a price" if "stop" in kept else "None"
    kind = st.segmented_control("Stop", KINDS, default=was, required=True, key=f"stop_kind_{bot.id}")
    stop = _stop(kind or was, kept, bot.id)
    targets = kept.get("take_profits", [])
    many = len(targets) > 1
    target = "" if many else st.text_input("Target", value=_number(targets[0]["price"]) if targets else "", placeholder="None", key=f"target_{bot.id}", max_chars=40)
    if many:
        st.caption(f"It has {len(targets)} targets; they stay as they are. Change them by the API.")
    given = _given(kind or was, was, stop, kept, None if many else target.replace(",", "").strip(), targets)
    with st.container(horizontal=True):
        save = st.button("Move them", type="primary", key=f"move_yes_{bot.id}", disabled=not given)
        even = entry is not None and st.button("Stop to break-even", key=f"move_even_{bot.id}", help=f"The stop goes to the entry, {price(entry)}.")
    if save or even:
        _save(bot.id, bot.name, {"stop_loss": {"stopPrice": str(entry)}} if even else given)


def _stop(kind: str, kept: dict[str, Any], bot_id: int) -> str:
    match kind:
        case "At a price":
            value = _number(kept["stop"]) if "stop" in kept and "trail" not in kept else ""
            return st.text_input("Stop at", value=value, key=f"stop_price_{bot_id}", max_chars=40).replace(",", "").strip()
        case "Trailing":
            value = _number(kept["trail"]) if "trail" in kept else ""
            return st.text_input("Behind the best price by", value=value, key=f"stop_trail_{bot_id}", max_chars=40, help="In money, for one piece.").replace(",", "").strip()
    return ""


def _number(written: Any) -> str:
    """As the venue would take it: an average entry has digits without end."""
    return price(Decimal(str(written))).replace(",", "")


def _given(kind: str, was: str, stop: str, kept: dict[str, Any], target: str | None, targets: list[Any]) -> dict[str, Any]:
    """What is different from what is kept."""
    given: dict[str, Any] = {}
    before = _number(kept["trail"]) if "trail" in kept else _number(kept["stop"]) if "stop" in kept else ""
    if (kind, stop) != (was, before):
        ways = {"At a price": {"stopPrice": stop}, "Trailing": {"trailAmount": stop}, "None": None}
        given["stop_loss"] = ways[kind]
    if target is not None and target != (_number(targets[0]["price"]) if targets else ""):
        given["take_profit"] = [{"price": target}] if target else None
    return given


def _save(bot_id: int, name: str, given: dict[str, Any]) -> None:
    with trying() as attempt:
        service.change(the_app(), guard(), bot_id, given)
    if attempt.ok:
        st.session_state["said"] = f"{text(name)}: stop and target are moved."
        st.rerun()
