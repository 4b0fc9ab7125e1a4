"""The kinds of values that a bot's settings have: how each is read, written and described.

`read` parses input from people and programs; `written` is the form that REST shows and accepts and the
history stores; `said` turns that into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from dashtrade.domain.alerts.fields import read_choice, read_flag, read_time_of_day
from dashtrade.domain.alerts.levels import read_loss, read_profits
from dashtrade.domain.bots import DAYS, Window
from dashtrade.domain.signals import Target
from dashtrade.domain.values import Malformed, exact, plain
from dashtrade.services.people.users import read_zone

MAX_WINDOWS = 20
DAY_NAMES = dict(zip(DAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))


class Unit(StrEnum):
    MONEY = "$"
    PERCENT = "%"
    SECONDS = "seconds"
    MINUTES = "minutes"
    NONE = ""


class _Unconverted:
    """Written and described unchanged."""

    __slots__ = ()

    def written(self, value: Any) -> Any:
        return value

    def in_words(self, written: Any) -> str:
        return str(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(_Unconverted):
    most: int

    @property
    def hint(self) -> str:
        return f"1 to {self.most} characters."

    def read(self, value: Any, where: str) -> str:
        if (
            not isinstance(value, str)
            or not value.strip()
            or len(value) > self.most
            or any(ord(letter) < 32 for letter in value)
        ):
            raise Malformed(f"{where} cannot be used", where=where, hint=self.hint)
        return value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(_Unconverted):
    hint: str
    unit: Unit = Unit.NONE
    above: int | None = None
    least: int | None = None
    most: int | None = None
    whole: bool = False

    def read(self, value: Any, where: str) -> Decimal | int:
        number = exact(value, where)
        if (
            (self.above is not None and number <= self.above)
            or (self.least is not None and number < self.least)
            or (self.most is not None and number > self.most)
            or (self.whole and number != int(number))
        ):
            raise Malformed(f"{where} is {plain(number)}", where=where, hint=self.hint)
        return int(number) if self.whole else number

    def written(self, value: Decimal | int) -> str | int:
        return value if isinstance(value, int) else plain(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(_Unconverted):
    """A duration, written as a number of its unit."""

    unit: Unit
    reader: Callable[[object, str], timedelta]
    most: int
    least: int | None = None
    above: int | None = None

    @property
    def hint(self) -> str:
        begin = f"from {self.least}" if self.least is not None else f"above {self.above}"
        return f"A number {begin} up to {self.most}."

    @property
    def _seconds(self) -> int:
        return 60 if self.unit is Unit.MINUTES else 1

    def read(self, value: Any, where: str) -> timedelta | None:
        return self.reader(value, where) or None

    def written(self, value: timedelta) -> int | float:
        count = value.total_seconds() / self._seconds
        return int(count) if count == int(count) else count


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(_Unconverted):
    hint = "true or false."

    def read(self, value: Any, where: str) -> bool:
        return read_flag(value, where)

    def in_words(self, written: bool) -> str:
        return "yes" if written else "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOption:
    value: Any
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceKind(_Unconverted):
    options: Mapping[str, ChoiceOption]  # by REST name
    also: Mapping[str, Any]  # aliases that are read too

    @property
    def hint(self) -> str:
        return f"One of: {', '.join(self.options)}."

    def read(self, value: Any, where: str) -> Any:
        known = {word: option.value for word, option in self.options.items()} | dict(self.also)
        return read_choice(known)(value.strip() if isinstance(value, str) else value, where)

    def written(self, value: Any) -> str:
        return next(word for word, option in self.options.items() if option.value == value)

    def in_words(self, written: str) -> str:
        return self.options[written].label if written in self.options else written


def choice(labels: Mapping[Any, str], also: Mapping[str, Any] | None = None) -> ChoiceKind:
    """A choice of an enum whose values are the REST names."""
    return ChoiceKind(
        options={str(value): ChoiceOption(value=value, label=label) for value, label in labels.items()},
        also=also or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfDay(_Unconverted):
    hint = 'A time such as "15:55", in the bot\'s time zone.'

    def read(self, value: Any, where: str) -> time:
        return read_time_of_day(value, where)

    def written(self, value: time) -> str:
        return f"{value:%H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeZone(_Unconverted):
    hint = "Write it as Europe/Berlin or America/New_York."

    def read(self, value: Any, where: str) -> str:
        return read_zone(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows(_Unconverted):
    hint = 'A list such as [{"days": ["mon"], "from": "09:30", "to": "16:00"}].'

    def read(self, value: Any, where: str) -> tuple[Window, ...]:
        if not isinstance(value, list) or len(value) > MAX_WINDOWS:
            raise Malformed(f"{where} is not a list", where=where, hint=self.hint)
        return tuple(Window.parse(window) for window in value)

    def written(self, value: tuple[Window, ...]) -> list[dict[str, object]]:
        return [window.written() for window in value]

    def in_words(self, written: list[dict[str, Any]]) -> str:
        return "; ".join(
            f"{', '.join(DAY_NAMES[day] for day in window['days'])} {window['from']}–{window['to']}"
            for window in written
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfits(_Unconverted):
    hint = '{"percent": 4}, {"limitPrice": 220}, or a list of steps, each with a share in percent.'

    def read(self, value: Any, where: str) -> tuple[Target, ...]:
        return read_profits(value, where)

    def written(self, value: tuple[Target, ...]) -> list[dict[str, str]] | None:
        return [_target_as_data(target) for target in value] or None

    def in_words(self, written: list[dict[str, str]]) -> str:
        return "; ".join(map(_target_in_words, written))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLoss(_Unconverted):
    hint = '{"percent": 2}, {"stopPrice": 190} or {"trailPercent": 2}.'

    def read(self, value: Any, where: str) -> Target:
        return read_loss(value, where)

    def written(self, value: Target) -> dict[str, str]:
        kind = (
            "trailing_stop" if value.trailing else "stop_limit" if value.limit_price is not None else "stop"
        )
        limit = {"limitPrice": plain(value.limit_price)} if value.limit_price is not None else {}
        return {"type": kind} | _target_as_data(value) | limit

    def in_words(self, written: dict[str, str]) -> str:
        limit = f", limit {written['limitPrice']}" if "limitPrice" in written else ""
        return (
            f"{'trailing ' if written['type'] == 'trailing_stop' else ''}{_target_in_words(written)}{limit}"
        )


_TARGET = {
    "price": "price",
    "percent": "percent",
    "amount": "amount",
    "share_percent": "share",
    "share_quantity": "quantity",
}


def _target_as_data(target: Target) -> dict[str, str]:
    found = {name: getattr(target, attribute) for attribute, name in _TARGET.items()}
    return {name: plain(value) for name, value in found.items() if value is not None}


def _target_in_words(written: Mapping[str, str]) -> str:
    if "percent" in written:
        where = f"{written['percent']}%"
    elif "price" in written:
        where = f"at {written['price']}"
    else:
        where = f"{written['amount']} from the entry"
    if "share" in written:
        return f"{where} (closes {written['share']}%)"
    return f"{where} (closes {written['quantity']})" if "quantity" in written else where


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(_Unconverted):
    """A value whose type has its own parser."""

    hint: str
    parse: Callable[[Any, str], Any]
    write: Callable[[Any], str | int]

    def read(self, value: Any, where: str) -> Any:
        return self.parse(value, where)

    def written(self, value: Any) -> str | int:
        return self.write(value)

    def in_words(self, written: str | int) -> str:
        return str(written)


Kind = (
    Text
    | Number
    | Span
    | Flag
    | ChoiceKind
    | TimeOfDay
    | TimeZone
    | Windows
    | TakeProfits
    | StopLoss
    | Parsed
)
