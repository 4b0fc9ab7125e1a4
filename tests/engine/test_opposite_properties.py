"""Random books and alerts over two to five bots of one netted account.

Whoever is told to close ends at zero, no exit is refused, and the account is the sum of its parts at every
moment."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashtrade.app import build_app
from dashtrade.settings import Settings
from tests.support.databases import SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import KEY, Installation, Trader
from tests.support.netted import NettingBroker

D = Decimal
SIZES = st.sampled_from(["1", "2", "3", "7", "10", "2.5"])
TIMEFRAMES = ("1 Min", "5 Min", "15 Min", "30 Min", "60 Min")
ACTIONS = st.sampled_from(
    ["buy", "sell", "close", "close", "reverse", "add", "reduce", "limit", "limit close"]
)
TOLD = st.tuples(st.integers(0, 4), ACTIONS)
BATCHES = st.lists(st.lists(TOLD, min_size=1, max_size=4), min_size=1, max_size=10)
Story = list[list[tuple[int, str]]]
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
LIMIT = {"orderType": "limit"}
_ids = itertools.count()


def body(bot: int, action: str) -> dict[str, Any]:
    name = {"bot": str(bot), "symbol": "AAPL", "id": f"s{next(_ids)}"}
    match action:
        case "limit":
            return name | {"action": "buy", "limitPrice": "98"} | LIMIT
        case "limit close":
            return name | {"action": "close", "limitPrice": "103"} | LIMIT
        case "reduce":
            return name | {"action": "reduce", "quantity": "40%"}
        case _:
            return name | {"action": action}


def settled(person: Trader, clock: ManualClock) -> None:
    for _ in range(4):
        person.installation.work()
        clock.forward(6)


def the_account_is_the_sum(person: Trader, bots: list[int], venue: NettingBroker, outside: Decimal) -> None:
    assert venue.held == sum((person.holds(bot) for bot in bots), outside)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@example(sizes=["2", "7"], batches=[[(0, "buy"), (1, "sell")], [(1, "reduce")], [(0, "close")]], outside="3")
@given(
    sizes=st.lists(SIZES, min_size=2, max_size=5),
    batches=BATCHES,
    outside=st.sampled_from(["0", "0", "3", "-4"]),
)
def test_whatever_the_others_hold_every_bot_can_leave(
    sqlite_files: SqliteFiles, tmp_path: Path, sizes: list[str], batches: Story, outside: str
) -> None:
    clock, venue = ManualClock(), NettingBroker()
    venue.by_hand(D(outside))
    given = {"DASHTRADE_HOME": str(tmp_path), "DATABASE_URL": sqlite_files.fresh(), "ENCRYPTION_KEY": KEY}
    app = build_app(Settings.load(given, tmp_path), clock=clock, feed=ManualFeed(clock), brokers=venue.kind())
    try:
        story(Installation(app).join(), clock, venue, sizes, batches, D(outside))
    finally:
        app.close()


def story(
    person: Trader,
    clock: ManualClock,
    venue: NettingBroker,
    sizes: list[str],
    batches: Story,
    outside: Decimal,
) -> None:
    account = person.paper = person.account("venue")
    person.installation.app.engine.reconciler.reconcile(account)
    bots = [
        person.bot("AAPL", timeframe, position_size=size, position_size_type="quantity")
        for size, timeframe in zip(sizes, TIMEFRAMES, strict=False)
    ]
    for batch in batches:
        told = [(bots[place % len(bots)], action) for place, action in batch]
        signals = [(bot, action, person.send(body(bot, action))) for bot, action in told]
        settled(person, clock)
        the_account_is_the_sum(person, bots, venue, outside)
        last = {bot: action for bot, action, _ in signals}
        for bot, action in last.items():
            if action == "close":
                assert person.holds(bot) == 0, [
                    person.story(one)["reason"] for of, _, one in signals if of == bot
                ]
        assert not venue.refused_exits
    for bot in bots:
        person.send(body(bot, "close"))
        settled(person, clock)
        assert person.holds(bot) == 0
    assert venue.held == outside and not venue.refused_exits
