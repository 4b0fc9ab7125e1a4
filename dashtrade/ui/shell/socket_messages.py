"""Validates what a browser sends to Streamlit: an invalid message closes the connection with one line in
the log.

Streamlit itself logs a traceback for a text message, and another for bytes that are not one of its
messages."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger("dashtrade.ui")
PAGES = "/_stcore/stream"
NOT_TEXT, NO_MESSAGE = 1003, 1002  # close codes: wrong type, wrong format


class Frames:
    """Pure ASGI, behind the gate: only clients with a session get here."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket" or scope["path"] != PAGES:
            return await self.app(scope, receive, send)
        closed = False

        async def checked() -> Any:
            nonlocal closed
            message = await receive()
            code = _wrong(message) if message["type"] == "websocket.receive" else 0
            if not code or closed:
                return message
            log.warning("a browser sent no message of Streamlit's; its connection is closed (%s)", code)
            closed = True
            await send({"type": "websocket.close", "code": code})
            return {"type": "websocket.disconnect", "code": code}

        async def while_open(message: Any) -> None:
            if not closed:
                await send(message)

        await self.app(scope, checked, while_open)


def _wrong(message: Any) -> int:
    from google.protobuf.message import DecodeError
    from streamlit.proto.BackMsg_pb2 import BackMsg

    if message.get("bytes") is None:
        return NOT_TEXT
    try:
        BackMsg().ParseFromString(message["bytes"])
    except DecodeError:
        return NO_MESSAGE
    return 0
