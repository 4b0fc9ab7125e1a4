"""After too deep a fall from the peak, trading stops for a review before the loss grows."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import (
    MONTH,
    Lock,
    Needs,
    ProtectionInputs,
    counted,
    lock_end,
    locking,
    measured,
    recent,
)
from dashtrade.domain.reasons import Code, Fact, reason
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO


@record
class Drawdown:
    """Blocks entries when realised profit has fallen too far from its peak within the look-back: in money, or
    in percent of the equity."""

    kind: ClassVar[str] = "drawdown"
    title: ClassVar[str] = "Maximum drawdown"
    needs: ClassVar[Needs | None] = Needs.EXITS

    amount: Decimal | None = measured(
        None, "0.01", "1000000000000", "max drawdown in money", empty="no limit in money"
    )
    percent: Decimal | None = measured(
        None,
        "0.01",
        "100",
        "max drawdown in % of the account's equity at the peak",
        empty="no limit in percent",
    )
    look_back_minutes: int = counted(7 * 1440, 1, MONTH, "look-back (minutes)")
    lock_minutes: int | None = locking(1440)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        exits = recent(seen, self.look_back_minutes)
        curve = list(accumulate((one.profit for one in exits), initial=ZERO))
        fall = max(curve) - curve[-1]
        best = seen.equity + fall
        limits = [
            limit
            for limit in (self.amount, best * self.percent / 100 if self.percent is not None else None)
            if limit is not None
        ]
        if not exits or not limits or fall < min(limits) or fall <= 0:
            return None
        share: dict[str, Fact] = {}
        if self.percent is not None and min(limits) != self.amount:
            share = {"percent": self.percent, "best": best}
        lock = Lock(
            reason=reason(Code.DRAWDOWN, fall=fall, limit=min(limits), equity=seen.equity, **share),
            until=lock_end(max(one.at for one in exits), self.lock_minutes),
            actual=fall,
            limit=min(limits),
        )
        return lock if lock.lasts(seen.now) else None
