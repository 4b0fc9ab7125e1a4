"""Coins at Binance's simulator, through ccxt: an exchange has balances, takes its fees out of them, and lists
other coins too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.simulators.crypto import KEY, SECRET, Simulator
from tests.support.fakes import SetClock
from tests.support.installation import House, Person

D = Decimal


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC))


@pytest.fixture
def exchange() -> Iterator[Simulator]:
    simulator = Simulator("binance")
    yield simulator
    simulator.close()


@pytest.fixture
def ann(make_app: MakeApp, clock: SetClock, exchange: Simulator) -> Person:
    house = House(make_app(clock=clock, CCXT_URL_BINANCE=exchange.url))
    ann = house.join()
    body = {
        "broker": "crypto",
        "mode": "paper",
        "label": "Binance",
        "credentials": {"key": KEY, "secret": SECRET},
        "options": {"exchange": "binance"},
    }
    ann.paper = ann.does("POST", "/accounts", body)["id"]
    return ann


def look(ann: Person, clock: SetClock, times: int = 1) -> None:
    for _ in range(times):
        ann.house.app.engine.reconciler.look(ann.paper)
        clock.forward(4)


def drifts(ann: Person) -> list[Any]:
    return ann.get("/drifts", status="unresolved")["items"]


def bot(ann: Person, symbol: str = "SOL/USDT") -> int:
    return ann.bot(symbol, position_size="2", position_size_type="quantity")


def test_a_fee_taken_out_of_the_bought_coin_is_no_drift(ann: Person, clock: SetClock, exchange: Simulator):
    number = bot(ann)
    look(ann, clock)
    ann.trades("buy", "SOL/USDT")
    assert ann.holds(number) == exchange.core.balances["SOL"] == D("1.998")
    look(ann, clock, 3)
    ann.trades("close", "SOL/USDT")
    look(ann, clock, 3)
    assert not drifts(ann) and ann.holds(number) == exchange.core.balances["SOL"]


def test_a_sale_by_hand_is_given_to_the_bot_at_the_markets_price(
    ann: Person, clock: SetClock, exchange: Simulator
):
    number = bot(ann)
    look(ann, clock)
    ann.trades("buy", "SOL/USDT")
    look(ann, clock)
    exchange.core.set_price("SOL/USDT", D(120))
    exchange.core.balances["SOL"] -= 1
    look(ann, clock, 3)
    (drift,) = drifts(ann)
    assert (drift["kind"], drift["difference"], drift["symbol"]) == ("less", "-1", "CRYPTO:SOL/USDT")
    ann.does("POST", f"/drifts/{drift['id']}/resolve", {"way": "give"})
    trade = ann.get("/trades")["items"][0]
    assert (
        ann.holds(number) == D("0.998")
        and D(trade["price"]) == 120
        and D(trade["realized_pnl"]) == D("19.99")
    )
    look(ann, clock, 3)
    assert not drifts(ann)


def test_coins_that_no_bot_trades_come_and_go_without_a_question(
    ann: Person, clock: SetClock, exchange: Simulator
):
    bot(ann)
    look(ann, clock)
    ann.trades("buy", "SOL/USDT")
    for amount in ("0.5", "0.4", "0"):
        exchange.core.balances["BNB"] = D(amount)
        look(ann, clock, 3)
    assert not drifts(ann)


def test_dust_below_the_exchanges_step_is_no_drift(ann: Person, clock: SetClock, exchange: Simulator):
    bot(ann)
    look(ann, clock)
    ann.trades("buy", "SOL/USDT")
    exchange.core.balances["SOL"] += D("0.000009")
    look(ann, clock, 3)
    assert not drifts(ann)


def test_one_coin_bought_with_two_moneys_is_one_asset(ann: Person, clock: SetClock, exchange: Simulator):
    first, second = bot(ann), bot(ann, "SOL/USDC")
    exchange.core.balances["USDC"] = D(10_000)
    look(ann, clock)
    ann.trades("buy", "SOL/USDT")
    ann.trades("buy", "SOL/USDC")
    assert ann.holds(first) and ann.holds(second)
    look(ann, clock, 3)
    assert not drifts(ann)
    exchange.core.balances["SOL"] -= 1
    look(ann, clock, 3)
    (drift,) = drifts(ann)
    assert {each["bot_id"] for each in drift["bots"]} == {first, second}
