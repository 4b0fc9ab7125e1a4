"""The part of a bot's form that says how its positions are left: stop, target, break-even, at the end of the day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.services.bot_settings import shown_settings

STOPS = {"": "No stop", "percent": "Stop, % below the entry (above, for a short)", "trail_percent": "Trailing stop, % behind the best price"}


def fields(bot: Bot | None) -> Callable[[], dict[str, Any]]:
    now = shown_settings(bot.exit_plan, bot.ordering) if bot else {}
    stop, targets = now.get("stop_loss"), now.get("take_profit") or []
    if (stop and "percent" not in stop) or len(targets) > 1 or any("percent" not in target for target in targets):
        st.caption("Its stop and targets are more than this form can show; they stay as they are. The API changes them.")
        return dict
    trailing = bool(stop) and stop["type"] == "trailing_stop"
    with st.expander("Stop and target", expanded=bool(stop or targets)):
        left, right = st.columns(2)
        kinds = list(STOPS)
        kind = left.selectbox("Stop", kinds, index=kinds.index("trail_percent" if trailing else "percent" if stop else ""), format_func=STOPS.__getitem__)
        away = right.text_input("Stop, %", value=stop["percent"] if stop else "", placeholder="2", max_chars=20)
        target = left.text_input("Target, % of profit", value=targets[0]["percent"] if targets else "", placeholder="None", max_chars=20)
        close_at = right.text_input("Close the position at", value=now.get("close_at") or "", placeholder="Never, or 15:55", max_chars=5, help="In the bot's time zone.")
        st.caption("For alerts that bring none of their own. Kept by DashTrade while it runs, or by the broker where it can hold them.")

    def read() -> dict[str, Any]:
        said = away.replace("%", "").strip()
        return {
            "stop_loss": {"trailPercent" if kind == "trail_percent" else "percent": said} if kind and said else None,
            "take_profit": [{"percent": target.replace("%", "").strip()}] if target.strip() else None, "close_at": close_at.strip() or None,
        }  # fmt: skip

    return read
