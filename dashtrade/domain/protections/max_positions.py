"""Many positions at once are one big bet when all markets move together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from dashtrade.domain.protections.base import Lock, Needs, Seen, counted, lock_end, locking, several

if TYPE_CHECKING:
    from dashtrade.domain.decisions.risk import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPositions:
    """No more than so many positions at once; an entry under way counts as one."""

    kind: ClassVar[str] = "max_positions"
    title: ClassVar[str] = "Maximum open positions"
    needs: ClassVar[Needs | None] = Needs.HOLDINGS

    positions: int = counted(5, 1, 100000, "positions at once")
    lock_minutes: int | None = locking(0, least=0)

    def judge(self, entry: Step, seen: Seen) -> Lock | None:
        held = len(seen.others)
        if held < self.positions or seen.owned:
            return None
        return Lock(
            reason=f"{several(held, 'open position')}, and {self.positions} allowed at once",
            until=lock_end(seen.now, self.lock_minutes),
            actual=Decimal(held),
            limit=Decimal(self.positions),
        )
