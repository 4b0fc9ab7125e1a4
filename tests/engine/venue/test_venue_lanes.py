"""Whose turn it is: a lane is worked by one worker, and a slow broker holds up no other lane."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bot_engine import Lane
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.workflow import run_sync
from dashtrade.worker.lanes import Lanes
from tests.engine.venue.test_venue_fills import AAPL
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader, wait_until

# --- turns --------------------------------------------------------------------------------------------------


def test_a_lane_is_worked_by_one_worker_and_the_writes_of_another_are_refused(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed
):
    one, two = Installation(make_app(clock=clock, feed=feed)), Installation(make_app(clock=clock, feed=feed))
    trader = one.join()
    bot = trader.bot()
    trader.send(action="buy", symbol="AAPL")
    lane = Lane(trader.paper, AAPL)
    assert run_sync(one.app.db, one.app.engine.leases.acquire(lane)) is not None
    two.app.engine.run_lane(lane)
    assert trader.holds(bot) == 0, "the other has it"
    one.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE lanes SET expires = 0"))
    assert run_sync(two.app.db, two.app.engine.leases.acquire(lane)) is not None
    one.app.engine.run_lane(lane)  # it still believes the lane its own
    assert trader.holds(bot) == 0
    two.app.engine.run_lane(lane)
    assert trader.holds(bot) == 50 and len(trader.get("/orders")["items"]) == 1


@pytest.fixture
def lanes(away: Trader) -> Iterator[Lanes]:
    made = Lanes(away.installation.app)
    away.installation.app.engine.leases.renew()
    made.start()
    yield made
    made.stop()


def test_a_slow_venue_holds_up_no_other_lane(away: Trader, venue: ScriptedBroker, lanes: Lanes):
    paper = away.account()
    quick = [away.bot(symbol, account=paper) for symbol in ("KO", "TSLA", "NVDA")]
    venue.slow = 0.6
    slow = away.send(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    wait_until(lambda: any(t.name.startswith("call") for t in threading.enumerate()))
    began = time.monotonic()
    for symbol in ("KO", "TSLA", "NVDA"):
        away.send(action="buy", symbol=symbol)
        lanes.wake(Lane(paper, Symbol.parse(symbol)))
    wait_until(lambda: all(away.holds(bot) == 50 for bot in quick))
    took = time.monotonic() - began
    assert away.story(slow)["status"] == "working" and took < 1.2
    wait_until(lambda: away.story(slow)["status"] == "filled")


def test_alerts_of_one_lane_are_carried_out_in_turn(away: Trader, venue: ScriptedBroker, lanes: Lanes):
    venue.slow = 0.02
    ids = [away.send(action=action, symbol="AAPL") for action in ("buy", "close", "sell", "buy", "close")]
    for _ in ids:
        lanes.wake(Lane(away.paper, AAPL))
    wait_until(lambda: all(away.story(signal_id)["status"] == "filled" for signal_id in ids))
    assert [request.side for request in venue.sent] == ["buy", "sell", "sell", "buy", "buy", "sell"]


@sqlite
def test_a_lane_that_fails_is_tried_again_and_the_others_go_on(
    away: Trader, venue: ScriptedBroker, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
):
    other = away.bot("MSFT")
    real = away.installation.app.engine.lane_steps
    broken = [True]

    def steps(lane: Lane) -> Any:
        if lane.symbol == AAPL and broken:
            broken.pop()
            raise RuntimeError("a bug")
            yield
        yield from real(lane)

    monkeypatch.setattr(away.installation.app.engine, "lane_steps", steps)
    first = away.send(action="buy", symbol="AAPL")
    lanes.wake(Lane(away.paper, AAPL))
    away.send(action="buy", symbol="MSFT")
    lanes.wake(Lane(away.paper, Symbol.parse("MSFT")))
    wait_until(lambda: away.holds(other) == 50)
    assert away.story(first)["status"] == "working"
    lanes.wake(Lane(away.paper, AAPL))
    wait_until(lambda: away.story(first)["status"] == "filled")
