"""Setup, alerts: the message to copy for a bot, a test alert whose story runs on the page, and how any message is read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from bot_engine import Receipt
from dashtrade.app import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.dialects import parse
from dashtrade.domain.signals import Origin, Signal
from dashtrade.domain.values import Malformed, new_id, plain
from dashtrade.services import demo, story
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.alerts import DIALECTS, message_to_try
from dashtrade.ui.errors import explained, trying
from dashtrade.ui.lists import story_lines
from dashtrade.ui.page import empty, live, the_app
from dashtrade.ui.words import sentence, status, text

WAIT = 2.0
EXAMPLE = '{\n  "action": "buy",\n  "symbol": "NASDAQ:AAPL",\n  "timeframe": "15 Min"\n}'


def show(app: App, user: User) -> None:
    bots = data.bots(app, user)
    if not bots:
        empty("An alert needs a bot that listens for it.", "Make a bot", to="pages/bots.py", query={"new": "yes"}, icon=":material/add:")
        _reader(app, user)
        return
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="builder"):
        bot = _builder(bots)
    with right, st.container(border=True, key="tester"):
        _tester(app, user, bot)
    _reader(app, user)


def _builder(bots: list[Bot]) -> Bot:
    st.header("The message for your alert", anchor=False)
    by_id = {bot.id: bot for bot in bots}
    chosen = st.selectbox("Bot", list(by_id), format_func=lambda bot_id: f"{by_id[bot_id].name} · {by_id[bot_id].symbol.short} · {by_id[bot_id].timeframe.shown}", key="alert_bot")
    bot = by_id[chosen]
    names = [dialect.name for dialect in DIALECTS]
    name = st.segmented_control("Dialect", names, default=names[0], required=True, key="dialect")
    dialect = next(known for known in DIALECTS if known.name == name)
    st.caption(dialect.use)
    action = st.segmented_control("Action", ["buy", "sell", "close"], default="buy", required=True, key="alert_action") if dialect.asks_action else "buy"
    st.code(dialect.build(bot, action or "buy"), language="json" if dialect.name != "Plain words" else None, wrap_lines=True)
    st.caption("In TradingView: paste it into the alert's Message, and your webhook address into Notifications, Webhook URL.")
    return bot


def _tester(app: App, user: User, bot: Bot) -> None:
    st.header("Try it now", anchor=False)
    account = next((a for a in data.accounts(app, user) if a.id == bot.account_id), None)
    real = account is not None and account.mode == "live"
    where = "with real money" if real else "on paper"
    st.caption(f"Sends {text(bot.name)} a real alert, which it carries out {where}. Nothing needs to be reachable from outside.")
    action = st.segmented_control("Action", ["buy", "sell", "close"], default="buy", required=True, key="test_action", label_visibility="collapsed")
    sure = not real or st.text_input("Type the bot's name, as this trades real money", key="sure") == bot.name
    # The alert is named when the form is drawn: pressed twice, it is one alert, and one order.
    request_id = st.session_state.setdefault("test_id", new_id(app.clock.now()))
    if st.button("Send a test alert", type="primary", icon=":material/bolt:", key="send_test", disabled=not sure):
        raw = message_to_try(bot, action or "buy", request_id)
        with trying() as attempt:
            demo.check_alerts(app, user)
            said = app.engine.accept(user.id, parse(raw.encode()), raw=raw, origin=Origin.USER, sender=user.email)
        if attempt.ok:
            st.session_state.pop("test_id", None)
            st.session_state["tested"] = said.signal_id
            if isinstance(said, Receipt):
                app.wait(user.id, said.signal_id, WAIT, fresh=not said.duplicate)
    if "tested" in st.session_state:
        _watch(st.session_state["tested"])


@live
def _watch(user: User, signal_id: str) -> None:
    told = story.story(the_app(), user.id, signal_id)
    if told is None:
        return
    words, tone = status(told["status"])
    colour = {"up": "green", "down": "red", "warn": "orange", "info": "blue"}.get(tone, "gray")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(words, color=colour)
        st.caption(text(sentence(told["reason"])) if told["reason"] else "")
    story_lines(user, told)


def _reader(app: App, user: User) -> None:
    with st.container(border=True, key="reader"):
        st.header("How is my message read?", anchor=False)
        st.caption("Paste any alert, from wherever you come. Nothing is sent or traded here.")
        left, right = st.columns(2, gap="medium")
        raw = left.text_area("Message", value=EXAMPLE, height=190, key="payload", max_chars=20000, label_visibility="collapsed")
        with right:
            try:
                reading = parse((raw or "").encode())
            except Malformed as error:
                st.error(explained(error), icon=":material/error:")
                return
            _reading(reading.signal, data.listeners(app, user, reading.signal))


def _reading(signal: Signal, heard_by: Sequence[str] | str) -> None:
    frame = f" on {signal.timeframe.shown}" if signal.timeframe else ""
    lines = [("Does", f"{signal.action.capitalize()} {signal.symbol.short}{frame}"), ("Read as", signal.dialect)]
    if signal.size is not None:
        lines.append(("Size", f"{plain(signal.size.value)} {signal.size.kind.replace('_', ' ')}"))
    for label, value in (
        ("Order", signal.order_type), ("Limit", signal.limit_price), ("Stop", signal.stop_price), ("Bot", signal.bot), ("Its id", signal.key),
        ("Sent at", signal.sent_at), ("Price seen", signal.price),
    ):
        if value is not None:
            lines.append((label, plain(value) if hasattr(value, "quantize") else str(value)))
    lines += [("Note", note) for note in signal.notes]
    nobody = isinstance(heard_by, str)
    lines.append(("Goes to", f"nobody now: {heard_by}" if nobody else ", ".join(heard_by)))
    rows = "".join(f'<li class="dt-{"warn" if nobody and label == "Goes to" else "up"}"><b>{escape(label)}</b><span>{escape(sentence(value) if label == "Note" else value)}</span></li>' for label, value in lines)
    st.html(f'<ol class="dt-story">{rows}</ol>')
