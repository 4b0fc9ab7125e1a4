"""Records as plain JSON values, and back: for messages between DashTrade's own processes.

Reading follows the declared types alone, so input can only become the expected record. Fields with their
default are left out. Where several records are possible, the record's name is included."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from dashtrade.domain.reasons import Reason, as_data, from_data, read_stored

JsonValue = Any
_MICROSECOND = timedelta(microseconds=1)


class WrongType(ValueError):
    """The data is not the expected record."""


def to_json(value: Any) -> JsonValue:
    """Converts to dicts, lists, strings, integers, true, false and null."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)  # an enum's value, not its name
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Reason):
        return as_data(value)
    if is_dataclass(value):
        return {
            name: to_json(held)
            for name, default in _defaults(value.__class__)
            if (held := getattr(value, name)) is not default
        }
    if isinstance(value, (datetime, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    raise TypeError(f"a {type(value).__name__} has no plain form")


def from_json(kind: Any, data: JsonValue) -> Any:
    """The record (or other value) of that type; NotOfThatKind if `data` is not one."""
    try:
        return _reader(kind)(data)
    except WrongType:
        raise
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise WrongType(f"{type(error).__name__} in what should be {kind}") from error


def named_json(value: Any) -> JsonValue:
    """For places where several records are possible."""
    return [type(value).__name__, to_json(value)]


def from_named_json(kinds: Any, data: JsonValue) -> Any:
    """`kinds` is the union of possible records."""
    name, held = data if isinstance(data, list) and len(data) == 2 else ("", None)
    for kind in get_args(kinds):
        if kind.__name__ == name:
            return from_json(kind, held)
    raise WrongType(f"{str(name)[:40]!r} is none of {kinds}")


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in fields(kind))


@cache
def _reader(kind: Any) -> Callable[[JsonValue], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (one,) = [_reader(arg) for arg in args if arg is not types.NoneType]
        return lambda data: None if data is None else one(data)
    if origin is tuple:
        item = _reader(args[0])
        return lambda data: tuple(item(each) for each in _of(list, data))
    if origin is dict or kind is Any:
        return lambda data: data
    if kind is Reason:
        return _reason
    if is_dataclass(kind):
        return _record_reader(kind)
    if kind in (str, int, bool):
        return lambda data: _of(kind, data)
    if kind is Decimal or issubclass(kind, Enum):
        return lambda data: kind(_of(str, data))
    if kind in (datetime, time):
        return lambda data: kind.fromisoformat(_of(str, data))
    if kind is timedelta:
        return lambda data: _of(int, data) * _MICROSECOND
    raise TypeError(f"{kind} cannot be read from its plain form")


def _reason(data: JsonValue) -> Reason:
    """Records older than the reason codes hold a sentence."""
    if isinstance(data, str):
        return read_stored(data)
    given = _of(dict, data)
    _of(str, given["code"]), _of(dict, given["facts"])
    return from_data(given)


def _record_reader(kind: Any) -> Callable[[JsonValue], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}

    def read(data: JsonValue) -> Any:
        given = _of(dict, data)
        if missing := needed - given.keys():
            raise WrongType(f"{kind.__name__} without {', '.join(sorted(missing))}")
        return kind(**{name: readers[name](held) for name, held in given.items()})

    return read


def _of(kind: type, data: JsonValue) -> Any:
    if type(data) is not kind:
        raise WrongType(f"a {type(data).__name__} where a {kind.__name__} belongs")
    return data
