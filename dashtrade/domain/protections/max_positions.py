"""Many positions at once are one big bet when all markets move together."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import Lock, Needs, ProtectionInputs, counted, lock_end, locking
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record


@record
class MaxPositions:
    """Limits the number of open positions; a pending entry counts as one."""

    kind: ClassVar[str] = "max_positions"
    title: ClassVar[str] = "Maximum open positions"
    needs: ClassVar[Needs | None] = Needs.HOLDINGS

    positions: int = counted(5, 1, 100000, "max open positions")
    lock_minutes: int | None = locking(0, least=0)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        held = len(seen.others)
        if held < self.positions or seen.owned:
            return None
        return Lock(
            reason=reason(Code.TOO_MANY_POSITIONS, held=held, limit=self.positions),
            until=lock_end(seen.now, self.lock_minutes),
            actual=Decimal(held),
            limit=Decimal(self.positions),
        )
