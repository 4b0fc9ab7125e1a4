"""Plotly's charts in our colours. Imported only where a chart is drawn: Plotly costs memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.domain.ports import Candle
from dashtrade.tables.people import User
from dashtrade.ui.words import signed, zone

GREEN, RED, BLUE = "#16C784", "#F6465D", "#6B9BFF"
CATEGORIES = [BLUE, GREEN, "#F5A524", "#B38CFF", RED, "#3FC8D8", "#8A94A6"]


def template() -> go.layout.Template:
    """One look for all, after the theme that the page is shown in."""
    light = getattr(st.context.theme, "type", None) == "light"
    text, line = ("#536072", "#E3E8EE") if light else ("#9AA5B5", "#1E252F")
    axis = {"gridcolor": line, "linecolor": line, "zerolinecolor": line, "tickfont": {"color": text}, "automargin": True}
    return go.layout.Template(layout={
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "colorway": CATEGORIES, "xaxis": axis, "yaxis": axis,
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", "size": 12, "color": text},
        "margin": {"l": 0, "r": 0, "t": 8, "b": 0}, "hoverlabel": {"font": {"size": 12}}, "legend": {"orientation": "h", "y": 1.08, "x": 0},
    })  # fmt: skip


def figure(height: int, **layout: Any) -> go.Figure:
    made = go.Figure()
    made.update_layout(template=template(), height=height, **layout)
    return made


def candle_chart(user: User, candles: Sequence[Candle], trades: Sequence[Any], bot: Bot) -> go.Figure:
    """Candles with the bot's fills and, while it owns something, its entry and its exits."""
    here = zone(user)
    made = figure(420, xaxis_rangeslider_visible=False, showlegend=False, yaxis_side="right", hovermode="x")
    made.add_candlestick(
        x=[c.at.astimezone(here) for c in candles], open=[float(c.open) for c in candles], high=[float(c.high) for c in candles],
        low=[float(c.low) for c in candles], close=[float(c.close) for c in candles], name="Price",
        increasing={"line": {"color": GREEN, "width": 1}, "fillcolor": GREEN}, decreasing={"line": {"color": RED, "width": 1}, "fillcolor": RED},
    )  # fmt: skip
    for side, mark, colour in (("buy", "triangle-up", BLUE), ("sell", "triangle-down", "#F5A524")):
        own = [trade for trade in trades if trade.action == side]
        if own:
            made.add_scatter(
                x=[t.at.astimezone(here) for t in own], y=[float(t.price) for t in own], mode="markers", name=side.capitalize(),
                marker={"symbol": mark, "size": 12, "color": colour, "line": {"width": 1, "color": "#0B0E11"}},
                hovertext=[f"{side.capitalize()} {t.quantity.normalize():f} at {t.price:,.2f}" for t in own], hoverinfo="text",
            )  # fmt: skip
    _levels(made, bot)
    return made


def _levels(made: go.Figure, bot: Bot) -> None:
    entry = bot.position.average_price
    kept = bot.exits or {}
    levels = [(entry, "entry", BLUE)] if entry is not None else []
    levels += [(kept["stop"], "stop", RED)] if kept.get("stop") else []
    levels += [(target["price"], "target", GREEN) for target in kept.get("take_profits", [])]
    for level, name, colour in levels:
        made.add_hline(y=float(level), line={"color": colour, "width": 1, "dash": "dot"}, annotation={"text": name, "font": {"color": colour}}, annotation_position="top left")


def daily_bars(days: Sequence[tuple[Any, Any]], height: int = 240) -> go.Figure:
    made = figure(height, showlegend=False, bargap=0.25, yaxis_tickformat="$,.0f")
    values = [float(net) for _, net in days]
    made.add_bar(
        x=[day for day, _ in days], y=values, marker_color=[GREEN if value >= 0 else RED for value in values],
        hovertext=[f"{day:%d %b %Y}: {signed(net)}" for day, net in days], hoverinfo="text",
    )  # fmt: skip
    made.update_xaxes(type="date", tickformat="%d %b", nticks=8)
    return made


def profit_lines(series: Sequence[tuple[str, Sequence[tuple[Any, float]]]], height: int = 320) -> go.Figure:
    """Profit summed up over time; the first of the series is the total, and stands out."""
    made = figure(height, hovermode="x unified", yaxis_tickformat="$,.0f")
    for index, (name, points) in enumerate(series):
        first = index == 0
        made.add_scatter(
            x=[day for day, _ in points], y=[value for _, value in points], name=name, mode="lines",
            line={"width": 2.5 if first else 1.3}, fill="tozeroy" if first else None, fillcolor="rgba(107,155,255,.12)" if first else None,
            hovertemplate="%{y:$,.2f}",
        )  # fmt: skip
    made.update_xaxes(type="date", tickformat="%d %b", nticks=8)
    return made
