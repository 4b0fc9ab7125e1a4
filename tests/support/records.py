"""Records as rules look at them, made without a database."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.bots import Bot, Day
from dashtrade.domain.ledger import Position
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce
from tests.support.fakes import MORNING

AAPL = Symbol.parse("NYSE:AAPL-EQ")


def make_bot(now: datetime = MORNING, **changes: Any) -> Bot:
    """Flat, active, without limits."""
    known: dict[str, Any] = {
        "id": 1,
        "user_id": 1,
        "account_id": 1,
        "name": "Bot",
        "symbol": AAPL,
        "written_symbol": "AAPL",
        "timeframe": Timeframe(900),
        "size": Size(kind=SizeKind.QUANTITY, value=Decimal(1)),
        "is_active": True,
        "paused_reason": NO_REASON,
        "status": "READY",
        "position": Position(),
        "realized_pnl": ZERO,
        "fees": ZERO,
        "total_trades": 0,
        "last_day": Day(date=now.date()),
        "exits": None,
        "last_entry_at": None,
        "last_signal_at": None,
        "created_at": now,
        "updated_at": now,
    }
    return Bot(**known | changes)


def make_order(side: OrderSide, quantity: Decimal, *, number: int = 1, **changes: Any) -> Order:
    """A market order of that bot, working at the broker."""
    known: dict[str, Any] = {
        "id": f"o-{number}",
        "user_id": 1,
        "account_id": 1,
        "bot_id": 1,
        "signal_id": f"s-{number}",
        "decision_id": number,
        "step": 0,
        "final": True,
        "sole_recipient": True,
        "symbol": AAPL,
        "side": side,
        "effect": Effect.OPEN,
        "type": OrderType.MARKET,
        "quantity": quantity,
        "limit_price": None,
        "stop_price": None,
        "trail_amount": None,
        "trail_percent": None,
        "time_in_force": TimeInForce.DAY,
        "extended_hours": False,
        "status": OrderStatus.WORKING,
        "reason": NO_REASON,
        "broker_order_id": None,
        "filled_quantity": ZERO,
        "filled_notional": ZERO,
        "reserve": ZERO,
        "exits": None,
        "cancel_requested": False,
        "sends": 1,
        "due_at": None,
        "sent_at": MORNING,
        "created_at": MORNING,
        "updated_at": MORNING,
    }
    return Order(**known | changes)
