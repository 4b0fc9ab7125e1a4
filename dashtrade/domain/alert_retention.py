"""What is stored of an alert: the body without secrets, and no more than its share of the disk.

A stored body must stay readable: a waiting alert is read from it after a restart, and replays use it. So long
bodies lose whole fields, the longest first, and only those that the reader ignores."""

from __future__ import annotations

import json
from typing import Any

from dashtrade.domain.alerts.dialects import read
from dashtrade.domain.alerts.fields import is_read
from dashtrade.domain.alerts.payload import redact
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import Malformed, plain

MAX_STORED_BYTES = 8 * 1024
OMITTED = "dashtrade_left_out"
# an alert's rows: its own, and for each bot a decision with, at most, an order, its events, fills and trades;
# measured, and rounded up
SIGNAL_BYTES, DECISION_BYTES = 500, 3000
_ENCODE = json.JSONEncoder(ensure_ascii=False, default=plain).encode


def written(opened: Any) -> str:
    shown = redact(opened)
    return shown if isinstance(shown, str) else _ENCODE(shown)


def text_to_store(opened: Any, signal: Signal) -> str:
    """The body as stored; Malformed if the fields that DashTrade reads are too long on their own."""
    text = written(opened)
    if len(text.encode()) <= MAX_STORED_BYTES:
        return text
    if isinstance(opened, dict):
        left = _drop_long_values(opened)
        if left is not None and read(left).signal == signal:
            return written(left)
    raise Malformed(
        "The fields that DashTrade reads in this alert are too long",
        where="body",
        hint=f"At most {MAX_STORED_BYTES // 1024} KB, not counting fields that DashTrade does not read.",
    )


def _drop_long_values(opened: dict[str, Any]) -> dict[str, Any] | None:
    left, size, gone = dict(opened), len(written(opened).encode()) + 100, []  # with room for the note
    sizes = {
        name: len(_ENCODE({name: value}).encode()) for name, value in opened.items() if not is_read(name)
    }
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if size <= MAX_STORED_BYTES:
            break
        del left[name]
        size -= sizes[name]
        gone.append(sizes[name])
    note = f"{len(gone)} long field{'s' * (len(gone) != 1)} of {sum(gone):,} bytes, not read by DashTrade"
    return left | {OMITTED: note} if size <= MAX_STORED_BYTES else None


def cut(text: str) -> str:
    """An unreadable body is never parsed again: its beginning is enough."""
    raw = text.encode()
    if len(raw) <= MAX_STORED_BYTES:
        return text
    return f"{raw[: MAX_STORED_BYTES - 100].decode('utf-8', 'ignore')} … (cut: {len(raw):,} bytes came)"


def alert_bytes(raw: str, bots: int) -> int:
    """What an alert takes of its user's storage."""
    return SIGNAL_BYTES + len(raw.encode()) + DECISION_BYTES * bots
