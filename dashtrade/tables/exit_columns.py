"""Columns that hold exits: typed in Python, small JSON documents in the database."""

from __future__ import annotations

import json

from dashtrade.domain.exits import stored
from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.exits.state import ExitState
from dashtrade.tables.base import Convert, ConvertedType, to_json_text


class ExitsJson(ConvertedType):
    """The exits of a position; NULL where there is none."""

    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return _write_state

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return _read_state


class OrderExitsJson(ConvertedType):
    """The exits of an entry order."""

    cache_ok = True

    @staticmethod
    def to_store(dialect_name: str) -> Convert | None:
        return _write_order_exits

    @staticmethod
    def from_store(dialect_name: str) -> Convert | None:
        return _read_order_exits


def _write_state(state: ExitState) -> str | None:
    return to_json_text(stored.write_state(state)) if state else None


def _read_state(text: str) -> ExitState:
    return stored.read_state(json.loads(text))


def _write_order_exits(exits: OrderExits) -> str:
    return to_json_text(stored.write_order_exits(exits))


def _read_order_exits(text: str) -> OrderExits:
    return stored.read_order_exits(json.loads(text))
