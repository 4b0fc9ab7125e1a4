"""Records: the dataclasses that flow. mypy refuses to change one; at run time nothing does.

A dataclass that also freezes itself at run time sets each field through `object.__setattr__`, which makes a
wide one many times dearer to create, and an order is dozens of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def record(kind: type[T], /) -> type[T]: ...
@overload
def record(*, kw_only: bool = True, eq: bool = True, order: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(
    kind: type[T] | None = None, /, *, kw_only: bool = True, eq: bool = True, order: bool = False
) -> type[T] | Callable[[type[T]], type[T]]:
    """A slotted dataclass, compared and hashed by its values."""
    made = dataclass(slots=True, kw_only=kw_only, eq=eq, order=order, unsafe_hash=eq)
    return made if kind is None else made(kind)


@cache
def field_names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


if TYPE_CHECKING:
    from dataclasses import replace as replace  # mypy checks the names and types of its changes
else:

    def replace(old: T, /, **changes: Any) -> T:
        """A copy of the record with these fields changed."""
        kind = old.__class__
        new = object.__new__(kind)
        _copier(kind)(old, new)
        for name, value in changes.items():
            setattr(new, name, value)  # the slots refuse a name that is none of theirs
        return new


@cache
def _copier(kind: type) -> Callable[[object, object], None]:
    """One assignment a field, as dataclasses write their `__init__`: five times as fast as a loop."""
    if hasattr(kind, "__post_init__"):
        raise TypeError(f"a {kind.__name__} is checked when it is made, so it is not copied")
    lines = [f"    new.{name} = old.{name}" for name in field_names(kind)]
    made: dict[str, Any] = {}
    exec("\n".join(["def copy(old, new):", *(lines or ["    pass"])]), made)
    return made["copy"]  # type: ignore[no-any-return]
