"""While the market is closed an order would wait for the first price of the next session, whatever that
is."""

from __future__ import annotations

from typing import ClassVar

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections.base import Lock, Needs, ProtectionInputs
from dashtrade.domain.reasons import Code, Fact, reason
from dashtrade.domain.record import record
from dashtrade.domain.values import TimeInForce


@record
class MarketClosed:
    """Blocks entries while the market is closed. Applies to all users; the bot decides whether the alert is
    refused or queued until the open."""

    kind: ClassVar[str] = "market_closed"
    title: ClassVar[str] = "Market closed"
    needs: ClassVar[Needs | None] = None

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None:
        if seen.market_open or entry.extended_hours or entry.time_in_force is TimeInForce.OPG:
            return None
        opens: dict[str, Fact] = {"opens_at": seen.opens_at} if seen.opens_at else {}
        return Lock(
            reason=reason(Code.MARKET_CLOSED, symbol=seen.symbol.short, now=seen.now, **opens), until=seen.now
        )
