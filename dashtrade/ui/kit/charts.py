"""Plotly charts in DashTrade's colours. Imported only where a chart is drawn, as Plotly costs memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashtrade.ui.kit.format import signed

GREEN, RED, BLUE = "#16C784", "#F6465D", "#6B9BFF"
CATEGORIES = [BLUE, GREEN, "#F5A524", "#B38CFF", RED, "#3FC8D8", "#8A94A6"]


def template() -> go.layout.Template:
    """One look for all charts, matching the page's theme."""
    light = getattr(st.context.theme, "type", None) == "light"
    text, line = ("#536072", "#E3E8EE") if light else ("#9AA5B5", "#1E252F")
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": line,
        "tickfont": {"color": text},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": CATEGORIES,
            "xaxis": axis,
            "yaxis": axis,
            "font": {
                "family": "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
                "size": 12,
                "color": text,
            },
            "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
            "hoverlabel": {"font": {"size": 12}},
        }
    )


def figure(height: int, **layout: Any) -> go.Figure:
    chart = go.Figure()
    chart.update_layout(template=template(), height=height, **layout)
    return chart


def _format(currency: str, digits: int = 0) -> str:
    """The axis format; a currency without a sign is named above the chart."""
    return f"$,.{digits}f" if currency == "USD" else f",.{digits}f"


def daily_bars(days: Sequence[tuple[Any, Any]], currency: str, height: int = 240) -> go.Figure:
    chart = _bars(days, [f"{day:%d %b %Y}" for day, _ in days], currency, height)
    chart.update_xaxes(type="date", tickformat="%d %b", nticks=8)
    return chart


def _bars(nets: Sequence[tuple[Any, Any]], names: Sequence[str], currency: str, height: int) -> go.Figure:
    """Profit green, loss red; `names` are for the tooltips."""
    chart = figure(height, showlegend=False, bargap=0.25, yaxis_tickformat=_format(currency))
    values = [float(net) for _, net in nets]
    chart.add_bar(
        x=[place for place, _ in nets],
        y=values,
        marker_color=[GREEN if value >= 0 else RED for value in values],
        hovertext=[f"{name}: {signed(net, currency)}" for name, (_, net) in zip(names, nets, strict=True)],
        hoverinfo="text",
    )
    return chart


def profit_lines(
    series: Sequence[tuple[str, Sequence[tuple[Any, float]]]],
    currency: str,
    height: int = 320,
    *,
    dashed: tuple[str, Sequence[tuple[Any, float]]] = ("", ()),
) -> go.Figure:
    """Cumulative profit over time; the first series is the total and stands out. `dashed` is the
    comparison."""
    chart = figure(height, hovermode="x unified", yaxis_tickformat=_format(currency), showlegend=False)
    hover = f"%{{y:{_format(currency, 2)}}}" + ("" if currency == "USD" else f" {currency}")
    for index, (name, points) in enumerate(series):
        first = index == 0
        chart.add_scatter(
            x=[day for day, _ in points],
            y=[value for _, value in points],
            name=name,
            mode="lines",
            line={"width": 2.5 if first else 1.3},
            fill="tozeroy" if first else None,
            fillcolor="rgba(107,155,255,.12)" if first else None,
            hovertemplate=hover,
        )
    if dashed[1]:
        chart.add_scatter(
            x=[day for day, _ in dashed[1]],
            y=[value for _, value in dashed[1]],
            name=dashed[0],
            mode="lines",
            line={"width": 1.6, "dash": "dot", "color": "#8A94A6"},
            hovertemplate=hover,
        )
    chart.update_xaxes(type="date", tickformat="%d %b", nticks=8)
    return chart


def legend(names: Sequence[str], dashed: str = "") -> str:
    """Plotly's own legend covers the chart on a phone; this one is above the chart and wraps. The caller
    escapes the names."""
    lines = [
        f'<li><i style="background:{CATEGORIES[index % len(CATEGORIES)]}"></i>{name}</li>'
        for index, name in enumerate(names)
    ]
    lines += [f'<li><i class="dashed"></i>{dashed}</li>'] if dashed else []
    return f'<ul class="dt-legend">{"".join(lines)}</ul>'


def grouped_bars(groups: Sequence[tuple[str, Any]], currency: str, height: int = 200) -> go.Figure:
    """Profit by hour or weekday: one bar each, in the given order."""
    chart = _bars(groups, [name for name, _ in groups], currency, height)
    chart.update_xaxes(type="category")
    return chart
