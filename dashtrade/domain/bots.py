"""A bot: what it trades, its limits, and its position."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.ledger import Position
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import ExitPlan, Size
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, OrderType, Side, TimeInForce

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW_HINT = 'Write {"days": ["mon", "fri"], "from": "09:30", "to": "16:00"}.'


class Sides(StrEnum):
    LONG = "long"
    SHORT = "short"
    BOTH = "both"

    def allow(self, side: Side) -> bool:
        return self is Sides.BOTH or self.value == side.value


class WhenClosed(StrEnum):
    """What happens to an entry while the market is closed."""

    REFUSE = "refuse"
    WAIT = "wait"  # until the next open, then re-evaluated


@record
class Window:
    """When entries are allowed. If `until` is before `since`, the window runs over midnight and belongs to
    the day it began."""

    days: frozenset[int]
    since: time
    until: time

    @classmethod
    def parse(cls, written: object) -> Window:
        if not isinstance(written, dict):
            raise Malformed("a trading window is not an object", where="windows", hint=_WINDOW_HINT)
        days = written.get("days", list(DAYS))
        if not isinstance(days, list) or not days or any(str(day).lower()[:3] not in DAYS for day in days):
            raise Malformed("a trading window's days cannot be read", where="windows.days", hint=_WINDOW_HINT)
        return cls(
            days=frozenset(DAYS.index(str(day).lower()[:3]) for day in days),
            since=_clock_time(written.get("from")),
            until=_clock_time(written.get("to")),
        )

    def written(self) -> dict[str, object]:
        return {
            "days": [DAYS[day] for day in sorted(self.days)],
            "from": f"{self.since:%H:%M}",
            "to": f"{self.until:%H:%M}",
        }

    def in_words(self) -> str:
        days = (
            ""
            if len(self.days) == len(DAYS)
            else f"{', '.join(DAYS[day].title() for day in sorted(self.days))} "
        )
        return f"{days}{self.since:%H:%M}–{self.until:%H:%M}"

    def covers(self, local: datetime) -> bool:
        now, day = local.time().replace(tzinfo=None), local.weekday()
        if self.since <= self.until:
            return day in self.days and self.since <= now < self.until
        return (day in self.days and now >= self.since) or ((day - 1) % 7 in self.days and now < self.until)


def _clock_time(written: object) -> time:
    if isinstance(written, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", written):
        return time.fromisoformat(written)
    raise Malformed("a trading window's time cannot be read", where="windows", hint=_WINDOW_HINT)


@record
class Day:
    """A bot's day so far (UTC)."""

    date: date
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)
    entries: int = 0
    trades: int = 0
    wins: int = 0
    losses: int = 0


@record
class OrderDefaults:
    """How a bot's entries are ordered where the alert does not say."""

    time_in_force: TimeInForce | None = None
    extended_hours: bool = False
    delay: timedelta | None = None
    cancel_first: bool = False  # cancel unfilled orders before acting

    @classmethod
    def read(cls, found: dict[str, Any] | None) -> OrderDefaults:
        found = found or {}
        when, delay = found.get("time_in_force"), found.get("delay")
        return cls(
            time_in_force=TimeInForce(when) if when else None,
            extended_hours=found.get("extended_hours", False),
            delay=timedelta(seconds=delay) if delay else None,
            cancel_first=found.get("cancel_first", False),
        )

    def written(self) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        if self.time_in_force is not None:
            found["time_in_force"] = str(self.time_in_force)
        if self.delay is not None:
            found["delay"] = int(self.delay.total_seconds())
        found |= {name: True for name in ("extended_hours", "cancel_first") if getattr(self, name)}
        return found or None


@record
class BotSettings:
    """A bot's user settings with their defaults; `services/bots/spec.py` declares how each is written, named
    and explained."""

    name: str
    size: Size
    allow_alert_size: bool = False
    risk_limit_percent: Decimal | None = None
    daily_loss_limit: Decimal | None = None
    max_position_size: Decimal | None = None  # in dollars
    sides: Sides = Sides.BOTH
    order_type: OrderType = OrderType.MARKET
    limit_offset_percent: Decimal = Decimal(0)
    cooldown_seconds: int = 0
    windows: tuple[Window, ...] = ()
    time_zone: str = "UTC"
    orders_per_day: int | None = None
    when_closed: WhenClosed = WhenClosed.REFUSE
    exit_plan: ExitPlan = field(default_factory=ExitPlan)  # for entries whose alert has none
    order_defaults: OrderDefaults = field(default_factory=OrderDefaults)


@record
class Bot(BotSettings):
    """Its settings, what it trades, and its position."""

    id: int
    user_id: int
    account_id: int
    symbol: Symbol
    written_symbol: str
    timeframe: Timeframe
    is_active: bool
    paused_reason: Reason
    status: str
    position: Position
    realized_pnl: Decimal
    fees: Decimal
    total_trades: int
    last_day: Day  # the last day with activity
    exits: ExitState | None  # of its position
    last_entry_at: datetime | None
    last_signal_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def total_pnl(self) -> Decimal:
        return self.realized_pnl - self.fees

    def day(self, today: date) -> Day:
        return self.last_day if self.last_day.date == today else Day(date=today)

    def in_window(self, now: datetime) -> bool:
        if not self.windows:
            return True
        local = now.astimezone(ZoneInfo(self.time_zone))
        return any(window.covers(local) for window in self.windows)


class Stop(StrEnum):
    """How much a switch stops. Reducing a position is never stopped."""

    NONE = "none"
    PAUSE_ENTRIES = "pause_entries"  # no entries and no additions
    REDUCE_ONLY = "reduce_only"  # and open entry orders are cancelled
    HALT = "halt"  # and bots stop until each is resumed by hand

    @property
    def weight(self) -> int:
        return list(Stop).index(self)


@record
class Switch:
    scope: str  # all | user | account | bot
    scope_id: int
    stop: Stop
    reason: str = ""

    @property
    def width(self) -> int:
        """0: the widest."""
        return ("all", "user", "account", "bot").index(self.scope)
