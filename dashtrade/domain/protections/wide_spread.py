"""With a wide spread a market order pays for the whole gap between bid and ask."""

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
from dashtrade.domain.protections.stale_price import NAMED
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record


@record
class WideSpread:
    """Blocks market entries while the spread between bid and ask is wider than a percentage."""

    kind: ClassVar[str] = "wide_spread"
    title: ClassVar[str] = "Spread too wide"
    needs: ClassVar[Needs | None] = None

    percent: Decimal = measured("1", "0.001", "100", "max spread in % of the mid price")
    lock_minutes: int | None = locking(0, least=0)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        quote = seen.quote
        spread = (quote.ask - quote.bid) / quote.mid * 100
        if entry.type in NAMED or spread <= self.percent:
            return None
        return Lock(
            reason=reason(
                Code.WIDE_SPREAD,
                symbol=seen.symbol.short,
                spread=f"{spread:.3f}",
                bid=quote.bid,
                ask=quote.ask,
                limit=self.percent,
            ),
            until=lock_end(seen.now, self.lock_minutes),
            target=LockTarget.SYMBOL,
            actual=round(spread, 3),
            limit=self.percent,
        )
