"""What is pushed to open tabs: one's own prices and profits, as long as one's session lasts, and nobody
else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.symbols import Symbol
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.accounts.prices import holding
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.people import sessions
from dashtrade.services.trading import portfolio_summary
from dashtrade.settings import Settings
from dashtrade.tables import change_token
from dashtrade.ui.kit import live_cells, ticker
from dashtrade.ui.kit.ticker import Ticker
from tests.support.databases import SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, Trader, wait_until


@pytest.fixture
def feed(clock: ManualClock) -> ManualFeed:
    return ManualFeed(clock)


@pytest.fixture
def app(
    tmp_path: Path,
    clock: ManualClock,
    feed: ManualFeed,
    sqlite_files: SqliteFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[App]:
    sqlite_files.fresh(tmp_path / "home" / "dashtrade.db")
    monkeypatch.setattr(ticker, "SEND_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("dashtrade.services.accounts.prices.PAPER_LIFE", 0.0)
    made = build_app(
        Settings.load({"DASHTRADE_HOME": str(tmp_path / "home")}, tmp_path), clock=clock, feed=feed
    )
    yield made
    made.close()


class Browser:
    """The ticker behind a real server."""

    def __init__(self, app: App) -> None:
        self.server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=[WebSocketRoute("/live", Ticker(app).endpoint)]),
                port=0,
                log_config=None,
                lifespan="off",
            )
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started)

    def tab(self, headers: dict[str, str] | None = None) -> ClientConnection:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return connect(f"ws://127.0.0.1:{port}/live", additional_headers=headers, proxy=None)

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(10)


@pytest.fixture
def browser(app: App) -> Iterator[Browser]:
    made = Browser(app)
    yield made
    made.stop()


def cookie(app: App, person: Trader) -> dict[str, str]:
    token = sessions.begin(app, person.user.id, device="test", address="", remember=True)
    return {"cookie": f"dashtrade_session={token}"}


def next_message(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(5))


def test_a_stranger_gets_nothing_and_is_asked_to_sign_in(browser: Browser):
    with browser.tab() as socket, pytest.raises(ConnectionClosed) as ended:
        socket.recv(5)
    assert ended.value.rcvd.code == ticker.ENDED


def test_a_tab_gets_only_its_owners_cells(installation: Installation, app: App, browser: Browser):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    mine, theirs = trader.bot("AAPL"), other_trader.bot("AAPL")
    trader.trades("buy")
    other_trader.trades("buy")
    with browser.tab(cookie(app, trader)) as socket:
        first = next_message(socket)
    assert {f"m{mine}", f"u{mine}", "equity:paper:USD", "open:paper:USD"} <= set(first["c"])
    assert not [
        name
        for name in first["c"]
        if name.endswith(str(theirs)) and name[: -len(str(theirs))] in ("m", "u", "v")
    ]
    mine_alone = {f"eq{trader.paper}", f"equity:{trader.paper}:USD", "equity:paper:USD"}
    assert {name for name in first["c"] if name.startswith("eq")} == mine_alone


def test_only_what_changed_is_sent_and_what_is_sent_is_what_pages_show(
    installation: Installation, app: App, feed: ManualFeed, browser: Browser
):
    trader = installation.join()
    bot = trader.bot("AAPL", position_size="10", position_size_type="quantity")
    trader.trades("buy")
    with browser.tab(cookie(app, trader)) as socket:
        next_message(socket)
        feed.set("AAPL", 120)
        moved = next_message(socket)
    assert moved["c"][f"m{bot}"][0] == "120.00"
    shown = live_cells.profit(
        holding(app, bot_service.bot_of(app, trader.user, bot), find_account(app, trader.user, trader.paper))
    )
    assert moved["c"][f"u{bot}"] == [shown.text, shown.tone, shown.sub]
    assert f"cash{trader.paper}" not in moved["c"], "cash did not change"


def test_a_session_that_is_ended_ends_its_sockets(
    installation: Installation, app: App, browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ticker, "CHECK_SESSION_SECONDS", 0.05)
    trader = installation.join()
    headers = cookie(app, trader)
    with browser.tab(headers) as socket:
        next_message(socket)
        sessions.end(app, headers["cookie"].partition("=")[2])
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                socket.recv(5)
    assert ended.value.rcvd.code == ticker.ENDED


def test_a_hidden_tab_is_sent_nothing(
    installation: Installation, app: App, feed: ManualFeed, browser: Browser
):
    trader = installation.join()
    bot = trader.bot("AAPL")
    trader.trades("buy")
    with browser.tab(cookie(app, trader)) as socket:
        next_message(socket)
        socket.send('{"asleep": true}')
        before = ticker.snapshot(app, trader.user)[0][f"m{bot}"]
        feed.set("AAPL", 150)
        socket.send('{"asleep": false}')
        assert next_message(socket)["c"][f"m{bot}"] != before


@pytest.mark.parametrize("nonsense", ["", "[]", "{", "null", '{"asleep": 7}'])
def test_invalid_messages_from_a_tab_harm_no_other_tab(
    nonsense: str, installation: Installation, app: App, browser: Browser
):
    trader = installation.join()
    headers = cookie(app, trader)
    with browser.tab(headers) as socket:
        socket.send(nonsense)
    with browser.tab(headers) as socket:
        assert next_message(socket)["rev"]


@pytest.mark.parametrize("change", ["signal", "pause", "switch", "account"])
def test_whatever_changes_is_another_revision(
    change: str, installation: Installation, app: App, clock: ManualClock
):
    trader = installation.join()
    bot = trader.bot("AAPL")

    def revision() -> str:
        with app.db.read() as conn:
            return change_token.of(conn, trader.user.id)

    before = revision()
    assert revision() == before
    clock.forward(1)
    match change:
        case "signal":
            trader.send(action="buy", symbol="AAPL")
        case "pause":
            bot_service.set_active(app, trader.user, bot, False)
        case "switch":
            trader.request("PUT", "/switches", {"scope": "user", "mode": "halt"})
        case "account":
            trader.request("POST", f"/accounts/{trader.paper}/test")
    assert revision() != before


def test_what_no_bot_owns_is_outside_by_asset(installation: Installation, app: App):
    trader = installation.join()
    trader.bot("BTCUSD")
    trader.trades("buy", "BTCUSD")
    account = find_account(app, trader.user, trader.paper)
    assert account is not None
    from dashtrade.domain.ports import BrokerPosition

    held = portfolio_summary.holdings(app, trader.user)
    owned = held[0].bot.position.quantity
    usdt = Symbol.parse("BTCUSDT")
    assert live_cells.outside_of(account, held, {usdt: BrokerPosition(symbol=usdt, quantity=owned)}) == []
    ((position, outside),) = live_cells.outside_of(
        account, held, {usdt: BrokerPosition(symbol=usdt, quantity=owned + 2)}
    )
    assert (position.symbol, outside) == (usdt, Decimal(2))
    ((_, missing),) = live_cells.outside_of(account, held, {})
    assert missing == -owned
