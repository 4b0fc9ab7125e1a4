"""What the tests of the webhook receiver share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dashtrade.worker.worker import Worker
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader


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
