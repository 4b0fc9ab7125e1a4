"""Round trips of the trade history: totals, a row for each, and one in full detail."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import win_rate
from dashtrade.domain.values import plain
from dashtrade.services.trading import round_trips as service
from dashtrade.services.trading.round_trips import RoundTripRecord, TripTotals
from dashtrade.ui.history import filters as trade_filters
from dashtrade.ui.history.filters import PAGE, Filters
from dashtrade.ui.kit.components import Card, Cell, Column, Row, cards, fact_list, table
from dashtrade.ui.kit.format import (
    exit_label,
    moment,
    money,
    percent,
    price,
    quantity,
    rate,
    signed,
    size,
    span,
    tone,
)
from dashtrade.ui.shell.page import get_app, guard, panel


def _columns(*, is_open: bool) -> list[Column]:
    wide = [
        Column(label="Bot", wide_only=True),
        Column(label="Size", number=True, wide_only=True),
        Column(label="Entry", number=True, wide_only=True),
        Column(label="Exit", number=True, wide_only=True),
    ]
    if is_open:
        return [
            Column(label="Trade"),
            *wide[:3],
            Column(label="Realised P&L so far", number=True),
            Column(label="Opened", number=True),
        ]
    return [
        Column(label="Trade"),
        *wide,
        Column(label="P&L", number=True, sort="pnl"),
        Column(label="%", number=True, wide_only=True, sort="percent"),
        Column(label="Held", number=True, wide_only=True, sort="duration"),
        Column(label="Reason", wide_only=True),
        Column(label="Closed", number=True, sort="closed"),
    ]


def show(app: App, user: User, filters: Filters, names: dict[int, str], *, is_open: bool) -> None:
    wanted = _trip_query(filters, is_open=is_open)
    sort, rising = ("closed", False) if is_open else _sorted()
    before = service.read_cursor(st.query_params.get("before", ""), sort, is_open=is_open)
    found = service.round_trips(app, user, limit=PAGE + 1, sort=sort, rising=rising, before=before, **wanted)
    sums = service.totals(app, user, **wanted)
    if not is_open:
        _totals(sums)
    with panel(key="trades_panel"):
        if not found:
            st.caption(
                "No round trip matches. Change the filters above."
                if not is_open
                else "No open round trip matches."
            )
            return
        rows = [_row(user, row, names, is_open=is_open) for row in found[:PAGE]]
        caption = "Open round trips, newest first" if is_open else "Round trips"
        clicked = table(
            "round_trips",
            caption,
            _columns(is_open=is_open),
            rows,
            opens=True,
            sorted_by=("", False) if is_open else (sort, rising),
        )
    cursor = service.cursor_of(found[:PAGE][-1], sort, is_open=is_open)
    trade_filters.pager(found, cursor, sum(row.count for row in sums))
    if clicked and clicked[1] == "sort":
        _sort_by(clicked[0], sort, rising)
    elif clicked:
        _one(int(clicked[0]), names)


def _trip_query(filters: Filters, *, is_open: bool) -> dict[str, Any]:
    return {
        "scope": filters.scope,
        "symbols": list(filters.symbols),
        "bot_id": filters.bot_id,
        "side": filters.side,
        "since": filters.since,
        "until": filters.until,
        "exit_reason": None if is_open else filters.reason,
        "open": is_open,
    }


def _row(user: User, row: RoundTripRecord, names: dict[int, str], *, is_open: bool) -> Row:
    trip, currency = row.trip, row.currency
    name = names.get(trip.bot_id, "Deleted bot")
    first = [
        Cell(text=trip.symbol.short, sub=_kind(row)),
        Cell(text=name),
        Cell(text=size(trip.entry_quantity), hint=quantity(trip.entry_quantity)),
        Cell(text=price(trip.entry_price), hint=_exactly(trip.entry_price)),
    ]
    result = Cell(text=signed(trip.net, currency), tone=tone(trip.net), hint=plain(trip.net))
    if is_open:
        return Row(
            id=str(row.id), cells=[*first, result, Cell(text=moment(user, trip.opened_at), sub="open")]
        )
    return Row(
        id=str(row.id),
        cells=[
            *first,
            Cell(text=price(trip.exit_price), hint=_exactly(trip.exit_price)),
            result,
            Cell(text=percent(trip.percent, sign=True), tone=tone(trip.net)),
            Cell(text=span(trip.held)),
            Cell(text=exit_label(trip.exit_reason)),
            Cell(text=moment(user, trip.closed_at)),
        ],
    )


def _kind(row: RoundTripRecord) -> str:
    mark = " · simulated" if row.simulated else " · LIVE" if row.live else ""
    return f"{row.trip.side.capitalize()}{mark}"


def _exactly(number: Decimal | None) -> str:
    shown = service.rounded(number)
    return "" if shown is None else plain(shown)


# --- totals -------------------------------------------------------------------------------------------------


def _totals(sums: list[TripTotals]) -> None:
    """Each kind of money separately."""
    for row in sums:
        currency, several = row.currency, len(sums) > 1
        which = f"{'Live' if row.live else 'Paper'} {row.currency}".strip() + ": " if several else ""
        factor = f"{row.won / -row.lost:.2f}" if row.lost else "–"
        cards(
            f"trip_totals_{row.live}_{row.currency}",
            [
                Card(
                    label=f"{which}P&L after fees",
                    value=signed(row.net, currency),
                    tone=tone(row.net),
                    note=f"won {money(row.won, currency)}, lost {money(-row.lost, currency)}",
                ),
                Card(
                    label="Round trips", value=f"{row.count:,}", note=f"{row.wins:,} won, {row.losses:,} lost"
                ),
                Card(
                    label="Win rate",
                    value=rate(win_rate(row.wins, row.losses)),
                    note=f"profit factor {factor}",
                ),
                Card(
                    label="Average",
                    value=signed(row.net / row.count, currency),
                    tone=tone(row.net),
                    note=f"held {span(timedelta(seconds=row.held // row.count))}",
                ),
            ],
        )


# --- sorting and position in the list -----------------------------------------------------------------------


def _sorted() -> tuple[str, bool]:
    sort = st.query_params.get("sort", "closed")
    return (sort if sort in service.SORTS else "closed"), st.query_params.get("order") == "asc"


def _sort_by(chosen: str, sort: str, rising: bool) -> None:
    """The same column again reverses the order."""
    st.query_params["sort"] = chosen
    st.query_params["order"] = "asc" if chosen == sort and not rising else "desc"
    trade_filters.to_first_page()
    st.rerun()


# --- one round trip -----------------------------------------------------------------------------------------


@st.dialog("Round trip")
def _one(trip_id: int, names: dict[int, str]) -> None:
    user, app = guard(), get_app()
    row = service.round_trip(app, user, trip_id)
    if row is None:
        st.info("This round trip no longer exists.")
        return
    trip, currency = row.trip, row.currency
    over = not trip.is_open
    facts = [
        ("Bot", names.get(trip.bot_id, "Deleted bot")),
        ("Side", _kind(row)),
        ("Quantity", quantity(trip.entry_quantity)),
        ("Average entry", _exactly(trip.entry_price)),
        ("Average exit", _exactly(trip.exit_price) or "–"),
        ("P&L before fees", signed(trip.realized, currency)),
        ("Fees", money(trip.fees, currency)),
        ("P&L after fees", f"{signed(trip.net, currency)} ({percent(trip.percent, sign=True)})"),
        ("Opened", moment(user, trip.opened_at, seconds=True)),
        ("Closed", moment(user, trip.closed_at, seconds=True) if over else "still open"),
        ("Held", span(trip.held)),
        ("Exit reason", exit_label(trip.exit_reason) if over else "–"),
    ]
    st.header(f"{trip.symbol.short}, {trip.side}", anchor=False)
    fact_list(facts)
    with st.container(horizontal=True):
        for words, signal_id in (
            ("Entry signal", trip.entry_signal_id),
            ("Exit signal", trip.exit_signal_id),
        ):
            if signal_id and st.button(words, key=words, icon=":material/bolt:"):
                st.switch_page("pages/signals.py", query_params={"signal": signal_id})
