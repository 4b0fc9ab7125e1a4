"""A bot's settings as people and programs write them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dashtrade.domain.bots import Sides, WhenClosed, Window
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.values import Malformed, OrderType, exact, plain
from dashtrade.services.bots.settings import EXIT_FIELDS, ORDER_FIELDS
from dashtrade.services.people.users import read_zone

if TYPE_CHECKING:
    pass

SIZE_KINDS = {
    "dollars": SizeKind.DOLLARS,
    "quantity": SizeKind.QUANTITY,
    "percent_of_equity": SizeKind.EQUITY_PERCENT,
    "equity_percent": SizeKind.EQUITY_PERCENT,
    "risk_dollars": SizeKind.RISK_DOLLARS,
    "risk_percent": SizeKind.RISK_PERCENT,
}

# --- bots ---------------------------------------------------------------------------------------------------


def _percent(value: object, where: str) -> Decimal | None:
    if value is None:
        return None
    number = exact(value, where)
    if not 0 < number <= 100:
        raise Malformed(f"{where} is {plain(number)}", where=where, hint="A percentage above 0, up to 100.")
    return number


def _above_zero(value: object, where: str) -> Decimal | None:
    if value is None:
        return None
    number = exact(value, where)
    if number <= 0:
        raise Malformed(
            f"{where} is {plain(number)}", where=where, hint="A number above 0, or null for no limit."
        )
    return number


def _count(most: int, least: int = 0):
    def read(value: object, where: str) -> int | None:
        if value is None:
            return None
        number = exact(value, where)
        if number != int(number) or not least <= number <= most:
            raise Malformed(
                f"{where} is {plain(number)}", where=where, hint=f"A whole number from {least} to {most}."
            )
        return int(number)

    return read


def _choice(kind: Any):
    def read(value: object, where: str) -> Any:
        try:
            return kind(str(value).strip().lower())
        except ValueError:
            raise Malformed(
                f"{where} cannot be {str(value)[:30]!r}", where=where, hint=f"One of: {', '.join(kind)}."
            ) from None

    return read


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{where} is neither true nor false", where=where, hint="Send true or false.")
    return value


def _windows(value: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > 20:
        raise Malformed(
            f"{where} is not a list",
            where=where,
            hint='Send a list such as [{"days": ["mon"], "from": "09:30", "to": "16:00"}].',
        )
    return [Window.parse(window).written() for window in value]


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or any(ord(c) < 32 for c in value):
        raise Malformed(f"{where} cannot be used", where=where, hint="1 to 100 characters.")
    return value.strip()


def _offset(value: object, where: str) -> Decimal:
    number = exact(value, where)
    if not -50 <= number <= 50:
        raise Malformed(
            f"{where} is {plain(number)}",
            where=where,
            hint="From -50 to 50 percent; positive is a better price than the market's.",
        )
    return number


_FIELDS: dict[str, Any] = {
    "name": _name,
    "risk_limit_percent": _percent,
    "daily_loss_limit": _above_zero,
    "max_position_size": _above_zero,
    "sides": _choice(Sides),
    "limit_offset_percent": _offset,
    "cooldown_seconds": _count(7 * 86400),
    "orders_per_day": _count(100000, 1),
    "windows": _windows,
    "time_zone": lambda value, where: read_zone(str(value)),
    "size_override": _flag,
    "when_closed": _choice(WhenClosed),
}

DEFAULTS: dict[str, Any] = {
    "risk_limit_percent": None,
    "daily_loss_limit": None,
    "max_position_size": None,
    "sides": Sides.BOTH,
    "order_type": OrderType.MARKET,
    "limit_offset_percent": Decimal(0),
    "cooldown_seconds": 0,
    "windows": [],
    "time_zone": "UTC",
    "orders_per_day": None,
    "size_override": False,
    "when_closed": WhenClosed.REFUSE,
}

PLACE = ("account_id", "symbol", "timeframe")

_SIZE = ("position_size", "position_size_type", "order_type")

_NULLABLE = {"risk_limit_percent", "daily_loss_limit", "max_position_size", "orders_per_day"}

# a change of these is held against what the venue can do
OF_VENUE = {"sides", "order_type", "size_kind", "size_value", "ordering"}

BOT_FIELDS = (*PLACE, *_SIZE, *_FIELDS, *EXIT_FIELDS, *ORDER_FIELDS)


def read_fields(given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    for name in given:
        if name not in known:
            from difflib import get_close_matches

            close = get_close_matches(name, known, 1)
            raise Malformed(
                f"a bot has no field {name[:60]!r}",
                where=name[:60],
                hint=f"Did you mean {close[0]}?" if close else f"It has: {', '.join(known)}.",
            )
    read = {}
    for name, reader in _FIELDS.items():
        if name in given:
            if given[name] is None and name not in _NULLABLE:
                raise Malformed(f"{name} is null", where=name, hint="Leave it out, or give it a value.")
            read[name] = reader(given[name], name)
    if "order_type" in given:
        kind = _choice(OrderType)(given["order_type"], "order_type")
        if kind not in (OrderType.MARKET, OrderType.LIMIT):
            raise Malformed(
                f"a bot's orders cannot be {kind}", where="order_type", hint="One of: market, limit."
            )
        read["order_type"] = kind
    return read | _read_size(given)


def _read_size(given: Mapping[str, Any]) -> dict[str, Any]:
    if "position_size" not in given and "position_size_type" not in given:
        return {}
    if given.get("position_size") is None:
        raise Malformed(
            "position_size is missing",
            where="position_size",
            hint='Send it as "5000", with position_size_type if it is not dollars.',
        )
    written, kind = given["position_size"], given.get("position_size_type", "dollars")
    if isinstance(written, str) and written.strip().endswith("%"):
        written, kind = written.strip()[:-1], "percent_of_equity"
    if not isinstance(kind, str) or kind not in SIZE_KINDS:
        raise Malformed(
            f"position_size_type cannot be {str(kind)[:30]!r}",
            where="position_size_type",
            hint=f"One of: {', '.join(SIZE_KINDS)}.",
        )
    size = Size(kind=SIZE_KINDS[kind], value=_above_zero(written, "position_size") or Decimal(0))
    if size.kind in (SizeKind.EQUITY_PERCENT, SizeKind.RISK_PERCENT):
        _percent(size.value, "position_size")
    return {"size_kind": size.kind, "size_value": size.value}
