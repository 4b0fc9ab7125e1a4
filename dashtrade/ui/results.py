"""Performance: totals, profit over time, day by day, bot by bot. All of it realised and after fees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from html import escape
from typing import Any

import streamlit as st

from dashtrade.app import App
from dashtrade.domain.values import ZERO
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.page import empty, panel
from dashtrade.ui.parts import Card, Cell, Column, Row, cards, table
from dashtrade.ui.words import count, money, percent, signed, tone

SPANS = {"7": "7 days", "30": "30 days", "90": "90 days", "all": "All"}
MOST_LINES = 6  # bots in the chart; the table has all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    net: Decimal
    fees: Decimal
    volume: Decimal
    trades: int
    wins: int
    losses: int
    best: tuple[Any, Decimal]
    worst: tuple[Any, Decimal]
    drawdown: Decimal
    gained: Decimal
    lost: Decimal

    @property
    def win_rate(self) -> Decimal | None:
        ended = self.wins + self.losses
        return Decimal(100 * self.wins) / ended if ended else None

    @property
    def profit_factor(self) -> str:
        return f"{self.gained / self.lost:.2f}" if self.lost else "–"


def totals(rows: Sequence[Any]) -> Totals:
    days = data.net_by_day(rows)
    high = low = total = ZERO
    for _, net in days:
        total += net
        high = max(high, total)
        low = min(low, total - high)
    return Totals(
        net=total, fees=sum((r.fees for r in rows), ZERO), volume=sum((r.volume for r in rows), ZERO), trades=sum(r.trades for r in rows),
        wins=sum(r.wins for r in rows), losses=sum(r.losses for r in rows), best=max(days, key=lambda d: d[1]), worst=min(days, key=lambda d: d[1]),
        drawdown=low, gained=sum((net for _, net in days if net > 0), ZERO), lost=-sum((net for _, net in days if net < 0), ZERO),
    )  # fmt: skip


def show(app: App, user: User) -> None:
    if not data.days(app, user):
        empty("Nothing has been earned or lost yet. This page fills with your bots' first trades.", "See your bots", to="pages/bots.py", icon=":material/smart_toy:")
        return
    names = data.bot_names(app, user)
    left, right = st.columns([1.6, 1], gap="small", vertical_alignment="bottom")
    span = left.segmented_control("Span", list(SPANS), default="30", required=True, format_func=SPANS.__getitem__, key="span", bind="query-params", label_visibility="collapsed")
    bot = right.selectbox("Bot", ["", *map(str, names)], format_func=lambda key: names[int(key)] if key else "All bots", key="of_bot", bind="query-params", label_visibility="collapsed")
    since = None if span == "all" else (app.clock.now() - timedelta(days=int(span or 30) - 1)).date()
    rows = data.days(app, user, since=since, bot_id=int(bot) if bot else None)
    if not rows:
        st.info("No trade in this span. Choose a longer one.")
        return
    found = totals(rows)
    _figures(found)
    _charts(rows, names)
    left, right = st.columns([1.25, 1], gap="small")
    with left:
        _by_bot(rows, names)
    with right:
        _calendar(data.net_by_day(rows))


def _figures(found: Totals) -> None:
    cards("totals", [
        Card(label="Profit after fees", value=signed(found.net), tone=tone(found.net), note=f"{money(found.fees)} in fees"),
        Card(label="Win rate", value=percent(found.win_rate), note=f"{found.wins} won, {found.losses} lost"),
        Card(label="Profit factor, by day", value=found.profit_factor, note="won for each $ lost"),
        Card(label="Deepest fall", value=signed(found.drawdown), tone=tone(found.drawdown), note="from the highest point"),
        Card(label="Best day", value=signed(found.best[1]), tone=tone(found.best[1]), note=f"worst {signed(found.worst[1])}"),
        Card(label="Traded", value=money(found.volume).partition(".")[0], note=count(found.trades, "trade")),
    ])  # fmt: skip


def _charts(rows: Sequence[Any], names: dict[int, str]) -> None:
    from dashtrade.ui.charts import daily_bars, profit_lines  # plotly costs memory, and is wanted only here

    days = data.net_by_day(rows)
    series = [("All bots", _summed(days))]
    by_bot: dict[int, list[Any]] = {}
    for row in rows:
        by_bot.setdefault(row.bot_id, []).append(row)
    if len(by_bot) > 1:
        ranked = sorted(by_bot.items(), key=lambda item: -abs(sum((r.realized - r.fees for r in item[1]), ZERO)))
        series += [(escape(names.get(bot_id, "Deleted bot")), _summed(data.net_by_day(own))) for bot_id, own in ranked[:MOST_LINES]]
    with panel("Profit over time", key="profit_panel"):
        st.plotly_chart(profit_lines(series), key="profit_lines", config={"displayModeBar": False})
    with panel("Day by day", key="days_panel"):
        st.plotly_chart(daily_bars(days), key="daily_bars", config={"displayModeBar": False})


def _summed(days: Sequence[tuple[Any, Decimal]]) -> list[tuple[Any, float]]:
    """From zero on the day before the first, so that a first day's profit is seen as one."""
    sums = [(day, float(total)) for (day, _), total in zip(days, data.running(days), strict=True)]
    return [(days[0][0] - timedelta(days=1), 0.0), *sums]


def _by_bot(rows: Sequence[Any], names: dict[int, str]) -> None:
    by_bot: dict[int, list[Any]] = {}
    for row in rows:
        by_bot.setdefault(row.bot_id, []).append(row)
    shown = sorted(((bot_id, totals(own), own) for bot_id, own in by_bot.items()), key=lambda item: -item[1].net)
    columns = [Column(label="Bot"), Column(label="Profit", number=True), Column(label="Win rate", number=True), Column(label="Trades", number=True, wide_only=True), Column(label="Fees", number=True, wide_only=True), Column(label="Trend", wide_only=True)]
    with panel("Bot by bot", key="bots_panel"):
        clicked = table("by_bot", "Profit of each bot", columns, [
            Row(id=str(bot_id), cells=[
                Cell(text=names.get(bot_id, "Deleted bot")), Cell(text=signed(found.net), tone=tone(found.net)), Cell(text=percent(found.win_rate)),
                Cell(text=f"{found.trades:,}"), Cell(text=money(found.fees)), Cell(text="–", spark=[value for _, value in _summed(data.net_by_day(own))]),
            ])
            for bot_id, found, own in shown
        ], opens=True)  # fmt: skip
    if clicked and int(clicked[0]) in names:
        st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def _calendar(days: Sequence[tuple[Any, Decimal]]) -> None:
    """The latest six weeks as a calendar: the sign stands with the colour."""
    results = dict(days)
    last = days[-1][0]
    monday = last - timedelta(days=last.weekday())
    most = max((abs(net) for net in results.values()), default=ZERO) or Decimal(1)
    cells = []
    for offset in range(-35, 7):
        day = monday + timedelta(days=offset)
        net = results.get(day)
        shade = f"--share:{min(float(abs(net) / most), 1):.2f};" if net else ""
        words = signed(net).partition(".")[0] if net is not None else ""
        cells.append(f'<td class="{tone(net) if net is not None else ""}" style="{shade}"><small>{day.day}</small>{words}</td>')
    weeks = "".join(f"<tr>{''.join(cells[start : start + 7])}</tr>" for start in range(0, 42, 7))
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
    with panel("Calendar", key="calendar_panel"):
        st.html(f'<table class="dt-calendar"><thead><tr>{head}</tr></thead><tbody>{weeks}</tbody></table>')
