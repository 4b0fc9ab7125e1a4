"""The user of a schedule, in another process, which does not crash: someone stops, resumes, cancels, and
looks after what needs attention."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bench.simulate.store import World
from dashtrade.domain.bots import Stop
from dashtrade.domain.orders import OrderStatus


class Person:
    def __init__(self, world: World, rng: random.Random, tell: Callable[[str], None]) -> None:
        self._world, self._rng, self._tell = world, rng, tell
        # while stopped, by bot: the order events between which it was
        self.stopped: dict[int, list[tuple[int, int | None]]] = {bot: [] for bot in world.bots}
        self._paused: set[int] = set()
        self._switched = False

    def does_something(self, bots: Sequence[int]) -> None:
        world, rng = self._world, self._rng
        what = rng.random()
        if what < 0.25:
            if orders := world.open_orders():
                order = rng.choice(orders)
                self._tell(f"user cancels {order.id}")
                world.cancel(order.id)
        elif what < 0.75:
            bot = rng.choice(bots)
            active = bot in self._paused
            self._tell(f"user {'resumes' if active else 'pauses'} bot {bot}")
            world.set_active(bot, active)
            self._paused ^= {bot}
            self._mark()
        else:
            self._switched = not self._switched
            stop = rng.choice((Stop.PAUSE_ENTRIES, Stop.REDUCE_ONLY)) if self._switched else Stop.NONE
            self._tell(f"user switches to {stop}")
            world.put_switch(stop)
            self._mark()

    def _mark(self) -> None:
        """From this order event on a bot is stopped, or no longer."""
        event = self._world.last_event()
        for bot, times in self.stopped.items():
            is_off, was_off = bot in self._paused or self._switched, bool(times) and times[-1][1] is None
            if is_off and not was_off:
                times.append((event, None))
            elif was_off and not is_off:
                times[-1] = (times[-1][0], event)

    # --- at the end ---

    def puts_keys_right(self) -> None:
        self._world.put_keys_right()

    def confirms_what_is_in_doubt(self) -> bool:
        """What the venue does not have was not placed. True if there was anything."""
        in_doubt = [order for order in self._world.open_orders() if order.status is OrderStatus.ATTENTION]
        for order in in_doubt:
            self._tell(f"user says that {order.id} was not placed")
            self._world.say_not_placed(order.id)
        return bool(in_doubt)

    def closes_everything(self) -> bool:
        """Each bot that owns something is told to close, whatever was paused or switched."""
        holding = self._world.holding()
        for bot_id in holding:
            self._tell(f"close bot {bot_id}")
            self._world.close_bot(bot_id)
        return bool(holding)
