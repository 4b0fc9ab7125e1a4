"""The list of signals with its filters in the address, and one signal's story with actions on its orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from bot_engine import Lane, Receipt
from dashtrade.context import App
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, as_sentence, new_id, plain
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.trading import orders as order_service
from dashtrade.services.trading import replay, signal_story
from dashtrade.services.trading import signals as signal_service
from dashtrade.services.trading.signal_story import BotDecision
from dashtrade.ui.kit.components import Cell, Column, Row, badge, table
from dashtrade.ui.kit.format import price, reason_sentence, reason_words, status, text
from dashtrade.ui.kit.rows import signal_rows, story_lines
from dashtrade.ui.shell.errors import explained, trying
from dashtrade.ui.shell.page import actions, empty, get_app, guard, live, panel

PAGE = 50
OUTCOMES = {
    "": "All",
    "filled": "Filled",
    "working": "Working",
    "accepted": "In progress",
    "refused": "Refused",
    "failed": "Failed",
    "attention": "Needs attention",
}


def show(app: App, user: User) -> None:
    chosen = st.query_params.get("signal", "")
    if chosen:
        _one(app, user, chosen[:60])
    else:
        _list(app, user)


# --- the list -----------------------------------------------------------------------------------------------


def _list(app: App, user: User) -> None:
    if not signal_service.signals(app, user, limit=1):
        empty(
            "No alerts yet. Each alert appears here with its timeline, refused ones too.",
            "Set up an alert",
            to="pages/setup.py",
            query={"part": "Alerts"},
            icon=":material/bolt:",
        )
        return
    bots = bot_names(app, user)
    left, middle, right = st.columns([1, 1, 1.2], gap="small", vertical_alignment="bottom")
    symbol = left.text_input("Symbol", key="symbol", placeholder="Any", bind="query-params", max_chars=40)
    bot = middle.selectbox(
        "Bot",
        ["", *map(str, bots)],
        format_func=lambda key: bots[int(key)] if key else "All bots",
        key="of_bot",
        bind="query-params",
    )
    outcome = right.selectbox(
        "Outcome", list(OUTCOMES), format_func=OUTCOMES.__getitem__, key="outcome", bind="query-params"
    )
    query: dict[str, Any] = {"status": outcome or None, "bot_id": int(bot) if bot else None}
    if symbol and symbol.strip():
        try:
            query["symbol"] = Symbol.parse(symbol)
        except Malformed as error:
            st.error(explained(error))
            return
    _filtered(query, f"{symbol}|{bot}|{outcome}")


@live
def _filtered(user: User, query: dict[str, Any], name: str) -> None:
    """Paged by cursor: page one hundred is as fast as the first. Previous cursors are kept, as rows are
    not counted."""
    before = st.session_state.setdefault("signal_pages", {}).setdefault(name, [])
    found = signal_service.signals(
        get_app(), user, limit=PAGE + 1, before=before[-1] if before else None, **query
    )
    with panel(key="signals_panel"):
        if not found:
            st.caption("No signals match. Change the filters above.")
        columns, rows = signal_rows(user, found[:PAGE])
        clicked = table("signals", "Signals, newest first", columns, rows, opens=True) if found else None
    with st.container(horizontal=True, horizontal_alignment="right"):
        if before and st.button("Newer", icon=":material/chevron_left:", key="newer"):
            before.pop()
            st.rerun(scope="fragment")
        if len(found) > PAGE and st.button(
            "Older", icon=":material/chevron_right:", icon_position="right", key="older"
        ):
            before.append(found[PAGE - 1].id)
            st.rerun(scope="fragment")
    if clicked:
        st.query_params["signal"] = clicked[0]
        st.rerun()


# --- one signal ---------------------------------------------------------------------------------------------


def _one(app: App, user: User, signal_id: str) -> None:
    with actions():
        if st.button("All signals", icon=":material/arrow_back:", key="all_signals"):
            st.query_params.pop("signal", None)
            st.rerun()
    story = signal_story.story(app, user.id, signal_id)
    if story is None:
        st.info("No such signal.")
        return
    with actions():
        if (
            story.raw is not None
            and story.signal.symbol
            and st.button("Replay on paper", icon=":material/replay:", key="replay")
        ):
            _replay(signal_id, new_id(app.clock.now()))
    _story(signal_id)
    with panel("Raw message", key="raw_panel"):
        if story.raw is None:
            st.caption("Raw messages are deleted after a while; the result stays.")
        else:
            language = "json" if story.raw.lstrip().startswith("{") else None
            st.code(story.raw, language=language, wrap_lines=True)


@st.dialog("Replay on paper", icon=":material/replay:")
def _replay(signal_id: str, request_id: str) -> None:
    """The request id is created when the dialog opens, so that two clicks are one signal."""
    app, user = get_app(), guard()
    bots = {bot.id: bot for bot in replay.bots_for(app, user, signal_id)}
    if not bots:
        st.markdown(
            "None of your bots on a paper account trades this symbol. Create one to replay the alert."
        )
        if st.button("Create bot", type="primary", key="replay_bot"):
            st.switch_page("pages/bots.py", query_params={"new": "yes"})
        return
    st.markdown(
        "The message is sent again as a new signal to a bot on **paper**. Live accounts are not touched."
    )
    bot_id = st.selectbox(
        "Bot",
        list(bots),
        format_func=lambda key: f"{bots[key].name} · {bots[key].timeframe.shown}",
        key="replay_to",
    )
    if st.button("Replay", type="primary", key="replay_yes"):
        with trying() as attempt:
            result = replay.on_paper(app, user, signal_id, bot_id=bot_id, request_id=request_id)
        if not attempt.ok:
            return
        if not isinstance(result, Receipt):
            st.error(text(as_sentence(result.message)))
        else:
            app.wait(user.id, result.signal_id, 2.0, fresh=not result.duplicate)
            st.query_params["signal"] = result.signal_id
            st.rerun()


@live
def _story(user: User, signal_id: str) -> None:
    app = get_app()
    story = signal_story.story(app, user.id, signal_id)
    if story is None:
        return
    words, tone = status(story.status)
    symbol = story.signal.symbol
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(
            text(f"{story.signal.action.capitalize()} {symbol.short}")
            if symbol
            else "An alert that could not be read",
            anchor=False,
            width="content",
        )
        badge(words, tone)
    if story.reason:
        st.markdown(text(reason_sentence(user, story.reason)))
    left, right = st.columns([1.4, 1], gap="small")
    with left, panel("Timeline", key="story_panel"):
        story_lines(user, story.steps)
    with right:
        _orders(app, user, story.orders)
        _would(user, story.bots, bot_names(app, user))


def _would(user: User, decisions: Sequence[BotDecision], names: dict[int, str]) -> None:
    refused = [decision for decision in decisions if decision.would]
    if refused:
        with panel("Blocked orders", key="would_panel"):
            for decision in refused:
                name = text(names.get(decision.bot_id, "A deleted bot"))
                st.markdown(f"**{name}** {text(reason_words(user, decision.would))}")


def _orders(app: App, user: User, orders: Sequence[Order]) -> None:
    if not orders:
        return
    with panel("Orders", key="orders_panel"):
        columns = [Column(label="Order"), Column(label="Status"), Column(label="Filled", number=True)]
        clicked = table("orders", "Orders of this signal", columns, [_order_row(order) for order in orders])
        if clicked:
            with trying() as attempt:
                after = order_service.cancel(app, user, clicked[0])
            if attempt.ok:
                app.engine.host.wake(Lane(after.account_id, after.symbol), after.signal_id)
                st.rerun(scope="fragment")
        for order in orders:
            if order.status is OrderStatus.ATTENTION:
                _resolve(app, order)


def _order_row(order: Order) -> Row:
    words, tone = status(order.status)
    asked, filled = plain(order.quantity), plain(order.filled_quantity)
    open_ = order.is_open and order.status is not OrderStatus.ATTENTION
    return Row(
        id=order.id,
        actions=(("cancel", "Cancel"),) if open_ else (),
        cells=[
            Cell(text=f"{order.side.capitalize()} {asked}", sub=f"{order.type} · {order.id[-8:]}"),
            Cell(text=words, tone=tone, badge=True),
            Cell(
                text=f"{filled} of {asked}",
                sub=f"at {price(order.average_price)}" if order.average_price is not None else "",
            ),
        ],
    )


def _resolve(app: App, order: Order) -> None:
    """Asks what only a person can find out: whether the broker has the order."""
    st.warning(
        "Order status unknown: DashTrade cannot tell whether the broker has this order "
        f"({text(order.broker_order_id or order.id)}). Check at your broker, then choose below. Until then "
        "no more orders are sent for this symbol.",
        icon=":material/help:",
    )
    with st.container(horizontal=True):
        look = st.button("Look up again", key=f"look_{order.id}")
        gone = st.button("The broker does not have this order", key=f"gone_{order.id}")
    if look or gone:
        with trying() as attempt:
            after = order_service.resolve(app, guard(), order.id, "look_again" if look else "not_placed")
        if attempt.ok:
            app.engine.host.wake(Lane(after.account_id, after.symbol), after.signal_id)
            st.rerun(scope="fragment")
