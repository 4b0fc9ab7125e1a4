"""What a decision asks of a venue far away: little, and never too little."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashtrade.brokers.alpaca.adapter import AlpacaBroker
from dashtrade.context import App
from dashtrade.domain.ports import Unavailable
from dashtrade.engine.market_snapshot import Snapshots
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.adapter_harness import AAPL
from tests.support.alpaca_harness import eventually
from tests.support.at_alpaca import account, addresses
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture
def trader(make_app: MakeApp, sim: AlpacaSimulator) -> Trader:
    app: App = make_app(**addresses(sim))
    return Installation(app).join()


@pytest.fixture
def broker(sim: AlpacaSimulator) -> Iterator[AlpacaBroker]:
    made = AlpacaBroker(sim.key, sim.secret, "paper", api_url=sim.url, data_url=sim.url)
    yield made
    made.close()


def test_a_burst_of_alerts_asks_for_account_and_price_once(sim: AlpacaSimulator, broker: AlpacaBroker):
    clock = ManualClock()
    snapshots = Snapshots(clock)
    broker.rules(AAPL)  # kept for an hour, and takes a look at the price
    sim.seen.clear()
    markets = [snapshots.fetch(broker, broker, AAPL, fresh=False) for _ in range(5)]
    assert [market.from_cache for market in markets] == [False, True, True, True, True]
    assert len(sim.requests("GET", "/v2/account")) == len(sim.requests("GET", "/v2/stocks/quotes")) == 1
    snapshots.close()


def test_a_price_is_kept_for_half_a_second_and_an_account_for_five(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = ManualClock()
    snapshots = Snapshots(clock)
    snapshots.fetch(broker, broker, AAPL, fresh=False)
    clock.forward(0.6)
    sim.set_price("AAPL", 120)
    assert (
        snapshots.fetch(broker, broker, AAPL, fresh=False).quote.mid == 120
        and len(sim.requests("GET", "/v2/account")) == 1
    )
    clock.forward(5)
    assert (
        not snapshots.fetch(broker, broker, AAPL, fresh=False).from_cache
        and len(sim.requests("GET", "/v2/account")) == 2
    )
    snapshots.close()


def test_what_is_in_steady_use_is_asked_for_again_before_it_is_too_old(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = ManualClock()
    snapshots = Snapshots(clock)
    assert snapshots.cached(broker, broker, AAPL) is None
    snapshots.fetch(broker, broker, AAPL, fresh=False)
    sim.set_price("AAPL", 120)
    clock.forward(0.2)
    assert (
        snapshots.cached(broker, broker, AAPL).quote.mid != 120
        and not sim.requests("GET", "/v2/stocks/quotes")[2:]
    )  # type: ignore[union-attr]
    clock.forward(0.2)
    eventually(lambda: snapshots.cached(broker, broker, AAPL).quote.mid == 120)  # type: ignore[union-attr]
    clock.forward(0.4)
    assert snapshots.cached(broker, broker, AAPL) is not None
    eventually(lambda: len(sim.requests("GET", "/v2/stocks/quotes")) == 4)
    clock.forward(0.6)
    assert snapshots.cached(broker, broker, AAPL) is None
    snapshots.close()


def test_a_failed_early_refresh_blocks_nothing_while_the_cache_is_good(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = ManualClock()
    snapshots = Snapshots(clock)
    snapshots.fetch(broker, broker, AAPL, fresh=False)
    sim.inject(Fault("server_error", method="GET", path="/v2/stocks/quotes", times=0))
    clock.forward(0.4)
    # the library's look at the price for the rules, the first decision's, and then each that fails
    for tries in range(3, 6):
        assert snapshots.cached(broker, broker, AAPL) is not None
        eventually(lambda: len(sim.requests("GET", "/v2/stocks/quotes")) == tries)  # noqa: B023
        eventually(lambda: not snapshots._by_broker[broker].refreshing)
    clock.forward(0.2)
    with pytest.raises(Unavailable):
        snapshots.fetch(broker, broker, AAPL, fresh=False)
    snapshots.close()


def test_money_that_came_free_a_moment_ago_is_seen(trader: Trader, sim: AlpacaSimulator):
    """The first purchase took the money, its sale gave it back; what is kept of the account says that there
    is none."""
    one = account(trader, sim)
    trader.bot("AAPL", account=one, position_size="1900", position_size_type="quantity")
    big = trader.bot("MSFT", account=one, position_size="900", position_size_type="quantity")
    trader.trades("buy", "AAPL")
    assert "buying power" in trader.trades("buy", "MSFT")["reason"]
    trader.trades("close", "AAPL")
    assert eventually(lambda: trader.trades("buy", "MSFT")["status"] == "filled") and trader.holds(big) == 900


def test_a_refusal_is_never_made_of_what_was_kept(trader: Trader, sim: AlpacaSimulator):
    one = account(trader, sim)
    trader.bot("AAPL", account=one, position_size="10", position_size_type="quantity")
    trader.trades("buy", "AAPL")
    before = len(sim.requests("GET", "/v2/account"))
    assert "already long" in trader.trades("buy", "AAPL")["reason"]
    assert len(sim.requests("GET", "/v2/account")) == before + 1
