"""Live positions: each account's money and what it holds, as the broker says, split into the bots' own and what is outside."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.drift import asset_of
from dashtrade.domain.ports import AccountState, BrokerError, BrokerPosition
from dashtrade.domain.values import ZERO, Side, Symbol
from dashtrade.services import drifts
from dashtrade.services.portfolio_summary import USUAL, open_profit
from dashtrade.services.scope import covered, of_account
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User
from dashtrade.ui import cells, closing, data, drifting, moving, scope
from dashtrade.ui.lists import exits_said, side_cell
from dashtrade.ui.page import empty, live, panel, the_app
from dashtrade.ui.parts import Card, Cell, Column, Row, cards, table
from dashtrade.services.prices import Holding, money_badge, positions_of, state_of
from dashtrade.ui.words import count, money, price, quantity, sentence, signed, text, tone

COLUMNS = [
    Column(label="Market"), Column(label="Side"), Column(label="Size", number=True), Column(label="Entry", number=True), Column(label="Price", number=True),
    Column(label="Value", number=True, wide_only=True), Column(label="Profit", number=True), Column(label="Exits"),
]  # fmt: skip


@live
def board(user: User) -> None:
    app = the_app()
    accounts = data.accounts(app, user)
    if not accounts:
        empty("There is no broker account yet, so nothing can be held.", "Open an account", to="pages/setup.py", icon=":material/add:")
        return
    chosen = scope.current(app, user)
    accounts = covered(chosen, accounts)
    if not accounts:
        st.info(f"There is no account with {chosen.money} money. Switch to the other kind above.")
    held = data.holdings(app, user, chosen, open_only=True)
    found = drifts.drifts(app, user)
    for account in accounts:
        _account(app, account, [h for h in held if h.bot.account_id == account.id], [d for d in found if d["account_id"] == account.id])


def _account(app: App, account: Account, held: Sequence[Holding], differ: Sequence[dict[str, Any]]) -> None:
    state, at_broker = state_of(app, account), positions_of(app, account)
    with st.container(key=f"positions_{account.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(text(account.label), anchor=False, width="content")
            st.badge(money_badge(account)[0], color=money_badge(account)[1])
        if isinstance(state, BrokerError) or isinstance(at_broker, BrokerError):
            error = state if isinstance(state, BrokerError) else at_broker
            st.warning(
                f"**{text(account.label)} cannot be asked now.** {text(sentence(error.message))} What the bots own is shown from our own books.",  # type: ignore[union-attr]
                icon=":material/cloud_off:",
            )
        for drift in differ:
            drifting.notice(drift)
        _money(account, state, held)
        _table(account, held, {} if isinstance(at_broker, BrokerError) else at_broker, known=not isinstance(at_broker, BrokerError))


def _money(account: Account, state: AccountState | BrokerError, held: Sequence[Holding]) -> None:
    known = None if isinstance(state, BrokerError) else state
    currency = known.currency if known else USUAL
    opened = open_profit(held)
    own = opened.pop(currency, ZERO)
    others = "".join(f"; {signed(profit, other)}" for other, profit in opened.items())
    key = of_account(account).text
    cards(f"money_{account.id}", [
        Card(label="Equity", value=money(known.equity if known else None, currency), live=f"eq{account.id}", note="as the broker counts it"),
        Card(label="Open profit of bots", value=signed(own, currency), tone=tone(own), live=f"open:{key}:{currency}", note=count(len(held), "position") + others),
        Card(label="Cash", value=money(known.cash if known else None, currency), live=f"cash{account.id}", note=known.currency if known else ""),
        Card(label="Buying power", value=money(known.buying_power if known else None, currency), live=f"bp{account.id}", note="for new positions"),
    ])  # fmt: skip


def _table(account: Account, held: Sequence[Holding], at_broker: dict[Symbol, BrokerPosition], *, known: bool) -> None:
    outside = cells.outside_of(account, held, at_broker) if known else []
    with panel(key=f"held_{account.id}"):
        if not held and not outside:
            st.caption("Nothing is held here. What your bots buy shows up at once, and so does what you buy yourself at the broker.")
            return
        theirs = cells.assets_of(at_broker)
        rows = [_bot_row(h, theirs.get(asset_of(h.bot.symbol)), known) for h in held] + [_outside_row(account, *found) for found in outside]
        clicked = table(f"held_table_{account.id}", f"What {account.label} holds", COLUMNS, rows, opens=True, stacked=True)
    if clicked:
        _act(*clicked)


def _bot_row(held: Holding, theirs: BrokerPosition | None, known: bool) -> Row:
    bot = held.bot
    part = "" if not known or theirs is None or theirs.quantity == bot.position.quantity else f"of {quantity(theirs.quantity)} at the broker"
    kept, by = exits_said(bot)
    return Row(id=str(bot.id), kind=scope.kind(held.account), actions=(("move", "Stop"), ("part", "Part"), ("close", "Close")), cells=[
        Cell(text=bot.symbol.short, sub=bot.name), side_cell(bot.position.side), Cell(text=quantity(abs(bot.position.quantity)), sub=part),
        Cell(text=price(bot.position.average_price)), cells.mark(held), cells.value(held), cells.profit(held),
        Cell(text=kept or "none", tone="" if kept else "mute", sub=by),
    ])  # fmt: skip


def _outside_row(account: Account, position: BrokerPosition, outside: Decimal) -> Row:
    """Bought by hand, by another program, or by a split; negative: the bots' books say more than the broker has."""
    missing = abs(position.quantity) < abs(position.quantity - outside) or position.quantity * outside < 0
    if missing:
        return Row(id=f"outside:{position.symbol.text}", opens=False, kind="outside", cells=[
            Cell(text=position.symbol.short, sub="not at the broker"), Cell(text="Missing", tone="warn", badge=True),
            Cell(text=quantity(abs(outside)), sub=f"{quantity(position.quantity)} at the broker"), Cell(text="–"), cells.outside_mark(account, position),
            Cell(text="–"), Cell(text="–"), Cell(text="the bots' books say more than the broker has", tone="warn"),
        ])  # fmt: skip
    return Row(id=f"outside:{position.symbol.text}", opens=False, kind="outside", cells=[
        Cell(text=position.symbol.short, sub="Outside DashTrade"), side_cell(Side.of(outside)),
        Cell(text=quantity(abs(outside)), sub=f"of {quantity(position.quantity)} at the broker" if position.quantity != outside else ""),
        Cell(text=price(position.average_price)), cells.outside_mark(account, position), Cell(text=money(abs(outside) * position.mark, position.symbol.currency) if position.mark else "–"),
        cells.outside_profit(account, position, outside), Cell(text="not a bot's", tone="mute"),
    ])  # fmt: skip


def _act(name: str, what: str) -> None:
    match what:
        case "close" | "part":
            closing.ask(int(name), part=what == "part")
        case "move":
            moving.ask(int(name))
        case _:
            st.switch_page("pages/bots.py", query_params={"bot": name})
