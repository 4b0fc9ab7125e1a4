"""What a decision asks of a venue far away: little, and never too little."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashtrade.brokers.alpaca.adapter import AlpacaBroker
from dashtrade.context import App
from dashtrade.domain.ports import Unavailable
from dashtrade.engine.market_snapshot import Asker
from tests.conftest import MakeApp
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.alpaca_desk import AAPL, eventually
from tests.support.at_alpaca import account, addresses
from tests.support.fakes import SetClock
from tests.support.installation import House, Person


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture
def ann(make_app: MakeApp, sim: AlpacaSimulator) -> Person:
    app: App = make_app(**addresses(sim))
    return House(app).join()


@pytest.fixture
def broker(sim: AlpacaSimulator) -> Iterator[AlpacaBroker]:
    made = AlpacaBroker(sim.key, sim.secret, "paper", api_url=sim.url, data_url=sim.url)
    yield made
    made.close()


def test_a_burst_of_alerts_asks_for_account_and_price_once(sim: AlpacaSimulator, broker: AlpacaBroker):
    clock = SetClock()
    asker = Asker(clock)
    broker.rules(AAPL)  # kept for an hour, and takes a look at the price
    sim.seen.clear()
    markets = [asker.far(broker, broker, AAPL, anew=False) for _ in range(5)]
    assert [market.kept for market in markets] == [False, True, True, True, True]
    assert len(sim.requests("GET", "/v2/account")) == len(sim.requests("GET", "/v2/stocks/quotes")) == 1
    asker.close()


def test_a_price_is_kept_for_half_a_second_and_an_account_for_five(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = SetClock()
    asker = Asker(clock)
    asker.far(broker, broker, AAPL, anew=False)
    clock.forward(0.6)
    sim.set_price("AAPL", 120)
    assert (
        asker.far(broker, broker, AAPL, anew=False).quote.mid == 120
        and len(sim.requests("GET", "/v2/account")) == 1
    )
    clock.forward(5)
    assert (
        not asker.far(broker, broker, AAPL, anew=False).kept and len(sim.requests("GET", "/v2/account")) == 2
    )
    asker.close()


def test_what_is_in_steady_use_is_asked_for_again_before_it_is_too_old(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = SetClock()
    asker = Asker(clock)
    assert asker.at_hand(broker, broker, AAPL) is None
    asker.far(broker, broker, AAPL, anew=False)
    sim.set_price("AAPL", 120)
    clock.forward(0.2)
    assert (
        asker.at_hand(broker, broker, AAPL).quote.mid != 120
        and not sim.requests("GET", "/v2/stocks/quotes")[2:]
    )  # type: ignore[union-attr]
    clock.forward(0.2)
    eventually(lambda: asker.at_hand(broker, broker, AAPL).quote.mid == 120)  # type: ignore[union-attr]
    clock.forward(0.4)
    assert asker.at_hand(broker, broker, AAPL) is not None
    eventually(lambda: len(sim.requests("GET", "/v2/stocks/quotes")) == 4)
    clock.forward(0.6)
    assert asker.at_hand(broker, broker, AAPL) is None
    asker.close()


def test_what_cannot_be_learned_ahead_stops_nobody_while_the_old_is_good(
    sim: AlpacaSimulator, broker: AlpacaBroker
):
    clock = SetClock()
    asker = Asker(clock)
    asker.far(broker, broker, AAPL, anew=False)
    sim.inject(Fault("server_error", method="GET", path="/v2/stocks/quotes", times=0))
    clock.forward(0.4)
    # the library's look at the price for the rules, the first decision's, and then each that fails
    for tries in range(3, 6):
        assert asker.at_hand(broker, broker, AAPL) is not None
        eventually(lambda: len(sim.requests("GET", "/v2/stocks/quotes")) == tries)  # noqa: B023
        eventually(lambda: not asker._of[broker].coming)
    clock.forward(0.2)
    with pytest.raises(Unavailable):
        asker.far(broker, broker, AAPL, anew=False)
    asker.close()


def test_money_that_came_free_a_moment_ago_is_seen(ann: Person, sim: AlpacaSimulator):
    """The first purchase took the money, its sale gave it back; what is kept of the account says that there
    is none."""
    one = account(ann, sim)
    ann.bot("AAPL", account=one, position_size="1900", position_size_type="quantity")
    big = ann.bot("MSFT", account=one, position_size="900", position_size_type="quantity")
    ann.trades("buy", "AAPL")
    assert "buying power" in ann.trades("buy", "MSFT")["reason"]
    ann.trades("close", "AAPL")
    assert eventually(lambda: ann.trades("buy", "MSFT")["status"] == "filled") and ann.holds(big) == 900


def test_a_refusal_is_never_made_of_what_was_kept(ann: Person, sim: AlpacaSimulator):
    one = account(ann, sim)
    ann.bot("AAPL", account=one, position_size="10", position_size_type="quantity")
    ann.trades("buy", "AAPL")
    before = len(sim.requests("GET", "/v2/account"))
    assert "already long" in ann.trades("buy", "AAPL")["reason"]
    assert len(sim.requests("GET", "/v2/account")) == before + 1
