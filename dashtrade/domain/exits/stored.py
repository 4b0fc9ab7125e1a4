"""Exits as JSON documents, numbers as strings: the format of the columns `bots.exits`, `bots.exit_plan` and
`orders.exits`. Their names must not change, as older rows use them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.exits.state import ExitKind, ExitState, StopLevel, TargetLevel, TriggeredExit
from dashtrade.domain.reasons import read_stored, stored
from dashtrade.domain.signals import ExitPlan, Target
from dashtrade.domain.values import ZERO, iso

Document = dict[str, Any]
_TARGET_NUMBERS = ("price", "percent", "amount", "limit_price", "share_percent", "share_quantity")


# --- the plan -----------------------------------------------------------------------------------------------


def write_plan(plan: ExitPlan) -> Document | None:
    if plan.is_empty:
        return None
    found: Document = {
        "take_profits": [_write_target(target) for target in plan.take_profits],
        "stop_loss": _write_target(plan.stop_loss) if plan.stop_loss else None,
    }
    if plan.break_even:
        found["break_even"] = True
    if plan.close_after is not None:
        found["close_after"] = int(plan.close_after.total_seconds())
    if plan.close_at is not None:
        found["close_at"] = f"{plan.close_at:%H:%M}"
    return found


def read_plan(found: Mapping[str, Any] | None) -> ExitPlan:
    if not found:
        return ExitPlan()
    stop, after, at = found["stop_loss"], found.get("close_after"), found.get("close_at")
    return ExitPlan(
        take_profits=tuple(_read_target(target) for target in found["take_profits"]),
        stop_loss=_read_target(stop) if stop else None,
        break_even=found.get("break_even", False),
        close_after=timedelta(seconds=after) if after else None,
        close_at=time.fromisoformat(at) if at else None,
    )


def _write_target(target: Target) -> Document:
    numbers = {name: getattr(target, name) for name in _TARGET_NUMBERS}
    return {name: str(value) for name, value in numbers.items() if value is not None} | {
        "trailing": target.trailing
    }


def _read_target(found: Mapping[str, Any]) -> Target:
    return Target(
        trailing=found["trailing"],
        **{name: Decimal(found[name]) for name in _TARGET_NUMBERS if name in found},
    )


def write_order_exits(exits: OrderExits) -> Document:
    found = write_plan(exits.plan) or {"take_profits": [], "stop_loss": None}
    if exits.held_by is not None:
        found["native"] = exits.held_by
    if exits.price_step:
        found["price_step"] = str(exits.price_step)
    return found


def read_order_exits(found: Mapping[str, Any]) -> OrderExits:
    return OrderExits(
        plan=read_plan(found), held_by=found.get("native"), price_step=_number(found, "price_step") or ZERO
    )


# --- the state ----------------------------------------------------------------------------------------------


def write_state(state: ExitState) -> Document:
    found: Document = {}
    if state.take_profits:
        found["take_profits"] = [
            {
                "price": str(target.price),
                "share": _text(target.share_percent),
                "quantity": _text(target.quantity),
            }
            for target in state.take_profits
        ]
    if state.stop is not None:
        found["stop"] = str(state.stop.price)
        for name in ("trail", "best", "limit"):
            if (value := getattr(state.stop, name)) is not None:
                found[name] = str(value)
    if state.size is not None:
        found["size"] = str(state.size)
    if state.break_even:
        found["break_even"] = True
    if state.until is not None:
        found["until"] = iso(state.until)
    if state.held_by is not None:
        found["held_by"] = state.held_by
    if state.lost is not None:
        found["lost"] = stored(state.lost)
    if state.triggered is not None:
        found["firing"] = _write_triggered(state.triggered)
    if state.price_step:
        found["price_step"] = str(state.price_step)
    return found


def read_state(found: Mapping[str, Any]) -> ExitState:
    stop, until, lost, triggered = (found.get(name) for name in ("stop", "until", "lost", "firing"))
    return ExitState(
        stop=None
        if stop is None
        else StopLevel(
            price=Decimal(stop),
            limit=_number(found, "limit"),
            trail=_number(found, "trail"),
            best=_number(found, "best"),
        ),
        take_profits=tuple(
            TargetLevel(
                price=Decimal(target["price"]),
                share_percent=_number(target, "share"),
                quantity=_number(target, "quantity"),
            )
            for target in found.get("take_profits", ())
        ),
        size=_number(found, "size"),
        break_even=found.get("break_even", False),
        until=datetime.fromisoformat(until) if until else None,
        held_by=found.get("held_by"),
        lost=None if lost is None else read_stored(lost),
        triggered=_read_triggered(triggered) if triggered else None,
        price_step=_number(found, "price_step") or ZERO,
    )


def _write_triggered(triggered: TriggeredExit) -> Document:
    return {
        "kind": str(triggered.kind),
        "price": str(triggered.price),
        "quantity": _text(triggered.quantity),
        "limit": _text(triggered.limit),
        "signal": triggered.signal_id,
        "tries": triggered.tries,
        "since": iso(triggered.since),
        "told": triggered.notified,
    }


def _read_triggered(found: Mapping[str, Any]) -> TriggeredExit:
    return TriggeredExit(
        kind=ExitKind(found["kind"]),
        price=Decimal(found["price"]),
        quantity=_number(found, "quantity"),
        limit=_number(found, "limit"),
        signal_id=found["signal"],
        tries=found["tries"],
        since=datetime.fromisoformat(found["since"]),
        notified=found["told"],
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(found: Mapping[str, Any], name: str) -> Decimal | None:
    text = found.get(name)
    return Decimal(text) if text else None
