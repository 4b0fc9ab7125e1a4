"""What became of a signal: what its sender is answered, and what the worker reports to the receiver."""

from __future__ import annotations

from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record


@record
class BotOutcome:
    """One bot's part of it."""

    bot_id: int
    status: str
    reason: Reason


@record
class SignalOutcome:
    signal_id: str
    status: str
    reason: Reason
    orders: tuple[Order, ...] = ()
    bots: tuple[BotOutcome, ...] = ()
