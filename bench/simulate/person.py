"""The user of a schedule, in another process, which does not crash: someone stops, resumes, cancels, and
looks after what needs attention."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from bench.simulate.store import World
from dashtrade.domain.bots import Stop
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.reasons import NO_REASON
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.trading import orders as order_service
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import orders as order_table
from dashtrade.tables.compiled_sql import scalar

_LAST_EVENT = sa.select(sa.func.max(order_events.events.c.id).label("last"))


def last_event(world: World) -> int:
    with world.db.read() as conn:
        return scalar(conn, _LAST_EVENT) or 0


def open_orders(world: World) -> list[Order]:
    with world.db.read() as conn:
        return [o for a in world.accounts.values() for o in order_table.open_in_account(conn, a)]


class Person:
    def __init__(self, world: World, rng: random.Random, tell: Callable[[str], None]) -> None:
        self._world, self._rng, self._tell = world, rng, tell
        # while stopped, by bot: the order events between which it was
        self.stopped: dict[int, list[tuple[int, int | None]]] = {bot: [] for bot in world.bots}
        self._paused: set[int] = set()
        self._switched = False

    def does_something(self, bots: Sequence[int]) -> None:
        app, user, rng = self._world.app, self._world.user, self._rng
        what = rng.random()
        if what < 0.25:
            if orders := open_orders(self._world):
                order = rng.choice(orders)
                self._tell(f"user cancels {order.id}")
                order_service.cancel(app, user, order.id)
        elif what < 0.75:
            bot = rng.choice(bots)
            active = bot in self._paused
            self._tell(f"user {'resumes' if active else 'pauses'} bot {bot}")
            bot_service.set_active(app, user, bot, active)
            self._paused ^= {bot}
            self._mark()
        else:
            self._switched = not self._switched
            stop = rng.choice((Stop.PAUSE_ENTRIES, Stop.REDUCE_ONLY)) if self._switched else Stop.NONE
            self._tell(f"user switches to {stop}")
            switch_service.put_switch(app, user, scope="user", scope_id=None, stop=stop, reason="")
            self._mark()

    def _mark(self) -> None:
        """From this order event on a bot is stopped, or no longer."""
        event = last_event(self._world)
        for bot, times in self.stopped.items():
            is_off, was_off = bot in self._paused or self._switched, bool(times) and times[-1][1] is None
            if is_off and not was_off:
                times.append((event, None))
            elif was_off and not is_off:
                times[-1] = (times[-1][0], event)

    # --- at the end ---

    def puts_keys_right(self) -> None:
        for account_id in self._world.accounts.values():
            self._world.db.write(
                lambda conn, account_id=account_id: account_table.change(
                    conn, self._world.user.id, account_id, is_active=True, disabled_reason=NO_REASON
                )
            )

    def confirms_what_is_in_doubt(self) -> bool:
        """What the venue does not have was not placed. True if there was anything."""
        in_doubt = [order for order in open_orders(self._world) if order.status is OrderStatus.ATTENTION]
        for order in in_doubt:
            self._tell(f"user says that {order.id} was not placed")
            order_service.resolve(self._world.app, self._world.user, order.id, "not_placed")
        return bool(in_doubt)

    def closes_everything(self) -> bool:
        """Each bot that owns something is told to close, whatever was paused or switched."""
        with self._world.db.read() as conn:
            bots = bot_positions.page_of_holding(conn, after=0)
        holding = [bot.id for bot in bots if bot.position.quantity]
        for bot_id in holding:
            self._tell(f"close bot {bot_id}")
            bot_service.close_bot(self._world.app, self._world.user, bot_id, request_id=f"end-{bot_id}")
        return bool(holding)
