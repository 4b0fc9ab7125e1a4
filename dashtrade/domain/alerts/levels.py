"""Stops and targets, in the notations of alerts."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.alerts.fields import (
    HUNDRED,
    Fields,
    contradiction,
    read_percent,
    read_positive,
    read_share,
    read_stop_type,
)
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Target
from dashtrade.domain.values import Malformed, OrderType

MAX_TARGETS = 20


def read_profits(value: object, where: str) -> tuple[Target, ...]:
    if not isinstance(value, list):
        return (_profit(value, where),)
    if len(value) > MAX_TARGETS:
        raise Malformed(f"{where} has {len(value)} steps", where=where, hint=f"Send at most {MAX_TARGETS}.")
    steps = tuple(_profit(step, f"{where}[{number}]") for number, step in enumerate(value))
    total = sum(step.share_percent or 0 for step in steps)
    alike = [step for step in steps if step.share_percent is None and step.share_quantity is None]
    if total > HUNDRED or (alike and len(steps) > 1 and (alike != [steps[-1]] or total == HUNDRED)):
        hint = (
            "Give each step a share, at most 100 percent together; the last may omit its share: it takes "
            "the rest."
        )
        raise Malformed(f"the shares of {where} do not add up", where=where, hint=hint)
    return steps


def _profit(value: object, where: str) -> Target:
    if not isinstance(value, dict):
        return Target(price=read_positive(value, where))
    fields = Fields.of(value, f"{where}.")
    ways = {
        "price": fields.one("limit_or_price", read_positive),
        "percent": fields.one("percent", read_percent),
        "amount": fields.one("amount", read_positive),
    }
    way = _only_way(ways, where, "limitPrice, percent, amount")
    share, quantity = fields.one("share", read_share), fields.one("share_quantity", read_positive)
    if share and quantity:
        contradiction(fields.get("share")[0][0], fields.get("share_quantity")[0][0])
    return replace(_target(way, ways[way]), share_percent=share, share_quantity=quantity)


def read_loss(value: object, where: str) -> Target:
    if not isinstance(value, dict):
        return Target(price=read_positive(value, where))
    fields = Fields.of(value, f"{where}.")
    ways = {
        "price": fields.one("stop_or_price", read_positive),
        "percent": fields.one("percent", read_percent),
        "amount": fields.one("amount", read_positive),
        "trail_percent": fields.one("trail_percent", read_percent),
        "trail_amount": fields.one("trail_amount", read_positive),
    }
    way = _only_way(ways, where, "stopPrice, percent, amount, trailAmount, trailPercent")
    limit, trails = fields.one("limit_price", read_positive), way.startswith("trail")
    kind = fields.one("type", read_stop_type)
    kind = kind or (OrderType.TRAILING_STOP if trails else OrderType.STOP_LIMIT if limit else OrderType.STOP)
    trailing = kind is OrderType.TRAILING_STOP
    limited = kind is OrderType.STOP_LIMIT
    if (trails and not trailing) or (trailing and way == "price") or limited != (limit is not None):
        hint = (
            "stop takes stopPrice, percent or amount; stop_limit a limitPrice too; trailing_stop a trail "
            "alone."
        )
        raise Malformed(f"{where} does not match its type {kind}", where=where, hint=hint)
    return replace(_target(way.removeprefix("trail_"), ways[way]), limit_price=limit, trailing=trailing)


def _target(way: str, value: Decimal | None) -> Target:
    match way:
        case "price":
            return Target(price=value)
        case "percent":
            return Target(percent=value)
    return Target(amount=value)


def _only_way(ways: dict[str, Decimal | None], where: str, names: str) -> str:
    given = [way for way, value in ways.items() if value is not None]
    if len(given) != 1:
        raise Malformed(f"{where} has {len(given)} of {names}", where=where, hint="Send exactly one of them.")
    return given[0]
