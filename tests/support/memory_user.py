"""What a user does to books in memory, as the services do it on the tables."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.bots import Stop, Switch
from dashtrade.domain.kernel.memory_rows import MemoryRows
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.record import replace


def set_active(rows: MemoryRows, bot_id: int, active: bool, now: datetime) -> None:
    why = NO_REASON if active else Reason(Code.PAUSED_BY_USER)
    rows.bots[bot_id] = replace(rows.bots[bot_id], is_active=active, paused_reason=why, updated_at=now)


def put_switch(rows: MemoryRows, scope: str, scope_id: int, stop: Stop) -> None:
    column = {"user": "user_id", "account": "account_id", "bot": "bot_id"}[scope]
    rows.switches.pop((scope, scope_id), None)
    if stop is not Stop.NONE:
        rows.switches[scope, scope_id] = Switch(scope=scope, scope_id=scope_id, stop=stop)
    if stop.weight >= Stop.REDUCE_ONLY.weight:
        rows.put_orders(
            replace(order, cancel_requested=True)
            for orders in list(rows.open_orders.values())
            for order in orders
            if not order.effect.reduces and getattr(order, column) == scope_id
        )
