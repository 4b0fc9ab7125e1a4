"""Real processes under a burst of alerts: killed in the middle, or several at work on one database. What was
answered is kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from bench.load import Client
from bench.rig import ROOT, STOCKS, Rig, alternating, rig
from bot_database import Database
from bot_engine import Lane
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.lanes import LEASE_SECONDS
from dashtrade.engine.steps import LaneLost, Step
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.tables import bots as bot_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import paper as paper_table
from dashtrade.tables import signals as signal_table
from tests.support.fakes import ManualClock, ManualFeed, add_user

pytestmark = pytest.mark.slow
CLIENTS, ALERTS = 8, {"sqlite": 1000, "postgresql": 600}


class Senders:
    """Clients that send their alerts one after another, and write down what was answered with a 2xx."""

    def __init__(self, one: Rig, bodies: list[list[str]]) -> None:
        self.one, self.bodies = one, bodies
        self.answered: dict[str, str] = {}  # alert -> signal
        self._threads = [threading.Thread(target=self._send, args=(mine,)) for mine in bodies]

    def _send(self, bodies: list[str]) -> None:
        client = Client(self.one.port)
        for body in bodies:
            try:
                code, answer = client.post(f"/webhook?token={self.one.webhook}", body.encode())
            except (OSError, ValueError, IndexError):
                return  # killed: whoever sends does not know more
            if 200 <= code < 300:
                self.answered[body] = json.loads(answer)["signal_id"]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


def until(true: Callable[[], Any], seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def all_done(db: Database) -> bool:
    with db.read() as conn:
        open_ = (
            sa.select(sa.func.count())
            .select_from(signal_table.decisions)
            .where(signal_table.decisions.c.ended_at.is_(None))
        )
        return conn.scalar(open_) == 0


def accounted(db: Database, answered: dict[str, str]) -> None:
    """Each answered alert is a signal decided once, each order is at the venue once, and the books agree to
    the last digit."""
    with db.read() as conn:
        decided = Counter(conn.scalars(sa.select(signal_table.decisions.c.signal_id)))
        orders = list(conn.execute(sa.select(order_table.orders)))
        venue = {row.client_order_id: row for row in conn.execute(sa.select(paper_table.orders))}
        fills, theirs = (
            list(conn.execute(sa.select(fill_table.fills))),
            list(conn.execute(sa.select(paper_table.fills))),
        )
        bots = list(conn.execute(sa.select(bot_table.bots)))
        held = {row.symbol: row.quantity for row in conn.execute(sa.select(paper_table.positions))}
    assert len(set(answered.values())) == len(answered), "two alerts became one signal"
    assert {decided[signal_id] for signal_id in answered.values()} == {1}
    assert set(decided.values()) == {1}
    assert max(Counter(order.decision_id for order in orders).values()) == 1
    assert {o.id: o.filled_quantity for o in orders if o.filled_quantity} == {
        c: v.filled_quantity for c, v in venue.items() if v.filled_quantity
    }
    assert sorted((f.broker_fill_id, f.quantity, f.price) for f in fills) == sorted(
        (f.fill_id, f.quantity, f.price) for f in theirs
    )
    assert {b.symbol: b.position_quantity for b in bots if b.position_quantity} == held
    signed: Counter[int] = Counter()
    for fill in fills:
        signed[fill.bot_id] += fill.quantity if fill.side == "buy" else -fill.quantity
    assert all(bot.position_quantity == signed.get(bot.id, Decimal(0)) for bot in bots)


@contextlib.contextmanager
def database_of(one: Rig) -> Iterator[Database]:
    db = Database(one.environ.get("DATABASE_URL") or f"sqlite:///{one.home / 'dashtrade.db'}")
    try:
        yield db
    finally:
        db.close()


def burst(count: int) -> list[list[str]]:
    return [alternating(symbol, count // CLIENTS) for symbol in STOCKS[:CLIENTS]]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_whatever_was_answered_before_a_kill_of_everything_is_carried_out_once(
    kind: str, request: pytest.FixtureRequest
):
    count = ALERTS[kind]
    environ = {"DATABASE_URL": request.getfixturevalue("postgres_database")} if kind == "postgresql" else {}
    with rig(**environ) as one:
        one.add_bots(STOCKS[:CLIENTS])
        senders = Senders(one, burst(count))
        senders.start()
        until(lambda: len(senders.answered) > count // 3)
        one.stop(signal.SIGKILL)
        senders.join()
        assert len(senders.answered) < count, "the burst was over before the kill"
        one.start()
        with database_of(one) as db:
            until(lambda: all_done(db))
            accounted(db, senders.answered)
            again = Senders(one, burst(count))  # as their senders do, who do not know what came through
            again.start()
            again.join()
            until(lambda: all_done(db))
            assert len(again.answered) == count
            assert {body: again.answered[body] for body in senders.answered} == senders.answered
            accounted(db, again.answered)
            with db.read() as conn:
                assert conn.scalar(sa.select(sa.func.count()).select_from(signal_table.signals)) == count


# --- several workers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def another_worker(one: Rig) -> Iterator[subprocess.Popen[bytes]]:
    with open(one.home / "second.log", "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashtrade.worker"], cwd=ROOT, env=one.env(), stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)


def pids(db: Database, query: Any) -> set[int]:
    """The processes behind the owners that are named."""
    with db.read() as conn:
        return {int(owner.split(":")[1]) for owner in conn.scalars(query)}


def holders(db: Database) -> set[int]:
    return pids(db, sa.select(lane_table.lanes.c.owner).where(lane_table.lanes.c.expires > 0))


def send_all(one: Rig, symbols: list[str], count: int, start: int) -> dict[str, str]:
    senders = Senders(one, [alternating(symbol, count, start) for symbol in symbols])
    senders.start()
    senders.join()
    assert len(senders.answered) == count * len(symbols)
    return senders.answered


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.postgres
def test_two_workers_share_the_lanes_and_one_that_is_stopped_loses_its_own(postgres_database: str):
    symbols = STOCKS[:12]
    with rig(DATABASE_URL=postgres_database) as one, database_of(one) as db, another_worker(one) as second:
        one.add_bots(symbols)
        both = until(lambda: len(found := pids(db, sa.select(lane_table.workers.c.owner))) == 2 and found)
        answered: dict[str, str] = {}
        for number, idle in enumerate(both):  # each gets half of the lanes, while the other cannot
            with stopped(idle):
                answered |= send_all(one, symbols[number::2], 2, start=10 * number)
                until(lambda: all_done(db))
        assert holders(db) == both
        answered |= send_all(one, symbols, 30, start=100)
        until(lambda: all_done(db))
        with stopped(second.pid):
            answered |= send_all(one, symbols, 2, start=200)
            until(lambda: all_done(db), seconds=3 * LEASE_SECONDS)
            assert second.pid not in holders(db)
        answered |= send_all(one, symbols, 4, start=300)
        until(lambda: all_done(db), seconds=3 * LEASE_SECONDS)
        accounted(db, answered)


def test_a_worker_that_slept_past_its_lease_finds_its_writes_refused(
    make_app: Callable[..., App], clock: ManualClock, feed: ManualFeed
):
    """Two engines on one database: the first stops between reading and writing, the second does the work
    meanwhile."""
    first, second = make_app(clock=clock, feed=feed), make_app(clock=clock, feed=feed)
    for app in (first, second):
        app.engine.leases.ttl = 0.3
        app.engine.leases.renew()
    user = add_user(first)
    account = account_service.add_account(
        first, user, broker="paper", mode="paper", label="Paper", credentials={}, options={}
    )
    bot_service.add_bot(
        first, user, {"account_id": account, "symbol": "AAPL", "timeframe": "15", "position_size": "1000"}
    )
    body = json.dumps({"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "1"})
    first.engine.accept(user.id, parse(body.encode()).signal, raw=body, origin=Origin.WEBHOOK)
    lane = Lane(account, Symbol.parse("AAPL"))
    steps = first.engine.lane_steps(lane)
    token = first.db.write(next(steps).run)
    decision = steps.send(token)
    assert isinstance(decision, Step)
    time.sleep(0.4)
    second.engine.leases.renew()
    second.engine.run_lane(lane)
    with pytest.raises(LaneLost):
        first.db.write(decision.run)
    with first.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(order_table.orders)) == 1
        assert [d.status for d in conn.execute(sa.select(signal_table.decisions))] == ["filled"]
