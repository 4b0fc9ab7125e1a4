"""The dashboard's port against hostile clients: uvicorn's connections with limits (`http_connection`).

A request has to arrive in full within some seconds, and its response has to be read. When connections run
out, waiting ones are closed, those of the busiest address first."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dashtrade.http_connection import ConnectionLimits, HttpConnection, ReadTimeout
from dashtrade.limits import room_for_connections

log = logging.getLogger("dashtrade.ui")
ARRIVAL_SECONDS = 10.0  # for a whole request, from the connection or its first byte
UNREAD_SECONDS = 30.0  # in which MIN_READ_BYTES of a pending response must be read
MAX_CONNECTIONS = 1000
OTHER_DESCRIPTORS = 600  # for Streamlit's sessions, the database, the logs
BACKLOG = 128  # also the number accepted in one go, before any is checked
_REFUSAL = b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_PHRASES = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class WebSocketConnection(ReadTimeout, WebSocketsSansIOProtocol):
    """A WebSocket. uvicorn itself pings the browser."""

    def __init__(self, limits: ConnectionLimits, **given: Any) -> None:
        super().__init__(**given)
        self.limits = limits


def connection_limit() -> int:
    return room_for_connections(MAX_CONNECTIONS, OTHER_DESCRIPTORS)


def protocols() -> dict[str, Any]:
    """Arguments for uvicorn."""
    limits = ConnectionLimits(
        log=log,
        refusal=lambda status: _REFUSAL % (status, _PHRASES[status]),
        max_connections=connection_limit(),
        arrival_seconds=ARRIVAL_SECONDS,
        idle_seconds=ARRIVAL_SECONDS,
        unread_seconds=UNREAD_SECONDS,
    )
    return {
        "http": partial(HttpConnection, limits),
        "ws": partial(WebSocketConnection, limits),
        "backlog": BACKLOG,
        # else uvicorn takes uvloop, which the receiver brings, and on which Streamlit was not tried
        "loop": "asyncio",
    }
