"""An alert that fires on every tick drains an account through fees alone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import Lock, Needs, ProtectionInputs, counted, lock_end, locking
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record

MINUTE = timedelta(minutes=1)


@record
class OrderRate:
    """Blocks entries after too many orders within a minute, such as from a runaway alert."""

    kind: ClassVar[str] = "orders_per_minute"
    title: ClassVar[str] = "Orders per minute"
    needs: ClassVar[Needs | None] = Needs.ORDERS

    orders: int = counted(10, 1, 10000, "max orders per minute, including exits")
    lock_minutes: int | None = locking(15)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        sent = sum(one.at > seen.now - MINUTE for one in seen.sent)
        if sent < self.orders:
            return None
        return Lock(
            reason=reason(Code.ORDER_RATE, sent=sent, limit=self.orders),
            until=lock_end(seen.now, self.lock_minutes),
            actual=Decimal(sent),
            limit=Decimal(self.orders),
        )
