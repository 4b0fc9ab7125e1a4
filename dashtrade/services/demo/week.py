"""The week before a demo: simulated by the engine's own rules in an in-memory database, on the demo prices
of the last seven days."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.accounts import PAPER
from dashtrade.domain.people import User
from dashtrade.domain.signals import Action, Origin, Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.engine.watch import Watch
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.tables import bots as bot_table
from dashtrade.tables import people as table
from dashtrade.tables.admin_queries import HISTORY

WEEK = timedelta(days=7)

STARTING_CASH = "100000"

WATCH_EVERY = timedelta(hours=1)  # interval of the risk watch in that week

RESTED = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A bot and the two moving averages whose crossing triggers it, with or against the trend."""

    bot: dict[str, Any]
    fast: int
    slow: int
    against: bool = False


SAMPLES = (
    Sample(
        bot={
            "name": "Bitcoin trend",
            "symbol": "BTCUSD",
            "timeframe": "1 Hour",
            "position_size": "12000",
            "daily_loss_limit": "600",
        },
        fast=6,
        slow=18,
    ),
    Sample(
        bot={
            "name": "Ether swing",
            "symbol": "ETHUSD",
            "timeframe": "4 Hour",
            "position_size": "9000",
            "risk_limit_percent": "4",
        },
        fast=3,
        slow=8,
        against=True,
    ),
    Sample(
        bot={
            "name": "Apple reversal",
            "symbol": "NASDAQ:AAPL",
            "timeframe": "1 Hour",
            "position_size": "8000",
            "cooldown_seconds": 600,
        },
        fast=5,
        slow=14,
        against=True,
    ),
)


class ReplayClock:
    """A settable clock that advances slightly at every read, as real time does."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=3)
        return self.at


_replaying: ContextVar[bool] = ContextVar("replaying", default=False)


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Suppresses log lines of the simulation: the log records real events only."""
    for name in ("dashtrade.engine", "dashtrade.orders", "dashtrade.watch"):
        logging.getLogger(name).addFilter(_happened)  # adding it twice has no effect
    token = _replaying.set(True)
    try:
        yield
    finally:
        _replaying.reset(token)


def _happened(record: logging.LogRecord) -> bool:
    return not _replaying.get()


def simulate_week(app: App, end: datetime) -> App:
    """An in-memory application whose user has traded for the last seven days."""
    clock = ReplayClock(end - WEEK - timedelta(hours=1))
    past = app.in_memory(clock)
    user = _settle(past)
    watch, looked = Watch(past.db, clock, past.brokers.feed), clock.at
    for at, sample, action in sorted(_crossings(past, clock.at, end), key=lambda found: found[0]):
        while looked + WATCH_EVERY < at:
            looked = clock.at = looked + WATCH_EVERY
            for lane in watch.check_all():
                past.engine.run_lane(lane)
        clock.at = looked = at + timedelta(seconds=2)
        _resume(past, user, RESTED)
        _send_alert(past, user, sample, action, at)
    clock.at = end
    _resume(past, user, timedelta(0))
    return past


def _resume(past: App, user: User, rested: timedelta) -> None:
    """A bot that a limit has stopped is resumed after half a day, as its user would."""
    with past.db.read() as conn:
        stopped = [
            bot
            for bot in bot_table.list_page(conn, user.id)
            if not bot.is_active and past.clock.now() - bot.updated_at > rested
        ]
    for bot in stopped:
        bots.set_active(past, user, bot.id, True)


def _settle(past: App) -> User:
    now = past.clock.now()
    values = {
        "email": "demo",
        "name": "Demo",
        "password_hash": "-",
        "role": Role.STANDARD,
        "time_zone": "UTC",
        "created_at": now,
        "last_login_at": None,
    }

    def add(conn: sa.Connection) -> User:
        found = table.by_id(conn, table.add(conn, **values))
        assert found is not None
        return found

    user = past.db.write(add)
    account = accounts.add_account(
        past,
        user,
        broker=PAPER,
        mode="paper",
        label="Demo account",
        credentials={},
        options={"starting_cash": STARTING_CASH, "fee_percent": "0.02", "slippage_percent": "0.01"},
    )
    for sample in SAMPLES:
        bots.add_bot(past, user, {"account_id": account, **sample.bot})
    return user


def _crossings(past: App, start: datetime, end: datetime) -> Iterator[tuple[datetime, Sample, str]]:
    """Crossings of a bot's fast and slow average: (the candle's close, the bot, buy or sell)."""
    for sample in SAMPLES:
        frame = Timeframe.parse(sample.bot["timeframe"])
        span = timedelta(seconds=frame.seconds)
        candles = past.feed.candles(
            Symbol.parse(sample.bot["symbol"]),
            frame,
            end=end,
            count=int((end - start) / span) + sample.slow + 2,
        )
        closed = [candle for candle in candles if candle.at + span <= end]
        above: bool | None = None
        for place in range(sample.slow, len(closed)):
            fast, slow = (
                sum((c.close for c in closed[place - size : place]), Decimal(0)) / size
                for size in (sample.fast, sample.slow)
            )
            at, was, above = closed[place - 1].at + span, above, fast > slow
            if was is not None and was is not above and at > start:
                yield at, sample, "buy" if above is not sample.against else "sell"


def _send_alert(past: App, user: User, sample: Sample, action: str, at: datetime) -> None:
    signal = Signal(
        action=Action(action),
        symbol=Symbol.parse(sample.bot["symbol"]),
        written_symbol=sample.bot["symbol"],
        timeframe=Timeframe.parse(sample.bot["timeframe"]),
        key=f"{at:%Y%m%d%H%M}",
        dialect="dashtrade",
    )
    past.engine.accept(user.id, signal, origin=Origin.WEBHOOK, sender=HISTORY)
    for lane in past.engine.open_lanes():
        past.engine.run_lane(lane)
