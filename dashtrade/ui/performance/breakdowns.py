"""Performance by bot, by symbol, by hour, by weekday, and as a month's calendar."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import streamlit as st

from dashtrade.domain import performance_stats
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import running_totals
from dashtrade.domain.values import ZERO
from dashtrade.services.trading.portfolio_summary import BotDay, days_by_bot, net_by_day
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import money, rate, rounded, signed, tone, zone
from dashtrade.ui.shell.page import panel

MOST_ROWS = 100
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def show(
    user: User,
    days: Sequence[BotDay],
    trips: Sequence[performance_stats.ClosedTrade],
    by_day: Sequence[tuple[date, Decimal]],
    names: dict[int, str],
    currency: str,
) -> None:
    """The figures of one currency."""
    left, right = st.columns([1.5, 1], gap="small")
    with left:
        _by_bot(days, trips, names, currency)
        _by_symbol(trips, currency)
    with right:
        _calendar(by_day, currency)
        _by_time(user, trips, currency)


def _by_bot(
    days: Sequence[BotDay],
    trips: Sequence[performance_stats.ClosedTrade],
    names: dict[int, str],
    currency: str,
) -> None:
    over = performance_stats.group_totals(trips, lambda trip: trip.bot_id)
    shown = sorted(days_by_bot(days).items(), key=lambda item: -sum((r.net for r in item[1]), ZERO))
    columns = [
        Column(label="Bot"),
        Column(label="P&L", number=True),
        Column(label="Win rate", number=True),
        Column(label="Round trips", number=True, wide_only=True),
        Column(label="Fees", number=True, wide_only=True),
        Column(label="Trend", wide_only=True),
    ]
    with panel("By bot", key="bots_panel"):
        clicked = table(
            "by_bot",
            "P&L by bot",
            columns,
            [
                _bot_row(bot_id, own, over.get(bot_id, performance_stats.GroupTotals()), names, currency)
                for bot_id, own in shown[:MOST_ROWS]
            ],
            opens=True,
        )
        if len(shown) > MOST_ROWS:
            st.caption(f"The {MOST_ROWS} best of {len(shown):,} are shown.")
    if clicked and int(clicked[0]) in names:
        st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def _bot_row(
    bot_id: int,
    own: Sequence[BotDay],
    over: performance_stats.GroupTotals,
    names: dict[int, str],
    currency: str,
) -> Row:
    net = sum((r.net for r in own), ZERO)
    trend = [0.0, *(float(total) for total in running_totals(net_by_day(own)))]
    return Row(
        id=str(bot_id),
        cells=[
            Cell(text=names.get(bot_id, "Deleted bot")),
            Cell(text=signed(net, currency), tone=tone(net)),
            Cell(text=_rate(over)),
            Cell(text=f"{over.count:,}"),
            Cell(text=money(sum((r.fees for r in own), ZERO), currency)),
            Cell(text="–", spark=trend),
        ],
    )


def _rate(over: performance_stats.GroupTotals) -> str:
    return rate(performance_stats.win_rate(over.wins, over.losses))


def _by_symbol(trips: Sequence[performance_stats.ClosedTrade], currency: str) -> None:
    found = sorted(
        performance_stats.group_totals(trips, lambda trip: trip.symbol.short).items(),
        key=lambda item: -item[1].net,
    )
    columns = [
        Column(label="Symbol"),
        Column(label="P&L", number=True),
        Column(label="Win rate", number=True),
        Column(label="Round trips", number=True, wide_only=True),
    ]
    rows = [
        Row(
            id=str(name),
            cells=[
                Cell(text=str(name)),
                Cell(text=signed(over.net, currency), tone=tone(over.net)),
                Cell(text=_rate(over)),
                Cell(text=f"{over.count:,}"),
            ],
        )
        for name, over in found[:MOST_ROWS]
    ]
    if rows:
        with panel("By symbol", key="symbols_panel"):
            table("by_symbol", "P&L by symbol", columns, rows)
            st.caption("Closed round trips, after fees. Open positions are not included.")


def _by_time(user: User, trips: Sequence[performance_stats.ClosedTrade], currency: str) -> None:
    """In the user's time zone, by the end of the round trip."""
    from dashtrade.ui.kit.charts import grouped_bars

    if not trips:
        return
    time_zone = zone(user)
    hours = performance_stats.group_totals(trips, lambda trip: trip.at.astimezone(time_zone).hour)
    weekdays = performance_stats.group_totals(trips, lambda trip: trip.at.astimezone(time_zone).weekday())
    with panel("By hour", key="hours_panel"):
        st.plotly_chart(
            grouped_bars(
                [(f"{hour:02d}", hours.get(hour, performance_stats.GroupTotals()).net) for hour in range(24)],
                currency,
            ),
            key="by_hour",
            config={"displayModeBar": False},
        )
    with panel("By weekday", key="weekdays_panel"):
        st.plotly_chart(
            grouped_bars(
                [
                    (name, weekdays.get(day, performance_stats.GroupTotals()).net)
                    for day, name in enumerate(DAYS)
                ],
                currency,
            ),
            key="by_weekday",
            config={"displayModeBar": False},
        )


def _calendar(days: Sequence[tuple[date, Decimal]], currency: str) -> None:
    """One month; signs as well as colours."""
    results = dict(days)
    months = sorted({(day.year, day.month) for day in results}, reverse=True)
    with panel(key="calendar_panel"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header("Calendar", anchor=False, width="content")
            st.space("stretch")
            year, month = (
                st.selectbox(
                    "Month",
                    months,
                    format_func=lambda one: f"{calendar.month_name[one[1]]} {one[0]}",
                    key="month",
                    label_visibility="collapsed",
                    width=190,
                )
                or months[0]
            )
        total = sum((net for day, net in days if (day.year, day.month) == (year, month)), ZERO)
        most = max((abs(net) for net in results.values()), default=ZERO) or Decimal(1)
        weeks = "".join(
            f"<tr>{''.join(_day(day, month, results, most, currency) for day in week)}</tr>"
            for week in calendar.Calendar().monthdatescalendar(year, month)
        )
        head = "".join(f"<th scope='col'>{name}</th>" for name in DAYS)
        st.html(f'<table class="dt-calendar"><thead><tr>{head}</tr></thead><tbody>{weeks}</tbody></table>')
        st.caption(f"{calendar.month_name[month]}: {signed(total, currency)}".replace("$", "\\$"))


def _day(day: date, month: int, results: dict[date, Decimal], most: Decimal, currency: str) -> str:
    net = results.get(day) if day.month == month else None
    shade = f"--share:{min(float(abs(net) / most), 1):.2f};" if net else ""
    # A day has no room for a coin's name; the month's total has it.
    words = rounded(net, currency).removesuffix(f" {currency}") if net is not None else ""
    number = day.day if day.month == month else ""
    return (
        f'<td class="{tone(net) if net is not None else ""}" '
        f'style="{shade}"><small>{number}</small>{words}</td>'
    )
