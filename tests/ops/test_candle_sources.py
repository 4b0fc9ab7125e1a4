"""The store as a user has it: the sources of the installation, the demo market, and own files."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashtrade.context import App
from dashtrade.domain.ports import NotOffered
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.series import Series
from dashtrade.services.market import history
from dashtrade.services.market.sources import Sources
from tests.support.installation import Installation, Trader

HOUR = Timeframe(3600)


def test_candles_of_one_user_are_there_for_the_next(app: App, trader: Trader, installation: Installation):
    other, sources, now = installation.join("bob@example.com"), Sources(app), app.clock.now()
    tesla = Series(source="demo", symbol=Symbol.parse("TSLA"), timeframe=HOUR)
    told = history.of(app, sources, trader.user.id)
    assert told.fill(tesla, now - timedelta(days=1), now) == 1440
    again = history.of(app, sources, other.user.id)
    assert again.fill(tesla, now - timedelta(days=1), now) == 0
    bars = again.bars(tesla, now - timedelta(days=1), now)
    assert len(bars) == 24 and bars.is_same(told.bars(tesla, now - timedelta(days=1), now))
    sources.close()


def test_a_source_that_the_user_does_not_have_is_not_asked(app: App, trader: Trader):
    sources, now = Sources(app), app.clock.now()
    told = history.of(app, sources, trader.user.id)
    massive = Series(source="massive", symbol=Symbol.parse("TSLA"), timeframe=HOUR)
    with pytest.raises(NotOffered):
        told.fill(massive, now - timedelta(days=1), now)
    assert len(told.bars(massive, now - timedelta(days=1), now)) == 0
    sources.close()
