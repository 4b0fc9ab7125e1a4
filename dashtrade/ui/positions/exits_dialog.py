"""Moving the stop and the target of a bot's position."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.exits.state import ExitState, StopLevel, TargetLevel
from dashtrade.domain.exits.wording import exits_in_words
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.trading import exits as service
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import price, quantity, text
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard

KINDS = ("At a price", "Trailing", "None")


def ask(bot_id: int) -> None:
    st.session_state["moving"] = bot_id
    st.rerun()


def show(user: User) -> None:
    """Called at the end of pages with exits to move."""
    if "moving" in st.session_state:
        bot_id = st.session_state.pop("moving")
        with trying():
            bot = bot_service.bot_of(get_app(), user, bot_id)
            held = prices.holding(get_app(), bot, find_account(get_app(), user, bot.account_id))
            st.dialog("Stop and target", icon=":material/vertical_align_center:")(exits_form)(held)


def exits_form(held: prices.BotHolding) -> None:
    bot, entry = held.bot, held.bot.position.average_price
    exits = bot.exits or ExitState()
    _position(held)
    was = _kind_of(exits.stop)
    kind = st.segmented_control("Stop", KINDS, default=was, required=True, key=f"stop_kind_{bot.id}") or was
    form = Form(f"exits_{bot.id}")
    stop = _stop(form, kind, exits.stop)
    target = _target(form, exits.take_profits)
    form.complaints()
    save, even = _buttons(bot.id, entry)
    if not (save or even):
        return
    with form.trying() as attempt:
        profit = None if target is None else form.number("take_profit", target) or ""
        given = _given(kind, was, _read_stop(form, kind, stop), exits.stop, profit, exits.take_profits)
        if not (given or even):
            raise Malformed("stop and target are unchanged", hint="Change the stop or the target first.")
        service.change(
            get_app(), guard(), bot.id, {"stop_loss": {"stopPrice": str(entry)}} if even else given
        )
    if attempt.ok:
        st.session_state["toast"] = f"{text(bot.name)}: stop and target saved."
        st.rerun()


def _position(held: prices.BotHolding) -> None:
    bot, position = held.bot, held.bot.position
    scope.badge(held.account)
    st.markdown(
        f"{text(bot.name)} is {position.side} **{quantity(abs(position.quantity))} "
        f"{text(bot.symbol.short)}**, entry {price(position.average_price)}, price {price(held.mark)}."
    )
    for line in exits_in_words(bot.exits, bot.time_zone):
        st.caption(text(line))


def _buttons(bot_id: int, entry: Decimal | None) -> tuple[bool, bool]:
    """Whether Save, and whether Stop to break-even was pressed."""
    with st.container(horizontal=True):
        save = st.button("Save", type="primary", key=f"move_yes_{bot_id}")
        even = entry is not None and st.button(
            "Stop to break-even",
            key=f"move_even_{bot_id}",
            help=f"Moves the stop to the entry price, {price(entry)}.",
        )
    return save, even


def _kind_of(stop: StopLevel | None) -> str:
    return "None" if stop is None else "At a price" if stop.trail is None else "Trailing"


def _stop(form: Form, kind: str, stop: StopLevel | None) -> str:
    value = _value_of(stop) if kind == _kind_of(stop) else ""
    match kind:
        case "At a price":
            return form.text("stop_loss", "Stop at", value=value, max_chars=40)
        case "Trailing":
            return form.text(
                "stop_loss",
                "Trail by",
                value=value,
                max_chars=40,
                help="In money per unit, behind the best price.",
            )
    return ""


def _value_of(stop: StopLevel | None) -> str:
    return "" if stop is None else _number(stop.price if stop.trail is None else stop.trail)


def _target(form: Form, targets: tuple[TargetLevel, ...]) -> str | None:
    """None with several targets, which cannot be changed here."""
    if len(targets) > 1:
        st.caption(
            f"The position has {len(targets)} targets; they stay as they are. Change them with the REST API."
        )
        return None
    value = _number(targets[0].price) if targets else ""
    return form.text("take_profit", "Target", value=value, placeholder="None", max_chars=40)


def _read_stop(form: Form, kind: str, entered: str) -> str:
    """A chosen kind requires a number."""
    if kind == "None":
        return ""
    return form.number("stop_loss", entered, missing="Enter a price or distance, or choose None.") or ""


def _number(level: Decimal) -> str:
    """Rounded to what brokers accept: an average entry has endless digits."""
    return price(level).replace(",", "")


def _given(
    kind: str,
    was: str,
    stop: str,
    before: StopLevel | None,
    target: str | None,
    targets: tuple[TargetLevel, ...],
) -> dict[str, Any]:
    """The changes against the current exits."""
    given: dict[str, Any] = {}
    if (kind, stop) != (was, _value_of(before)):
        ways = {"At a price": {"stopPrice": stop}, "Trailing": {"trailAmount": stop}, "None": None}
        given["stop_loss"] = ways[kind]
    if target is not None and target != (_number(targets[0].price) if targets else ""):
        given["take_profit"] = [{"price": target}] if target else None
    return given
