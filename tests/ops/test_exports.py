"""Files that are written while they are sent: for readers who are slow, who do not read, and who are gone."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import secrets
import socket
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import DatabaseUnavailable
from dashtrade import limits
from dashtrade.context import App
from dashtrade.domain.access import Permission
from dashtrade.domain.people import User
from dashtrade.domain.reasons import NO_REASON
from dashtrade.services.operations import export
from dashtrade.services.people import sessions
from dashtrade.tables import export as table
from dashtrade.tables.base import metadata
from dashtrade.ui.shell import downloads
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker
from tests.support.ui_harness import DashboardHarness

LONG = 60_000  # characters of an alert


def add_alerts(app: App, user_id: int, count: int, size: int = LONG) -> None:
    """Long ones, that do not compress."""
    now = app.clock.now()
    rows = [
        {
            "id": f"{place:032x}",
            "user_id": user_id,
            "received_at": now,
            "origin": "webhook",
            "dialect": "json",
            "symbol": None,
            "written_symbol": "",
            "timeframe": None,
            "action": "buy",
            "status": "refused",
            "reason": NO_REASON,
            "dedupe_key": None,
            "body_hash": "",
            "duplicate_count": 0,
            "repeated_at": None,
            "raw": secrets.token_hex(size // 2),
            "sender": "",
            "ended_at": now,
        }
        for place in range(count)
    ]
    app.db.write(lambda conn: conn.execute(sa.insert(metadata.tables["signals"]), rows))


@pytest.fixture
def trader(app: App) -> User:
    return Installation(app).join().user


def held(app: App) -> int:
    """Connections to the database that are out of the pool."""
    return app.db.engine.pool.checkedout()  # type: ignore[attr-defined]


# --- what reads slowly holds nothing ------------------------------------------------------------------------


def test_between_two_pieces_no_connection_is_held(app: App, trader: User) -> None:
    add_alerts(app, trader.id, 20)
    pieces, before, seen = export.own_data(app, trader, ""), held(app), 0
    for _ in pieces:
        assert held(app) == before
        seen += 1
    assert seen > 20 * LONG / export.PIECE_BYTES


def test_the_file_of_long_alerts_is_never_whole_in_memory(app: App, trader: User) -> None:
    add_alerts(app, trader.id, 400)
    tracemalloc.start()
    size = sum(map(len, export.own_data(app, trader, "")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 10_000_000 and peak < 9_000_000


def test_a_file_that_is_given_up_is_closed(app: App, trader: User) -> None:
    add_alerts(app, trader.id, 20)
    pieces, before = export.own_data(app, trader, ""), held(app)
    next(pieces)
    pieces.close()
    assert held(app) == before


def test_what_is_read_in_pieces_is_whole_and_in_order(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation(app)
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    for person in (trader, other_trader):
        person.bot()
        for action in ("buy", "close", "sell", "close"):
            person.trades(action)
    whole = everything(app, trader.user)
    monkeypatch.setattr(export, "PIECE_BYTES", 1)  # a page for each row
    assert {name: len(rows) for name, rows in whole.items()}["orders"] == 4
    assert everything(app, trader.user) | {"log": []} == whole | {"log": []}
    lines = list(csv.reader(io.StringIO("".join(export.my_trades(app, trader.user, {})))))
    assert len(lines) == 5 and [int(line[0]) for line in lines[1:]] == sorted(
        (int(line[0]) for line in lines[1:]), reverse=True
    )
    assert len("".join(export.all_trades(app, {})).splitlines()) == 9


def everything(app: App, user: User) -> dict[str, list[list[str]]]:
    with zipfile.ZipFile(io.BytesIO(b"".join(export.own_data(app, user, "")))) as archive:
        return {
            name: list(csv.reader(io.StringIO(archive.read(f"{name}.csv").decode())))[1:]
            for name in table.TABLES
        }


@sqlite
def test_each_page_begins_at_its_place_and_sorts_nothing_large(app: App) -> None:
    """Else a file of many rows would be read anew, or sorted anew, with each of its pieces."""
    few = {"user_bot_configs", "sessions"}
    for name in table.TABLES.values():
        plan: list[str] = []
        with app.db.read() as conn:
            raw = conn.connection.driver_connection

            def explain(
                _conn: Any,
                _cursor: Any,
                statement: str,
                given: Any,
                *_: Any,
                plan: list[str] = plan,
                raw: Any = raw,
            ) -> None:
                plan += [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", given)]

            sa.event.listen(conn, "before_cursor_execute", explain)
            assert list(table.rows(conn, 1, name, tuple(_some(column) for column in table.keys(name)))) == []
        assert plan and not any(step.startswith("SCAN") for step in plan), (name, plan)
        assert name in few or "USE TEMP B-TREE FOR ORDER BY" not in plan, (name, plan)


def _some(column: sa.Column[Any]) -> Any:
    kinds = {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "day": date(2026, 1, 1)}
    return kinds.get(column.name, "x" if isinstance(column.type, sa.Text) else 10**6)


@sqlite
@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_no_cell_begins_a_formula(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, start: str
) -> None:
    """The database writes the cells of trades, Python those of all else."""
    venue, bad = ScriptedBroker(), f"{start}1+1"
    trader = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    trader.bot(account=trader.account("venue"), name=f"{start}x" if start.strip() else "x")
    fill = venue.fill
    venue.fill = lambda *given: replace(fill(*given), broker_order_id=bad)  # type: ignore[method-assign]
    assert trader.trades("buy")["status"] == "filled"
    (row,) = csv.DictReader(io.StringIO(trader.call("GET", "/trades.csv").text, newline=""))
    assert row["broker_order_id"] == f"'{bad}"
    cells = [
        cell
        for file in everything(trader.installation.app, trader.user).values()
        for line in file
        for cell in line
    ]
    assert f"'{bad}" in cells and not [cell for cell in cells if cell.startswith(start) and "1" not in cell]


# --- one at a time ------------------------------------------------------------------------------------------


def test_over_rest_a_user_gets_one_file_at_a_time(installation: Installation) -> None:
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    first = trader.call("GET", "/trades.csv")  # sent, and not read
    assert trader.call("GET", "/trades.csv").status_code == 429
    assert other_trader.call("GET", "/trades.csv").text
    first.close()
    again = trader.call("GET", "/trades.csv")
    assert again.status_code == 200 and again.text.startswith("id,")
    assert trader.call("GET", "/trades.csv").text, "read to its end, it leaves its place"


@sqlite
@pytest.mark.parametrize("where", ["find", "make"])
def test_without_its_database_a_file_is_refused_in_words(
    app: App, trader: User, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def gone(*given: object, **more: object) -> Any:
        raise DatabaseUnavailable("database is locked")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(sessions, "find", gone if where == "find" else lambda *given, **more: trader)
    door = downloads.DownloadRoute(app, Permission.TRADE, gone, limits.exports())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "headers": [],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(door(scope, receive, send))
    assert sent[0]["status"] == 503 and b"Try again" in sent[1]["body"]


# --- the dashboard, as it is served -------------------------------------------------------------------------


def descriptors(pid: int) -> tuple[int, int]:
    """(sockets, files of the database) that a process has open."""
    sockets = files = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            name = os.readlink(each)
            sockets += name.startswith("socket:")
            files += ".db" in name
    return sockets, files


def resident(pid: int) -> int:
    """Megabytes."""
    found = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(found.split()[1]) // 1024


def comes_true(said: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not said():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="reads /proc")
def test_a_hundred_unread_exports_hold_no_resources(harness: DashboardHarness) -> None:
    email = harness.person()
    cookie = harness.sign_in(email).cookie
    with harness.app.db.read() as conn:
        user_id = conn.execute(
            sa.text("SELECT id FROM users WHERE email = :email"), {"email": email}
        ).scalar_one()
    add_alerts(harness.app, user_id, 120)
    (before, _), memory = descriptors(harness.pid), resident(harness.pid)
    asked = (
        f"GET /files/my-data.zip HTTP/1.1\r\nHost: {harness.host}\r\n"
        f"Cookie: dashtrade_session={cookie}\r\n\r\n"
    ).encode()
    lines = []
    for _ in range(110):
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", harness.port))
        line.sendall(asked)
        lines.append(line)
    try:
        time.sleep(3)
        other = harness.sign_in(harness.person())
        assert other.status == 303
        assert harness.ask("GET", "/files/my-data.zip", cookie=cookie).status == 429
        assert harness.ask("GET", "/files/my-data.zip", cookie=other.cookie).status == 200
    finally:
        for line in lines:
            line.close()
    assert comes_true(lambda: descriptors(harness.pid)[0] < before + 10), (
        "their connections have not come back"
    )
    assert descriptors(harness.pid)[1] <= 3 * 34, "more than the database's pool keeps"
    assert resident(harness.pid) < memory + 120
    assert comes_true(lambda: harness.ask("GET", "/files/trades.csv", cookie=cookie).status == 200)
