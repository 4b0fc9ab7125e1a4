"""The fields of a bot's form, generated from the declaration of each setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.services.bots.kinds import ChoiceKind, Flag, Number, Span, Text, TimeOfDay, TimeZone, Unit
from dashtrade.services.bots.setting_spec import SettingSpec
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.time_zones import with_own, zone_label

# sent with the next button press: only fields with a live hint are read while typing
UNUSED_KEY: Any = "ignore"

Read = Callable[[], dict[str, Any]]  # reads the fields, in the form REST accepts


def section(
    form: Form, settings: Iterable[SettingSpec], bot: Bot | None, *, help: dict[str, str] | None = None
) -> Read:
    """Two columns of fields, with checkboxes below. `help` replaces a setting's usual help text."""
    helps, wanted = help or {}, list(settings)
    reads = {}
    boxes = [setting for setting in wanted if isinstance(setting.kind, Flag)]
    typed = [setting for setting in wanted if setting not in boxes]
    for pair in zip_longest(typed[::2], typed[1::2]):
        for setting, column in zip(pair, st.columns(2), strict=True):
            if setting is not None:
                reads[setting.name] = field(form, setting, bot, column, help=helps.get(setting.name))
    for setting in boxes:
        reads[setting.name] = field(form, setting, bot, help=helps.get(setting.name))
    return lambda: {name: read() for name, read in reads.items()}


def field(
    form: Form,
    setting: SettingSpec,
    bot: Bot | None,
    column: Any = None,
    *,
    help: str | None = None,
    on_change: Any = UNUSED_KEY,
    now: Any = None,
) -> Callable[[], Any]:
    """Draws the field and returns a function that reads it. `now`: the initial value instead of the bot's
    own."""
    begin = now if now is not None else setting.shown(bot) if bot else setting.default
    about: dict[str, Any] = {"help": help or setting.help, "on_change": on_change}
    match setting.kind:
        case ChoiceKind() | TimeZone():
            return _choice(form, setting, begin, column, about)
        case Flag():
            slot = form.at(setting.name, setting.label, column, hint=setting.page_hint)
            ticked = slot.checkbox(setting.label, value=bool(begin), key=form.key(setting.name), **about)
            return lambda: ticked
        case Text(most=most):
            entered = _text(form, setting, begin, column, about | {"max_chars": most})
            return lambda: entered
        case TimeOfDay():
            entered = _text(
                form,
                setting,
                begin,
                column,
                about | {"placeholder": f"{setting.empty}, or 15:55", "max_chars": 5},
            )
            return lambda: read_input.clock(entered, setting.name, setting.label)
        case Number() | Span():
            entered = _text(
                form, setting, begin, column, about | {"placeholder": setting.empty, "max_chars": 40}
            )
            return lambda: number(form, setting, entered)
    raise AssertionError(f"{setting.name} is drawn by a form of its own")


def _text(form: Form, setting: SettingSpec, begin: Any, column: Any, more: dict[str, Any]) -> str:
    value = "" if begin is None else str(begin)
    return form.text(setting.name, setting.field_label, column, hint=setting.page_hint, value=value, **more)


def _choice(
    form: Form, setting: SettingSpec, begin: str | None, column: Any, about: dict[str, Any]
) -> Callable[[], str | None]:
    words = [""] if setting.nullable else []
    if isinstance(setting.kind, ChoiceKind):
        words += setting.kind.options
    else:
        words += with_own(str(begin))
        about = about | {"filter_mode": "contains"}
    chosen = form.at(setting.name, setting.label, column, hint=setting.page_hint).selectbox(
        setting.label,
        words,
        index=words.index(begin or ""),
        format_func=lambda word: _label(setting, word),
        key=form.key(setting.name),
        **about,
    )
    return lambda: chosen or None


def _label(setting: SettingSpec, word: str) -> str:
    if not word:
        return "Default"
    return setting.in_words(word) if isinstance(setting.kind, ChoiceKind) else zone_label(word)


def number(form: Form, setting: SettingSpec, entered: str, **more: Any) -> str | int | None:
    """The entered number, within the limits of the setting."""
    kind = setting.kind
    assert isinstance(kind, Number | Span)
    limits: dict[str, Any] = {
        "above": kind.above,
        "least": kind.least,
        "most": kind.most,
        "whole": isinstance(kind, Number) and kind.whole,
        "percent": kind.unit is Unit.PERCENT,
    }
    found = form.number(setting.name, entered, **(limits | more))
    return setting.default if found is None else found
