"""Display components: figures, tables, a curve. HTML that updates in place, drawn by DashTrade's own small
scripts.

Streamlit's tables are canvases, which screen readers cannot read, and its charts load megabytes for a
line. The texts in `data` are inserted as text, never as markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from dashtrade.ui.kit.format import round_money

ASSETS = Path(__file__).parents[1] / "assets"


def badge(words: str, tone: str) -> None:
    """A word in the colour of its meaning: up, down, warn, info or neutral."""
    match tone:
        case "up":
            st.badge(words, color="green")
        case "down":
            st.badge(words, color="red")
        case "warn":
            st.badge(words, color="orange")
        case "info":
            st.badge(words, color="blue")
        case _:
            st.badge(words, color="gray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure. `tone` is up, down, warn or empty; `spark` is a short series of numbers."""

    label: str
    value: str
    tone: str = ""
    note: str = ""
    note_tone: str = ""
    spark: Sequence[float] = ()
    live: str = ""  # name of the live cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    label: str
    number: bool = False
    wide_only: bool = False  # hidden on a phone
    sort: str = ""  # clicking the header sorts by this


def fact_list(facts: Sequence[tuple[str, str]]) -> None:
    """Names with their values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    st.html(f'<dl class="dt-facts">{rows}</dl>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`sub` is the small line below; `badge` shows the text as a coloured label; `spark` draws a line
    instead of text; `meter` adds a bar filled to this percentage; `live` is the name of the live cell (see
    live_cells.py); `hint` is the tooltip."""

    text: str = ""
    sub: str = ""
    tone: str = ""
    badge: bool = False
    spark: Sequence[float] = ()
    flash: bool = False  # flashes on a change
    meter: float | None = None
    live: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    id: str
    cells: Sequence[Cell]
    actions: Sequence[tuple[str, str]] = field(default=())  # (action, button text)
    opens: bool = True  # in a table whose rows open something
    kind: str = ""  # group: a heading for other rows


@lru_cache(maxsize=1)
def _style() -> str:
    return (ASSETS / "parts.css").read_text(encoding="utf-8")


# Per manager: another Streamlit run in the same process (a test) has its own.
_components: WeakKeyDictionary[Any, dict[tuple[str, str], Any]] = WeakKeyDictionary()


def _component(name: str, html: str) -> Any:
    """Registered once. The script is a file: an inline one would require a policy that allows inline
    scripts."""
    manager = get_bidi_component_manager()
    components = _components.setdefault(manager, {})
    if (name, html) not in components:
        manifest = ComponentManifest(
            name="dashtrade", version="", components=[ComponentConfig(name=name, asset_dir=ASSETS.name)]
        )
        manager.register_from_manifest(manifest, ASSETS.parent)
        components[name, html] = st.components.v2.component(
            f"dashtrade.{name}", html=f"\n{html}\n", css=_style(), js=f"{name}.js"
        )
    return components[name, html]


def mounted(name: str, html: str) -> Any:
    component = _component(name, html)

    def mount(*, data: Any = None, **more: Any) -> Any:
        # In a list: Streamlit searches a bare dict for data frames and loads pandas to do so (a second and 80
        # MB).
        return component(data=None if data is None else [data], **more)

    return mount


def cards(key: str, shown: Sequence[Card]) -> None:
    mounted("cards", '<div class="cards"></div>')(
        key=key, data={"cards": [asdict(card) for card in shown]}, height="content"
    )


def table(
    key: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    opens: bool = False,
    stacked: bool = False,
    sorted_by: tuple[str, bool] = ("", False),
) -> tuple[str, str] | None:
    """Returns once after a click: (row's id, action), where the action is "open" for the row itself; or
    (column's name, "sort"). `stacked`: on a phone each row is a card with the columns' labels beside the
    values."""
    data = {
        "caption": caption,
        "opens": opens,
        "stacked": stacked,
        "sorted": list(sorted_by),
        "columns": [asdict(column) for column in columns],
        "rows": [
            {
                "id": row.id,
                "cells": [asdict(cell) for cell in row.cells],
                "actions": [list(a) for a in row.actions],
                "opens": row.opens,
                "kind": row.kind,
            }
            for row in rows
        ],
    }
    state = mounted(
        "table", '<div class="scroll"><table><caption></caption><thead></thead><tbody></tbody></table></div>'
    )(key=key, data=data, height="content", on_act_change=lambda: None)
    act = getattr(state, "act", None)
    return (str(act["id"]), str(act["what"])) if act else None


def pulse(name: str, rev: str) -> None:
    """Reruns the enclosing part of the page when the user's data has changed since `rev`."""
    mounted("pulse", "<i hidden></i>")(
        key=f"pulse_{name}", data={"rev": rev}, height="content", on_rev_change=lambda: None
    )


def to_top(turned: int) -> None:
    """Scrolls to the top whenever the number has changed."""
    mounted("top", "<i hidden></i>")(key="to_top", data={"turned": turned}, height="content")


def copy_line(key: str, name: str, text: str, *, shown: str = "") -> None:
    """Text to copy. `shown` is displayed instead of the copied text; `name` is its label."""
    html = (
        '<div class="copy"><code></code><button type="button">Copy</button><span role="status"></span></div>'
    )
    mounted("copy", html)(
        key=key, data={"text": text, "shown": shown or text, "name": name}, height="content"
    )


def go(to: str) -> None:
    """Open another page of the dashboard by a full browser navigation."""
    mounted("go", "<p>One moment …</p>")(key="go", data={"to": to}, height="content")


def lines(
    key: str,
    label: str,
    series: Sequence[tuple[str, Sequence[Sequence[float]]]],
    *,
    height: int = 220,
    zero: bool = False,
    unit: str = "money",
    colour: str = "",
    currency: str = "USD",
) -> None:
    """Lines over time, with points of (milliseconds since 1970, value). With `zero` the values are gains
    and losses around zero. The unit is money or percent; without a colour the first line is green for a
    gain, red for a loss."""
    shown = [{"name": name, "points": [list(point) for point in points]} for name, points in series if points]
    data = {
        "label": label,
        "series": shown,
        "height": height,
        "zero": zero,
        "colour": colour,
        "around": ("", "%") if unit == "percent" else round_money(currency),
    }
    mounted("curve", '<div class="curve"></div>')(key=key, data=data, height="content")


def profit_curve(
    key: str, days: Sequence[tuple[date, Decimal]], *, height: int = 220, currency: str = "USD"
) -> None:
    """Net profit by day, cumulative from zero on the day before the first."""
    total, points = Decimal(0), []
    for day, net in days:
        total += net
        points.append((milliseconds(day), float(total)))
    first = milliseconds(days[0][0] - timedelta(days=1))
    lines(
        key,
        "Realised P&L after fees",
        [("Profit", [(first, 0.0), *points])],
        height=height,
        zero=True,
        currency=currency,
    )


def as_points(line: Sequence[tuple[date, Decimal]]) -> list[list[float]]:
    return [[milliseconds(day), float(value)] for day, value in line]


def milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
