"""Coins at Binance's simulator, through ccxt: an exchange has balances, takes its fees out of them, and lists
other coins too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulators.exchanges import KEY, SECRET, ExchangeSimulator
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader

D = Decimal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def exchange() -> Iterator[ExchangeSimulator]:
    simulator = ExchangeSimulator("binance")
    yield simulator
    simulator.close()


@pytest.fixture
def trader(make_app: MakeApp, clock: ManualClock, exchange: ExchangeSimulator) -> Trader:
    installation = Installation(make_app(clock=clock, CCXT_URL_BINANCE=exchange.url))
    trader = installation.join()
    body = {
        "broker": "crypto",
        "mode": "paper",
        "label": "Binance",
        "credentials": {"key": KEY, "secret": SECRET},
        "options": {"exchange": "binance"},
    }
    trader.paper = trader.request("POST", "/accounts", body)["id"]
    return trader


def look(trader: Trader, clock: ManualClock, times: int = 1) -> None:
    for _ in range(times):
        trader.installation.app.engine.reconciler.reconcile(trader.paper)
        clock.forward(4)


def drifts(trader: Trader) -> list[Any]:
    return trader.get("/drifts", status="unresolved")["items"]


def bot(trader: Trader, symbol: str = "SOL/USDT") -> int:
    return trader.bot(symbol, position_size="2", position_size_type="quantity")


def test_a_fee_taken_out_of_the_bought_coin_is_no_drift(
    trader: Trader, clock: ManualClock, exchange: ExchangeSimulator
):
    number = bot(trader)
    look(trader, clock)
    trader.trades("buy", "SOL/USDT")
    assert trader.holds(number) == exchange.core.balances["SOL"] == D("1.998")
    look(trader, clock, 3)
    trader.trades("close", "SOL/USDT")
    look(trader, clock, 3)
    assert not drifts(trader) and trader.holds(number) == exchange.core.balances["SOL"]


def test_a_sale_by_hand_is_given_to_the_bot_at_the_markets_price(
    trader: Trader, clock: ManualClock, exchange: ExchangeSimulator
):
    number = bot(trader)
    look(trader, clock)
    trader.trades("buy", "SOL/USDT")
    look(trader, clock)
    exchange.core.set_price("SOL/USDT", D(120))
    exchange.core.balances["SOL"] -= 1
    look(trader, clock, 3)
    (drift,) = drifts(trader)
    assert (drift["kind"], drift["difference"], drift["symbol"]) == ("less", "-1", "CRYPTO:SOL/USDT")
    trader.request("POST", f"/drifts/{drift['id']}/resolve", {"way": "give"})
    trade = trader.get("/trades")["items"][0]
    assert (
        trader.holds(number) == D("0.998")
        and D(trade["price"]) == 120
        and D(trade["realized_pnl"]) == D("19.99")
    )
    look(trader, clock, 3)
    assert not drifts(trader)


def test_coins_that_no_bot_trades_come_and_go_without_a_question(
    trader: Trader, clock: ManualClock, exchange: ExchangeSimulator
):
    bot(trader)
    look(trader, clock)
    trader.trades("buy", "SOL/USDT")
    for amount in ("0.5", "0.4", "0"):
        exchange.core.balances["BNB"] = D(amount)
        look(trader, clock, 3)
    assert not drifts(trader)


def test_dust_below_the_exchanges_step_is_no_drift(
    trader: Trader, clock: ManualClock, exchange: ExchangeSimulator
):
    bot(trader)
    look(trader, clock)
    trader.trades("buy", "SOL/USDT")
    exchange.core.balances["SOL"] += D("0.000009")
    look(trader, clock, 3)
    assert not drifts(trader)


def test_one_coin_bought_with_two_moneys_is_one_asset(
    trader: Trader, clock: ManualClock, exchange: ExchangeSimulator
):
    first, second = bot(trader), bot(trader, "SOL/USDC")
    exchange.core.balances["USDC"] = D(10_000)
    look(trader, clock)
    trader.trades("buy", "SOL/USDT")
    trader.trades("buy", "SOL/USDC")
    assert trader.holds(first) and trader.holds(second)
    look(trader, clock, 3)
    assert not drifts(trader)
    exchange.core.balances["SOL"] -= 1
    look(trader, clock, 3)
    (drift,) = drifts(trader)
    assert {each["bot_id"] for each in drift["bots"]} == {first, second}
