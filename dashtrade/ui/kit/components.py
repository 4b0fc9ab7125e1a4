"""What pages show things with: figures, tables, a curve. Real HTML that updates in place, drawn by small
scripts of our own.

A table of Streamlit's is a canvas: a screen reader finds nothing in it. And its charts bring megabytes for a
line. The texts in `data` are put into the page as text, never as markup."""

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

from dashtrade.ui.kit.format import around

ASSETS = Path(__file__).parents[1] / "assets"


def badge(words: str, tone: str) -> None:
    """A word in the colour of what it means: up, down, warn, info or neither."""
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
    """One figure. `tone` is up, down, warn or empty; `spark` a short row of numbers."""

    label: str
    value: str
    tone: str = ""
    note: str = ""
    note_tone: str = ""
    spark: Sequence[float] = ()
    live: str = ""  # the name under which its value is pushed


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    label: str
    number: bool = False
    wide_only: bool = False  # left out on a phone
    sort: str = ""  # a click on it sorts by that


def fact_list(facts: Sequence[tuple[str, str]]) -> None:
    """Names, and beside each what it is."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in facts)
    st.html(f'<dl class="dt-facts">{rows}</dl>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`sub` is the small line below; `badge` puts the text into a coloured label; `spark` draws instead of
    writing; `meter` adds a bar filled so many percent; `live` is the name under which the ticker pushes its
    words (see cells.py); `hint` is told when pointed at."""

    text: str = ""
    sub: str = ""
    tone: str = ""
    badge: bool = False
    spark: Sequence[float] = ()
    flash: bool = False  # shows a change by a short glow
    meter: float | None = None
    live: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    id: str
    cells: Sequence[Cell]
    actions: Sequence[tuple[str, str]] = field(default=())  # (what it does, the button's words)
    opens: bool = True  # in a table whose rows lead somewhere
    kind: str = ""  # group: a line that stands over others


@lru_cache(maxsize=1)
def _style() -> str:
    return (ASSETS / "parts.css").read_text(encoding="utf-8")


# By the manager they are registered at: another run of Streamlit in the same process (a test's) has its own.
_made: WeakKeyDictionary[Any, dict[tuple[str, str], Any]] = WeakKeyDictionary()


def _component(name: str, html: str) -> Any:
    """Registered once. Its script is a file: for one that is given as text, browsers would have to be allowed
    to run text."""
    manager = get_bidi_component_manager()
    made = _made.setdefault(manager, {})
    if (name, html) not in made:
        ours = ComponentManifest(
            name="dashtrade", version="", components=[ComponentConfig(name=name, asset_dir=ASSETS.name)]
        )
        manager.register_from_manifest(ours, ASSETS.parent)
        made[name, html] = st.components.v2.component(
            f"dashtrade.{name}", html=f"\n{html}\n", css=_style(), js=f"{name}.js"
        )
    return made[name, html]


def mounted(name: str, html: str) -> Any:
    made = _component(name, html)

    def mount(*, data: Any = None, **more: Any) -> Any:
        # In a list: Streamlit looks for data frames in a bare dict, and loads pandas to do so (a second and
        # 80 MB).
        return made(data=None if data is None else [data], **more)

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
    """(row's id, what) once after a click: what is "open" for the row itself, or one of its actions; (a
    column's name, "sort"). `stacked`: on a phone each row is a card, with the columns' labels beside its
    figures."""
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
    said = mounted(
        "table", '<div class="scroll"><table><caption></caption><thead></thead><tbody></tbody></table></div>'
    )(key=key, data=data, height="content", on_act_change=lambda: None)
    act = getattr(said, "act", None)
    return (str(act["id"]), str(act["what"])) if act else None


def pulse(name: str, rev: str) -> None:
    """Runs the part of the page it stands in again when something of the user's has changed since `rev`."""
    mounted("pulse", "<i hidden></i>")(
        key=f"pulse_{name}", data={"rev": rev}, height="content", on_rev_change=lambda: None
    )


def to_top(turned: int) -> None:
    """Scrolls the page up whenever the number has changed."""
    mounted("top", "<i hidden></i>")(key="to_top", data={"turned": turned}, height="content")


def copy_line(key: str, name: str, text: str, *, shown: str = "") -> None:
    """A line to copy. `shown` stands on the page in the place of what is copied; `name` says what that is."""
    html = (
        '<div class="copy"><code></code><button type="button">Copy</button><span role="status"></span></div>'
    )
    mounted("copy", html)(
        key=key, data={"text": text, "shown": shown or text, "name": name}, height="content"
    )


def go(to: str) -> None:
    """Leave for another page of ours, which the browser asks for anew."""
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
    """Lines over time, each of (milliseconds since 1970, value). With `zero` they are gains and losses, told
    from nought. The unit is money or percent; without a colour the first line is green or red by how it
    went."""
    shown = [{"name": name, "points": [list(point) for point in points]} for name, points in series if points]
    data = {
        "label": label,
        "series": shown,
        "height": height,
        "zero": zero,
        "colour": colour,
        "around": ("", "%") if unit == "percent" else around(currency),
    }
    mounted("curve", '<div class="curve"></div>')(key=key, data=data, height="content")


def profit_curve(
    key: str, days: Sequence[tuple[date, Decimal]], *, height: int = 220, currency: str = "USD"
) -> None:
    """Net profit day by day, summed up from zero on the day before the first."""
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
