"""One bot: its position and candles, what its signals came to, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.ports import BrokerError
from dashtrade.services import bots as service
from dashtrade.tables import orders as order_table
from dashtrade.tables.people import User
from dashtrade.ui import bot_form, cells, closing, data, prices
from dashtrade.ui.bot_list import state_of
from dashtrade.ui.errors import trying
from dashtrade.ui.lists import exits_said, signal_rows
from dashtrade.ui.page import actions, guard, live, panel, the_app
from dashtrade.ui.parts import Card, cards, profit_curve, table
from dashtrade.ui.words import count, money, percent, price, quantity, sentence, signed, text, tone

CANDLES = 120
COLOURS = {"up": "green", "down": "red", "warn": "orange", "info": "blue"}


def show(app: App, user: User, bot_id: int) -> None:
    try:
        bot = service.bot_of(app, user, bot_id)
    except service.NotFound:
        st.info("There is no such bot of yours; it may have been deleted.")
        if st.button("Back to all bots", icon=":material/arrow_back:"):
            _back()
        return
    with actions():
        if st.button("All bots", icon=":material/arrow_back:", key="back"):
            _back()
        _buttons(app, user, bot)
    words, mark = state_of(bot)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(text(bot.name), anchor=False, width="content")
        st.badge(words, color=COLOURS.get(mark, "gray"))
        st.caption(f"{text(bot.symbol.short)} · {bot.timeframe.shown} · {text(_size(bot))}", width="content")
    if not bot.is_active and bot.paused_reason != "paused by its user":
        st.warning(f"{text(sentence(bot.paused_reason))} Resume it when you have looked into it.", icon=":material/pause_circle:")
    _now(bot_id)
    left, right = st.columns([1.7, 1], gap="small")
    with right:
        _signals(bot_id)
    with left:
        _chart(app, user, bot)
        days = data.net_by_day(data.days(app, user, bot_id=bot_id))
        if any(net for _, net in days):
            with panel("Profit so far", key="bot_profit"):
                profit_curve("bot_curve", days, height=170)


def _size(bot: Bot) -> str:
    kinds = {"dollars": f"${plain_number(bot)} a trade", "quantity": f"{plain_number(bot)} a trade", "percent_of_equity": f"{plain_number(bot)}% of equity a trade"}
    return kinds[bot_form.SIZE_NAMES[bot.size.kind]]


def plain_number(bot: Bot) -> str:
    return quantity(bot.size.value)


def _back() -> None:
    st.query_params.pop("bot", None)
    st.rerun()


def _buttons(app: App, user: User, bot: Bot) -> None:
    if st.button("Pause" if bot.is_active else "Resume", icon=":material/pause:" if bot.is_active else ":material/play_arrow:", key="toggle"):
        with trying() as attempt:
            service.set_active(app, user, bot.id, not bot.is_active)
        if attempt.ok:
            st.rerun()
    if bot.position.quantity and st.button("Close", icon=":material/close:", key="close"):
        closing.ask(bot.id)
    if st.button("Change", icon=":material/tune:", key="change"):
        bot_form.ask_change(bot)
    if st.button("Delete", icon=":material/delete:", key="delete"):
        _delete(bot)


@live
def _now(user: User, bot_id: int) -> None:
    app = the_app()
    bot = service.bot_of(app, user, bot_id)
    account = next((a for a in data.accounts(app, user) if a.id == bot.account_id), None)
    held = prices.holding(app, bot, account)
    owns = bool(bot.position.quantity)
    side = f"{bot.position.side.value.capitalize()} {quantity(abs(bot.position.quantity))}" if owns else "Flat"
    cards("bot_figures", [
        Card(label="Position", value=side, note=_held_at(bot) if owns else "owns nothing now"),
        Card(label="Open profit", value=signed(held.unrealized), tone=tone(held.unrealized), live=cells.profit(held).live, note=percent(held.percent, sign=True) if owns else "–"),
        Card(label="Realised, after fees", value=signed(bot.total_pnl), tone=tone(bot.total_pnl), note=f"{money(bot.fees)} fees in {count(bot.total_trades, 'trade')}"),
        Card(label="Today", value=signed(_today(app, bot)), tone=tone(_today(app, bot)), note=count(bot.day(app.clock.now().date()).trades, "trade")),
    ])  # fmt: skip


def _held_at(bot: Bot) -> str:
    kept = exits_said(bot)
    return f"at {price(bot.position.average_price)}" + (f", {kept}" if kept else "")


def _today(app: App, bot: Bot):  # noqa: ANN202
    day = bot.day(app.clock.now().date())
    return day.realized - day.fees


@live
def _signals(user: User, bot_id: int) -> None:
    with panel("Latest signals", key="bot_signals"):
        found = data.signals(the_app(), user, limit=8, bot_id=bot_id)
        if not found:
            st.caption("No alert for this bot yet.")
            return
        columns, rows = signal_rows(user, found, brief=True)
        clicked = table("bot_latest", "Latest signals of this bot", columns, rows, opens=True)
        if clicked:
            st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})


def _chart(app: App, user: User, bot: Bot) -> None:
    account = next((a for a in data.accounts(app, user) if a.id == bot.account_id), None)
    with panel(f"{text(bot.symbol.short)}, {bot.timeframe.shown}", key="bot_chart"):
        if account is None:
            return
        try:
            candles = app.brokers.feed(account).candles(bot.symbol, bot.timeframe, end=app.clock.now(), count=CANDLES)
        except BrokerError as error:
            st.caption(f"No prices now: {text(error.message)}")
            return
        with app.db.read() as conn:
            trades = order_table.list_trades(conn, user.id, before=None, limit=100, bot_id=bot.id)
        from dashtrade.ui.charts import candle_chart  # plotly costs memory, and is wanted only here

        figure = candle_chart(user, candles, [trade for trade in trades if candles and trade.at >= candles[0].at], bot)
        st.plotly_chart(figure, key="candles", config={"displayModeBar": False, "scrollZoom": False})


@st.dialog("Delete the bot")
def _delete(bot: Bot) -> None:
    st.markdown(f"**{text(bot.name)}** stops listening. Its history stays.")
    position, heir = None, None
    if bot.position.quantity:
        st.markdown(f"It owns **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}**. What should become of that?")
        others = {b.id: b for b in data.bots(the_app(), guard()) if b.id != bot.id and (b.account_id, b.symbol) == (bot.account_id, bot.symbol)}
        choice = st.radio("Its position", ["Close it at the market first", *(["Give it to another bot"] if others else [])], label_visibility="collapsed")
        position = "hand_over" if choice == "Give it to another bot" else "close"
        if position == "hand_over":
            heir = st.selectbox("Which bot", list(others), format_func=lambda key: others[key].name)
    if st.button("Delete", type="primary", key="delete_yes"):
        with trying() as attempt:
            service.delete_bot(the_app(), guard(), bot.id, position=position, hand_to=heir)
        if attempt.ok:
            st.query_params.pop("bot", None)
            st.rerun()
