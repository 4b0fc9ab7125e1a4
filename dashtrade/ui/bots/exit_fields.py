"""The part of a bot's form that says how its positions are left: stop, target, break-even, at the end of the
day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.domain.values import Malformed
from dashtrade.services.bots.settings import shown_settings
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import percent, signed, text

STOPS = {
    "": "No stop",
    "percent": "Stop, % below the entry (above, for a short)",
    "trail_percent": "Trailing stop, % behind the best price",
}
AWAY = {"percent": "Stop, % from the entry", "trail_percent": "Trailing distance, %"}
USUAL = "2"  # percent, once a stop is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What one trade is about, as far as it is known while the form is filled in."""

    kind: str  # as in position_size_type
    size: Decimal | None
    price: Decimal | None = None
    equity: Decimal | None = None

    def share(self, away: Decimal, sign: int) -> str:
        """`away` percent of one trade, in money; in words where the money is not known."""
        part = away / 100
        match self.kind, self.size:
            case _, None:
                return ""
            case "dollars", size:
                return f"about {signed(size * part * sign)} per trade"
            case "quantity", size if self.price is not None:
                return f"about {signed(size * self.price * part * sign)} per trade"
            case "quantity", size:
                return f"{percent(away * sign, sign=True)} of what one trade costs"
            case "percent_of_equity", size if self.equity is not None:
                return f"about {signed(self.equity * size / 100 * part * sign)} per trade"
            case "percent_of_equity", size:
                return f"about {percent(size * part * sign, sign=True)} of the equity per trade"
        return self._by_risk(sign)

    def _by_risk(self, sign: int) -> str:
        """The size is what the stop loses, however far away it stands."""
        if sign > 0 or self.size is None:
            return ""
        if self.kind == "risk_dollars":
            return f"about {signed(-self.size)} per trade"
        if self.equity is None:
            return f"about {percent(-self.size)} of the equity per trade"
        return f"about {signed(-self.equity * self.size / 100)} per trade"


def fields(form: Form, bot: Bot | None, stake: Stake) -> Callable[[], dict[str, Any]]:
    now = shown_settings(bot.exit_plan, bot.order_defaults) if bot else {}
    stop, targets = now.get("stop_loss"), now.get("take_profit") or []
    if (
        (stop and "percent" not in stop)
        or len(targets) > 1
        or any("percent" not in target for target in targets)
    ):
        st.caption(
            "Its stop and targets are more than this form can show; they stay as they are. The API changes "
            "them."
        )
        return dict
    was = "" if not stop else "trail_percent" if stop["type"] == "trailing_stop" else "percent"
    with st.expander("Stop and target", expanded=bool(stop or targets)):
        left, right = st.columns(2)
        kinds = list(STOPS)
        kind = left.selectbox(
            "Stop", kinds, index=kinds.index(was), format_func=STOPS.__getitem__, key=form.key("stop_kind")
        )
        away = ""
        if kind:  # a number without a kind cannot be typed at all
            away = form.text(
                "stop_loss",
                AWAY[kind],
                right,
                value=stop["percent"] if stop else USUAL,
                max_chars=20,
                live=True,
            )
        left, right = st.columns(2)
        target = form.text(
            "take_profit",
            "Target, % of profit",
            left,
            value=targets[0]["percent"] if targets else "",
            placeholder="None",
            max_chars=20,
            live=True,
        )
        close_at = form.text(
            "close_at",
            "Close the position at",
            right,
            value=now.get("close_at") or "",
            placeholder="Never, or 15:55",
            max_chars=5,
            help="In the bot's time zone.",
            on_change="ignore",
        )
        st.caption(_in_money(kind, away, target, stake))
        st.caption(
            "For alerts that bring none of their own. Kept by DashTrade while it runs, or by the broker "
            "where it can hold them."
        )

    def read() -> dict[str, Any]:
        """A stop that was chosen is kept or complained about, never left out."""
        said = (
            form.number(
                "stop_loss", away, percent=True, most=100, missing="Enter how far away, or choose No stop."
            )
            if kind
            else None
        )
        profit = form.number("take_profit", target, percent=True)
        return {
            "stop_loss": {"trailPercent" if kind == "trail_percent" else "percent": said} if kind else None,
            "take_profit": [{"percent": profit}] if profit else None,
            "close_at": read_input.clock(close_at, "close_at", form.places["close_at"].label),
        }

    return read


def _in_money(kind: str, away: str, target: str, stake: Stake) -> str:
    """What the fields mean, before anything is saved."""
    stop, profit = readable(away, percent=True), readable(target, percent=True)
    lines = []
    if not kind:
        lines.append("No stop of its own: a loss runs until an alert or the max loss per position closes it.")
    elif stop is not None and (loss := stake.share(stop, -1)):
        first = " until it has moved with the price" if kind == "trail_percent" else ""
        lines.append(f"{'Trailing stop' if kind == 'trail_percent' else 'Stop'} {stop}% = {loss}{first}.")
    if profit is not None and (gain := stake.share(profit, 1)):
        lines.append(f"Target {profit}% = {gain}.")
    return text(" ".join(lines))


def readable(said: str, **more: Any) -> Decimal | None:
    """What is being typed, if it is a number already."""
    try:
        found = read_input.number(said, "", "", **more)
    except Malformed:
        return None
    return Decimal(found) if found else None
