"""Limits open tabs: each costs a Streamlit session with all that its page has drawn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable
from typing import Any

from dashtrade.limits import Rate

# close codes: no session, too many tabs, too many at once
ENDED, CROWDED, LATER = 4401, 4409, 1013


class Tabs:
    """The open sockets of one path, limited per user and in total. A user's new tab replaces their oldest
    one.

    A tab that was closed for this reconnects by itself and must not close the next one in turn: with
    `again` it only gets a free place."""

    def __init__(self, of_one: int = 10, in_all: int = 200, opened: Rate | None = None) -> None:
        self._of_one, self._in_all = of_one, in_all
        self._opened = opened or Rate(1.0, burst_seconds=30)
        self._open: dict[Hashable, list[_SocketTab]] = {}  # by user, oldest first
        self._closing: set[asyncio.Task[None]] = set()

    def full(self, user: Hashable) -> bool:
        return (
            len(self._open.get(user, ())) >= self._of_one
            or sum(map(len, self._open.values())) >= self._in_all
        )

    async def serve(
        self, app: Any, user: Hashable, scope: Any, receive: Any, send: Any, *, again: bool = False
    ) -> None:
        if again and self.full(user):
            return await turn_away(scope, receive, send, CROWDED)
        if self._opened.take(user):
            return await turn_away(scope, receive, send, LATER)
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
        giver = user if len(own) >= self._of_one else max(self._open, key=lambda one: len(self._open[one]))
        oldest = self._open[giver][0]
        self._leave(giver, oldest)
        task = asyncio.create_task(oldest.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _SocketTab:
    def __init__(self, send: Any) -> None:
        self._send, self._gone = send, False

    async def send(self, message: Any) -> None:
        if not self._gone:
            await self._send(message)

    async def close(self) -> None:
        """The server tells the application that the browser has disconnected."""
        self._gone = True
        with contextlib.suppress(Exception):  # already disconnected
            await self._send({"type": "websocket.close", "code": CROWDED})


async def turn_away(scope: Any, receive: Any, send: Any, code: int) -> None:
    """Accepted first: browsers do not report the reason of a rejected socket to the page."""
    await receive()
    wanted = scope.get("subprotocols") or [None]
    await send({"type": "websocket.accept", "subprotocol": wanted[0]})
    await send({"type": "websocket.close", "code": code})
