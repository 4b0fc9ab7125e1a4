"""News that a venue tells by itself, through the real library's websocket and a real worker: sooner, and
never needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.brokers.alpaca import stream
from dashtrade.context import App
from dashtrade.domain.ports import OrderReport, VenueStatus
from dashtrade.engine import sending
from dashtrade.tables import fills as fill_table
from dashtrade.tables import orders as order_table
from dashtrade.worker import worker as worker_module
from dashtrade.worker.worker import Worker
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.alpaca_harness import eventually, raw
from tests.support.at_alpaca import account, addresses
from tests.support.free_port import free_port
from tests.support.installation import MakeApp, Trader, wait_until

NEVER = 10_000  # looks between two polls: what is booked meanwhile came by the stream


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture
def app(make_app: MakeApp, sim: AlpacaSimulator) -> App:
    return make_app(**addresses(sim))


@pytest.fixture
def worker(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """At work, and hardly ever polling while a stream is up."""
    Path(app.settings.home).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(worker_module, "COLLECT_STREAMED_EVERY", NEVER)
    monkeypatch.setattr(worker_module, "WATCH_EVERY_SECONDS", 0.1)
    made = Worker(app)
    made.start()
    yield made
    made.stop()


def listening(worker: Worker, sim: AlpacaSimulator, account_id: int) -> None:
    eventually(lambda: worker.streams.is_live(account_id) and sim._stream.listeners)


def filled(trader: Trader, signal_id: str) -> Any:
    return eventually(lambda: (story := trader.story(signal_id))["status"] == "filled" and story, 10)


def test_a_fill_is_booked_as_the_stream_tells_of_it(trader: Trader, worker: Worker, sim: AlpacaSimulator):
    bot = trader.bot(account=(one := account(trader, sim)))
    listening(worker, sim, one)
    filled(trader, trader.send(action="buy"))
    assert trader.holds(bot) > 49
    listed = [seen for seen in sim.requests("GET", "/v2/orders") if seen.query.get("direction") == "asc"]
    assert sim.requests("GET", "/v2/orders") == listed, (
        "nobody had to ask: the one list is of the comparison at the start"
    )


def test_an_order_reported_by_stream_and_answer_is_booked_once(
    trader: Trader, worker: Worker, sim: AlpacaSimulator, monkeypatch: pytest.MonkeyPatch
):
    trader.bot(account=(one := account(trader, sim)))
    listening(worker, sim, one)
    sim.inject(Fault("slow", seconds=1.5))  # the stream is ahead of the answer
    booked: list[OrderReport] = []
    book = sending.report_step
    monkeypatch.setattr(
        sending, "report_step", lambda order, report, now: booked.append(report) or book(order, report, now)
    )
    filled(trader, trader.send(action="buy"))
    eventually(lambda: not worker.lanes._running)  # the answer is in
    assert [report.status for report in booked] == [VenueStatus.FILLED]


def test_a_line_that_drops_between_two_parts_of_a_fill_loses_nothing(
    trader: Trader, worker: Worker, sim: AlpacaSimulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker_module, "COLLECT_STREAMED_EVERY", 4)
    bot = trader.bot(account=(one := account(trader, sim)), position_size="10", position_size_type="quantity")
    listening(worker, sim, one)
    sim.market.next_in_parts = True
    signal_id = trader.send(action="buy")
    eventually(lambda: trader.holds(bot) == 5)
    sim.drop_stream()
    with sim.market.lock:
        sim.market.finish_parts()  # told to nobody
    filled(trader, signal_id)
    assert trader.holds(bot) == 10
    eventually(lambda: sim._stream.listeners)  # it came back by itself
    filled(trader, trader.send(action="close"))
    assert trader.holds(bot) == 0 and len(sim.orders) == 2


def test_repeated_reports_in_the_wrong_order_are_booked_once(
    app: App, trader: Trader, worker: Worker, sim: AlpacaSimulator
):
    bot = trader.bot(account=(one := account(trader, sim)), position_size="10", position_size_type="quantity")
    listening(worker, sim, one)
    tell, kept = sim._stream.tell, []
    sim.market.on_event = lambda event, order, more: kept.append((event, order, more, order.wire()))
    sim.market.next_in_parts = True
    signal_id = trader.send(action="buy")
    eventually(lambda: any(event == "partial_fill" for event, *_ in kept))
    with sim.market.lock:
        sim.market.finish_parts()
    for event, _, more, wire in [*reversed(kept), *kept]:
        tell(event, SimpleNamespace(owner=sim.key, wire=lambda wire=wire: wire), more)
    filled(trader, signal_id)
    with app.db.read() as conn:
        booked = conn.execute(sa.select(fill_table.fills.c.quantity)).scalars().all()
    assert trader.holds(bot) == sum(booked) == 10
    assert [seen for seen in sim.requests("GET", "/v2/orders") if seen.query.get("direction") != "asc"] == []


def test_a_strangers_order_is_heard_and_left_alone(
    app: App, trader: Trader, worker: Worker, sim: AlpacaSimulator
):
    heard: list[str] = []
    told, worker.streams._on_report = (
        worker.streams._on_report,
        lambda number, report: heard.append(report.client_order_id) or told(number, report),
    )
    listening(worker, sim, one := account(trader, sim))
    raw(
        sim,
        "POST",
        "/v2/orders",
        {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"},
    )
    eventually(lambda: heard)
    with app.db.read() as conn:
        assert order_table.find(conn, one, heard[0]) is None


def test_one_accounts_news_move_no_order_of_another(
    app: App, trader: Trader, worker: Worker, sim: AlpacaSimulator
):
    trader.bot(account=(one := account(trader, sim)))
    listening(worker, sim, one)
    order_id = filled(trader, trader.send(action="buy"))["orders"][0]["order_id"]
    with app.db.read() as conn:
        assert (
            order_table.find(conn, one, order_id) is not None
            and order_table.find(conn, one + 1, order_id) is None
        )


def threads() -> int:
    return sum(thread.name == "alpaca-stream" for thread in threading.enumerate())


def test_the_listener_ends_with_its_account_and_comes_back_with_a_new_key(
    app: App, trader: Trader, worker: Worker, sim: AlpacaSimulator
):
    one = account(trader, sim)
    listening(worker, sim, one)
    trader.request("PATCH", f"/accounts/{one}", {"options": {"feed": "iex"}})  # the adapter is made anew
    eventually(lambda: len(sim._stream._connected) == 1 and threads() == 1)
    listening(worker, sim, one)
    trader.request("DELETE", f"/accounts/{one}")
    eventually(lambda: threads() == 0 and not sim._stream.listeners)


def test_a_disabled_account_is_not_listened_to(
    app: App, trader: Trader, worker: Worker, sim: AlpacaSimulator
):
    trader.bot(account=(one := account(trader, sim)))
    listening(worker, sim, one)
    sim.inject(Fault("bad_key", method="*", path="/v2", times=0))
    trader.send(action="buy")
    eventually(lambda: threads() == 0, 10)
    assert not trader.get(f"/accounts/{one}")["is_active"]


def test_no_more_lines_than_the_worker_can_carry(
    app: App, trader: Trader, sim: AlpacaSimulator, monkeypatch: pytest.MonkeyPatch
):
    from dashtrade.engine import streams

    monkeypatch.setattr(streams, "MAX_STREAMS", 2)
    for _ in range(4):
        account(trader, sim)
    made = streams.Streams(app.db, app.brokers.streaming, app.brokers.of, lambda number, report: None)
    made.refresh()
    assert threads() == 2
    made.stop()
    eventually(lambda: threads() == 0)


def test_a_venue_that_hangs_keeps_no_other_account_from_its_news(
    app: App, worker: Worker, trader: Trader, sim: AlpacaSimulator
):
    """Accounts are asked side by side."""
    hangs, asked = threading.Event(), []

    def collect(account_id: int) -> list[Any]:
        asked.append(account_id)
        return [] if account_id == 2 else (hangs.wait(20), [])[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.engine, "collect", collect)
        rows = [SimpleNamespace(account_id=number, newest=app.clock.now()) for number in (1, 2)]
        patch.setattr(order_table, "working_accounts", lambda conn: rows)
        eventually(lambda: asked.count(2) > 3)
        assert asked.count(1) == 1
        hangs.set()


def test_a_stream_that_cannot_be_reached_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    made = stream._stream_class()
    monkeypatch.setattr(made, "_reconnect_delay", lambda self, retries: 0.001)
    updates = stream.TradeUpdates("key", "secret", True, f"ws://127.0.0.1:{free_port()}")
    with caplog.at_level("INFO"):
        updates.start(lambda report: None)
        wait_until(lambda: updates._stream is not None and updates._stream.failed_attempts > 40)
        updates.stop()
    lines = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert 1 <= len(lines) <= 4 and not [line for line in lines if line.exc_info]
