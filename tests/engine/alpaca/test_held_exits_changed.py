"""Exits placed at the broker that meet something else: a crash, a restart, a moved stop, another bot."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import bot_engine
from bot_database import DatabaseUnavailable
from dashtrade.domain.notices.trading import ExitsTakenOver
from dashtrade.domain.ports import OrderReport, VenueStatus
from dashtrade.engine import booking, sending
from dashtrade.engine.workflow import run_sync
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.held_exits import AT_ALPACA, BOTH, BY_DASHTRADE, agree, held, held_by, legs, run_rounds
from tests.support.installation import Installation, MakeApp, Trader


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
    trader: Trader,
    bot: int,
    sim: AlpacaSimulator,
    clock: ManualClock,
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    moment: str,
):
    armed = [moment == "entry"]

    def failpoint(name: str) -> None:
        if name == point and armed[0]:
            armed[0] = False
            raise DatabaseUnavailable("the power went") if name in INSIDE else Killed

    for module in (bot_engine, booking, sending):
        monkeypatch.setattr(module, "failpoint", failpoint)
    trader.send(action="buy", **BOTH)
    with contextlib.suppress(Killed, DatabaseUnavailable):
        run_rounds(trader, clock)
    if moment == "exit":
        sim.set_price("AAPL", "94")
    elif moment == "close":
        trader.send(action="close")
    armed[0] = moment != "entry"
    with contextlib.suppress(Killed, DatabaseUnavailable):
        run_rounds(trader, clock)
    armed[0] = False
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    trader.installation.app.engine.leases.release()
    trader.installation = Installation(make_app(clock=clock, **urls))
    run_rounds(trader, clock, rounds=8)
    assert len([order for order in sim.orders if order.side == "buy"]) == 1
    if moment == "entry":
        assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)
        sim.set_price("AAPL", "94")
        run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]


def test_the_exits_are_known_after_a_restart(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock, make_app: MakeApp
):
    trader.trades("buy", **BOTH)
    sim.set_price("AAPL", "94")
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    trader.installation.app.engine.leases.release()
    trader.installation = Installation(make_app(clock=clock, **urls))
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and len(trader.get("/trades")["items"]) == 2


def test_moving_the_stop_hands_both_exits_to_dashtrade(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    trader.request("PATCH", f"/bots/{bot}/exits", {"stop_loss": "97"})
    assert held_by(trader, bot) == [("take_profit", "110", "DashTrade"), ("stop_loss", "97", "DashTrade")]
    run_rounds(trader, clock)
    assert not [leg for leg in legs(sim) if leg.is_open] and not trader.notices(ExitsTakenOver)
    sim.set_price("AAPL", "96.5")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0


@sqlite
def test_break_even_of_exits_at_alpaca_is_kept_by_dashtrade(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    sim.set_price("AAPL", "105")
    story = trader.trades("breakeven")
    run_rounds(trader, clock)
    assert trader.story(story["id"])["reason"] == "the stop moves to the entry price, 100.01"
    assert held_by(trader, bot) == [("take_profit", "110", "DashTrade"), ("stop_loss", "100.01", "DashTrade")]
    sim.set_price("AAPL", "100")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0


@sqlite
def test_a_cancel_alert_leaves_the_exits_that_protect(trader: Trader, bot: int, sim: AlpacaSimulator):
    trader.trades("buy", **BOTH)
    assert trader.trades("cancel")["reason_code"] == "nothing_to_cancel"
    assert held_by(trader, bot) == AT_ALPACA and len([leg for leg in legs(sim) if leg.is_open]) == 2


@sqlite
def test_a_time_limit_takes_the_exits_back_and_closes(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", closeAfterMinutes=10, **BOTH)
    clock.forward(601)
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]


@sqlite
def test_exits_of_another_bot_are_taken_back_before_an_entry_that_alpaca_would_refuse_beside_them(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    other = trader.bot(timeframe="1 Hour", position_size="10", position_size_type="quantity")
    story = trader.trades("buy", timeframe="1 Hour", stopLoss=90)
    run_rounds(trader, clock)
    assert trader.story(story["id"])["status"] == "filled" and (trader.holds(bot), trader.holds(other)) == (
        50,
        10,
    )
    assert held_by(trader, bot) == BY_DASHTRADE and held_by(trader, other) == [
        ("stop_loss", "90", "DashTrade")
    ]
    sim.set_price("AAPL", "94")
    run_rounds(trader, clock)
    assert (trader.holds(bot), trader.holds(other), held(sim)) == (0, 10, 10)


@sqlite
def test_news_of_an_exits_fill_wait_for_those_of_its_entry(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", orderType="limit", limitPrice="98", timeInForce="gtc", **BOTH)
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
    assert (
        run_sync(
            trader.installation.app.db, trader.installation.app.engine.on_stream_report(trader.paper, told)
        )
        is None
        and trader.holds(bot) == 0
    )
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0
    assert [(t["action"], t["quantity"]) for t in reversed(trader.get("/trades")["items"])] == [
        ("buy", "50"),
        ("sell", "50"),
    ]


@sqlite
def test_an_entry_found_at_alpaca_after_a_restored_backup_brings_its_exits(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock, tmp_path: Path, make_app: MakeApp
):
    copy = tmp_path / "copy.db"
    trader.installation.app.db.backup(copy)
    trader.trades("buy", **BOTH)
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    trader.installation = Installation(make_app(clock=clock, DATABASE_URL=f"sqlite:///{copy}", **urls))
    assert trader.holds(bot) == 0
    trader.installation.app.engine.reconciler.reconcile(trader.paper)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (50, AT_ALPACA)
    sim.set_price("AAPL", "94")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and held_by(trader, bot) == []


@sqlite
def test_a_take_profit_that_fills_in_part_leaves_the_rest_to_the_stop(
    trader: Trader, bot: int, sim: AlpacaSimulator, clock: ManualClock
):
    trader.trades("buy", **BOTH)
    legs(sim)[0].parts = True
    sim.set_price("AAPL", "110.5")
    run_rounds(trader, clock)
    assert (agree(trader, bot, sim), held_by(trader, bot)) == (25, AT_ALPACA)
    sim.set_price("AAPL", "94")
    run_rounds(trader, clock)
    assert agree(trader, bot, sim) == 0 and not [leg for leg in legs(sim) if leg.is_open]
