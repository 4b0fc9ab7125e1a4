"""What is asked of exits that are placed at Alpaca's simulator."""

from __future__ import annotations

from decimal import Decimal as D

from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_orders import Order
from tests.support.fakes import ManualClock
from tests.support.installation import Trader

BOTH = {"takeProfit": {"limitPrice": "110"}, "stopLoss": {"type": "stop", "stopPrice": "95"}}


def held(sim: AlpacaSimulator, symbol: str = "AAPL") -> D:
    with sim.market.lock:
        return sim.market.quantity(sim.market.assets[symbol])


def legs(sim: AlpacaSimulator) -> list[Order]:
    with sim.market.lock:
        return [order for order in sim.market.orders.values() if order.parent is not None]


def run_rounds(person: Trader, clock: ManualClock, rounds: int = 4) -> None:
    """Some seconds go by: the worker works, the watch looks."""
    for _ in range(rounds):
        clock.forward(2)
        person.installation.work()
        person.installation.look()
        person.installation.work()


def held_by(person: Trader, bot: int) -> list[tuple[str, str, str]]:
    return [(line["kind"], line["price"], line["held_by"]) for line in person.get(f"/bots/{bot}")["exits"]]


def agree(person: Trader, bot: int, sim: AlpacaSimulator) -> D:
    owned = person.holds(bot)
    assert owned == held(sim), "the bot's ledger and the venue disagree"
    return owned


AT_ALPACA = [("take_profit", "110", "Alpaca"), ("stop_loss", "95", "Alpaca")]

BY_DASHTRADE = [(kind, price, "DashTrade") for kind, price, _ in AT_ALPACA]
