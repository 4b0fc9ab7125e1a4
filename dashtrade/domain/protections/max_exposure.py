"""Several bots on one symbol add up to one large position."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import (
    Lock,
    LockTarget,
    Needs,
    ProtectionInputs,
    lock_end,
    locking,
    measured,
)
from dashtrade.domain.reasons import Code, Fact, reason
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO


@record
class MaxExposure:
    """Limits the exposure in one symbol over all bots, long and short added up: in money, or in percent of
    the equity."""

    kind: ClassVar[str] = "max_exposure"
    title: ClassVar[str] = "Maximum exposure per symbol"
    needs: ClassVar[Needs | None] = Needs.HOLDINGS

    amount: Decimal | None = measured(
        None, "0.01", "1000000000000", "max exposure in money", empty="no limit in money"
    )
    percent: Decimal | None = measured(
        None, "0.01", "10000", "max exposure in % of the account's equity", empty="no limit in percent"
    )
    lock_minutes: int | None = locking(0, least=0)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        limits = [
            limit
            for limit in (self.amount, seen.equity * self.percent / 100 if self.percent is not None else None)
            if limit is not None
        ]
        held = sum((one.quantity for one in seen.others if one.symbol == seen.symbol), seen.owned)
        value = held * seen.quote.mid + entry.quantity * entry.price
        if not limits or value <= min(limits):
            return None
        share: dict[str, Fact] = {}
        if self.percent is not None and min(limits) != self.amount:
            share = {"percent": self.percent, "equity": seen.equity}
        return Lock(
            reason=reason(
                Code.EXPOSURE_PAST_LIMIT,
                value=value,
                symbol=seen.symbol.short,
                limit=max(min(limits), ZERO),
                **share,
            ),
            until=lock_end(seen.now, self.lock_minutes),
            target=LockTarget.SYMBOL,
            actual=value,
            limit=min(limits),
        )
