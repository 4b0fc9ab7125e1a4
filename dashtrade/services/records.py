"""Rows of the database as frozen records: no row leaves the services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def record(kind: type[T], row: Any) -> T:
    """Fill each field from the column of the same name."""
    return kind(**{one.name: getattr(row, one.name) for one in fields(kind)})  # type: ignore[arg-type]


def records(kind: type[T], rows: Iterable[Any]) -> list[T]:
    return [record(kind, row) for row in rows]
