"""Open tabs are few: each costs a session of Streamlit's, with all that its page has drawn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable
from typing import Any

from dashtrade.limits import Rate

# why a socket is closed: no session, too many tabs, too many at once
ENDED, CROWDED, LATER = 4401, 4409, 1013


class Tabs:
    """The sockets of one address: so many of one user, whose oldest gives way to a new one, and so many in
    all.

    A tab that had to go asks again by itself, and must not push out the next one in its turn: `again` finds a
    place, or none."""

    def __init__(self, of_one: int = 10, in_all: int = 200, opened: Rate | None = None) -> None:
        self._of_one, self._in_all = of_one, in_all
        self._opened = opened or Rate(1.0, burst_seconds=30)
        self._open: dict[Hashable, list[_SocketTab]] = {}  # of each user, the oldest first
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
        """The server tells the application that the browser has left."""
        self._gone = True
        with contextlib.suppress(Exception):  # it has left already
            await self._send({"type": "websocket.close", "code": CROWDED})


async def turn_away(scope: Any, receive: Any, send: Any, code: int) -> None:
    """Accepted first: a browser does not tell its page the reason of one that was not."""
    await receive()
    wanted = scope.get("subprotocols") or [None]
    await send({"type": "websocket.accept", "subprotocol": wanted[0]})
    await send({"type": "websocket.close", "code": code})
