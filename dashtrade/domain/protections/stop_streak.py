"""Several stops in a row mean that the strategy and the market do not fit today."""

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
    chosen,
    counted,
    counting,
    lock_end,
    locking,
    recent,
    within,
)
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record


@record
class StopStreak:
    """Blocks entries for a while after several stops (or losing exits) within the look-back, counted from the
    last one."""

    kind: ClassVar[str] = "stop_streak"
    title: ClassVar[str] = "Stop-loss streak"
    needs: ClassVar[Needs | None] = Needs.EXITS

    stops: int = counted(3, 1, 1000, "losses to trigger")
    look_back_minutes: int = counted(1440, 1, MONTH, "look-back (minutes)")
    lock_minutes: int | None = locking(60)
    counts: str = chosen("stops", ("stops", "losses"), "what counts: losing stops, or all losing exits")
    per: str = chosen(
        "scope", ("bot", "symbol", "scope"), "counts and locks per bot, per symbol, or for the whole scope"
    )

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        losses = tuple(one for one in recent(seen, self.look_back_minutes) if one.profit < 0)
        found = counting(within(losses, self.per, seen), self.counts)
        if len(found) < self.stops:
            return None
        lock = Lock(
            reason=reason(
                Code.STOP_STREAK,
                count=len(found),
                counts=self.counts,
                minutes=self.look_back_minutes,
                limit=self.stops,
            ),
            until=lock_end(max(one.at for one in found), self.lock_minutes),
            target=LockTarget(self.per),
            actual=Decimal(len(found)),
            limit=Decimal(self.stops),
        )
        return lock if lock.lasts(seen.now) else None
