"""The filters of the trade history and the position in the list. All of it is in the address, so that a
view can be bookmarked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.domain.round_trips import ExitReason
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso
from dashtrade.ui.kit.components import to_top
from dashtrade.ui.kit.format import exit_label, zone

PAGE = 50
# title: name in the address
VIEWS = {"Round trips": "trips", "Open": "open", "Fills": "fills"}
_PLACE = ("before", "from_row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    scope: MoneyScope
    symbols: tuple[Symbol, ...]
    bot_id: int | None
    side: str | None  # long or short for a round trip, buy or sell for a fill
    reason: str | None
    since: datetime | None
    until: datetime | None

    def query(self) -> str:
        """As in the address of the CSV file."""
        named = {
            "symbols": ",".join(symbol.text for symbol in self.symbols),
            "scope": self.scope.text,
            "bot": self.bot_id,
            "side": self.side,
            "reason": self.reason,
            "since": self.since and iso(self.since),
            "until": self.until and iso(self.until),
        }
        return urlencode({name: value for name, value in named.items() if value})


def view() -> str:
    chosen = st.segmented_control(
        "View",
        list(VIEWS),
        default="Round trips",
        required=True,
        key="view",
        bind="query-params",
        on_change=to_first_page,
        label_visibility="collapsed",
    )
    return VIEWS.get(chosen or "", "trips")


def filter_bar(
    user: User, every: Sequence[Symbol], names: dict[int, str], shown: str, file: str, scope: MoneyScope
) -> Filters:
    """One row on a wide screen; two columns on a phone."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
        symbols = _symbols(every)
        bot_id = _bot(names)
        side = _side(shown)
        reason = _reason() if shown == "trips" else ""
        since, until = _day("From", "since"), _day("To", "until")
        found = Filters(
            scope=scope,
            symbols=symbols,
            bot_id=bot_id,
            side=side or None,
            reason=reason or None,
            since=_start_of(user, since) if since else None,
            until=_start_of(user, until + timedelta(days=1)) if until else None,
        )
        st.link_button(
            "CSV",
            f"{file}?{found.query()}",
            icon=":material/download:",
            width="content",
            help="All rows that match the filters, not only this page. Times in the file are UTC.",
        )
    return found


def _symbols(every: Sequence[Symbol]) -> tuple[Symbol, ...]:
    traded = {symbol.short: symbol for symbol in every}
    chosen = st.multiselect(
        "Symbols",
        list(traded),
        placeholder="All symbols",
        key="symbols",
        bind="query-params",
        filter_mode="contains",
        width=205,
        on_change=to_first_page,
    )
    return tuple(traded[name] for name in chosen if name in traded)


def _bot(names: dict[int, str]) -> int | None:
    chosen = st.selectbox(
        "Bot",
        ["", *map(str, names)],
        format_func=lambda key: names[int(key)] if key else "All bots",
        key="of_bot",
        bind="query-params",
        width=150,
        on_change=to_first_page,
    )
    return int(chosen) if chosen else None


def _side(shown: str) -> str | None:
    key, choices = ("side", ["", "buy", "sell"]) if shown == "fills" else ("direction", ["", "long", "short"])
    return st.selectbox(
        "Side",
        choices,
        format_func=lambda one: one.capitalize() or "Both",
        key=key,
        bind="query-params",
        width=100,
        on_change=to_first_page,
    )


def _reason() -> str | None:
    return st.selectbox(
        "Exit reason",
        ["", *map(str, ExitReason)],
        format_func=lambda one: exit_label(one) if one else "Any",
        key="reason",
        bind="query-params",
        width=150,
        on_change=to_first_page,
    )


def _day(label: str, key: str) -> date | None:
    chosen = st.date_input(
        label,
        value=None,
        key=key,
        bind="query-params",
        format="YYYY-MM-DD",
        width=140,
        on_change=to_first_page,
    )
    return chosen if isinstance(chosen, date) else None


def _start_of(user: User, day: date) -> datetime:
    """The start of the day in the user's time zone."""
    return datetime.combine(day, time(), tzinfo=zone(user))


# --- position in the list -----------------------------------------------------------------------------------


def to_first_page() -> None:
    for name in _PLACE:
        st.query_params.pop(name, None)


def skipped() -> int:
    """The number of rows on the pages before."""
    text = st.query_params.get("from_row", "")
    return (
        int(text)
        if text.isascii() and text.isdigit() and len(text) < 10 and "before" in st.query_params
        else 0
    )


def pager(found: list[Any], cursor: str, total: int | None) -> None:
    """The position in the list, and the paging buttons. `found` has one more than a page if there is a
    next page; `cursor` is its last row's."""
    before, more = skipped(), len(found) > PAGE
    with st.container(horizontal=True, vertical_alignment="center", key="pager"):
        last = before + min(len(found), PAGE)
        of = f" of {total:,}" if total is not None else " and more" if more else ""
        if found:
            st.caption(f"{before + 1:,}–{last:,}{of}", width="content")
        st.space("stretch")
        if "before" in st.query_params and st.button(
            "First page", icon=":material/first_page:", key="newest"
        ):
            to_first_page()
            _scroll_to_top()
        if more and st.button(
            "Next page", icon=":material/chevron_right:", icon_position="right", key="older"
        ):
            st.query_params["before"] = cursor
            st.query_params["from_row"] = str(last)
            _scroll_to_top()
    to_top(st.session_state.get("pages_turned", 0))


def _scroll_to_top() -> None:
    st.session_state["pages_turned"] = st.session_state.get("pages_turned", 0) + 1
    st.rerun()
