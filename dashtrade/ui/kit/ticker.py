"""Pushes prices, profits and balances to open tabs, so that numbers update without rerunning a page.

Each tab has one WebSocket. Changes are sent as `{"c": {name: [text, tone, small text]}, "rev": …}`: the
names are those of live cells in the page's tables and cards, and the texts come from the functions that
the pages use. `rev` changes when any other data of the user has (a signal, a fill, a switch), and only
then the parts of the page that show that data are rerun. One query a second serves all tabs of a user;
hidden tabs receive nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from bot_database import DatabaseUnavailable
from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.accounts import prices
from dashtrade.services.operations.revision import revision
from dashtrade.services.people import sessions
from dashtrade.ui.kit import live_cells
from dashtrade.ui.shell.middleware import token_of
from dashtrade.ui.shell.tabs import ENDED

log = logging.getLogger("dashtrade.ui")
# seconds between updates, between checks of the session, between complete messages
SEND_EVERY_SECONDS, CHECK_SESSION_SECONDS, FULL_SEND_SECONDS = 1.0, 5.0, 20.0

Cells = dict[str, list[str]]


@dataclass(slots=True, eq=False)
class _TickerTab:
    socket: WebSocket
    token: str | None
    asleep: bool = False
    sent: Cells = field(default_factory=dict)
    rev: str = ""
    full_at: float = 0.0
    checked_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Audience:
    """All tabs of one user, and the task that updates them."""

    user: User
    tabs: list[_TickerTab] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Ticker:
    def __init__(self, app: App) -> None:
        self.app = app
        self._audiences: dict[int, _Audience] = {}

    async def endpoint(self, socket: WebSocket) -> None:
        """The gate has checked cookie and origin; the session is checked again here, and every few
        seconds."""
        token = token_of(socket)
        await socket.accept()
        user = await self._user(token)
        if user is None:
            await socket.close(ENDED)
            return
        audience = self._audiences.setdefault(user.id, _Audience(user=user))
        tab = _TickerTab(socket=socket, token=token, checked_at=time.monotonic())
        audience.tabs.append(tab)
        if audience.task is None or audience.task.done():
            audience.task = asyncio.create_task(self._serve(audience))
        try:
            while True:
                message = json.loads(await socket.receive_text())
                tab.asleep = bool(message.get("asleep")) if isinstance(message, dict) else False
        except (WebSocketDisconnect, RuntimeError, ValueError, KeyError):
            pass  # disconnected, or an invalid message
        finally:
            self._leave(audience, tab)

    def _leave(self, audience: _Audience, tab: _TickerTab) -> None:
        if tab in audience.tabs:
            audience.tabs.remove(tab)
        if not audience.tabs:
            self._audiences.pop(audience.user.id, None)
            if audience.task is not None:
                audience.task.cancel()

    async def _user(self, token: str | None) -> User | None:
        return await run_in_threadpool(sessions.find, self.app, token, present=False)

    async def _serve(self, audience: _Audience) -> None:
        while audience.tabs:
            started = time.monotonic()
            try:
                await self._check(audience)
                awake = [tab for tab in audience.tabs if not tab.asleep]
                if awake:
                    found, rev = await run_in_threadpool(snapshot, self.app, audience.user)
                    await asyncio.gather(*(self._send(audience, tab, found, rev) for tab in awake))
            except DatabaseUnavailable as error:
                log.warning("no live prices now: %s", error)
            await asyncio.sleep(max(SEND_EVERY_SECONDS - (time.monotonic() - started), 0.2))

    async def _check(self, audience: _Audience) -> None:
        """Close tabs whose session has ended; each session is checked once for all its tabs."""
        now = time.monotonic()
        due = {tab.token for tab in audience.tabs if now - tab.checked_at >= CHECK_SESSION_SECONDS}
        for token in due:
            valid = await self._user(token) is not None
            for tab in [tab for tab in audience.tabs if tab.token == token]:
                tab.checked_at = now
                if not valid:
                    self._leave(audience, tab)
                    with contextlib.suppress(Exception):
                        await tab.socket.close(ENDED)

    async def _send(self, audience: _Audience, tab: _TickerTab, found: Cells, rev: str) -> None:
        now = time.monotonic()
        if now - tab.full_at >= FULL_SEND_SECONDS:
            tab.sent, tab.full_at = {}, now
        changed = {name: cell for name, cell in found.items() if tab.sent.get(name) != cell}
        if not changed and rev == tab.rev:
            return
        tab.sent, tab.rev = found, rev
        try:
            # a slow tab must not hold up the others
            async with asyncio.timeout(SEND_EVERY_SECONDS * 3):
                await tab.socket.send_text(
                    json.dumps({"c": changed, "rev": rev}, ensure_ascii=False, separators=(",", ":"))
                )
        except Exception:  # disconnected, in whichever way
            self._leave(audience, tab)


def snapshot(app: App, user: User) -> tuple[Cells, str]:
    """One snapshot: the live cells, and the revision of the user's other data."""
    prices.record_page_view(app, user.id)
    rev = revision(app, user)
    return live_cells.of_user(app, user), rev
