"""With an old price, the cost of an entry at market is unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import Lock, Needs, ProtectionInputs, counted, lock_end, locking
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record
from dashtrade.domain.values import OrderType

NAMED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})  # these limit their cost themselves


@record
class StalePrice:
    """Blocks market entries on a quote older than a number of seconds. Applies to all users; add your own to
    replace the default."""

    kind: ClassVar[str] = "stale_price"
    title: ClassVar[str] = "Stale price"
    needs: ClassVar[Needs | None] = None

    seconds: int = counted(60, 1, 86400, "max age of a quote (seconds)")
    lock_minutes: int | None = locking(0, least=0)

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        age = (seen.now - seen.quote.at).total_seconds()
        if seen.quote.demo or entry.type in NAMED or age <= self.seconds or not seen.market_open:
            return None
        return Lock(
            reason=reason(
                Code.STALE_PRICE,
                symbol=seen.symbol.short,
                age=f"{age:.0f}",
                quoted=seen.quote.at,
                limit=self.seconds,
            ),
            until=lock_end(seen.now, self.lock_minutes),
            actual=Decimal(int(age)),
            limit=Decimal(self.seconds),
        )
