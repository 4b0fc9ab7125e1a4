"""A limit that is passed while its close has to wait: asked for once, told once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.notices.trading import BotStopped
from dashtrade.domain.ports import Unknown
from dashtrade.services.trading import orders as order_service
from dashtrade.tables import signals as signal_table
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, ScriptedBroker, Trader


def holder_in_doubt(make_app: Callable[..., App], clock: ManualClock, feed: Any) -> tuple[Trader, int, str]:
    """A bot that owns ten, with an order of its lane that a person has to look at."""
    venue = ScriptedBroker(refuses_repeats=False)
    person = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    limits = {"position_size": "10", "position_size_type": "quantity", "risk_limit_percent": "5"}
    bot = person.bot("AAPL", account=person.account("venue"), **limits)
    person.trades("buy")
    venue.plan.append(Unknown("no answer"))
    person.trades("add")
    clock.forward(5)
    person.installation.work()
    (doubtful,) = person.get("/orders", status="attention")["items"]
    return person, bot, doubtful["order_id"]


def test_a_close_that_waits_is_not_asked_for_again(
    make_app: Callable[..., App], clock: ManualClock, feed: Any
):
    person, bot, doubtful = holder_in_doubt(make_app, clock, feed)
    feed.set("AAPL", 80)
    for _ in range(5):
        person.installation.look()
        clock.forward(31)
    app = person.installation.app
    with app.db.read() as conn:
        closes = conn.execute(
            sa.select(signal_table.signals).where(signal_table.signals.c.origin == "risk")
        ).all()
    assert len(closes) == 1 and len(person.notices(BotStopped)) == 1
    order_service.resolve(app, person.user, doubtful, "not_placed")
    person.installation.work()
    assert person.holds(bot) == Decimal(0)
