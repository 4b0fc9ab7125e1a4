"""One bot on one account at the simulated venue, its engine driven by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bot_engine import Lane
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.orders import Order
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.tables import bot_positions, user_orders
from dashtrade.tables import messages as message_table
from tests.simulators.venue import VenueServer
from tests.simulators.venue_adapter import kind
from tests.simulators.venue_books import Manner
from tests.support.fakes import ManualClock, add_user

AAPL = Symbol.parse("AAPL")


class VenueHarness:
    def __init__(
        self,
        make_app: Callable[..., App],
        clock: ManualClock,
        feed: Any,
        venue: VenueServer,
        *,
        refuses_repeats: bool,
    ) -> None:
        self.clock, self.venue = clock, venue
        self.app = make_app(
            clock=clock,
            feed=feed,
            brokers={"venue": kind(venue.port, refuses_repeats=refuses_repeats, patience=2.0)},
        )
        self.books = venue.begin(replace(Manner.honest(), refuses_repeats=refuses_repeats))
        in_parts(self, (0, "10"))
        self.user = add_user(self.app)
        self.account = account_service.add_account(
            self.app, self.user, broker="venue", mode="paper", label="Venue", credentials={}, options={}
        )
        bot = {
            "account_id": self.account,
            "symbol": "AAPL",
            "timeframe": "15",
            "position_size": "10",
            "position_size_type": "quantity",
        }
        self.bot = bot_service.add_bot(self.app, self.user, bot)
        self.lane = Lane(self.account, AAPL)
        self.sent = 0

    def alert(self, action: str, **more: Any) -> str:
        """Accepted, and carried as far as it goes."""
        self.sent += 1
        body = json.dumps(
            {"action": action, "symbol": "AAPL", "timeframe": "15", "id": f"n{self.sent}"} | more
        )
        answer = self.app.engine.accept(
            self.user.id, parse(body.encode()).signal, raw=body, origin=Origin.WEBHOOK
        )
        self.app.engine.run_lane(self.lane)
        return answer.signal_id

    def later(self, seconds: float = 0) -> None:
        self.clock.forward(seconds)
        self.app.engine.collect(self.account)
        self.app.engine.run_lane(self.lane)

    def orders(self) -> list[Order]:
        with self.app.db.read() as conn:
            return user_orders.list_page(conn, self.user.id, before=None, limit=100)

    @property
    def order(self) -> Order:
        (only,) = self.orders()
        return only

    def owned(self) -> Decimal:
        with self.app.db.read() as conn:
            return bot_positions.load(conn, self.bot).position.quantity

    def notices(self, level: str) -> list[str]:
        with self.app.db.read() as conn:
            return [m.kind for m in conn.execute(sa.select(message_table.outbox)) if m.level == level]


def in_parts(harness: VenueHarness, *parts: tuple[float, str]) -> None:
    """Orders placed from now on fill in these parts: (seconds after, quantity)."""
    harness.books._plan = lambda order, now: [
        (now + timedelta(seconds=after), Decimal(part)) for after, part in parts
    ]
