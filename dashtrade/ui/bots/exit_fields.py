"""The exits in a bot's form: stop, target, break-even, end of the day."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.domain.values import Malformed
from dashtrade.services.bots import spec
from dashtrade.services.bots.setting_spec import Group
from dashtrade.services.bots.spec import BY_NAME as SPEC
from dashtrade.ui.bots.setting_fields import Read, section
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import percent, signed, text

STOPS = {
    "": "No stop",
    "percent": "Stop, % below the entry (above, for a short)",
    "trail_percent": "Trailing stop, % behind the best price",
}
LEVELS = ("stop_loss", "take_profit")
AWAY = {"percent": "Stop, % from the entry", "trail_percent": "Trailing distance, %"}
USUAL = "2"  # percent; the default once a stop is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """The size of one trade, as far as known while the form is filled in."""

    kind: str  # as in position_size_type
    size: Decimal | None
    price: Decimal | None = None
    equity: Decimal | None = None

    def share(self, distance: Decimal, sign: int) -> str:
        """`away` percent of one trade, in money where known, else in words."""
        part = distance / 100
        match self.kind, self.size:
            case _, None:
                return ""
            case "dollars", size:
                return f"about {signed(size * part * sign)} per trade"
            case "quantity", size if self.price is not None:
                return f"about {signed(size * self.price * part * sign)} per trade"
            case "quantity", size:
                return f"{percent(distance * sign, sign=True)} of the cost of a trade"
            case "percent_of_equity", size if self.equity is not None:
                return f"about {signed(self.equity * size / 100 * part * sign)} per trade"
            case "percent_of_equity", size:
                return f"about {percent(size * part * sign, sign=True)} of the equity per trade"
        return self._by_risk(sign)

    def _by_risk(self, sign: int) -> str:
        """The size is the loss at the stop, at any distance."""
        if sign > 0 or self.size is None:
            return ""
        if self.kind == "risk_dollars":
            return f"about {signed(-self.size)} per trade"
        if self.equity is None:
            return f"about {percent(-self.size)} of the equity per trade"
        return f"about {signed(-self.equity * self.size / 100)} per trade"


def fields(form: Form, bot: Bot | None, stake: Stake) -> Read:
    stop = SPEC["stop_loss"].shown(bot) if bot else None
    targets = (SPEC["take_profit"].shown(bot) if bot else None) or []
    with st.expander(Group.EXITS, expanded=bool(stop or targets)):
        if len(targets) > 1 or any("percent" not in one for one in [*targets, *([stop] if stop else [])]):
            st.caption(
                "This bot's stop and targets cannot be shown in this form. They are not changed here; "
                "use the API."
            )
            levels: Read = dict
        else:
            levels = _levels(form, stop, targets, stake)
        read_rest = section(
            form, [setting for setting in spec.of_group(Group.EXITS) if setting.name not in LEVELS], bot
        )
        st.caption(
            "Used when the alert has no stop or target. Managed by DashTrade while it runs, or placed at "
            "the broker where supported."
        )
    return lambda: levels() | read_rest()


def _levels(form: Form, stop: dict[str, str] | None, targets: list[dict[str, str]], stake: Stake) -> Read:
    """One stop and one target, in percent."""
    was = "" if not stop else "trail_percent" if stop["type"] == "trailing_stop" else "percent"
    left, right = st.columns(2)
    kinds = list(STOPS)
    kind = left.selectbox(
        "Stop", kinds, index=kinds.index(was), format_func=STOPS.__getitem__, key=form.key("stop_kind")
    )
    entered_stop = ""
    if kind:  # without a kind there is no distance field
        begin = stop["percent"] if stop else USUAL
        entered_stop = form.text("stop_loss", AWAY[kind], right, value=begin, max_chars=20, live=True)
    target = form.text(
        "take_profit",
        "Target, % of profit",
        st.columns(2)[0],
        value=targets[0]["percent"] if targets else "",
        placeholder=SPEC["take_profit"].empty,
        max_chars=20,
        live=True,
    )
    st.caption(_in_money(kind, entered_stop, target, stake))

    def read() -> dict[str, Any]:
        """A chosen stop is saved or refused, never dropped."""
        missing = "Enter a distance, or choose No stop."
        distance = (
            form.number("stop_loss", entered_stop, percent=True, most=100, missing=missing) if kind else None
        )
        profit = form.number("take_profit", target, percent=True)
        unit = "trailPercent" if kind == "trail_percent" else "percent"
        return {
            "stop_loss": {unit: distance} if kind else None,
            "take_profit": [{"percent": profit}] if profit else None,
        }

    return read


def _in_money(kind: str, stop_text: str, target: str, stake: Stake) -> str:
    """What the entered values mean, before anything is saved."""
    stop, profit = number_or_none(stop_text, percent=True), number_or_none(target, percent=True)
    lines = []
    if not kind:
        lines.append("No stop: a loss runs until an alert or the max loss per position closes the position.")
    elif stop is not None and (loss := stake.share(stop, -1)):
        first = " until the stop has moved with the price" if kind == "trail_percent" else ""
        lines.append(f"{'Trailing stop' if kind == 'trail_percent' else 'Stop'} {stop}% = {loss}{first}.")
    if profit is not None and (gain := stake.share(profit, 1)):
        lines.append(f"Target {profit}% = {gain}.")
    return text(" ".join(lines))


def number_or_none(entered: str, **more: Any) -> Decimal | None:
    """The number being typed; None if incomplete."""
    try:
        found = read_input.number(entered, "", "", **more)
    except Malformed:
        return None
    return Decimal(found) if found else None
