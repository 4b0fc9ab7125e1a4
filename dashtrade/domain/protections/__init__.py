"""Protections: locks on entries after something went wrong, or to prevent it. One file each; this is their
list.

A new one is a file here, a line in `KINDS`, and what it `needs` (see `kernel/guards`); the API,
the pages and the documentation are generated from this list."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from dashtrade.domain.protections.base import (
    ActiveLock,
    ActiveProtection,
    BotRestrictions,
    Guard,
    Lock,
    LockTarget,
    Needs,
    OtherHolding,
    PastExit,
    Protection,
    ProtectionInputs,
    ProtectionLock,
    Scope,
    SentEntry,
    read_settings,
    settings_of,
    written_settings,
)
from dashtrade.domain.protections.cooldown import Cooldown
from dashtrade.domain.protections.drawdown import Drawdown
from dashtrade.domain.protections.losing_symbol import LosingSymbol
from dashtrade.domain.protections.market_closed import MarketClosed
from dashtrade.domain.protections.max_exposure import MaxExposure
from dashtrade.domain.protections.max_positions import MaxPositions
from dashtrade.domain.protections.order_rate import OrderRate
from dashtrade.domain.protections.stale_price import StalePrice
from dashtrade.domain.protections.stop_streak import StopStreak
from dashtrade.domain.protections.wide_spread import WideSpread
from dashtrade.domain.values import Malformed, plain

__all__ = [
    "BUILT_IN",
    "KINDS",
    "ActiveLock",
    "ActiveProtection",
    "BotRestrictions",
    "Guard",
    "Lock",
    "LockTarget",
    "MarketClosed",
    "Needs",
    "OtherHolding",
    "PastExit",
    "Protection",
    "ProtectionInputs",
    "ProtectionLock",
    "Scope",
    "SentEntry",
    "StalePrice",
    "describe",
    "read",
    "read_settings",
    "settings_of",
    "written_settings",
]

KINDS: dict[str, type[Protection]] = {
    made.kind: made
    for made in (
        Cooldown,
        StopStreak,
        Drawdown,
        LosingSymbol,
        MaxPositions,
        MaxExposure,
        OrderRate,
        StalePrice,
        WideSpread,
        MarketClosed,
    )
}
# hold for all users; a user's own replaces the default
BUILT_IN: tuple[Protection, ...] = (MarketClosed(), StalePrice())


def read(kind: str, scope: Scope, settings: Mapping[str, Any]) -> Protection:
    """Parse a protection; raises Malformed with a hint."""
    made = KINDS.get(kind)
    if made is None:
        close = get_close_matches(kind, KINDS, 1)
        raise Malformed(
            f"there is no protection {kind[:60]!r}",
            where="kind",
            hint=f"Did you mean {close[0]}?" if close else f"One of: {', '.join(KINDS)}.",
        )
    if made is MarketClosed:
        raise Malformed(
            "market_closed always applies and cannot be set up",
            where="kind",
            hint='Set the bot\'s when_closed to "refuse" or "wait".',
        )
    protection = read_settings(made, settings)
    if made in (Drawdown, MaxExposure):
        _check_limits(protection, scope)
    return protection


def _check_limits(protection: Any, scope: Scope) -> None:
    if protection.percent is not None and scope is Scope.USER:
        raise Malformed(
            "a percentage is one of an account's equity, and this is for all accounts",
            where="settings.percent",
            hint="Send an amount of money, or choose the scope account or bot.",
        )
    if protection.amount is None and protection.percent is None:
        raise Malformed(
            f"{protection.kind} has no limit",
            where="settings",
            hint="Send amount, percent or both; the lower of the two applies.",
        )


def describe() -> list[dict[str, Any]]:
    """Every kind with its settings, for the API and the pages."""
    return [
        {
            "kind": made.kind,
            "title": made.title,
            "description": " ".join((made.__doc__ or "").split()),
            "always": any(isinstance(one, made) for one in BUILT_IN),
            "configurable": made is not MarketClosed,
            "settings": _described(made),
        }
        for made in KINDS.values()
    ]


def _described(made: type[Protection]) -> list[dict[str, Any]]:
    defaults = written_settings(made())
    return [
        {
            "name": name,
            "description": one.words,
            "default": defaults[name],
            "choices": list(one.of) or None,
            "whole": one.whole,
            "least": None if one.of else plain(one.least),
            "most": None if one.of else plain(one.most),
            "null": one.empty or None,
        }
        for name, one in settings_of(made).items()
    ]
