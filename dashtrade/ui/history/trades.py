"""The trade history: round trips, open round trips, and fills. Paged by cursor, however many there are."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.values import plain
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.trading import trades as trade_service
from dashtrade.services.trading.trades import Trade
from dashtrade.ui.history import filters as trade_filters
from dashtrade.ui.history import round_trips
from dashtrade.ui.history.filters import PAGE, Filters
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import moment, money, price, quantity, signed, size, tone
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.downloads import MY_TRADES, MY_TRIPS
from dashtrade.ui.shell.page import empty, panel

COLUMNS = [
    Column(label="Fill"),
    Column(label="Bot", wide_only=True),
    Column(label="Size", number=True, wide_only=True),
    Column(label="Price", number=True, wide_only=True),
    Column(label="Amount", number=True, wide_only=True),
    Column(label="Fee", number=True, wide_only=True),
    Column(label="Realised P&L", number=True),
    Column(label="Broker's id", wide_only=True),
    Column(label="Time", number=True),
]


def show(app: App, user: User) -> None:
    traded = trade_service.traded_symbols(app, user)
    if not traded:
        empty(
            "No trades yet. The first fill of one of your bots appears here.",
            "Send a test alert",
            to="pages/setup.py",
            query={"part": "Alerts"},
            icon=":material/bolt:",
        )
        return
    names, chosen = bot_names(app, user), scope.current(app, user)
    shown = trade_filters.view()
    file = MY_TRADES if shown == "fills" else f"{MY_TRIPS}/{'open' if shown == 'open' else 'closed'}"
    filters = trade_filters.filter_bar(user, traded, bot_names(app, user, chosen), shown, file, chosen)
    if shown == "fills":
        _fills(app, user, filters, names)
    else:
        round_trips.show(app, user, filters, names, is_open=shown == "open")


def _fills(app: App, user: User, filters: Filters, names: dict[int, str]) -> None:
    text = st.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    found = trade_service.trades(app, user, before=before, limit=PAGE + 1, **fills_wanted(filters))
    with panel(key="trades_panel"):
        if not found:
            st.caption("No fills match. Change the filters above.")
            return
        clicked = table(
            "trades",
            "Fills, newest first",
            COLUMNS,
            [_row(user, row, names) for row in found[:PAGE]],
            opens=True,
        )
    trade_filters.pager(found, str(found[:PAGE][-1].id), None)
    if clicked:
        st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})


def fills_wanted(filters: Filters) -> dict[str, Any]:
    return {
        "symbols": list(filters.symbols),
        "bot_id": filters.bot_id,
        "action": filters.side,
        "since": filters.since,
        "until": filters.until,
        "scope": filters.scope,
    }


def _row(user: User, row: Trade, names: dict[int, str]) -> Row:
    currency = row.symbol.currency
    closes = row.effect not in ("open", "add")
    return Row(
        id=row.signal_id,
        cells=[
            Cell(text=f"{row.action.capitalize()} {row.symbol.short}", sub=_effect(row)),
            Cell(text=names.get(row.bot_id, "Deleted bot")),
            Cell(text=size(row.quantity), hint=quantity(row.quantity)),
            Cell(text=price(row.price), hint=plain(row.price)),
            Cell(text=money(row.notional, currency), hint=plain(row.notional)),
            Cell(text=money(row.fee, currency) if row.fee else "–", hint=plain(row.fee)),
            Cell(
                text=signed(row.realized_pnl, currency),
                tone=tone(row.realized_pnl),
                hint=plain(row.realized_pnl),
            )
            if closes
            else Cell(text="–"),
            Cell(text=(row.broker_order_id or "")[-14:], hint=row.broker_order_id or ""),
            Cell(text=moment(user, row.at, seconds=True)),
        ],
    )


def _effect(row: Trade) -> str:
    label = {"open": "opens", "add": "adds", "close": "closes", "reduce": "reduces"}.get(
        row.effect, row.effect
    )
    return (
        label
        + (" · partly filled" if row.status != "filled" else "")
        + (" · simulated" if row.simulated else "")
        + (" · crossed" if row.crossed else "")
    )
