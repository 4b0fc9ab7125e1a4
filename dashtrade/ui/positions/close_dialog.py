"""Closing a position by hand, in whole or in part. The request id is created when the dialog opens, so
that two clicks are one order."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from bot_engine import Receipt
from dashtrade.domain.people import User
from dashtrade.domain.values import as_sentence, new_id, plain
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.bots import bots as service
from dashtrade.services.trading import signal_story
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import money, percent, quantity, reason_words, signed, text
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard

MAX_WAIT_SECONDS = 2.0  # seconds within which a market order usually fills
SHARES = ("25%", "50%", "75%")


def ask(bot_id: int, *, part: bool = False) -> None:
    """Opens at the next full run: a part of the page that reruns itself would close the dialog."""
    st.session_state["closing"] = (bot_id, part, new_id(get_app().clock.now()))
    st.rerun()


def show(user: User) -> None:
    """Called at the end of pages with positions to close."""
    if "closing" in st.session_state:
        bot_id, part, request_id = st.session_state.pop("closing")
        with trying():
            bot = service.bot_of(get_app(), user, bot_id)
            held = prices.holding(get_app(), bot, find_account(get_app(), user, bot.account_id))
            (_question_part if part else _question)(held, request_id)


def _where(held: prices.BotHolding) -> str:
    return "**with real money**" if prices.real_money(held.account) else "on paper"


def _kind(held: prices.BotHolding) -> str:
    """The container's name, by which the page's style colours live buttons red."""
    return "real_money" if prices.real_money(held.account) else "on_paper"


def _button(what: str, held: prices.BotHolding) -> str:
    return f"{what} at market, real money" if prices.real_money(held.account) else f"{what} at market"


@st.dialog("Close position", icon=":material/close:")
def _question(held: prices.BotHolding, request_id: str) -> None:
    bot = held.bot
    scope.badge(held.account)
    st.markdown(
        f"Close {bot.position.side} **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}** "
        f"of {text(bot.name)} at market, {_where(held)}?"
    )
    st.caption(
        f"Unrealised P&L: {text(signed(held.unrealized, held.currency))} "
        f"({text(percent(held.percent, sign=True))}). The bot stays active and follows its next alert."
    )
    with st.container(horizontal=True, key=f"{_kind(held)}_close_{bot.id}"):
        pressed = st.button(_button("Close", held), type="primary", key=f"close_yes_{bot.id}")
        if st.button("Cancel", key=f"close_no_{bot.id}"):
            st.rerun()
    if pressed:
        _close(bot.id, bot.name, request_id, None)


@st.dialog("Reduce position", icon=":material/content_cut:")
def _question_part(held: prices.BotHolding, request_id: str) -> None:
    bot = held.bot
    owned = abs(bot.position.quantity)
    scope.badge(held.account)
    st.markdown(
        f"{text(bot.name)} is {bot.position.side} **{quantity(owned)} {text(bot.symbol.short)}**. How "
        f"much should be closed at market, {_where(held)}?"
    )
    share = st.segmented_control(
        "Share", SHARES, default="50%", key=f"share_{bot.id}", label_visibility="collapsed"
    )
    form = Form(f"part_{bot.id}")
    entered = form.text("quantity", "Quantity", placeholder=quantity(owned / 2), max_chars=40)
    typed = None
    with form.trying() as attempt:
        typed = form.number("quantity", entered)
    if not attempt.ok:
        return
    many = Decimal(typed) if typed else owned * Decimal((share or "0%")[:-1]) / 100
    if not 0 < many < owned:
        st.info("Choose a share, or enter a quantity smaller than the position.")
        return
    worth = f", worth about {text(money(many * held.mark, held.currency))}" if held.mark is not None else ""
    st.caption(
        f"Closes {quantity(many)} of {quantity(owned)}{worth}. Its stop and targets stay for the rest."
    )
    with st.container(key=f"{_kind(held)}_part_{bot.id}"):
        pressed = st.button(_button("Close part", held), type="primary", key=f"part_yes_{bot.id}")
    if pressed:
        _close(bot.id, bot.name, request_id, plain(many) if typed else share)


def _close(bot_id: int, name: str, request_id: str, part: str | None) -> None:
    user, app = guard(without_factor=True), get_app()
    with trying() as attempt:
        result = service.close_bot(app, user, bot_id, request_id=request_id, part=part)
    if not attempt.ok:
        return
    if not isinstance(result, Receipt):
        st.error(f"**{text(as_sentence(result.message))}** Try again.")
        return
    app.wait(user.id, result.signal_id, MAX_WAIT_SECONDS, fresh=not result.duplicate)
    outcome = signal_story.outcome(app, user.id, result.signal_id)
    words = reason_words(user, outcome.reason) if outcome and outcome.reason else "sent"
    st.session_state["toast"] = f"{text(name)}: {text(as_sentence(words))}"
    st.rerun()
