"""Bots that are long and short of one symbol on one netted account, at Alpaca's simulator: every exit
passes, whatever the others hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.notices.trading import OrderCancelledForExit
from dashtrade.domain.symbols import Symbol
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.fakes import SetClock
from tests.support.installation import Person

D = Decimal
AAPL = Symbol.parse("AAPL")


def bot_of(person: Person, timeframe: str, size: object, **fields: Any) -> int:
    given = {"position_size_type": "quantity", "position_size": str(size)} | fields
    return person.bot("AAPL", timeframe, **given)


def tells(person: Person, bot: int, action: str, **fields: Any) -> Any:
    return person.trades(action, bot=str(bot), **fields)


def net(sim: AlpacaSimulator) -> Decimal:
    return sim.market.quantity(sim.market.assets["AAPL"])


def sent(sim: AlpacaSimulator) -> list[tuple[str, Decimal]]:
    return [(order.side, order.quantity) for order in sim.market.orders.values()]


@pytest.fixture
def opposite(ann: Person, sim: AlpacaSimulator) -> tuple[int, int]:
    """One bot is long 14, another short 10; the account holds 4."""
    long, short = bot_of(ann, "15 Min", 14), bot_of(ann, "60 Min", 10)
    tells(ann, long, "buy")
    tells(ann, short, "sell")
    assert (ann.holds(long), ann.holds(short), net(sim)) == (14, -10, 4)
    return long, short


def test_the_short_bot_closes_while_the_account_is_long(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    assert tells(ann, short, "close")["status"] == "filled"
    assert (ann.holds(long), ann.holds(short), net(sim)) == (14, 0, 14)


def test_the_long_bot_closes_in_two_parts_through_zero(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    story = tells(ann, long, "close")
    assert story["status"] == "filled" and story["reason"] == "sold 14 at 99.99"
    assert (ann.holds(long), ann.holds(short), net(sim)) == (0, -10, -10)
    assert sent(sim)[-2:] == [("sell", 4), ("sell", 10)]
    assert [order["quantity"] for order in story["orders"]] == ["4", "10"]


def test_it_closes_although_the_account_holds_nothing_at_all(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    tells(ann, long, "reduce", quantity="4")
    assert net(sim) == 0
    assert tells(ann, long, "close")["reason"] == "sold 10 at 99.99"
    assert (ann.holds(long), ann.holds(short), net(sim)) == (0, -10, -10)
    assert tells(ann, short, "close")["status"] == "filled" and net(sim) == 0


def test_an_entry_against_what_the_others_hold_is_split_too(ann: Person, sim: AlpacaSimulator):
    long, short = bot_of(ann, "15 Min", 4), bot_of(ann, "60 Min", 10)
    tells(ann, long, "buy")
    story = tells(ann, short, "sell")
    assert story["status"] == "filled" and sent(sim) == [("buy", 4), ("sell", 4), ("sell", 6)]
    assert (ann.holds(long), ann.holds(short), net(sim)) == (4, -10, -6)


def test_a_reversal_crosses_zero_twice(ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]):
    long, short = opposite
    assert tells(ann, long, "reverse")["status"] == "filled"
    assert (ann.holds(long), ann.holds(short), net(sim)) == (-14, -10, -24)
    assert tells(ann, short, "reverse")["status"] == "filled"
    assert (ann.holds(long), ann.holds(short), net(sim)) == (-14, 10, -4)


def test_two_bots_told_to_close_at_once_cross_in_the_books_without_an_order(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, short = opposite
    before = len(sent(sim))
    first, second = ann.sends(action="close", bot=str(long)), ann.sends(action="close", bot=str(short))
    ann.house.work()
    one, other = ann.story(first), ann.story(second)
    assert (one["status"], other["status"]) == ("filled", "filled")
    assert (ann.holds(long), ann.holds(short), net(sim)) == (0, 0, 0)
    assert sent(sim)[before:] == [("sell", 4)], "ten of the fourteen went from one bot to the other"
    [crossed, rest], [counter] = one["orders"], other["orders"]
    assert (crossed["quantity"], rest["quantity"], counter["quantity"]) == ("10", "4", "10")
    assert (
        crossed["crossed_with"] == counter["client_order_id"]
        and counter["crossed_with"] == crossed["client_order_id"]
    )
    assert rest["crossed_with"] is None
    trades = {trade["order_id"]: trade for trade in ann.get("/trades")["items"]}
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


def test_a_resting_order_of_another_bot_makes_room_for_an_exit_and_its_user_is_told(
    ann: Person, sim: AlpacaSimulator
):
    long, other = bot_of(ann, "15 Min", 5), bot_of(ann, "60 Min", 3)
    tells(ann, long, "buy")
    resting = tells(ann, other, "buy", orderType="limit", limitPrice="90")
    assert resting["status"] == "working"
    assert tells(ann, long, "close")["status"] == "filled" and ann.holds(long) == 0
    assert ann.story(resting["id"])["status"] == "failed"
    assert ann.told(OrderCancelledForExit)


def test_exits_held_at_the_broker_for_one_bot_do_not_block_another_bots_exit(
    ann: Person, sim: AlpacaSimulator, clock: SetClock
):
    short, long = bot_of(ann, "15 Min", 6), bot_of(ann, "60 Min", 2)
    tells(ann, long, "buy")
    tells(ann, short, "sell", orderType="limit", limitPrice="101")
    sim.set_price("AAPL", "102")
    ann.house.work()
    assert (ann.holds(long), ann.holds(short), net(sim)) == (2, -6, -4)
    sim.set_price("AAPL", "100")
    resting = tells(ann, short, "close", orderType="limit", limitPrice="90")
    assert resting["status"] == "working"
    story = tells(ann, long, "close")
    assert story["status"] == "filled"
    assert (ann.holds(long), net(sim)) == (0, -6)
    assert tells(ann, short, "close")["status"] == "filled" and net(sim) == 0


def test_a_fraction_beside_a_short_is_refused_with_the_reason(ann: Person, sim: AlpacaSimulator):
    short, long = bot_of(ann, "15 Min", 6), bot_of(ann, "60 Min", "2.5")
    tells(ann, short, "sell")
    story = tells(ann, long, "buy")
    assert story["status"] == "refused" and "whole shares" in story["reason"] and ann.holds(long) == 0
    assert len(sent(sim)) == 1


def test_a_short_beside_a_fraction_is_refused_with_the_reason(ann: Person, sim: AlpacaSimulator):
    long, short = bot_of(ann, "15 Min", "2.5"), bot_of(ann, "60 Min", 6)
    tells(ann, long, "buy")
    story = tells(ann, short, "sell")
    assert story["status"] == "refused" and "2.5 AAPL" in story["reason"]
    assert tells(ann, long, "close")["status"] == "filled" and net(sim) == 0


def test_a_part_is_closed_in_whole_shares_beside_a_short(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    long, _ = opposite
    tells(ann, long, "reduce", quantity="33%")
    assert ann.holds(long) == 10 and net(sim) == 0


def test_what_was_sold_by_hand_is_not_sold_again_beside_opposite_bots(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    """The account had 4, and 3 were sold by hand: the guard looks at the bots' parts, not at the net, which
    would allow 1."""
    long, short = opposite
    with sim.market.lock:
        sim.market.set_position(sim.market.assets["AAPL"], D(1), D(100))
    before = len(sent(sim))
    story = tells(ann, long, "close")
    assert story["status"] == "failed" and "holds 1 AAPL" in story["reason"] and len(sent(sim)) == before
    assert tells(ann, short, "close")["status"] == "filled", "nothing is missing for the short bot"
    assert net(sim) == 11


def test_an_exit_waits_for_another_bots_exit_that_is_queued_for_the_open(
    ann: Person, sim: AlpacaSimulator, clock: SetClock, opposite: tuple[int, int]
):
    long, short = opposite
    with sim.market.lock:
        sim.market.session = "closed"
    clock.forward(120)
    queued = tells(ann, short, "close")
    waiting = ann.sends(action="close", bot=str(long))
    for _ in range(3):
        clock.forward(20)
        ann.house.work()
    assert ann.story(queued["id"])["orders"][0]["status"] == "working"
    assert ann.story(waiting)["orders"] == []
    with sim.market.lock:
        sim.market.session = "open"
        sim.market.advance()
    for _ in range(3):
        clock.forward(70)
        ann.house.work()
    assert (ann.holds(long), ann.holds(short), net(sim)) == (0, 0, 0)


def trips_of(person: Person, bot: int) -> list[dict[str, Any]]:
    return person.get("/round-trips", bot_id=bot)["items"]


def test_a_close_in_two_parts_is_one_round_trip_that_ends_with_the_second(
    ann: Person, sim: AlpacaSimulator, clock: SetClock, opposite: tuple[int, int]
):
    long, _short = opposite
    tells(ann, long, "close")
    [trip] = trips_of(ann, long)
    assert (trip["quantity"], trip["exit_reason"]) == ("14", "alert")
    first, second = ann.get("/trades", bot_id=long)["items"][1::-1]
    assert (first["effect"], second["effect"]) == ("reduce", "close")


def test_what_crossed_and_what_was_sent_are_one_round_trip(
    ann: Person, sim: AlpacaSimulator, opposite: tuple[int, int]
):
    for bot in opposite:
        ann.sends(action="close", bot=str(bot))
    ann.house.work()
    for bot, quantity in zip(opposite, ("14", "10"), strict=True):
        [trip] = trips_of(ann, bot)
        assert trip["quantity"] == quantity
