"""A symbol that keeps losing is locked for a while; the others trade on."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import (
    MONTH,
    Lock,
    LockTarget,
    Needs,
    ProtectionInputs,
    counted,
    lock_end,
    locking,
    measured,
    recent,
    within,
)
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO


@record
class LosingSymbol:
    """Blocks entries in a symbol whose exits within the look-back lost money in total."""

    kind: ClassVar[str] = "losing_symbol"
    title: ClassVar[str] = "Losing symbol"
    needs: ClassVar[Needs | None] = Needs.EXITS

    exits: int = counted(2, 1, 1000, "minimum number of exits")
    loss: Decimal = measured("0", "0", "1000000000000", "max loss")
    look_back_minutes: int = counted(1440, 1, MONTH, "look-back (minutes)")
    lock_minutes: int | None = locking(1440)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        found = within(recent(seen, self.look_back_minutes), LockTarget.SYMBOL, seen)
        lost = -sum((one.profit for one in found), ZERO)
        if len(found) < self.exits or lost <= self.loss:
            return None
        lock = Lock(
            reason=reason(
                Code.LOSING_SYMBOL,
                symbol=seen.symbol.short,
                lost=lost,
                exits=len(found),
                minutes=self.look_back_minutes,
                limit=self.loss,
            ),
            until=lock_end(max(one.at for one in found), self.lock_minutes),
            target=LockTarget.SYMBOL,
            actual=lost,
            limit=self.loss,
        )
        return lock if lock.lasts(seen.now) else None
