"""Bots that are long and short of one symbol on one netted account, at Alpaca's simulator: every exit
passes, whatever the others hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.notices.trading import OrderCancelledForExit
from dashtrade.domain.symbols import Symbol
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.fakes import ManualClock
from tests.support.installation import Trader

D = Decimal
AAPL = Symbol.parse("AAPL")


def bot_of(person: Trader, timeframe: str, size: object, **fields: Any) -> int:
    given = {"position_size_type": "quantity", "position_size": str(size)} | fields
    return person.bot("AAPL", timeframe, **given)


def tells(person: Trader, bot: int, action: str, **fields: Any) -> Any:
    return person.trades(action, bot=str(bot), **fields)


def net(sim: AlpacaSimulator) -> Decimal:
    return sim.market.quantity(sim.market.assets["AAPL"])


def sent(sim: AlpacaSimulator) -> list[tuple[str, Decimal]]:
    return [(order.side, order.quantity) for order in sim.market.orders.values()]


@pytest.fixture
def opposite(trader: Trader, sim: AlpacaSimulator) -> tuple[int, int]:
    """One bot is long 14, another short 10; the account holds 4."""
    long, short = bot_of(trader, "15 Min", 14), bot_of(trader, "60 Min", 10)
    tells(trader, long, "buy")
    tells(trader, short, "sell")
    assert (trader.holds(long), trader.holds(short), net(sim)) == (14, -10, 4)
    return long, short


def test_the_short_bot_closes_while_the_account_is_long(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    assert tells(trader, short, "close")["status"] == "filled"
    assert (trader.holds(long), trader.holds(short), net(sim)) == (14, 0, 14)


def test_the_long_bot_closes_in_two_parts_through_zero(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    story = tells(trader, long, "close")
    assert story["status"] == "filled" and story["reason"] == "sold 14 at 99.99"
    assert (trader.holds(long), trader.holds(short), net(sim)) == (0, -10, -10)
    assert sent(sim)[-2:] == [("sell", 4), ("sell", 10)]
    assert [order["quantity"] for order in story["orders"]] == ["4", "10"]


def test_it_closes_although_the_account_holds_nothing_at_all(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    tells(trader, long, "reduce", quantity="4")
    assert net(sim) == 0
    assert tells(trader, long, "close")["reason"] == "sold 10 at 99.99"
    assert (trader.holds(long), trader.holds(short), net(sim)) == (0, -10, -10)
    assert tells(trader, short, "close")["status"] == "filled" and net(sim) == 0


def test_an_entry_against_what_the_others_hold_is_split_too(trader: Trader, sim: AlpacaSimulator):
    long, short = bot_of(trader, "15 Min", 4), bot_of(trader, "60 Min", 10)
    tells(trader, long, "buy")
    story = tells(trader, short, "sell")
    assert story["status"] == "filled" and sent(sim) == [("buy", 4), ("sell", 4), ("sell", 6)]
    assert (trader.holds(long), trader.holds(short), net(sim)) == (4, -10, -6)


def test_a_reversal_crosses_zero_twice(trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]):
    long, short = opposite
    assert tells(trader, long, "reverse")["status"] == "filled"
    assert (trader.holds(long), trader.holds(short), net(sim)) == (-14, -10, -24)
    assert tells(trader, short, "reverse")["status"] == "filled"
    assert (trader.holds(long), trader.holds(short), net(sim)) == (-14, 10, -4)


def test_two_bots_told_to_close_at_once_cross_in_the_books_without_an_order(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    before = len(sent(sim))
    first, second = trader.send(action="close", bot=str(long)), trader.send(action="close", bot=str(short))
    trader.installation.work()
    one, other = trader.story(first), trader.story(second)
    assert (one["status"], other["status"]) == ("filled", "filled")
    assert (trader.holds(long), trader.holds(short), net(sim)) == (0, 0, 0)
    assert sent(sim)[before:] == [("sell", 4)], "ten of the fourteen went from one bot to the other"
    [crossed, rest], [counter] = one["orders"], other["orders"]
    assert (crossed["quantity"], rest["quantity"], counter["quantity"]) == ("10", "4", "10")
    assert (
        crossed["crossed_with"] == counter["client_order_id"]
        and counter["crossed_with"] == crossed["client_order_id"]
    )
    assert rest["crossed_with"] is None
    trades = {trade["order_id"]: trade for trade in trader.get("/trades")["items"]}
    for order in (crossed, counter):
        trade = trades[order["client_order_id"]]
        assert (trade["crossed"], trade["fee"], trade["price"], trade["broker_order_id"]) == (
            True,
            "0",
            "100",
            None,
        )
    assert not trades[rest["client_order_id"]]["crossed"]
    assert any("crossed inside the account" in line["detail"] for line in one["timeline"])


def test_another_bots_resting_order_is_cancelled_for_an_exit_and_its_user_notified(
    trader: Trader, sim: AlpacaSimulator
):
    long, other = bot_of(trader, "15 Min", 5), bot_of(trader, "60 Min", 3)
    tells(trader, long, "buy")
    resting = tells(trader, other, "buy", orderType="limit", limitPrice="90")
    assert resting["status"] == "working"
    assert tells(trader, long, "close")["status"] == "filled" and trader.holds(long) == 0
    assert trader.story(resting["id"])["status"] == "failed"
    assert trader.notices(OrderCancelledForExit)


def test_exits_held_at_the_broker_for_one_bot_do_not_block_another_bots_exit(
    trader: Trader, sim: AlpacaSimulator, clock: ManualClock
):
    short, long = bot_of(trader, "15 Min", 6), bot_of(trader, "60 Min", 2)
    tells(trader, long, "buy")
    tells(trader, short, "sell", orderType="limit", limitPrice="101")
    sim.set_price("AAPL", "102")
    trader.installation.work()
    assert (trader.holds(long), trader.holds(short), net(sim)) == (2, -6, -4)
    sim.set_price("AAPL", "100")
    resting = tells(trader, short, "close", orderType="limit", limitPrice="90")
    assert resting["status"] == "working"
    story = tells(trader, long, "close")
    assert story["status"] == "filled"
    assert (trader.holds(long), net(sim)) == (0, -6)
    assert tells(trader, short, "close")["status"] == "filled" and net(sim) == 0


def test_a_fraction_beside_a_short_is_refused_with_the_reason(trader: Trader, sim: AlpacaSimulator):
    short, long = bot_of(trader, "15 Min", 6), bot_of(trader, "60 Min", "2.5")
    tells(trader, short, "sell")
    story = tells(trader, long, "buy")
    assert story["status"] == "refused" and "whole shares" in story["reason"] and trader.holds(long) == 0
    assert len(sent(sim)) == 1


def test_a_short_beside_a_fraction_is_refused_with_the_reason(trader: Trader, sim: AlpacaSimulator):
    long, short = bot_of(trader, "15 Min", "2.5"), bot_of(trader, "60 Min", 6)
    tells(trader, long, "buy")
    story = tells(trader, short, "sell")
    assert story["status"] == "refused" and "2.5 AAPL" in story["reason"]
    assert tells(trader, long, "close")["status"] == "filled" and net(sim) == 0


def test_a_part_is_closed_in_whole_shares_beside_a_short(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, _ = opposite
    tells(trader, long, "reduce", quantity="33%")
    assert trader.holds(long) == 10 and net(sim) == 0


def test_what_was_sold_by_hand_is_not_sold_again_beside_opposite_bots(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    """The account had 4, and 3 were sold by hand: the guard looks at the bots' parts, not at the net, which
    would allow 1."""
    long, short = opposite
    with sim.market.lock:
        sim.market.set_position(sim.market.assets["AAPL"], D(1), D(100))
    before = len(sent(sim))
    story = tells(trader, long, "close")
    assert story["status"] == "failed" and "holds 1 AAPL" in story["reason"] and len(sent(sim)) == before
    assert tells(trader, short, "close")["status"] == "filled", "nothing is missing for the short bot"
    assert net(sim) == 11


def test_an_exit_waits_for_another_bots_exit_that_is_queued_for_the_open(
    trader: Trader, sim: AlpacaSimulator, clock: ManualClock, opposite: tuple[int, int]
):
    long, short = opposite
    with sim.market.lock:
        sim.market.session = "closed"
    clock.forward(120)
    queued = tells(trader, short, "close")
    waiting = trader.send(action="close", bot=str(long))
    for _ in range(3):
        clock.forward(20)
        trader.installation.work()
    assert trader.story(queued["id"])["orders"][0]["status"] == "working"
    assert trader.story(waiting)["orders"] == []
    with sim.market.lock:
        sim.market.session = "open"
        sim.market.advance()
    for _ in range(3):
        clock.forward(70)
        trader.installation.work()
    assert (trader.holds(long), trader.holds(short), net(sim)) == (0, 0, 0)


def trips_of(person: Trader, bot: int) -> list[dict[str, Any]]:
    return person.get("/round-trips", bot_id=bot)["items"]


def test_a_close_in_two_parts_is_one_round_trip_that_ends_with_the_second(
    trader: Trader, sim: AlpacaSimulator, clock: ManualClock, opposite: tuple[int, int]
):
    long, _short = opposite
    tells(trader, long, "close")
    [trip] = trips_of(trader, long)
    assert (trip["quantity"], trip["exit_reason"]) == ("14", "alert")
    first, second = trader.get("/trades", bot_id=long)["items"][1::-1]
    assert (first["effect"], second["effect"]) == ("reduce", "close")


def test_what_crossed_and_what_was_sent_are_one_round_trip(
    trader: Trader, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    for bot in opposite:
        trader.send(action="close", bot=str(bot))
    trader.installation.work()
    for bot, quantity in zip(opposite, ("14", "10"), strict=True):
        [trip] = trips_of(trader, bot)
        assert trip["quantity"] == quantity
