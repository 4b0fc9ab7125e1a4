"""Notices of alerts, orders, exits and positions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dashtrade.domain.exits.wording import ExitLine
from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.protections import Scope
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.values import OrderSide

# --- alerts and orders --------------------------------------------------------------------------------------


@record(kw_only=False)
class AlertFailed(Notice):
    kind, level, page = "alert_failed", Level.ERROR, Page.SIGNALS
    symbol: str
    reason: Reason


@record(kw_only=False)
class ExitWaitsForBroker(Notice):
    """An exit waits without limit, unlike an entry."""

    kind, level, page = "exit_waits_for_broker", Level.ERROR, Page.SIGNALS
    symbol: str
    action: str
    problem: Reason


@record(kw_only=False)
class EntryWaitsForMarket(Notice):
    kind, level, page = "entry_waits_for_market", Level.INFO, Page.SIGNALS
    bot: str
    symbol: str
    retry_at: datetime


@record(kw_only=False)
class CloseWaitsForMarket(Notice):
    """`retry_at`: the next attempt, which is not the opening if that is unknown."""

    kind, level, page = "close_waits_for_market", Level.WARNING, Page.SIGNALS
    bot: str
    symbol: str
    retry_at: datetime


@record(kw_only=False)
class OrderFilled(Notice):
    """`realized`: of the part it reduced; None for an entry."""

    kind, level, page = "order_filled", Level.INFO, Page.HISTORY
    bot: str
    side: OrderSide
    quantity: Decimal
    symbol: str
    price: Decimal
    realized: Decimal | None


@record(kw_only=False)
class OrderRefused(Notice):
    kind, level, page = "order_refused", Level.WARNING, Page.SIGNALS
    side: OrderSide
    quantity: Decimal
    symbol: str
    reason: Reason


@record(kw_only=False)
class OrderUnconfirmed(Notice):
    kind, level, page = "order_unconfirmed", Level.ERROR, Page.POSITIONS
    order_id: str
    side: OrderSide
    quantity: Decimal
    symbol: str
    reason: Reason


@record(kw_only=False)
class OrderCancelledForExit(Notice):
    """The broker accepts no two opposite orders of one account."""

    kind, level, page = "order_cancelled_for_exit", Level.WARNING, Page.SIGNALS
    bot: str
    side: OrderSide
    quantity: Decimal
    symbol: str
    exiting_bot: str
    broker: str


@record(kw_only=False)
class OrderRecovered(Notice):
    """The order carries a bot's id but was missing here, as after a restored backup."""

    kind, level, page = "order_recovered", Level.WARNING, Page.HISTORY
    bot: str
    side: OrderSide
    quantity: Decimal
    symbol: str
    placed_at: datetime


@record(kw_only=False)
class OrderWithoutBot(Notice):
    kind, level, page = "order_without_bot", Level.ERROR, Page.POSITIONS
    account: str
    bot_id: int
    side: OrderSide
    quantity: Decimal
    symbol: str
    status: str
    filled: Decimal


# --- exits, protections, positions --------------------------------------------------------------------------


@record(kw_only=False)
class BotStopped(Notice):
    kind, level, page = "bot_stopped", Level.ERROR, Page.BOTS
    bot: str
    reason: Reason


@record(kw_only=False)
class EntriesLocked(Notice):
    """By a kind of protection. `locked_symbol`: set if only one symbol is locked; `until` None: until
    unlocked by its user."""

    kind, level, page = "entries_locked", Level.WARNING, Page.RISK_EVENTS
    bot: str
    protection: str
    reason: Reason
    scope: Scope
    locked_symbol: str | None
    until: datetime | None


@record(kw_only=False)
class ExitFailing(Notice):
    kind, level, page = "exit_failing", Level.ERROR, Page.POSITIONS
    bot: str
    exit: str
    price: Decimal
    tries: int
    reason: Reason
    quantity: Decimal
    symbol: str


@record(kw_only=False)
class ExitStepSkipped(Notice):
    kind, level, page = "exit_step_skipped", Level.WARNING, Page.POSITIONS
    bot: str
    exit: str
    price: Decimal
    reason: Reason


@record(kw_only=False)
class StopLimitUnfilled(Notice):
    kind, level, page = "stop_limit_unfilled", Level.ERROR, Page.POSITIONS
    bot: str
    price: Decimal
    limit: Decimal
    seconds: int


@record(kw_only=False)
class ExitsTakenOver(Notice):
    """The broker no longer holds them."""

    kind, level, page = "exits_taken_over", Level.WARNING, Page.POSITIONS
    bot: str
    broker: str
    quantity: Decimal
    symbol: str
    reason: Reason
    exits: tuple[ExitLine, ...]


@record(kw_only=False)
class PositionSplit(Notice):
    kind, level, page = "position_split", Level.INFO, Page.POSITIONS
    bot: str
    symbol: str
    ratio: Decimal
    before: Decimal
    after: Decimal


@record(kw_only=False)
class PositionMismatch(Notice):
    """The positions of the bots, of the user, and at the broker. `ratio`: set if the difference looks like a
    split."""

    kind, level, page = "position_mismatch", Level.WARNING, Page.POSITIONS
    account: str
    symbol: str
    difference: str
    ratio: Decimal | None
    bots: Decimal
    outside: Decimal
    broker: Decimal


@record(kw_only=False)
class MismatchGone(Notice):
    kind, level, page = "mismatch_gone", Level.INFO, Page.POSITIONS
    symbol: str
    quantity: Decimal


@record(kw_only=False)
class MismatchAssigned(Notice):
    """The user assigned the difference to a bot, which now owns `position`."""

    kind, level, page = "mismatch_assigned", Level.INFO, Page.POSITIONS
    bot: str
    side: OrderSide
    quantity: Decimal
    symbol: str
    price: Decimal
    position: Decimal


@record(kw_only=False)
class PositionLeft:
    bot_id: int
    symbol: str
    reason: Reason


@record(kw_only=False)
class FlattenIncomplete(Notice):
    kind, level, page = "flatten_incomplete", Level.ERROR, Page.POSITIONS
    positions: int
    left: tuple[PositionLeft, ...]


@record(kw_only=False)
class FlattenDone(Notice):
    kind, level, page = "flatten_done", Level.INFO, Page.POSITIONS
    positions: int
