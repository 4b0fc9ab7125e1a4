"""Exits that Alpaca holds: bracket and OTO orders through the real library, at the simulator, from the alert
to booked fills."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from dashtrade.domain.notices.trading import ExitsTakenOver
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.held_exits import AT_ALPACA, BOTH, BY_DASHTRADE, agree, held_by, legs, run_rounds
from tests.support.installation import Trader


@pytest.mark.parametrize(("price", "made"), [("110.5", "take-profit at 110"), ("94.9", "stop-loss at 95")])
def test_one_exit_fills_at_alpaca_is_booked_once_and_the_other_is_gone(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock, price: str, made: str
):
    story = trader.trades("buy", **BOTH)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)
    assert (
        "placed at Alpaca" in trader.get(f"/bots/{bot}")["exits"][0]["words"] and story["status"] == "filled"
    )
    sent = sim.requests("POST", "/v2/orders")[-1].json
    assert (sent["order_class"], sent["time_in_force"], sent["take_profit"], sent["stop_loss"]) == (
        "bracket",
        "gtc",
        {"limit_price": "110"},
        {"stop_price": "95"},
    )
    sim.set_price("AAPL", price)
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and held_by(trader, bot) == []
    assert [order["status"] for order in trader.story(story["id"])["orders"]].count("filled") == 2
    assert not [leg for leg in legs(sim) if leg.is_open] and len(trader.get("/trades")["items"]) == 2
    assert made in trader.get("/risk-events")["items"][0]["detail"] and not trader.notices(ExitsTakenOver)
    assert trader.story(story["id"])["status"] == "filled", (
        "what became of its exits does not change what the alert came to"
    )


@pytest.mark.parametrize(
    ("exits", "sent", "shown"),
    [
        ({"stopLoss": 95}, {"stop_loss": {"stop_price": "95"}}, [("stop_loss", "95", "Alpaca")]),
        (
            {"takeProfit": {"percent": 5}},
            {"take_profit": {"limit_price": "105.01"}},
            [("take_profit", "105.01", "Alpaca")],
        ),
        (
            {"stopLoss": {"type": "stop_limit", "stopPrice": 95, "limitPrice": "94.5"}},
            {"stop_loss": {"stop_price": "95", "limit_price": "94.5"}},
            [("stop_loss", "95", "Alpaca")],
        ),
    ],
)
@sqlite
def test_one_exit_alone_goes_as_oto(
    trader: Trader, bot: int, sim: AlpacaSimulator, exits: dict[str, Any], sent: dict, shown: list
):
    trader.trades("buy", **exits)
    body = sim.requests("POST", "/v2/orders")[-1].json
    assert (
        body["order_class"] == "oto"
        and {name: body[name] for name in ("take_profit", "stop_loss") if name in body} == sent
    )
    assert held_by(trader, bot) == shown


@pytest.mark.parametrize(
    ("fields", "alert", "why"),
    [
        ({"position_size": "5050"}, BOTH, "whole shares only"),
        ({}, BOTH | {"takeProfit": [{"percent": 5, "share": 50}, {"percent": 10}]}, "one take-profit"),
        ({}, {"stopLoss": {"type": "trailing_stop", "trailPercent": 5}}, "no trailing stop"),
        ({}, BOTH | {"orderType": "limit", "limitPrice": "101"}, "entry's time in force, day"),
        (
            {"symbol": "BTC/USD", "position_size": "1000", "position_size_type": "dollars"},
            {"symbol": "BTC/USD", "stopLoss": 45000},
            "no exits for coins",
        ),
    ],
)
@sqlite
def test_what_alpaca_cannot_hold_dashtrade_keeps_and_says_why(
    trader: Trader, sim: AlpacaSimulator, fields: dict, alert: dict, why: str
):
    bot = trader.bot(
        **(
            {"position_size": "50", "position_size_type": "quantity"}
            | ({"position_size_type": "dollars"} if "position_size" in fields else {})
            | fields
        )
    )
    story = trader.trades("buy", **alert)
    assert {line["held_by"] for line in trader.get(f"/bots/{bot}")["exits"]} == {"DashTrade"} and why in str(
        story["timeline"]
    )
    assert not legs(sim)


@sqlite
def test_a_limit_entry_good_till_cancelled_takes_its_exits_along(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
    assert [leg.status for leg in legs(sim)] == ["held", "held"] and held_by(trader, bot) == []
    assert "still open" in trader.trades("buy")["reason"], "the entry is"
    sim.set_price("AAPL", "97")
    run_rounds(trader, clock)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)
    assert "already long 50" in trader.trades("buy")["reason"]


@sqlite
def test_an_entry_taken_back_takes_its_exits_along(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
    story = trader.trades("cancel")
    run_rounds(trader, clock)
    assert trader.story(story["id"])["status"] == "filled" and {leg.status for leg in legs(sim)} == {
        "canceled"
    }
    assert trader.get(f"/bots/{bot}")["status"] == "READY" and agree(trader, bot, sim) == 0


@sqlite
def test_a_part_of_an_entry_is_watched_by_dashtrade_until_all_of_it_is_filled(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    sim.market.next_in_parts = True
    trader.trades("buy", **BOTH)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (25, BY_DASHTRADE), (
        "Alpaca's exits work from the whole entry on"
    )
    with sim.market.lock:
        sim.market.finish_parts()
    run_rounds(trader, clock)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)


@sqlite
def test_a_stop_during_a_part_filled_entry_takes_the_rest_back_and_closes_the_part(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    sim.market.next_in_parts = True
    trader.trades("buy", **BOTH)
    with sim.market.lock:
        sim.market.assets["AAPL"].price = D("94")
    clock.forward(20)
    run_rounds(trader, clock, rounds=8)
    assert agree(trader, bot, sim) == 0 and not [
        order for order in sim.market.orders.values() if order.is_open
    ]


@pytest.mark.parametrize(
    "alert",
    [
        {"action": "close"},
        {"action": "sell"},
        {"action": "reverse"},
        {"action": "reduce", "quantity": 20},
        {"action": "add"},
    ],
)
def test_what_changes_the_position_takes_the_exits_back_first(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock, alert: dict[str, Any]
):
    trader.trades("buy", **BOTH)
    story = trader.trades(**alert)
    run_rounds(trader, clock)
    left = {"close": 0, "sell": -50, "reverse": -50, "reduce": 30, "add": 100}[alert["action"]]
    assert agree(trader, bot, sim) == left and trader.story(story["id"])["status"] == "filled"
    assert not [leg for leg in legs(sim) if leg.is_open]
    assert held_by(trader, bot) == (BY_DASHTRADE if left > 0 else []), "what is left DashTrade keeps"
    assert not trader.notices(ExitsTakenOver), "nobody need be told what they asked for"


@sqlite
def test_an_exit_that_fills_while_it_is_taken_back_leaves_exactly_nothing(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    signal = trader.send(action="close")
    sim.set_price("AAPL", "111")  # before the worker looks
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0
    assert "nothing is left to close" in trader.story(signal)["reason"]


@sqlite
def test_an_exit_cancelled_manually_at_alpaca_is_managed_by_dashtrade_and_notified_once(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    with sim.market.lock:
        sim.market.cancel(legs(sim)[0])
    run_rounds(trader, clock)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, BY_DASHTRADE)
    told = trader.notices(ExitsTakenOver)
    assert (
        len(told) == 1 and told[0].broker == "Alpaca" and [line.price for line in told[0].exits] == [110, 95]
    )
    sim.set_price("AAPL", "94")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0


@sqlite
def test_one_exit_lost_alone_takes_the_other_back_so_that_one_keeps_both(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    stop = legs(sim)[1]
    with sim.market.lock:
        sim.market._turn(stop, "rejected", "rejected")
    run_rounds(trader, clock)
    assert held_by(trader, bot) == BY_DASHTRADE and not [leg for leg in legs(sim) if leg.is_open]
    assert len(trader.notices(ExitsTakenOver)) == 1


@pytest.mark.parametrize("fault", ["time_out", "gateway_error", "garbage", "empty"])
def test_exits_of_an_entry_whose_answer_was_lost_are_known_by_looking_it_up(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock, fault: str
):
    sim.inject(Fault(fault, "POST", "/v2/orders", seconds=0.01))
    trader.trades("buy", **BOTH)
    run_rounds(trader, clock)
    assert len(sim.orders) == 1 and (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)
    sim.set_price("AAPL", "94")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0
