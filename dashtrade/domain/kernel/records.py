"""What a step of the kernel makes besides changed orders, bots, lots and round trips, a record a row."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.bots import Bot
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.protections import Scope
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import ExitCause, Origin, Signal
from dashtrade.domain.symbols import Symbol


@record
class OrderEvent:
    """A line of an order's history."""

    order: Order
    at: datetime
    status: str
    detail: Reason


@record
class BookedFill:
    id: int
    order: Order
    fill: BrokerFill
    realized: Decimal
    opened: Decimal  # signed quantity of the new lot; 0: none
    lot_id: int  # of the new lot; 0: none
    booked_at: datetime


@record
class TradeChange:
    """An order's trade after some of its fills. Profit and fee are those of these fills."""

    order: Order
    fee: Decimal
    realized: Decimal
    at: datetime
    first: bool  # the order's first fills


@record
class Message:
    user_id: int
    notice: Notice
    signal_id: str | None
    at: datetime


@record
class RiskEvent:
    bot: Bot
    at: datetime
    kind: str
    threshold: Decimal
    actual: Decimal
    action: Reason
    detail: Reason
    signal_id: str | None


@record
class NewLock:
    """Of a protection that was triggered."""

    user_id: int
    protection_id: int
    kind: str
    scope: Scope
    scope_id: int
    symbol: Symbol | None  # None: every symbol in the scope
    bot_id: int
    signal_id: str
    reason: Reason
    numbers: dict[str, str]
    since: datetime
    until: datetime | None


@record
class MadeDecision:
    """How a decision was made."""

    counterfactual: Reason
    checks: list[dict[str, Any]] | None
    numbers: dict[str, str] | None
    at: datetime


@record
class DecisionChange:
    status: str
    reason: Reason
    ended_at: datetime | None
    made: MadeDecision | None  # None: it was made in an earlier transaction


@record
class SignalChange:
    status: str
    reason: Reason
    ended_at: datetime | None


@record
class NewSignal:
    """An alert that is stored, as it was read."""

    id: str
    user_id: int
    signal: Signal
    received_at: datetime
    origin: Origin
    sender: str
    raw: str
    dedupe_key: str | None
    body_hash: str
    exit_cause: ExitCause | None


@record
class Repeat:
    user_id: int
    signal_id: str
    at: datetime
