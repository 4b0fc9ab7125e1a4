"""No entry for a while after a stop (or any exit): a minute later the market is still the one that hit the
stop."""

from __future__ import annotations

from datetime import timedelta
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
    recent,
    within,
)
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record


@record
class Cooldown:
    """Blocks entries for some minutes after a stop, a losing exit or any exit."""

    kind: ClassVar[str] = "cooldown"
    title: ClassVar[str] = "Cooldown"
    needs: ClassVar[Needs | None] = Needs.EXITS

    minutes: int = counted(30, 1, MONTH, "cooldown (minutes)")
    after: str = chosen("stops", ("stops", "losses", "exits"), "trigger")
    per: str = chosen(
        "bot",
        ("bot", "symbol", "scope"),
        "locks the bot that exited, all bots on its symbol, or the whole scope",
    )

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        ends = counting(within(recent(seen, self.minutes), self.per, seen), self.after)
        if not ends:
            return None
        last = max(one.at for one in ends)
        until = last + timedelta(minutes=self.minutes)
        return Lock(
            reason=reason(Code.COOLDOWN_AFTER_EXIT, after=self.after, last=last, minutes=self.minutes),
            until=until,
            target=LockTarget(self.per),
            limit=Decimal(self.minutes),
            actual=Decimal(int((seen.now - last).total_seconds() // 60)),
        )
