"""The brokers as documents: what each can do and how to connect it, for the API, the command line and the
manual, without loading its library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashtrade.brokers.registry import BROKERS
from dashtrade.domain.broker_kinds import BrokerChoice


def choices() -> list[tuple[str, BrokerChoice]]:
    """Every broker's name with its choices."""
    return [(broker, choice) for broker, kind in BROKERS.items() for choice in kind.choices]


def as_json(broker: str, choice: BrokerChoice) -> dict[str, Any]:
    can = choice.can
    return {
        "broker": broker,
        "exchange": choice.exchange,
        "name": can.name,
        "proven": choice.proven,
        "modes": list(choice.modes),
        "credentials": [
            {"name": each.name, "description": each.help, "required": each.required}
            for each in choice.credentials
        ],
        "options": [{"name": each.name, "description": each.help} for each in choice.options],
        "settings": list(choice.settings),
        "capabilities": {
            "stocks": can.stocks,
            "crypto": can.crypto,
            "order_types": sorted(can.order_types),
            "times_in_force": sorted(can.times_in_force),
            "shorts": can.shorts,
            "fractional": can.fractional,
            "notional": can.notional,
            "extended_hours": can.extended_hours,
            "native_bracket": can.native_bracket,
            "client_ids": can.client_ids,
            "refuses_repeats": can.refuses_repeats,
            "settle_seconds": can.settle.total_seconds(),
            "sandbox": can.sandbox,
            "requests_per_minute": can.requests_per_minute,
            "always_open": can.always_open,
            "queues_when_closed": can.queues_when_closed,
            "lists_orders": can.lists_orders,
        },
        "notes": list(can.notes),
        "steps": choice.guide,
    }


_COLUMNS = (
    "broker",
    "name",
    "trades",
    "modes",
    "orders",
    "time in force",
    "short",
    "fractions",
    "outside regular hours",
    "exits",
    "unconfirmed orders are",
    "not-found grace period",
)


def as_markdown() -> str:
    """The table, each broker's notes, and how to connect it."""
    found = choices()
    table = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
        *(_row(broker, choice) for broker, choice in found),
    ]
    return (
        "\n".join([*table, "", *(line for _, choice in found for line in _details(choice))]).rstrip() + "\n"
    )


def _row(broker: str, choice: BrokerChoice) -> str:
    can = choice.can
    markets = " and ".join(word for word, yes in (("stocks", can.stocks), ("coins", can.crypto)) if yes)
    if not choice.proven:
        unconfirmed = "not verified: you may be asked"
    elif can.refuses_repeats:
        unconfirmed = "looked up, and sent again if not found"
    else:
        unconfirmed = (
            "looked up, never sent again"
            if can.client_ids
            else "searched among the account's orders, never sent again"
        )
    cells = (
        f"`{broker}`" + (f" `{choice.exchange}`" if choice.exchange else ""),
        can.name,
        markets,
        ", ".join(choice.modes),
        _joined(can.order_types),
        _joined(can.times_in_force),
        "yes" if can.shorts else "no",
        "yes" if can.fractional else "no, whole shares",
        "yes" if can.extended_hours else "always open" if can.always_open else "no",
        f"placed at {can.name}" if can.native_bracket else "managed by DashTrade while it runs",
        unconfirmed,
        f"{can.settle.total_seconds():.0f} s",
    )
    return "| " + " | ".join(cells) + " |"


def _joined(words: Any) -> str:
    return ", ".join(sorted(word.replace("_", "-") for word in words))


def _details(choice: BrokerChoice) -> Iterator[str]:
    fields = ", ".join(f"`{each.name}` ({each.help.rstrip('.')})" for each in choice.credentials)
    addresses = ", ".join(f"`{name}`" for name in choice.settings)
    yield f"- **{choice.can.name}.** {choice.guide}"
    if fields:
        yield f"  Credentials: {fields}. Address override: {addresses}."
    if choice.options:
        yield f"  Options: {', '.join(f'`{each.name}` ({each.help})' for each in choice.options)}."
    for note in choice.can.notes:
        yield f"  {note}"
