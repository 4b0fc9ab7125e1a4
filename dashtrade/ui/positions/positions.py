"""Open positions: each account's money and holdings, as last reported by the broker, split into the bots'
own and those outside; and open orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import streamlit as st

from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.ports import BrokerPosition
from dashtrade.domain.position_mismatch import Drift, asset_of
from dashtrade.domain.values import ZERO, Side
from dashtrade.services.accounts import position_mismatch
from dashtrade.services.accounts.owned import accounts_of, live_first
from dashtrade.services.accounts.prices import BotHolding, KnownAccount, money_badge
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading.portfolio_summary import DEFAULT_CURRENCY, open_profit
from dashtrade.services.trading.scope import covered, of_account
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.components import Card, Cell, Column, Row, badge, cards, table
from dashtrade.ui.kit.format import count, moment, money, price, quantity, signed, text, tone
from dashtrade.ui.kit.rows import exits_in_short, side_cell
from dashtrade.ui.positions import close_dialog, exits_dialog, mismatch_dialog, open_orders
from dashtrade.ui.shell import connection_state, scope
from dashtrade.ui.shell.connection_state import ConnectionState
from dashtrade.ui.shell.page import empty, get_app, live, panel

COLUMNS = [
    Column(label="Market"),
    Column(label="Side"),
    Column(label="Size", number=True),
    Column(label="Entry", number=True),
    Column(label="Price", number=True),
    Column(label="Value", number=True, wide_only=True),
    Column(label="P&L", number=True),
    Column(label="Exits"),
]


@live(every=15)
def board(user: User) -> None:
    app = get_app()
    accounts = accounts_of(app, user)
    if not accounts:
        empty("No broker account yet.", "Open an account", to="pages/setup.py", icon=":material/add:")
        return
    chosen = scope.current(app, user)
    accounts = covered(chosen, accounts)
    if not accounts:
        st.info(f"You have no account with {chosen.money} money. Choose another scope above.")
    open_orders.show_list(app, user, scope=chosen)
    held = portfolio_summary.holdings(app, user, chosen, open_only=True)
    found = position_mismatch.drifts(app, user)
    for account in live_first(accounts):
        _account(
            user,
            account,
            [h for h in held if h.bot.account_id == account.id],
            [each.drift for each in found if each.drift.account_id == account.id],
        )


def _account(user: User, account: Account, held: Sequence[BotHolding], differ: Sequence[Drift]) -> None:
    one = connection_state.connection(get_app(), account)
    with st.container(key=f"positions_{account.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(text(account.label), anchor=False, width="content")
            words, colour = money_badge(account)
            st.badge(words, color=colour)
            if one.problem:
                badge(text(connection_state.words(user, one)).capitalize(), one.tone)
        _silence(user, account, one)
        for drift in differ:
            mismatch_dialog.notice(drift)
        _money(user, account, one.known, held)
        _table(user, account, held, one.known)


def _silence(user: User, account: Account, one: ConnectionState) -> None:
    """The notice while the broker does not answer, with the age of its figures."""
    known = one.known
    if known.fresh or (known.read_at is None and known.failing_since is None):
        return
    since = f" since {moment(user, known.failing_since)}" if known.failing_since is not None else ""
    why = f" {text(connection_state.reason(one))}" if known.error else ""
    last_answer = (
        f"The broker's figures are as of {moment(user, known.read_at)}"
        if known.read_at is not None
        else "No figures from the broker yet"
    )
    st.warning(
        (
            f"**{text(account.label)} cannot be reached{since}.**{why} {last_answer}; what the bots own is "
            "from DashTrade's own books."
        ),
        icon=":material/cloud_off:",
    )


def _money(user: User, account: Account, known: KnownAccount, held: Sequence[BotHolding]) -> None:
    state = known.state
    opened = open_profit(held)
    currency = state.currency if state else next(iter(opened), DEFAULT_CURRENCY)
    own = opened.pop(currency, ZERO)
    others = "".join(f"; {signed(profit, other)}" for other, profit in opened.items())
    key = of_account(account).text
    old = f"as of {moment(user, known.read_at)}" if state is not None and not known.fresh else ""
    tone_of = "warn" if old else ""
    cards(
        f"money_{account.id}",
        [
            Card(
                label="Equity",
                value=money(state.equity if state else None, currency),
                live=f"eq{account.id}",
                note=old or ("as reported by the broker" if state else "unknown"),
                note_tone=tone_of,
            ),
            Card(
                label="Unrealised P&L of bots",
                value=signed(own, currency),
                tone=tone(own),
                live=f"open:{key}:{currency}",
                note=count(len(held), "position") + others,
            ),
            Card(
                label="Cash",
                value=money(state.cash if state else None, currency),
                live=f"cash{account.id}",
                note=old or (state.currency if state else ""),
                note_tone=tone_of,
            ),
            Card(
                label="Buying power",
                value=money(state.buying_power if state else None, currency),
                live=f"bp{account.id}",
                note=old or "for new positions",
                note_tone=tone_of,
            ),
        ],
    )


def _table(user: User, account: Account, held: Sequence[BotHolding], known: KnownAccount) -> None:
    at_broker = known.positions or {}
    outside = live_cells.outside_of(account, held, at_broker) if known.positions is not None else []
    # later fills are only in the bots' books, so an apparent shortage proves nothing
    if not known.fresh:
        outside = [
            (position, quantity) for position, quantity in outside if not _is_missing(position, quantity)
        ]
    with panel(key=f"held_{account.id}"):
        if not known.fresh and not outside:
            st.caption(f"**Positions at the broker unknown;** {last_read(user, known)}.")
        elif not held and not outside:
            st.caption(
                "No positions. New positions appear here at once, those you open yourself at the broker too."
            )
        if not held and not outside:
            return
        broker_assets = live_cells.assets_of(at_broker)
        rows = [_bot_row(h, broker_assets.get(asset_of(h.bot.symbol)), known.fresh) for h in held]
        rows += [
            _outside_row(account, *found, old="" if known.fresh else last_read(user, known))
            for found in outside
        ]
        if not known.fresh:
            rows = [replace(row, kind=f"{row.kind} old".strip()) for row in rows]
        clicked = table(
            f"held_table_{account.id}",
            f"Positions of {account.label}",
            COLUMNS,
            rows,
            opens=True,
            stacked=True,
        )
    if clicked:
        _act(*clicked)


def last_read(user: User, known: KnownAccount) -> str:
    return f"last read {moment(user, known.read_at)}" if known.read_at is not None else "not read yet"


def _is_missing(position: BrokerPosition, outside: Decimal) -> bool:
    """Whether the bots' books show more than the broker has."""
    return abs(position.quantity) < abs(position.quantity - outside) or position.quantity * outside < 0


def _bot_row(held: BotHolding, broker_position: BrokerPosition | None, known: bool) -> Row:
    bot = held.bot
    part = (
        ""
        if not known or broker_position is None or broker_position.quantity == bot.position.quantity
        else f"of {quantity(broker_position.quantity)} at the broker"
    )
    exits, by = exits_in_short(bot)
    return Row(
        id=str(bot.id),
        kind=scope.kind(held.account),
        actions=(("move", "Stop"), ("part", "Reduce"), ("close", "Close")),
        cells=[
            Cell(text=bot.symbol.short, sub=bot.name),
            side_cell(bot.position.side),
            Cell(text=quantity(abs(bot.position.quantity)), sub=part),
            Cell(text=price(bot.position.average_price)),
            live_cells.mark(held),
            live_cells.value(held),
            live_cells.profit(held),
            Cell(text=exits or "none", tone="" if exits else "mute", sub=by),
        ],
    )


def _outside_row(account: Account, position: BrokerPosition, outside: Decimal, *, old: str = "") -> Row:
    """Bought by hand, by another program, or from a split; negative: the bots' books show more than the
    broker has."""
    if _is_missing(position, outside):
        return Row(
            id=f"outside:{position.symbol.text}",
            opens=False,
            kind="outside",
            cells=[
                Cell(text=position.symbol.short, sub="not at the broker"),
                Cell(text="Missing", tone="warn", badge=True),
                Cell(text=quantity(abs(outside)), sub=f"{quantity(position.quantity)} at the broker"),
                Cell(text="–"),
                live_cells.outside_mark(account, position),
                Cell(text="–"),
                Cell(text="–"),
                Cell(text="the bots' books say more than the broker has", tone="warn"),
            ],
        )
    return Row(
        id=f"outside:{position.symbol.text}",
        opens=False,
        kind="outside",
        cells=[
            Cell(text=position.symbol.short, sub=f"Outside DashTrade{f', {old}' if old else ''}"),
            side_cell(Side.of(outside)),
            Cell(
                text=quantity(abs(outside)),
                sub=f"of {quantity(position.quantity)} at the broker" if position.quantity != outside else "",
            ),
            Cell(text=price(position.average_price)),
            live_cells.outside_mark(account, position),
            Cell(
                text=money(abs(outside) * position.mark, position.symbol.currency) if position.mark else "–"
            ),
            live_cells.outside_profit(account, position, outside),
            Cell(text="not a bot's", tone="mute"),
        ],
    )


def _act(name: str, what: str) -> None:
    match what:
        case "close" | "part":
            close_dialog.ask(int(name), part=what == "part")
        case "move":
            exits_dialog.ask(int(name))
        case _:
            st.switch_page("pages/bots.py", query_params={"bot": name})
