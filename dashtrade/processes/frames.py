"""Messages between DashTrade's processes: JSON with its length before it, over a Unix socket in the home."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 1.0  # for a reply to an alert; afterwards its sender's process stores the alert itself
RECONNECT_SECONDS = 0.5  # between two attempts to connect
UNRESPONSIVE_SECONDS = 5.0  # pause after a missing reply
MAX_FRAME_BYTES = 1024 * 1024
MAX_REMEMBERED = 5000  # outcomes and subscriptions
SIZE = struct.Struct("!I")
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def frame(message: Any) -> bytes:
    body = _ENCODE(message).encode()
    return SIZE.pack(len(body)) + body


def socket_file(home: Path) -> Path:
    return home / "worker.sock"
