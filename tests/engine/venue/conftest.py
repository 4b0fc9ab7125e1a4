"""A broker that does as it is told, and a bot that trades there."""

from __future__ import annotations

import pytest

from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader

# --- a venue that does as it is told ------------------------------------------------------------------------


@pytest.fixture
def venue() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def away(make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker) -> Trader:
    """Her bot trades at the venue."""
    person = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    person.paper = person.account("venue")
    person.bot()
    return person


@pytest.fixture
def bot(away: Trader) -> int:
    return away.get("/bots")["items"][0]["id"]
