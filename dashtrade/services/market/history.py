"""Stored candles for a user, filled from the sources that the user can use, the demo market among them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dashtrade.context import App
from dashtrade.market.history import Source
from dashtrade.services.market.sources import Sources

if TYPE_CHECKING:
    from dashtrade.candle_history import CandleHistory

DEMO = "demo"


def of(app: App, sources: Sources, owner: int) -> CandleHistory:
    """For one task of one user: the sources are looked up once."""
    from dashtrade.candle_history import CandleHistory
    from dashtrade.feeds.demo_bars import DemoHistory

    @lru_cache(maxsize=64)
    def source_of(name: str) -> Source | None:
        return DemoHistory(app.clock) if name == DEMO else sources.named(owner, name)

    return CandleHistory(app.db, app.clock, owner, source_of, app.trading_days.sessions)
