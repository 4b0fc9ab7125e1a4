"""What of Streamlit is there at all, and for whom: tried at the dashboard as it is served, and at the tabs'
own rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from dashtrade.limits import Rate
from dashtrade.ui.shell.tabs import ENDED, TOO_MANY_TABS, TRY_LATER, Tabs
from tests.support.ui_harness import DashboardHarness

UPLOAD = "/_stcore/upload_file/a-session/a-file"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def socket(
    harness: DashboardHarness, cookie: str, *, path: str = "/_stcore/stream", session: str = ""
) -> ClientConnection:
    words = ["streamlit", "x", *([session] if session else [])] if path != "/live" else None
    headers = {"cookie": f"dashtrade_session={cookie}"} if cookie else None
    return connect(
        f"ws://{harness.host}{path}",
        origin=f"http://{harness.host}",
        additional_headers=headers,
        subprotocols=words,
        proxy=None,
    )  # type: ignore[arg-type]


def why_closed(line: ClientConnection, seconds: float = 5) -> int | None:
    """None: it is open."""
    try:
        while True:
            line.recv(seconds)
    except ConnectionClosed as ended:
        assert ended.rcvd is not None
        return ended.rcvd.code
    except TimeoutError:
        return None


# --- what is there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/script-health-check",
        "/_stcore/agent/x",
        "/_stcore/bidi-components/x/y.js",
        "/component/x/index.html",
        "/app/static/x",
        "/_stcore/x",
        UPLOAD,
    ],
)
def test_what_our_pages_do_not_use_is_not_there(harness: DashboardHarness, path: str) -> None:
    cookie = harness.sign_in(harness.person()).cookie
    for method, mode in (
        ("GET", "cors"),
        ("GET", "navigate"),
        ("POST", "cors"),
        ("PUT", "cors"),
        ("DELETE", "cors"),
    ):
        assert harness.ask(method, path, cookie=cookie, Sec_Fetch_Mode=mode).status == 404, method
    assert harness.ask("GET", path, Sec_Fetch_Mode="cors").status == 404


def test_an_upload_is_not_taken(harness: DashboardHarness) -> None:
    cookie = harness.sign_in(harness.person()).cookie
    token = (
        harness.ask("GET", "/_stcore/health")
        .headers.get("set-cookie", "")
        .partition("_streamlit_xsrf=")[2]
        .partition(";")[0]
    )
    answer = harness.ask(
        "PUT", UPLOAD, "x" * 1000, cookie=f"{cookie}; _streamlit_xsrf={token}", X_Xsrftoken=token
    )
    assert answer.status == 404


def test_scripts_come_from_this_server_and_are_revalidated(harness: DashboardHarness) -> None:
    """Without a session too: one of them leads a tab whose session has ended to the form."""
    for name in ("sign_in", "table"):
        answer = harness.ask(
            "GET", f"/_stcore/bidi-components/dashtrade.{name}/{name}.js", Sec_Fetch_Mode="cors"
        )
        assert (
            answer.status == 200
            and answer.headers["content-type"].startswith("text/javascript")
            and "export default" in answer.text
        )
        assert answer.headers["cache-control"] == "no-cache"
    for path in (
        "dashtrade.table/nothing.js",
        "dashtrade.table/..%2fgate.py",
        "dashtrade.table/parts.css",
        "x.table/table.js",
    ):
        assert harness.ask("GET", f"/_stcore/bidi-components/{path}", Sec_Fetch_Mode="cors").status == 404


# --- sockets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/_stcore/stream", "/live"])
@pytest.mark.parametrize("cookie", ["", "made-up"])
def test_a_strangers_socket_only_hears_that_there_is_no_session(
    harness: DashboardHarness, path: str, cookie: str, opened: ExitStack
) -> None:
    assert why_closed(opened.enter_context(socket(harness, cookie, path=path))) == ENDED


def test_the_eleventh_tab_takes_the_place_of_the_first(harness: DashboardHarness, opened: ExitStack) -> None:
    cookie = harness.sign_in(harness.person()).cookie
    tabs = [opened.enter_context(socket(harness, cookie)) for _ in range(10)]
    assert harness.ask("GET", "/auth/alive", cookie=cookie).status == 409
    assert why_closed(tabs[0], 0.2) is None
    newest = opened.enter_context(socket(harness, cookie))
    assert why_closed(tabs[0]) == TOO_MANY_TABS
    assert why_closed(newest, 0.2) is None and why_closed(tabs[1], 0.2) is None
    assert why_closed(opened.enter_context(socket(harness, cookie, session="a-session"))) == TOO_MANY_TABS, (
        "it asks again by itself"
    )
    other = harness.sign_in(harness.person()).cookie
    assert why_closed(opened.enter_context(socket(harness, other)), 0.2) is None
    newest.close()
    assert why_closed(opened.enter_context(socket(harness, cookie, session="a-session")), 0.2) is None


class Client:
    """A socket without a network: what is sent to it, and an application that holds it until it is closed."""

    def __init__(self, tabs: Tabs, user: str, *, again: bool = False) -> None:
        self.sent: list[Any] = []
        self._closed = asyncio.Event()
        self.task = asyncio.create_task(
            tabs.serve(self._hold, user, {"subprotocols": []}, self._connect, self._take, is_reconnect=again)
        )

    async def _hold(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await self._closed.wait()

    async def _connect(self) -> Any:
        return {"type": "websocket.connect"}

    async def _take(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.close":
            self._closed.set()

    @property
    def closed(self) -> int | None:
        return next((message["code"] for message in self.sent if message["type"] == "websocket.close"), None)

    async def leave(self) -> None:
        self._closed.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_when_all_places_are_taken_the_busiest_user_makes_room() -> None:
    async def story() -> None:
        tabs = Tabs(of_one=3, in_all=5)
        trader = [Client(tabs, "ann") for _ in range(2)]
        other_trader = [Client(tabs, "bob") for _ in range(3)]
        await settle()
        cid = Client(tabs, "cid")
        await settle()
        assert [one.closed for one in (*trader, *other_trader, cid)] == [
            None,
            None,
            TOO_MANY_TABS,
            None,
            None,
            None,
        ]
        for one in (*trader, *other_trader, cid):
            await one.leave()
        assert not tabs.full("ann")

    asyncio.run(story())


def test_a_user_opens_so_many_in_a_while() -> None:
    async def story() -> None:
        tabs = Tabs(opened=Rate(0.001, burst_seconds=2000))
        trader = [Client(tabs, "ann") for _ in range(3)]
        other_trader = Client(tabs, "bob")
        await settle()
        assert [one.closed for one in (*trader, other_trader)] == [None, None, TRY_LATER, None]

    asyncio.run(story())
