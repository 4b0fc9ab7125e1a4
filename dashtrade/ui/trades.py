"""The trade history. It never counts rows: a million of them open as quickly as ten."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.values import Malformed, Symbol, iso
from dashtrade.tables import orders as order_table
from dashtrade.tables.people import User
from dashtrade.ui import data, scope
from dashtrade.ui.downloads import MY_TRADES
from dashtrade.ui.errors import explained
from dashtrade.ui.page import empty, panel
from dashtrade.ui.parts import Cell, Column, Row, table
from dashtrade.ui.words import moment, money, price, quantity, signed, tone, zone

PAGE = 50
COLUMNS = [
    Column(label="Trade"), Column(label="Bot", wide_only=True), Column(label="Size", number=True, wide_only=True), Column(label="Price", number=True, wide_only=True),
    Column(label="Amount", number=True, wide_only=True), Column(label="Fee", number=True, wide_only=True), Column(label="Profit", number=True),
    Column(label="Broker's id", wide_only=True), Column(label="Time", number=True),
]  # fmt: skip


def show(app: App, user: User) -> None:
    with app.db.read() as conn:
        any_at_all = order_table.list_trades(conn, user.id, before=None, limit=1)
    if not any_at_all:
        empty("No trade yet. The first fill of one of your bots will stand here.", "Send a test alert", to="pages/setup.py", query={"part": "Alerts"}, icon=":material/bolt:")
        return
    names, chosen = data.bot_names(app, user), scope.current(app, user)
    try:
        wanted = _filters(user, data.bot_names(app, user, chosen)) | {"scope": chosen}
    except Malformed as error:
        st.error(explained(error))
        return
    page = st.query_params.get("before", "")
    before = int(page) if page.isascii() and page.isdigit() and len(page) < 19 else None
    with app.db.read() as conn:
        found = order_table.list_trades(conn, user.id, before=before, limit=PAGE + 1, **wanted)
    _page(app, user, found, names)
    _below(found, wanted, before)


def _filters(user: User, names: dict[int, str]) -> dict[str, Any]:
    first, second, third, fourth, fifth = st.columns([1, 1.3, 0.9, 1, 1], gap="small", vertical_alignment="bottom")
    symbol = first.text_input("Symbol", key="symbol", placeholder="Any", bind="query-params", max_chars=40, on_change=_to_first_page)
    bot = second.selectbox("Bot", ["", *map(str, names)], format_func=lambda key: names[int(key)] if key else "All bots", key="of_bot", bind="query-params", on_change=_to_first_page)
    side = third.selectbox("Side", ["", "buy", "sell"], format_func=lambda key: key.capitalize() or "Both", key="side", bind="query-params", on_change=_to_first_page)
    since = fourth.date_input("From", value=None, key="since", bind="query-params", on_change=_to_first_page)
    until = fifth.date_input("To", value=None, key="until", bind="query-params", on_change=_to_first_page)
    return {
        "symbol": Symbol.parse(symbol) if symbol and symbol.strip() else None, "bot_id": int(bot) if bot else None, "action": side or None,
        "since": _start_of(user, since), "until": _start_of(user, until + timedelta(days=1)) if isinstance(until, date) else None,
    }  # fmt: skip


def _to_first_page() -> None:
    st.query_params.pop("before", None)


def _start_of(user: User, day: Any) -> datetime | None:
    """A day begins when it does where the user is."""
    return datetime.combine(day, time(), tzinfo=zone(user)) if isinstance(day, date) else None


def _page(app: App, user: User, found: list[Any], names: dict[int, str]) -> None:
    with panel(key="trades_panel"):
        if not found:
            st.caption("No trade fits. Change the filters above.")
            return
        rows = [
            Row(id=row.signal_id, kind="live" if row.live else "", cells=[
                Cell(text=f"{row.action.capitalize()} {row.symbol.short}", sub=_effect(row)), Cell(text=names.get(row.bot_id, "Deleted bot")),
                Cell(text=quantity(row.quantity)), Cell(text=price(row.price)), Cell(text=money(row.notional, row.symbol.currency)),
                Cell(text=money(row.fee, row.symbol.currency) if row.fee else "–"),
                Cell(text=signed(row.realized_pnl, row.symbol.currency), tone=tone(row.realized_pnl)) if row.effect not in ("open", "add") else Cell(text="–"),
                Cell(text=(row.broker_order_id or "")[-14:]), Cell(text=moment(user, row.at, seconds=True)),
            ])
            for row in found[:PAGE]
        ]  # fmt: skip
        clicked = table("trades", "Trades, newest first", COLUMNS, rows, opens=True)
    if clicked:
        st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})


def _effect(row: Any) -> str:
    said = {"open": "opens", "add": "adds", "close": "closes", "reduce": "reduces"}.get(row.effect, row.effect)
    return said + (" · partly filled" if row.status != "filled" else "") + (" · simulated" if row.simulated else "") + (" · LIVE" if row.live else "")


def _below(found: list[Any], wanted: dict[str, Any], before: int | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.link_button(
            "Download as CSV", f"{MY_TRADES}?{urlencode(_told(wanted))}", icon=":material/download:",
            help="All trades that fit the filters, not this page alone. Times are UTC.",
        )  # fmt: skip
        st.space("stretch")
        if before is not None and st.button("Newest", icon=":material/first_page:", key="newest"):
            _to_first_page()
            st.rerun()
        if len(found) > PAGE and st.button("Older", icon=":material/chevron_right:", icon_position="right", key="older"):
            st.query_params["before"] = str(found[PAGE - 1].id)
            st.rerun()


def _told(wanted: dict[str, Any]) -> dict[str, str]:
    """The filters as the file's address names them."""
    named = {"symbol": wanted["symbol"] and wanted["symbol"].text, "bot": wanted["bot_id"], "action": wanted["action"], "scope": wanted["scope"].text}
    moments = {name: iso(wanted[name]) for name in ("since", "until") if wanted[name] is not None}
    return {name: str(value) for name, value in (named | moments).items() if value is not None}
