"""A bot at Gemini and at Kraken as they answer, from the alert to the flat account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.conftest import MakeApp
from tests.simulators.crypto import KEY, SECRET, Simulator
from tests.support.fakes import SetClock
from tests.support.installation import House, Person

D = Decimal
Desk = Callable[[str], tuple[Person, Simulator]]


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC))


@pytest.fixture
def at(make_app: MakeApp, clock: SetClock) -> Iterator[Desk]:
    """Ann with an account at an exchange, and the exchange."""
    opened: list[Simulator] = []

    def open_desk(exchange: str) -> tuple[Person, Simulator]:
        opened.append(Simulator(exchange))
        ann = House(make_app(clock=clock, **{f"CCXT_URL_{exchange.upper()}": opened[-1].url})).join()
        ann.paper = ann.does(
            "POST",
            "/accounts",
            {
                "broker": "crypto",
                "mode": "live",
                "acknowledge": "REAL MONEY",
                "decline_second_factor": True,
                "label": exchange,
                "options": {"exchange": exchange},
                "credentials": {"key": KEY, "secret": SECRET},
            },
        )["id"]
        return ann, opened[-1]

    yield open_desk
    for simulator in opened:
        simulator.close()


def _look(ann: Person, clock: SetClock, times: int = 3) -> None:
    for _ in range(times):
        ann.house.app.engine.reconciler.look(ann.paper)
        clock.forward(4)


def _drifts(ann: Person) -> list[object]:
    return ann.get("/drifts", status="unresolved")["items"]


@pytest.mark.parametrize("exchange", ["gemini", "kraken"])
def test_an_alert_buys_and_another_leaves_the_account_flat(at: Desk, clock: SetClock, exchange: str):
    ann, venue = at(exchange)
    bot = ann.bot("SOL/USD", position_size="2", position_size_type="quantity")
    _look(ann, clock, 1)
    ann.trades("buy", "SOL/USD")
    assert ann.holds(bot) == venue.core.balances["SOL"] == 2
    _look(ann, clock)
    ann.trades("close", "SOL/USD")
    assert ann.holds(bot) == venue.core.balances["SOL"] == 0
    _look(ann, clock)
    assert not _drifts(ann)


def test_coins_that_begin_to_earn_at_kraken_are_no_drift_and_are_sold_on_close(at: Desk, clock: SetClock):
    ann, kraken = at("kraken")
    kraken.front.earning["USD"] = D(90_000)
    bot = ann.bot("SOL/USD", position_size="2", position_size_type="quantity")
    _look(ann, clock, 1)
    ann.trades("buy", "SOL/USD")
    kraken.front.earning["SOL"] = D(2)  # Rewards takes them over; the balance of SOL itself is nothing
    _look(ann, clock)
    assert ann.holds(bot) == 2 and not _drifts(ann)
    ann.trades("close", "SOL/USD")
    assert ann.holds(bot) == kraken.core.balances["SOL"] == 0


def test_a_bot_at_gemini_may_spend_nearly_all_the_money(at: Desk, clock: SetClock):
    ann, gemini = at("gemini")
    gemini.core.balances["USD"] = D(1010)
    bot = ann.bot("SOL/USD", position_size="10", position_size_type="quantity")
    ann.trades("buy", "SOL/USD")
    assert ann.holds(bot) == 10
