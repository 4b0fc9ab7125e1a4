"""What all tests share: both databases, a clock and a market that are set by hand, and the whole application
over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import hypothesis
import pytest

from dashtrade import disk
from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.services.people import passwords
from dashtrade.settings import Settings
from encryption import Vault
from tests.support import many_apps
from tests.support.databases import Postgres, SqliteFiles, postgres
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import KEY, Installation, MakeApp, Trader

hypothesis.settings.register_profile("any speed", deadline=None)  # a busy machine makes no test wrong
hypothesis.settings.load_profile("any speed")
many_apps.share()
NOBODY = bcrypt.hashpw(b"nobody", bcrypt.gensalt(4)).decode()


BROWSER = "tests/ui/browser/"
NOT_QUICK = {"browser", "postgres", "slow"}  # marks
NOT_QUICK_ROOMS = {"api", "brokers", "ops", "ui"}  # wires, whole programs and pages: most of all the time


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out what takes long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        left = {item for item in items if _takes_long(item)}
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]
    if hasattr(config, "workerinput"):  # of two processes, one begins with the browser, which takes longest
        items.sort(key=lambda item: not item.nodeid.startswith(BROWSER))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By file, and all that drives a browser in one process: two browsers at once would starve each other."""
    from xdist.scheduler import LoadFileScheduling

    class OneBrowser(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)

    return OneBrowser(config, log)


def _takes_long(item: pytest.Item) -> bool:
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    return room in NOT_QUICK_ROOMS or bool(NOT_QUICK & {mark.name for mark in item.iter_markers()})


@pytest.fixture(autouse=True)
def little_ballast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that run in the tests' own process hold little of the disk: pytest keeps their folders."""
    monkeypatch.setattr(disk, "BALLAST_BYTES", 64 * 1024)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real number of rounds is checked once, by a test of passwords."""
    monkeypatch.setattr(passwords, "_ROUNDS", 4)
    monkeypatch.setattr(passwords, "DUMMY_HASH", NOBODY)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A real PostgreSQL, started when the first test asks for it."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """The server's own database: for tests that make what they need there."""
    return postgres_server.url


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def postgres_database(postgres_server: Postgres) -> Iterator[str]:
    """A fresh database with its tables, on PostgreSQL alone."""
    url = postgres_server.fresh()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database with its tables: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database")
    return request.getfixturevalue("sqlite_files").fresh(tmp_path / "dashtrade.db")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any tables, of both kinds in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    url = server.empty()
    yield url
    server.drop(url)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def feed(clock: ManualClock) -> ManualFeed:
    return ManualFeed(clock)


@pytest.fixture
def vault() -> Vault:
    return Vault([KEY])


@pytest.fixture
def make_app(tmp_path: Path, database_url: str) -> Iterator[MakeApp]:
    """Builds the application on the test's database: `make_app(clock=clock, feed=feed, brokers=…,
    DASHTRADE_SIGNUP="open")`. The real clock and the demo prices unless told otherwise; made twice, it is two
    processes' worth on one database."""
    made: list[App] = []

    def make(*, clock: Any = None, feed: Any = None, brokers: Any = None, **environ: str) -> App:
        given = {
            "DASHTRADE_HOME": str(tmp_path / "home"),
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEY": KEY,
        } | environ
        made.append(build_app(Settings.load(given, tmp_path), clock=clock, feed=feed, brokers=brokers))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> App:
    """The application with the clock and the prices set by hand."""
    return make_app(clock=clock, feed=feed)


@pytest.fixture
def installation(app: App) -> Installation:
    return Installation(app)


@pytest.fixture
def trader(installation: Installation) -> Trader:
    return installation.join()
