"""A short history of one paper account, told as a list of steps: what `test_engine_properties.py` lets
Hypothesis make up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Bot, Stop
from dashtrade.domain.orders import Effect, Order
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import OrderType
from dashtrade.engine.watch import Watch
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.trading import orders as order_service
from dashtrade.settings import Settings
from dashtrade.tables import bot_positions, user_orders
from dashtrade.tables import paper as paper_table
from dashtrade.tables import signals as signal_table
from encryption import new_key
from tests.support.fakes import ManualClock, ManualFeed, add_user

START = Decimal(100_000)
PLACES = (("AAPL", "15"), ("AAPL", "60"), ("BTC/USDT", "15"))
_KEY = new_key()
_numbers = itertools.count()

# --- what may happen ----------------------------------------------------------------------------------------

_place = st.integers(0, len(PLACES) - 1)
_part = st.sampled_from([{}, {"quantity": "1.5"}, {"quantity": "40"}, {"quantity": "30%"}])
_alert = st.one_of(
    st.tuples(
        st.just("alert"),
        _place,
        st.sampled_from(["buy", "sell", "close", "add", "reverse", "cancel"]),
        st.just({}),
    ),
    st.tuples(st.just("alert"), _place, st.just("reduce"), _part.filter(bool)),
    st.tuples(
        st.just("alert"),
        _place,
        st.sampled_from(["buy", "sell"]),
        st.sampled_from(
            [{"orderType": "limit", "limitPrice": "97"}, {"orderType": "limit", "limitPrice": "104"}]
        ),
    ),
)
step = st.one_of(
    _alert,
    _alert,
    _alert,
    st.tuples(st.just("price"), _place, st.integers(80, 125)),
    st.tuples(st.just("time"), st.sampled_from([1, 20, 400, 90_000])),
    st.tuples(st.just("active"), _place, st.booleans()),
    st.tuples(st.just("switch"), st.sampled_from([Stop.NONE, Stop.PAUSE_ENTRIES, Stop.REDUCE_ONLY])),
    st.tuples(st.just("take back"), st.integers(0, 3)),
)
limits = st.fixed_dictionaries(
    {
        "sides": st.sampled_from(["both", "both", "long", "short"]),
        "orders_per_day": st.sampled_from([None, None, 2]),
        "max_position_size": st.sampled_from([None, None, "1500", "900"]),
        "order_type": st.sampled_from(["market", "market", "limit"]),
        "limit_offset_percent": st.sampled_from(["0", "2"]),
        "cooldown_seconds": st.sampled_from([0, 0, 60]),
        "risk_limit_percent": st.sampled_from([None, "10"]),
        "daily_loss_limit": st.sampled_from([None, "150"]),
    }
)
options = st.fixed_dictionaries(
    {
        "fill_percent": st.sampled_from(["100", "100", "40"]),
        "fee_percent": st.sampled_from(["0", "0.1"]),
        "slippage_percent": st.sampled_from(["0", "0", "0.05"]),
    }
)
stories = st.tuples(
    st.lists(limits, min_size=3, max_size=3), options, st.lists(step, min_size=1, max_size=14)
)


# --- and the world in which it does -------------------------------------------------------------------------


@dataclass(slots=True)
class Story:
    app: App
    clock: ManualClock
    feed: ManualFeed
    user: Any = None
    account: int = 0
    bots: list[int] = field(default_factory=list)
    # each with its bot as it was when the order was made
    entries: list[tuple[Bot, Order]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _alerts: int = 0

    def happen(self, what: tuple[Any, ...]) -> None:
        """One step, and everything the worker would do of it."""
        before = {bot_id: self.bot(bot_id) for bot_id in self.bots}
        match what:
            case ("alert", place, action, more):
                self._alert(place, action, more)
            case ("price", place, price):
                self.feed.set(PLACES[place][0], Decimal(price))
            case ("time", seconds):
                self.clock.forward(seconds)
            case ("active", place, active):
                bot_service.set_active(self.app, self.user, self.bots[place], active)
            case ("switch", stop):
                switch_service.put_switch(
                    self.app, self.user, scope="user", scope_id=None, stop=stop, reason=""
                )
            case ("take back", number):
                working = [order for order in self.orders() if order.is_open]
                if number < len(working):
                    order_service.cancel(self.app, self.user, working[number].id)
        self._work()
        for order in self.orders():
            if order.id not in self._seen and not order.effect.reduces:
                self.entries.append((before[order.bot_id], order))
            self._seen.add(order.id)

    def _alert(self, place: int, action: str, more: dict[str, str]) -> None:
        self._alerts += 1
        symbol, timeframe = PLACES[place]
        body = json.dumps(
            {"action": action, "symbol": symbol, "timeframe": timeframe, "id": f"a{self._alerts}"} | more
        )
        self.app.engine.accept(self.user.id, parse(body.encode()).signal, raw=body, origin=Origin.WEBHOOK)

    def _work(self) -> None:
        watch = Watch(self.app.db, self.clock, self.app.brokers.feed)
        for _ in range(4):
            for lane in self.app.engine.open_lanes():
                self.app.engine.run_lane(lane)
            self.app.engine.collect(self.account)
            watch.check_all()

    # --- what came of it ---

    def bot(self, bot_id: int) -> Bot:
        with self.app.db.read() as conn:
            return bot_positions.load(conn, bot_id)

    def orders(self) -> list[Order]:
        with self.app.db.read() as conn:
            found = user_orders.list_page(conn, self.user.id, before=None, limit=1000)
        return sorted(found, key=lambda order: (order.decision_id, order.step))

    def rows(self, table: sa.Table) -> list[Any]:
        with self.app.db.read() as conn:
            return list(conn.execute(sa.select(table).order_by(*table.primary_key)))

    def decided(self) -> list[tuple[Any, ...]]:
        """Everything that was decided and done, without the ids, which differ."""
        what = [
            (d.bot_id, d.status, d.reason, d._mapping["would"], d.checks, d.numbers)
            for d in self.rows(signal_table.decisions)
        ]
        orders = [
            (
                o.bot_id,
                o.side,
                o.type,
                o.quantity,
                o.limit_price,
                o.status,
                o.filled_quantity,
                o.filled_notional,
            )
            for o in self.orders()
        ]
        return [
            *what,
            *orders,
            *[(b.position, b.realized_pnl, b.fees, b.status, b.is_active) for b in map(self.bot, self.bots)],
        ]

    def cash(self) -> Decimal:
        return self.rows(paper_table.accounts)[0].cash


def largest(bot: Bot, order: Order, price: Decimal) -> Decimal:
    """What the position was to be worth when the order was decided."""
    owned = abs(bot.position.quantity) if order.effect is Effect.ADD else Decimal(0)
    return (owned + order.quantity) * (order.limit_price if order.type is OrderType.LIMIT else price)


@contextmanager
def world(
    database_url: str, home: Path, of_bots: list[dict[str, Any]], of_account: dict[str, str]
) -> Iterator[Story]:
    clock = ManualClock()
    feed = ManualFeed(clock)
    given = {"DASHTRADE_HOME": str(home), "DATABASE_URL": database_url, "ENCRYPTION_KEY": _KEY}
    app = build_app(Settings.load(given, home), clock=clock, feed=feed)
    try:
        story = Story(app, clock, feed)
        story.user = add_user(app)
        story.account = account_service.add_account(
            app, story.user, broker="paper", mode="paper", label="Paper", credentials={}, options=of_account
        )
        for (symbol, timeframe), fields in zip(PLACES, of_bots, strict=True):
            bot = {
                "account_id": story.account,
                "symbol": symbol,
                "timeframe": timeframe,
                "position_size": "1000",
            } | fields
            story.bots.append(bot_service.add_bot(app, story.user, bot))
        yield story
    finally:
        app.close()
