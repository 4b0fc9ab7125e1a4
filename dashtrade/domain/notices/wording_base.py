"""From a notice to its title and text: helpers for all kinds.

A title says what happened; a text says to what, what it means, and what to do."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

from dashtrade.domain.notices.base import Notice


class Words(NamedTuple):
    title: str
    text: str


@singledispatch
def words(notice: Notice) -> Words:
    raise TypeError(f"a {type(notice).__name__} has no words")
