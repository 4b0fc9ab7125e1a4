"""Alerts read as the receiver reads them, and those that it must refuse."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from dashtrade.domain.alerts.dialects import ParsedAlert, parse
from dashtrade.domain.signals import Action, Signal, Size, SizeKind
from dashtrade.domain.values import Malformed

TOKEN = "usr_" + "a1B2" * 6


def read(**fields: object) -> ParsedAlert:
    return parse(json.dumps(fields).encode())


def alert(**fields: object) -> Signal:
    """A buy of AAPL, unless the fields say otherwise."""
    named = {"action": "buy", "symbol": "AAPL", **fields}
    return read(**{name: value for name, value in named.items() if value is not ...}).signal


def text(message: str) -> Signal:
    return parse(message.encode()).signal


def refused(**fields: object) -> Malformed:
    with pytest.raises(Malformed) as caught:
        alert(**fields)
    assert caught.value.where and caught.value.hint and caught.value.message
    return caught.value


def unreadable(raw: bytes | str) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse(raw if isinstance(raw, bytes) else raw.encode())
    assert caught.value.where and caught.value.hint
    return caught.value


def quantity(number: str) -> Size:
    return Size(kind=SizeKind.QUANTITY, value=Decimal(number))


def of_position(percent: str) -> Size:
    return Size(kind=SizeKind.POSITION_PERCENT, value=Decimal(percent))


def outcome(raw: bytes) -> tuple:
    try:
        reading = parse(raw)
    except Malformed as error:
        assert error.where and error.hint
        str(error).encode(), error.where.encode(), error.hint.encode()
        return error.message, error.where, error.hint
    signal = reading.signal
    sizes = [signal.size.value] if signal.size else []
    for target in (*signal.take_profits, *([signal.stop_loss] if signal.stop_loss else [])):
        ways = [value for value in (target.price, target.percent, target.amount) if value is not None]
        assert len(ways) == 1
        sizes += ways
    assert all(value.is_finite() and value > 0 for value in sizes)
    assert signal.action is not Action.REDUCE or signal.size
    reading.canonical.encode()
    return (reading,)
