"""A bot's own exits and ways of ordering, as people write them: in the same words as in an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dashtrade.domain.alerts.fields import (
    TIMES_IN_FORCE,
    read_choice,
    read_flag,
    read_minutes,
    read_span,
    read_time_of_day,
)
from dashtrade.domain.alerts.levels import read_loss, read_profits
from dashtrade.domain.bots import OrderDefaults
from dashtrade.domain.exits import exits as exit_rules
from dashtrade.domain.signals import ExitPlan, SizeKind, Target
from dashtrade.domain.values import Malformed, plain

_EXITS: dict[str, tuple[str, Any, Any]] = {  # field: (of the plan, its reader, what null means)
    "take_profit": ("take_profits", read_profits, ()),
    "stop_loss": ("stop_loss", read_loss, None),
    "break_even": ("break_even", read_flag, False),
    "close_after_minutes": ("close_after", read_minutes, None),
    "close_at": ("close_at", read_time_of_day, None),
}
_ORDERING: dict[str, tuple[str, Any, Any]] = {
    "time_in_force": ("time_in_force", read_choice(TIMES_IN_FORCE), None),
    "extended_hours": ("extended_hours", read_flag, False),
    "delay_seconds": ("delay", read_span(86_400, zero=True), None),
    "cancel_first": ("cancel_first", read_flag, False),
}
EXIT_FIELDS, ORDER_FIELDS = tuple(_EXITS), tuple(_ORDERING)


def _changed(given: Mapping[str, Any], known: Mapping[str, tuple[str, Any, Any]], now: Any) -> Any:
    changes = {
        part: none if given[name] is None else read(given[name], name)
        for name, (part, read, none) in known.items()
        if name in given
    }
    return replace(now, **changes)


def read_plan(given: Mapping[str, Any], now: ExitPlan) -> ExitPlan:
    plan = _changed(given, _EXITS, now)
    if plan.break_even and not plan.take_profits:
        raise Malformed(
            "break_even needs a take-profit",
            where="break_even",
            hint="The stop moves to the entry price after the first take-profit step.",
        )
    return plan


def read_settings(given: Mapping[str, Any], plan: ExitPlan, ordering: OrderDefaults) -> dict[str, Any]:
    """What of it is to be stored; nothing where nothing of it was given."""
    values: dict[str, Any] = {}
    if not given.keys().isdisjoint(EXIT_FIELDS):
        values["exit_plan"] = exit_rules.written(read_plan(given, plan))
    if not given.keys().isdisjoint(ORDER_FIELDS):
        new = _changed(given, _ORDERING, ordering)
        values["ordering"] = replace(new, delay=new.delay if new.delay else None).written()
    return values


def check_risk_size(kind: SizeKind, plan: dict[str, Any] | None, alerts_may_size: bool) -> None:
    """A size by risk is what the stop-loss would lose, so there has to be one: the bot's, or in each of its
    alerts."""
    if (
        kind in (SizeKind.RISK_DOLLARS, SizeKind.RISK_PERCENT)
        and not (plan or {}).get("stop_loss")
        and not alerts_may_size
    ):
        hint = "Set stop_loss too, or size_override where every alert brings its own size."
        raise Malformed("a size by risk needs a stop-loss", where="position_size_type", hint=hint)


def shown_settings(plan: ExitPlan, ordering: OrderDefaults) -> dict[str, Any]:
    """As they may be sent back."""
    return {
        "take_profit": [_shown(target) for target in plan.take_profits] or None,
        "stop_loss": _shown_stop(plan.stop_loss) if plan.stop_loss else None,
        "break_even": plan.break_even,
        "close_after_minutes": plan.close_after and _minutes(plan.close_after),
        "close_at": plan.close_at and f"{plan.close_at:%H:%M}",
        "time_in_force": ordering.time_in_force and str(ordering.time_in_force),
        "extended_hours": ordering.extended_hours,
        "delay_seconds": int(ordering.delay.total_seconds()) if ordering.delay else 0,
        "cancel_first": ordering.cancel_first,
    }


def _minutes(span: timedelta) -> int | float:
    minutes = span.total_seconds() / 60
    return int(minutes) if minutes == int(minutes) else minutes


def _shown(target: Target) -> dict[str, str]:
    names = {
        "price": "price",
        "percent": "percent",
        "amount": "amount",
        "share_percent": "share",
        "share_quantity": "quantity",
    }
    return {
        shown: plain(value) for name, shown in names.items() if (value := getattr(target, name)) is not None
    }


def _shown_stop(stop: Target) -> dict[str, str]:
    kind = "trailing_stop" if stop.trailing else "stop_limit" if stop.limit_price is not None else "stop"
    return (
        {"type": kind}
        | _shown(stop)
        | ({"limitPrice": plain(stop.limit_price)} if stop.limit_price is not None else {})
    )
