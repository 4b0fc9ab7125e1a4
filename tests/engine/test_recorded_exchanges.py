"""A bot at Gemini and at Kraken as they answer, from the alert to the flat account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.simulators.exchanges import KEY, SECRET, ExchangeSimulator
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader

D = Decimal
Desk = Callable[[str], tuple[Trader, ExchangeSimulator]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def at(make_app: MakeApp, clock: ManualClock) -> Iterator[Desk]:
    """Ann with an account at an exchange, and the exchange."""
    opened: list[ExchangeSimulator] = []

    def open_exchange(exchange: str) -> tuple[Trader, ExchangeSimulator]:
        opened.append(ExchangeSimulator(exchange))
        trader = Installation(
            make_app(clock=clock, **{f"CCXT_URL_{exchange.upper()}": opened[-1].url})
        ).join()
        trader.paper = trader.request(
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
        return trader, opened[-1]

    yield open_exchange
    for simulator in opened:
        simulator.close()


def _look(trader: Trader, clock: ManualClock, times: int = 3) -> None:
    for _ in range(times):
        trader.installation.app.engine.reconciler.reconcile(trader.paper)
        clock.forward(4)


def _drifts(trader: Trader) -> list[object]:
    return trader.get("/drifts", status="unresolved")["items"]


@pytest.mark.parametrize("exchange", ["gemini", "kraken"])
def test_an_alert_buys_and_another_leaves_the_account_flat(at: Desk, clock: ManualClock, exchange: str):
    trader, venue = at(exchange)
    bot = trader.bot("SOL/USD", position_size="2", position_size_type="quantity")
    _look(trader, clock, 1)
    trader.trades("buy", "SOL/USD")
    assert trader.holds(bot) == venue.core.balances["SOL"] == 2
    _look(trader, clock)
    trader.trades("close", "SOL/USD")
    assert trader.holds(bot) == venue.core.balances["SOL"] == 0
    _look(trader, clock)
    assert not _drifts(trader)


def test_coins_that_begin_to_earn_at_kraken_are_no_drift_and_are_sold_on_close(at: Desk, clock: ManualClock):
    trader, kraken = at("kraken")
    kraken.front.earning["USD"] = D(90_000)
    bot = trader.bot("SOL/USD", position_size="2", position_size_type="quantity")
    _look(trader, clock, 1)
    trader.trades("buy", "SOL/USD")
    kraken.front.earning["SOL"] = D(2)  # Rewards takes them over; the balance of SOL itself is nothing
    _look(trader, clock)
    assert trader.holds(bot) == 2 and not _drifts(trader)
    trader.trades("close", "SOL/USD")
    assert trader.holds(bot) == kraken.core.balances["SOL"] == 0


def test_a_bot_at_gemini_may_spend_nearly_all_the_money(at: Desk, clock: ManualClock):
    trader, gemini = at("gemini")
    gemini.core.balances["USD"] = D(1010)
    bot = trader.bot("SOL/USD", position_size="10", position_size_type="quantity")
    trader.trades("buy", "SOL/USD")
    assert trader.holds(bot) == 10
