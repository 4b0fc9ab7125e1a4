"""Limits open tabs: each costs a Streamlit session with all that its page has drawn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable
from typing import Any

from dashtrade.limits import Rate

# close codes: no session, too many tabs, too many at once
ENDED, TOO_MANY_TABS, TRY_LATER = 4401, 4409, 1013


class Tabs:
    """The open sockets of one path, limited per user and in total. A user's new tab replaces their oldest
    one.

    A tab that was closed for this reconnects by itself and must not close the next one in turn: with
    `again` it only gets a free place."""

    def __init__(self, of_one: int = 10, in_all: int = 200, opened: Rate | None = None) -> None:
        self._max_per_user, self._max_total = of_one, in_all
        self._opened = opened or Rate(1.0, burst_seconds=30)
        self._open: dict[Hashable, list[_SocketTab]] = {}  # by user, oldest first
        self._closing: set[asyncio.Task[None]] = set()

    def full(self, user: Hashable) -> bool:
        return (
            len(self._open.get(user, ())) >= self._max_per_user
            or sum(map(len, self._open.values())) >= self._max_total
        )

    async def serve(
        self, app: Any, user: Hashable, scope: Any, receive: Any, send: Any, *, is_reconnect: bool = False
    ) -> None:
        if is_reconnect and self.full(user):
            return await turn_away(scope, receive, send, TOO_MANY_TABS)
        if self._opened.take(user):
            return await turn_away(scope, receive, send, TRY_LATER)
        if self.full(user):
            self._make_room(user)
        tab = _SocketTab(send)
        self._open.setdefault(user, []).append(tab)
        try:
            await app(scope, receive, tab.send)
        finally:
            self._leave(user, tab)

    def _leave(self, user: Hashable, tab: _SocketTab) -> None:
        own = self._open.get(user, [])
        if tab in own:
            own.remove(tab)
        if not own:
            self._open.pop(user, None)

    def _make_room(self, user: Hashable) -> None:
        own = self._open.get(user, [])
        owner = (
            user if len(own) >= self._max_per_user else max(self._open, key=lambda one: len(self._open[one]))
        )
        oldest = self._open[owner][0]
        self._leave(owner, oldest)
        task = asyncio.create_task(oldest.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _SocketTab:
    def __init__(self, send: Any) -> None:
        self._send, self._closed = send, False

    async def send(self, message: Any) -> None:
        if not self._closed:
            await self._send(message)

    async def close(self) -> None:
        """The server tells the application that the browser has disconnected."""
        self._closed = True
        with contextlib.suppress(Exception):  # already disconnected
            await self._send({"type": "websocket.close", "code": TOO_MANY_TABS})


async def turn_away(scope: Any, receive: Any, send: Any, code: int) -> None:
    """Accepted first: browsers do not report the reason of a rejected socket to the page."""
    await receive()
    subprotocols = scope.get("subprotocols") or [None]
    await send({"type": "websocket.accept", "subprotocol": subprotocols[0]})
    await send({"type": "websocket.close", "code": code})
