"""Fractions of a share at Alpaca, from the alert to the wire: day orders take them, others do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.alpaca import AlpacaSimulator
from tests.support.installation import Trader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LIMIT = {"orderType": "limit", "limitPrice": "101"}


def last(sim: AlpacaSimulator) -> tuple[str, str, str]:
    sent = sim.requests("POST", "/v2/orders")[-1].json
    return sent["type"], sent["time_in_force"], sent["qty"]


def details_text(story: Any) -> str:
    return " ".join(line["detail"] for line in story["timeline"])


def test_a_limit_entry_of_the_day_buys_a_fraction(trader: Trader, sim: AlpacaSimulator):
    trader.bot(position_size="150", position_size_type="dollars")
    trader.trades("buy", **LIMIT)
    assert last(sim) == ("limit", "day", "1.485148514")


def test_a_limit_entry_good_till_cancelled_buys_whole_shares(trader: Trader, sim: AlpacaSimulator):
    trader.bot(position_size="150", position_size_type="dollars")
    trader.trades("buy", timeInForce="gtc", **LIMIT)
    assert last(sim) == ("limit", "gtc", "1")


def test_a_short_entry_of_the_day_sells_whole_shares(trader: Trader, sim: AlpacaSimulator):
    trader.bot(position_size="150", position_size_type="dollars")
    trader.trades("sell", orderType="limit", limitPrice="99")
    assert last(sim) == ("limit", "day", "1")


def test_an_exit_of_a_fraction_that_was_to_wait_goes_as_a_day_order_and_says_so(
    trader: Trader, sim: AlpacaSimulator
):
    trader.bot(position_size="1.5", position_size_type="quantity")
    trader.trades("buy")
    story = trader.trades("close", orderType="limit", limitPrice="120", timeInForce="gtc")
    assert last(sim) == ("limit", "day", "1.5") and "as a day order" in details_text(story)


def test_a_stop_limit_protects_a_fraction_from_within_dashtrade(trader: Trader, sim: AlpacaSimulator):
    """Alpaca holds no exits for fractions; DashTrade's own stop sends a limit order of the day."""
    bot = trader.bot(position_size="1.5", position_size_type="quantity")
    trader.trades("buy", stopLoss={"type": "stop_limit", "stopPrice": "95", "limitPrice": "90"})
    sim.set_price("AAPL", 94)
    trader.installation.look()
    trader.installation.work()
    assert trader.holds(bot) == 0 and last(sim)[1:] == ("day", "1.5")
