"""The texts of the steps of a signal's story, as `reason_words.WORDS` has them for all codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dashtrade.domain.reasons import Code as C

Facts = Mapping[str, Any]


def _received(f: Facts) -> str:
    return f"by {f['origin']}{' from ' + f['sender'] if f['sender'] else ''}"


def _read(f: Facts) -> str:
    frame = f" on {f['timeframe']}" if f.get("timeframe") else ""
    notes = f"; {f['notes']}" if f["notes"] else ""
    return f"{f['action']} {f['symbol']}{frame}, as {f['dialect']}{notes}"


def _check(f: Facts) -> str:
    return f"{f['check']}: {'ok' if f['ok'] else 'no'}, {f['found']}"


def _fill(f: Facts) -> str:
    fee = f", fee {f['fee']}" if f.get("fee") else ""
    return f"{'bought' if f['side'] == 'buy' else 'sold'} {f['quantity']} at {f['price']}{fee}"


def _booked(f: Facts) -> str:
    realized = f"; realised {f['realized']}" if f.get("realized") else ""
    return f"to bot {f['bot']}{realized}"


STORY_WORDS: dict[C, str | Callable[[Facts], str]] = {
    C.ALERT_RECEIVED: _received,
    C.ALERT_READ: _read,
    C.ALERT_REPEATED: "the same alert arrived {count} more time(s); the repeats were ignored",
    C.CHECKED: _check,
    C.BOT_ACTS: "bot {bot} acts",
    C.ORDER_STEP: lambda f: f"{f['because'] or f['status']} ({f['order'][-8:]})",
    C.FILL: _fill,
    C.BOOKED: _booked,
}
