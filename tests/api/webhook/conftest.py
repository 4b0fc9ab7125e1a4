"""What the tests of the webhook receiver share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dashtrade.worker.worker import Worker
from tests.support.direct import DirectClient
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On PostgreSQL alerts go through Flask's view alone."""
    items[:] = [item for item in items if not {"direct", "postgresql"} <= set(_values(item))]


def _values(item: pytest.Item) -> list[object]:
    call = getattr(item, "callspec", None)
    return [value for value in call.params.values() if isinstance(value, str)] if call is not None else []


@pytest.fixture(params=["flask", "direct"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Alerts go through Flask's view, and on SQLite past it as well: all that is said of them holds on both
    ways."""
    clients: dict[Installation, DirectClient] = {}
    lock = threading.Lock()

    def client(installation: Installation) -> Any:
        with lock:
            if installation not in clients:
                clients[installation] = DirectClient(installation.flask)
            return clients[installation]

    if request.param == "direct":
        monkeypatch.setattr(Installation, "client_for_alerts", client)
    yield request.param
    for made in clients.values():
        made.close()


@pytest.fixture
def trader(installation: Installation) -> Trader:
    """She has one bot: AAPL on 15 minutes."""
    person = installation.join()
    person.bot("AAPL", "15 Min")
    return person


@pytest.fixture
def running(make_app: MakeApp, clock: ManualClock, feed: Any) -> Iterator[Trader]:
    """The receiver and a worker, as two applications on one database: the way they run in earnest."""
    behind = make_app(clock=clock, feed=feed)
    worker = Worker(behind)
    worker.start()
    front = make_app(clock=clock, feed=feed)
    front.connect()
    person = Installation(front).join()
    person.bot("AAPL", "15 Min")
    yield person
    worker.stop()
