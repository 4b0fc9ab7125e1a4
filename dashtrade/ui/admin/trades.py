"""All users' trades, for admins. Never counts rows, like the history of one user."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.people import admin as admin_service
from dashtrade.services.trading import trades as trade_service
from dashtrade.services.trading.trades import TradeOfUser
from dashtrade.ui.admin.admin import PAGE, cursor, pager
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import moment, money, price, quantity, signed, tone
from dashtrade.ui.shell.downloads import ALL_TRADES, admin_filters
from dashtrade.ui.shell.errors import explained
from dashtrade.ui.shell.page import panel

COLUMNS = [
    Column(label="Trade"),
    Column(label="Size", number=True, wide_only=True),
    Column(label="Price", number=True, wide_only=True),
    Column(label="Amount", number=True, wide_only=True),
    Column(label="Profit", number=True),
    Column(label="Time", number=True),
]


def show(app: App, user: User) -> None:
    before = cursor("trades_before")
    first, second, third, fourth = st.columns([1, 1.6, 0.9, 1.1], gap="small", vertical_alignment="bottom")
    symbol, email, side = _symbol(first), _email(second), _side(third)
    try:
        given = {"symbol": symbol, "action": side, "of_user": _number(app, user, email)}
        filters = admin_filters(given)
    except Malformed as error:
        st.error(explained(error))
        return
    fourth.link_button(
        "Download CSV", f"{ALL_TRADES}?{urlencode(given)}", icon=":material/download:", width="stretch"
    )
    found = trade_service.of_all_users(app, user, before=before or None, limit=PAGE + 1, **filters)
    with panel(key="all_trades_panel"):
        if not found:
            st.caption("No trades match." if any(given.values()) else "No trades yet.")
            return
        rows = [_row(user, trade) for trade in found[:PAGE]]
        table("all_trades", "All users' trades, newest first", COLUMNS, rows)
    pager(found, before, "trades_before", lambda trade: trade.id)


def _symbol(column: DeltaGenerator) -> str:
    entered = column.text_input(
        "Symbol", key="of_symbol", placeholder="Any", bind="query-params", max_chars=40, on_change=_first_page
    )
    return entered or ""


def _email(column: DeltaGenerator) -> str:
    entered = column.text_input(
        "User",
        key="of_email",
        placeholder="Full email address",
        bind="query-params",
        max_chars=254,
        on_change=_first_page,
    )
    return entered or ""


def _side(column: DeltaGenerator) -> str:
    chosen = column.selectbox(
        "Side",
        ["", "buy", "sell"],
        format_func=lambda key: key.capitalize() or "Both",
        key="of_side",
        bind="query-params",
        on_change=_first_page,
    )
    return chosen or ""


def _row(user: User, trade: TradeOfUser) -> Row:
    return Row(
        id=str(trade.id),
        cells=[
            Cell(
                text=f"{trade.action.capitalize()} {trade.symbol.short}",
                sub=trade.email,
                tone="up" if trade.action == "buy" else "down",
            ),
            Cell(text=quantity(trade.quantity)),
            Cell(text=price(trade.price)),
            Cell(text=money(trade.notional)),
            Cell(
                text=signed(trade.realized_pnl) if trade.realized_pnl else "–", tone=tone(trade.realized_pnl)
            ),
            Cell(text=moment(user, trade.at, seconds=True)),
        ],
    )


def _number(app: App, user: User, email: str) -> str:
    if not email.strip():
        return ""
    found = admin_service.find_by_email(app, user, email)
    if found is None:
        raise Malformed(
            f"there is no user with the email {email.strip()[:60]!r}",
            where="of_email",
            hint="Type the full address, or leave the field empty.",
        )
    return str(found.id)


def _first_page() -> None:
    st.query_params.pop("trades_before", None)
