"""The parts of the overview."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashtrade.tables.people import User
from dashtrade.ui import closing, data, standing, stop_all, worries
from dashtrade.ui.lists import position_rows, signal_rows, worry_list
from dashtrade.ui.page import live, panel, the_app
from dashtrade.ui.parts import Card, cards, lines, table
from dashtrade.services.prices import Holding
from dashtrade.ui.standing import Figures
from dashtrade.ui.words import count, money, percent, rate, signed, tone

SHOWN = 30  # positions; the page of positions has them all


@live
def board(user: User) -> None:
    app = the_app()
    held = data.holdings(app, user)
    found = standing.figures(app, user, held)
    _figures(found)
    stop_all.progress(app, user)
    left, right = st.columns([1.85, 1], gap="small")
    with left:
        _equity(user, found, held)
        _positions([h for h in held if h.bot.position.quantity])
    with right:
        with panel("Attention", key="attention_panel"):
            worry_list(app, worries.of_user(app, user))
        _latest(user)


def _figures(found: Figures) -> None:
    wealth, risk = found.money, found.risk
    note = f"{count(wealth.away, 'account')} not reached" if wealth.away else "live money" if wealth.live else "paper money"
    if wealth.play:
        note += f"; paper {money(wealth.play)}"
    cards("figures", [
        Card(
            label="Equity", value=money(wealth.equity), note=note, note_tone="warn" if wealth.away else "", live="equity",
            spark=[value for _, value in standing.equity_line(found)],
        ),
        Card(label="Open profit", value=signed(found.open_profit), tone=tone(found.open_profit), note=count(found.positions, "open position"), live="open"),
        Card(label="Today, realised", value=signed(found.today), tone=tone(found.today), note=count(found.trades_today, "trade")),
        Card(label="Win rate, 30 days", value=rate(found.win_rate), note=f"{found.wins} round trips won, {found.losses} lost"),
        Card(
            label="Drawdown", value=percent(found.drawdown) if found.drawdown is not None else "–", tone=tone(found.drawdown),
            note=f"deepest in 30 days {percent(found.deepest)}" if found.deepest is not None else "nothing to measure yet",
        ),
        Card(
            label="Risk used today", value=f"{risk.percent:.0f}%" if risk else "–", note=f"of {risk.name}'s daily limit" if risk else "no daily loss limit set",
            tone="down" if risk and risk.percent >= 80 else "warn" if risk and risk.percent >= 50 else "",
        ),
    ])  # fmt: skip


def _equity(user: User, found: Figures, held: Sequence[Holding]) -> None:
    line = standing.equity_line(found)
    if len(line) < 3:
        return
    with panel("Equity, and the same money bought and held", key="equity_panel"):
        lines("equity_lines", "Equity", [
            ("Equity", standing.as_points(line)), ("Bought and held", standing.as_points(standing.held_instead(the_app(), user, held, line))),
        ], height=210)  # fmt: skip


def _positions(held: Sequence[Holding]) -> None:
    with panel("Open positions", key="positions_panel"):
        if not held:
            st.caption("Nothing is open. What your bots buy shows up here, live.")
            return
        columns, rows = position_rows(held[:SHOWN])
        clicked = table("positions", "Open positions", columns, rows, opens=True)
        if len(held) > SHOWN:
            st.page_link("pages/positions.py", label=f"All {count(len(held), 'position')}")
        if clicked and clicked[1] == "close":
            closing.ask(int(clicked[0]))
        elif clicked:
            st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def _latest(user: User) -> None:
    with panel("Latest signals", key="signals_panel"):
        found = data.signals(the_app(), user, limit=6)
        if not found:
            st.caption("No alert has come in yet. Each one shows up here with what became of it.")
            return
        columns, rows = signal_rows(user, found, brief=True)
        clicked = table("latest", "Latest signals", columns, rows, opens=True)
        if clicked:
            st.switch_page("pages/signals.py", query_params={"signal": clicked[0]})
