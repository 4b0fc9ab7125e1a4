"""Exits that Alpaca holds: bracket and OTO orders through the real library, at the simulator, from the alert
to booked fills."""

from __future__ import annotations

import contextlib
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

import bot_engine
from bot_database import DatabaseAway
from dashtrade.domain.ports import OrderReport, VenueStatus
from dashtrade.engine import booking, sending
from dashtrade.engine.workflow import drive
from tests.conftest import MakeApp
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault
from tests.simulators.alpaca_orders import Order
from tests.support.at_alpaca import ann, clock, sim  # noqa: F401
from tests.support.databases import sqlite
from tests.support.fakes import SetClock
from tests.support.installation import House, Person

BOTH = {"takeProfit": {"limitPrice": "110"}, "stopLoss": {"type": "stop", "stopPrice": "95"}}


@pytest.fixture
def bot(ann: Person) -> int:
    return ann.bot(position_size="50", position_size_type="quantity")


def held(sim: AlpacaSimulator, symbol: str = "AAPL") -> D:
    with sim.market.lock:
        return sim.market.quantity(sim.market.assets[symbol])


def legs(sim: AlpacaSimulator) -> list[Order]:
    with sim.market.lock:
        return [order for order in sim.market.orders.values() if order.parent is not None]


def go_on(person: Person, clock: SetClock, rounds: int = 4) -> None:
    """Some seconds go by: the worker works, the watch looks."""
    for _ in range(rounds):
        clock.forward(2)
        person.house.work()
        person.house.look()
        person.house.work()


def held_by(person: Person, bot: int) -> list[tuple[str, str, str]]:
    return [(line["kind"], line["price"], line["held_by"]) for line in person.get(f"/bots/{bot}")["exits"]]


def agree(person: Person, bot: int, sim: AlpacaSimulator) -> D:
    owned = person.holds(bot)
    assert owned == held(sim), "the bot's ledger and the venue disagree"
    return owned


AT_ALPACA = [("take_profit", "110", "Alpaca"), ("stop_loss", "95", "Alpaca")]
BY_US = [(kind, price, "DashTrade") for kind, price, _ in AT_ALPACA]


@pytest.mark.parametrize(("price", "made"), [("110.5", "take-profit at 110"), ("94.9", "stop-loss at 95")])
def test_one_exit_fills_at_alpaca_is_booked_once_and_the_other_is_gone(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock, price: str, made: str
):
    story = ann.trades("buy", **BOTH)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)
    assert "held at Alpaca" in ann.get(f"/bots/{bot}")["exits"][0]["words"] and story["status"] == "filled"
    sent = sim.requests("POST", "/v2/orders")[-1].json
    assert (sent["order_class"], sent["time_in_force"], sent["take_profit"], sent["stop_loss"]) == (
        "bracket",
        "gtc",
        {"limit_price": "110"},
        {"stop_price": "95"},
    )
    sim.set_price("AAPL", price)
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and held_by(ann, bot) == []
    assert [order["status"] for order in ann.story(story["id"])["orders"]].count("filled") == 2
    assert not [leg for leg in legs(sim) if leg.is_open] and len(ann.get("/trades")["items"]) == 2
    assert made in ann.get("/risk-events")["items"][0]["detail"] and not [
        m for m in ann.messages() if "no longer held" in m
    ]
    assert ann.story(story["id"])["status"] == "filled", (
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
    ann: Person, bot: int, sim: AlpacaSimulator, exits: dict[str, Any], sent: dict, shown: list
):
    ann.trades("buy", **exits)
    body = sim.requests("POST", "/v2/orders")[-1].json
    assert (
        body["order_class"] == "oto"
        and {name: body[name] for name in ("take_profit", "stop_loss") if name in body} == sent
    )
    assert held_by(ann, bot) == shown


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
            "none for coins",
        ),
    ],
)
@sqlite
def test_what_alpaca_cannot_hold_dashtrade_keeps_and_says_why(
    ann: Person, sim: AlpacaSimulator, fields: dict, alert: dict, why: str
):
    bot = ann.bot(
        **(
            {"position_size": "50", "position_size_type": "quantity"}
            | ({"position_size_type": "dollars"} if "position_size" in fields else {})
            | fields
        )
    )
    story = ann.trades("buy", **alert)
    assert {line["held_by"] for line in ann.get(f"/bots/{bot}")["exits"]} == {"DashTrade"} and why in str(
        story["timeline"]
    )
    assert not legs(sim)


@sqlite
def test_a_limit_entry_good_till_cancelled_takes_its_exits_along(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
    assert [leg.status for leg in legs(sim)] == ["held", "held"] and held_by(ann, bot) == []
    assert "still working" in ann.trades("buy")["reason"], "the entry is"
    sim.set_price("AAPL", "97")
    go_on(ann, clock)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)
    assert "already long 50" in ann.trades("buy")["reason"]


@sqlite
def test_an_entry_taken_back_takes_its_exits_along(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
    story = ann.trades("cancel")
    go_on(ann, clock)
    assert ann.story(story["id"])["status"] == "filled" and {leg.status for leg in legs(sim)} == {"canceled"}
    assert ann.get(f"/bots/{bot}")["status"] == "READY" and agree(ann, bot, sim) == 0


@sqlite
def test_a_part_of_an_entry_is_watched_by_dashtrade_until_all_of_it_is_filled(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    sim.market.next_in_parts = True
    ann.trades("buy", **BOTH)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (25, BY_US), (
        "Alpaca's exits work from the whole entry on"
    )
    with sim.market.lock:
        sim.market.finish_parts()
    go_on(ann, clock)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)


@sqlite
def test_a_stop_during_a_part_filled_entry_takes_the_rest_back_and_closes_the_part(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    sim.market.next_in_parts = True
    ann.trades("buy", **BOTH)
    with sim.market.lock:
        sim.market.assets["AAPL"].price = D("94")
    clock.forward(20)
    go_on(ann, clock, rounds=8)
    assert agree(ann, bot, sim) == 0 and not [order for order in sim.market.orders.values() if order.is_open]


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
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock, alert: dict[str, Any]
):
    ann.trades("buy", **BOTH)
    story = ann.trades(**alert)
    go_on(ann, clock)
    left = {"close": 0, "sell": -50, "reverse": -50, "reduce": 30, "add": 100}[alert["action"]]
    assert agree(ann, bot, sim) == left and ann.story(story["id"])["status"] == "filled"
    assert not [leg for leg in legs(sim) if leg.is_open]
    assert held_by(ann, bot) == (BY_US if left > 0 else []), "what is left DashTrade keeps"
    assert not [m for m in ann.messages() if "no longer held" in m], "nobody need be told what they asked for"


@sqlite
def test_an_exit_that_fills_while_it_is_taken_back_leaves_exactly_nothing(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    signal = ann.sends(action="close")
    sim.set_price("AAPL", "111")  # before the worker looks
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0
    assert "nothing is left to close" in ann.story(signal)["reason"]


@sqlite
def test_an_exit_cancelled_by_hand_at_alpaca_is_kept_by_dashtrade_and_its_user_told_once(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    with sim.market.lock:
        sim.market.cancel(legs(sim)[0])
    go_on(ann, clock)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, BY_US)
    told = [message for message in ann.messages() if "no longer held at Alpaca" in message]
    assert len(told) == 1 and "stop at 95" in told[0]
    sim.set_price("AAPL", "94")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0


@sqlite
def test_one_exit_lost_alone_takes_the_other_back_so_that_one_keeps_both(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    stop = legs(sim)[1]
    with sim.market.lock:
        sim.market._turn(stop, "rejected", "rejected")
    go_on(ann, clock)
    assert held_by(ann, bot) == BY_US and not [leg for leg in legs(sim) if leg.is_open]
    assert len([message for message in ann.messages() if "no longer held" in message]) == 1


@pytest.mark.parametrize("fault", ["time_out", "gateway_error", "garbage", "empty"])
def test_exits_of_an_entry_whose_answer_was_lost_are_known_by_looking_it_up(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock, fault: str
):
    sim.inject(Fault(fault, "POST", "/v2/orders", seconds=0.01))
    ann.trades("buy", **BOTH)
    go_on(ann, clock)
    assert len(sim.orders) == 1 and (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)
    sim.set_price("AAPL", "94")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0


class Killed(BaseException):
    """Nothing of ours catches it, and nothing is tidied up after it. Inside a transaction the database goes
    away instead, which undoes it, as the end of a process does."""


INSIDE = {"before_decide_commit", "before_book_commit", "in_booking"}


@pytest.mark.parametrize(
    "point",
    [
        "before_decide_commit",
        "after_decide_commit",
        "before_send",
        "after_send",
        "before_book_commit",
        "in_booking",
        "after_book_commit",
    ],
)
@pytest.mark.parametrize("moment", ["entry", "exit", "close"])
@sqlite
def test_killed_anywhere_the_next_worker_finds_entry_and_exits(
    ann: Person,
    bot: int,
    sim: AlpacaSimulator,
    clock: SetClock,
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    moment: str,
):
    armed = [moment == "entry"]

    def failpoint(name: str) -> None:
        if name == point and armed[0]:
            armed[0] = False
            raise DatabaseAway("the power went") if name in INSIDE else Killed

    for module in (bot_engine, booking, sending):
        monkeypatch.setattr(module, "failpoint", failpoint)
    ann.sends(action="buy", **BOTH)
    with contextlib.suppress(Killed, DatabaseAway):
        go_on(ann, clock)
    if moment == "exit":
        sim.set_price("AAPL", "94")
    elif moment == "close":
        ann.sends(action="close")
    armed[0] = moment != "entry"
    with contextlib.suppress(Killed, DatabaseAway):
        go_on(ann, clock)
    armed[0] = False
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    ann.house.app.engine.leases.release()
    ann.house = House(make_app(clock=clock, **urls))
    go_on(ann, clock, rounds=8)
    assert len([order for order in sim.orders if order.side == "buy"]) == 1
    if moment == "entry":
        assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)
        sim.set_price("AAPL", "94")
        go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]


def test_the_exits_are_known_after_a_restart(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock, make_app: MakeApp
):
    ann.trades("buy", **BOTH)
    sim.set_price("AAPL", "94")
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    ann.house.app.engine.leases.release()
    ann.house = House(make_app(clock=clock, **urls))
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and len(ann.get("/trades")["items"]) == 2


def test_moving_the_stop_hands_both_exits_to_dashtrade(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    ann.does("PATCH", f"/bots/{bot}/exits", {"stop_loss": "97"})
    assert held_by(ann, bot) == [("take_profit", "110", "DashTrade"), ("stop_loss", "97", "DashTrade")]
    go_on(ann, clock)
    assert not [leg for leg in legs(sim) if leg.is_open] and not [
        m for m in ann.messages() if "no longer held" in m
    ]
    sim.set_price("AAPL", "96.5")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0


@sqlite
def test_break_even_of_exits_at_alpaca_is_kept_by_dashtrade(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    sim.set_price("AAPL", "105")
    story = ann.trades("breakeven")
    go_on(ann, clock)
    assert ann.story(story["id"])["reason"] == "the stop moves to the entry price, 100.01"
    assert held_by(ann, bot) == [("take_profit", "110", "DashTrade"), ("stop_loss", "100.01", "DashTrade")]
    sim.set_price("AAPL", "100")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0


@sqlite
def test_a_cancel_alert_leaves_the_exits_that_protect(ann: Person, bot: int, sim: AlpacaSimulator):
    ann.trades("buy", **BOTH)
    assert "no order is working" in ann.trades("cancel")["reason"]
    assert held_by(ann, bot) == AT_ALPACA and len([leg for leg in legs(sim) if leg.is_open]) == 2


@sqlite
def test_a_time_limit_takes_the_exits_back_and_closes(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", closeAfterMinutes=10, **BOTH)
    clock.forward(601)
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]


@sqlite
def test_exits_of_another_bot_are_taken_back_before_an_entry_that_alpaca_would_refuse_beside_them(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    other = ann.bot(timeframe="1 Hour", position_size="10", position_size_type="quantity")
    story = ann.trades("buy", timeframe="1 Hour", stopLoss=90)
    go_on(ann, clock)
    assert ann.story(story["id"])["status"] == "filled" and (ann.holds(bot), ann.holds(other)) == (50, 10)
    assert held_by(ann, bot) == BY_US and held_by(ann, other) == [("stop_loss", "90", "DashTrade")]
    sim.set_price("AAPL", "94")
    go_on(ann, clock)
    assert (ann.holds(bot), ann.holds(other), held(sim)) == (0, 10, 10)


@sqlite
def test_news_of_an_exits_fill_wait_for_those_of_its_entry(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
    sim.set_price("AAPL", "97")
    sim.set_price("AAPL", "111")
    profit = legs(sim)[0]
    told = OrderReport(
        client_order_id=profit.client_order_id,
        broker_order_id=profit.id,
        status=VenueStatus.FILLED,
        filled_quantity=profit.filled,
        average_price=profit.average,
    )
    assert drive(ann.house.app.db, ann.house.app.engine.hear(ann.paper, told)) is None and ann.holds(bot) == 0
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0
    assert [(t["action"], t["quantity"]) for t in reversed(ann.get("/trades")["items"])] == [
        ("buy", "50"),
        ("sell", "50"),
    ]


@sqlite
def test_an_entry_found_at_alpaca_after_a_restored_backup_brings_its_exits(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock, tmp_path: Path, make_app: MakeApp
):
    copy = tmp_path / "copy.db"
    ann.house.app.db.backup(copy)
    ann.trades("buy", **BOTH)
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    ann.house = House(make_app(clock=clock, DATABASE_URL=f"sqlite:///{copy}", **urls))
    assert ann.holds(bot) == 0
    ann.house.app.engine.reconciler.look(ann.paper)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (50, AT_ALPACA)
    sim.set_price("AAPL", "94")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and held_by(ann, bot) == []


@sqlite
def test_a_take_profit_that_fills_in_part_leaves_the_rest_to_the_stop(
    ann: Person, bot: int, sim: AlpacaSimulator, clock: SetClock
):
    ann.trades("buy", **BOTH)
    legs(sim)[0].parts = True
    sim.set_price("AAPL", "110.5")
    go_on(ann, clock)
    assert (agree(ann, bot, sim), held_by(ann, bot)) == (25, AT_ALPACA)
    sim.set_price("AAPL", "94")
    go_on(ann, clock)
    assert agree(ann, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]
