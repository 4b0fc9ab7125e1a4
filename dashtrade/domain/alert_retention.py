"""What is kept of an alert: what was sent, without what proves who sent it, and not more than its share of
the disk.

Nothing is kept that could not be read again: an alert that waits is read from here after a restart, a replay
is made of it. So of a long one whole fields are left out, the longest first, and only those that the reader
does not read."""

from __future__ import annotations

import json
from typing import Any

from dashtrade.domain.alerts.dialects import read
from dashtrade.domain.alerts.fields import is_read
from dashtrade.domain.alerts.payload import redact
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import Malformed, plain

KEPT_BYTES = 8 * 1024
LEFT_OUT = "dashtrade_left_out"
_ENCODE = json.JSONEncoder(ensure_ascii=False, default=plain).encode


def written(opened: Any) -> str:
    shown = redact(opened)
    return shown if isinstance(shown, str) else _ENCODE(shown)


def kept(opened: Any, signal: Signal) -> str:
    """As it is stored; Malformed where what DashTrade reads of it is too long by itself."""
    text = written(opened)
    if len(text.encode()) <= KEPT_BYTES:
        return text
    if isinstance(opened, dict):
        left = _without_long(opened)
        if left is not None and read(left).signal == signal:
            return written(left)
    raise Malformed(
        "The fields that DashTrade reads in this alert are too long",
        where="body",
        hint=f"At most {KEPT_BYTES // 1024} KB, not counting fields that DashTrade does not read.",
    )


def _without_long(opened: dict[str, Any]) -> dict[str, Any] | None:
    left, size, gone = dict(opened), len(written(opened).encode()) + 100, []  # with room for the note
    sizes = {
        name: len(_ENCODE({name: value}).encode()) for name, value in opened.items() if not is_read(name)
    }
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if size <= KEPT_BYTES:
            break
        del left[name]
        size -= sizes[name]
        gone.append(sizes[name])
    note = f"{len(gone)} long field{'s' * (len(gone) != 1)} of {sum(gone):,} bytes, not read by DashTrade"
    return left | {LEFT_OUT: note} if size <= KEPT_BYTES else None


def cut(text: str) -> str:
    """Of what could not be read there is nothing to read again: its beginning."""
    raw = text.encode()
    if len(raw) <= KEPT_BYTES:
        return text
    return f"{raw[: KEPT_BYTES - 100].decode('utf-8', 'ignore')} … (cut: {len(raw):,} bytes came)"
