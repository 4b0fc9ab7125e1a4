"""A bot's settings: parsed, shown and compared."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from dashtrade.domain.bots import Bot, BotSettings
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.values import Malformed
from dashtrade.services.bots.setting_spec import DEFAULTS
from dashtrade.services.bots.spec import BY_NAME, PERCENT, SETTINGS

PERCENT_SIZES = (SizeKind.EQUITY_PERCENT, SizeKind.RISK_PERCENT)
RISK_SIZES = (SizeKind.RISK_DOLLARS, SizeKind.RISK_PERCENT)


def read_settings(given: Mapping[str, Any], now: BotSettings = DEFAULTS) -> BotSettings:
    """`now` with the given changes. Raises Malformed for invalid ones."""
    for name in given:
        if name not in BY_NAME:
            raise _unknown(name)
    given = _size_as_two(given)
    settings = now
    for setting in SETTINGS:
        if setting.name in given and not setting.fixed:
            settings = setting.put(settings, setting.read(given[setting.name]))
    _check(settings)
    return settings


def _unknown(name: str) -> Malformed:
    close = get_close_matches(name, BY_NAME, 1)
    return Malformed(
        f"a bot has no field {name[:60]!r}",
        where=name[:60],
        hint=f"Did you mean {close[0]}?" if close else f"It has: {', '.join(BY_NAME)}.",
    )


def _size_as_two(given: Mapping[str, Any]) -> Mapping[str, Any]:
    size = given.get("position_size")
    if size is None and not given.keys().isdisjoint(("position_size", "position_size_type")):
        raise Malformed(
            "position_size is missing",
            where="position_size",
            hint='Send a size such as "5000", with position_size_type if it is not in dollars.',
        )
    if isinstance(size, str) and size.strip().endswith("%"):
        return {**given, "position_size": size.strip()[:-1], "position_size_type": "percent_of_equity"}
    return given


def _check(settings: BotSettings) -> None:
    """Constraints between settings."""
    size, plan = settings.size, settings.exit_plan
    if size.kind in PERCENT_SIZES:
        PERCENT.read(size.value, "position_size")
    if size.kind in RISK_SIZES and plan.stop_loss is None and not settings.allow_alert_size:
        # the position size is the amount lost at the stop-loss
        hint = "Set stop_loss too, or size_override if every alert has its own size."
        raise Malformed("a size by risk needs a stop-loss", where="position_size_type", hint=hint)
    if plan.break_even and not plan.take_profits:
        raise Malformed(
            "break_even needs a take-profit",
            where="break_even",
            hint="The stop moves to the entry price after the first take-profit step.",
        )


def concerns_broker(given: Mapping[str, Any]) -> bool:
    return any(BY_NAME[name].at_broker for name in given)


def shown_settings(bot: Bot) -> dict[str, Any]:
    """A bot's settings as REST shows and accepts them."""
    return {setting.name: setting.shown(bot) for setting in SETTINGS}


def differences(before: BotSettings, after: BotSettings) -> dict[str, list[Any]]:
    """Changes as {name: [from, to]}, in REST's form."""
    return {
        setting.name: [setting.shown(before), setting.shown(after)]
        for setting in SETTINGS
        if not setting.fixed and setting.value(before) != setting.value(after)
    }
