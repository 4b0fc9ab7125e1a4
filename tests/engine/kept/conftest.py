"""Days of alerts for paper accounts, on databases of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashtrade.engine.batches import Batches
from tests.support.databases import Postgres, SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import MakeApp
from tests.support.paper_day import MakeDay, PaperDay, paper_day

# its orders fill in parts, each with a fee: then the order in which lanes are run shows in the figures
IN_PARTS = {"fee_percent": "0.1", "fill_percent": "60", "leverage": "2"}


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashtrade.engine.batches.BATCH_SECONDS", 60)


@pytest.fixture
def make_day(request: pytest.FixtureRequest, make_app: MakeApp, database_url: str, tmp_path: Path) -> MakeDay:
    """Each on a database of its own."""

    def another() -> str:
        if database_url.startswith("sqlite"):
            files: SqliteFiles = request.getfixturevalue("sqlite_files")
            return files.fresh(tmp_path / "another.db")
        server: Postgres = request.getfixturevalue("postgres_server")
        url = server.fresh()
        request.addfinalizer(lambda: server.drop(url))
        return url

    free = [database_url]

    def make(second_account: dict[str, str]) -> PaperDay:
        clock = ManualClock()
        feed = ManualFeed(clock)
        url = free.pop() if free else another()
        return paper_day(make_app(clock=clock, feed=feed, DATABASE_URL=url), clock, feed, second_account)

    return make


@pytest.fixture
def day(make_day: MakeDay) -> PaperDay:
    return make_day(IN_PARTS)


@pytest.fixture
def batches(day: PaperDay) -> Batches:
    return Batches(day.app.db)
