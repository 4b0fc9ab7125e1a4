"""A paper account's capabilities, by its settings."""

from __future__ import annotations

from datetime import timedelta

from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.values import OrderType, TimeInForce


def capabilities_of(settings: PaperSettings) -> Capabilities:
    return Capabilities(
        name="Paper",
        order_types=frozenset(OrderType),
        times_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        shorts=settings.shorting,
        fractional=True,
        notional=True,
        extended_hours=True,
        refuses_repeats=True,
        settle=timedelta(0),
        sandbox=True,
        stocks=True,
        crypto=True,
        always_open=settings.hours == "always",
    )
