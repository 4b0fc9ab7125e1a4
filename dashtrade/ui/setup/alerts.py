"""Setup, alerts: the message to copy for a bot, a test alert with its story on the page, and how any
message is read."""

from __future__ import annotations

import streamlit as st

from bot_engine import Receipt
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.values import new_id
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.owned import bots_of
from dashtrade.services.demo import demo
from dashtrade.services.operations import quotas
from dashtrade.services.people import tokens
from dashtrade.services.trading import signal_story
from dashtrade.ui.kit.components import badge
from dashtrade.ui.kit.format import reason_sentence, status, text
from dashtrade.ui.kit.rows import story_lines
from dashtrade.ui.setup import alert_reader, webhook
from dashtrade.ui.setup.alert_messages import DIALECTS, message_to_try
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, get_app, live

WAIT = 2.0


def show(app: App, user: User) -> None:
    bots = bots_of(app, user)
    if not bots:
        empty(
            "An alert needs a bot that takes it.",
            "Create bot",
            to="pages/bots.py",
            query={"new": "yes"},
            icon=":material/add:",
        )
        alert_reader.show(app, user)
        return
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="builder"):
        bot = _builder(app, user, bots)
    with right, st.container(border=True, key="tester"):
        _tester(app, user, bot)
    alert_reader.show(app, user)


def _builder(app: App, user: User, bots: list[Bot]) -> Bot:
    st.header("The message for your alert", anchor=False)
    by_id = {bot.id: bot for bot in bots}
    chosen = st.selectbox(
        "Bot",
        list(by_id),
        format_func=lambda bot_id: (
            f"{by_id[bot_id].name} · {by_id[bot_id].symbol.short} · {by_id[bot_id].timeframe.shown}"
        ),
        key="alert_bot",
    )
    bot = by_id[chosen]
    names = [dialect.name for dialect in DIALECTS]
    name = st.segmented_control("Format", names, default=names[0], required=True, key="dialect")
    dialect = next(known for known in DIALECTS if known.name == name)
    st.caption(dialect.use)
    action = (
        st.segmented_control(
            "Action", ["buy", "sell", "close"], default="buy", required=True, key="alert_action"
        )
        if dialect.asks_action
        else "buy"
    )
    st.code(
        dialect.build(bot, action or "buy"),
        language="json" if dialect.name != "Plain text" else None,
        wrap_lines=True,
    )
    st.caption(
        "In TradingView: paste this message into the alert's Message, and your webhook URL into "
        "Notifications, Webhook URL."
    )
    if found := tokens.webhook_token(app, user):
        webhook.address_line(app, found.text, "alert_url")
    elif st.button("Create webhook URL", icon=":material/link:", key="alert_make_url"):
        with trying() as attempt:
            tokens.rotate_webhook_token(app, user)
        if attempt.ok:
            st.rerun()
    return bot


def _tester(app: App, user: User, bot: Bot) -> None:
    st.header("Try it now", anchor=False)
    account = next((a for a in accounts_of(app, user) if a.id == bot.account_id), None)
    real = account is not None and account.mode == "live"
    where = "with real money" if real else "on paper"
    st.caption(f"Sends a real alert to {text(bot.name)}, executed {where}. Works without a public address.")
    action = st.segmented_control(
        "Action",
        ["buy", "sell", "close"],
        default="buy",
        required=True,
        key="test_action",
        label_visibility="collapsed",
    )
    sure = (
        not real
        or st.text_input("Type the bot's name to confirm: this trades real money", key="sure") == bot.name
    )
    # The alert id is created with the form: two clicks are one alert and one order.
    request_id = st.session_state.setdefault("test_id", new_id(app.clock.now()))
    if st.button(
        "Send a test alert", type="primary", icon=":material/bolt:", key="send_test", disabled=not sure
    ):
        raw = message_to_try(bot, action or "buy", request_id)
        with trying() as attempt:
            demo.check_alerts(app, user)
            read = parse(raw.encode())
            result = quotas.accept_alert(
                app, user, read.signal, content=read.canonical, raw=raw, sender=user.email
            )
        if attempt.ok:
            st.session_state.pop("test_id", None)
            st.session_state["tested"] = result.signal_id
            if isinstance(result, Receipt):
                app.wait(user.id, result.signal_id, WAIT, fresh=not result.duplicate)
    if "tested" in st.session_state:
        _watch(st.session_state["tested"])


@live
def _watch(user: User, signal_id: str) -> None:
    story = signal_story.story(get_app(), user.id, signal_id)
    if story is None:
        return
    words, tone = status(story.status)
    with st.container(horizontal=True, vertical_alignment="center"):
        badge(words, tone)
        st.caption(text(reason_sentence(user, story.reason)))
    story_lines(user, story.steps)
