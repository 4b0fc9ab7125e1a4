"""A worker that stood still between two commits, while another took its lane and went on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot_engine import Lane
from dashtrade.context import App
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.steps import Step
from dashtrade.engine.workflow import Call, run_sync
from dashtrade.tables import orders as order_table
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader


def started_on_paper(person: Trader) -> Order:
    """The second order of a reversal on paper, stored as about to be carried out."""
    app = person.installation.app
    lane = Lane(person.paper, Symbol.parse("AAPL"))
    steps = app.engine.lane_steps(lane)
    effect = next(steps)
    while True:
        done = effect.fn() if isinstance(effect, Call) else app.db.write(effect.run)
        with app.db.read() as conn:
            orders = order_table.open_in_lane(conn, lane.account_id, lane.symbol)
        started = [order for order in orders if order.status is OrderStatus.SUBMITTING]
        if started:
            return started[0]
        effect = steps.send(done)


def test_an_order_that_another_worker_carried_out_is_left_as_it_is(
    make_app: Callable[..., App], clock: ManualClock, feed: Any
):
    person = Installation(make_app(clock=clock, feed=feed)).join()
    bot = person.bot(position_size="10", position_size_type="quantity")
    person.trades("buy")
    person.send(action="reverse")
    order, app = started_on_paper(person), person.installation.app
    late = next(app.engine.sender.send(order))
    assert isinstance(late, Step)
    assert run_sync(app.db, app.engine.sender.send(order)).status is OrderStatus.FILLED
    assert app.db.write(late.run).status is OrderStatus.FILLED
    assert person.holds(bot) == -10
