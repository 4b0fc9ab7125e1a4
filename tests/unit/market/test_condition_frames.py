"""Which candles a condition reads: stored ones as columns, and those of other symbols and timeframes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import bars_of, moment_of
from dashtrade.market.conditions.frames import series_of, symbol_of
from dashtrade.market.indicators.columns import columns_of
from dashtrade.market.indicators.graph import Frame
from dashtrade.market.series import Adjustment, Series
from tests.support.candles import MONDAY_MS

MINUTE, MINUTES = Timeframe.parse("1m"), 60_000


@pytest.mark.parametrize(
    ("written", "own", "meant"),
    [
        ("BTC", "ETH/USDT", "BTC/USDT"),
        ("BTC", "ETH/EUR", "BTC/EUR"),
        ("BTC/USDC", "ETH/USDT", "BTC/USDC"),
        ("BTCUSDT", "ETH/EUR", "BTC/USDT"),
        ("SPY", "AAPL", "SPY"),
        ("NASDAQ:MSFT", "ETH/USDT", "MSFT"),
        ("BTC/USD", "AAPL", "BTC/USD"),
    ],
)
def test_another_symbol_is_meant_as_the_own_one_is_traded(written: str, own: str, meant: str) -> None:
    assert symbol_of(written, Symbol.parse(own)) == Symbol.parse(meant)


def test_other_candles_come_from_the_same_source_adjusted_in_the_same_way() -> None:
    own = Series(
        source="binance", symbol=Symbol.parse("ETH/USDT"), timeframe=MINUTE, adjustment=Adjustment.SPLIT
    )
    other = series_of(Frame("BTC", "1h"), own)
    assert other.text == "binance CRYPTO:BTC/USDT 1h split"
    assert series_of(Frame(), own) == own


def test_stored_candles_become_columns_with_their_closes_days_and_gaps() -> None:
    opens = [MONDAY_MS + place * MINUTES for place in (0, 1, 4, 5)]
    bars = bars_of((at, "0.10", "0.30", "0.05", "0.20", "3") for at in opens)
    missing = [
        (moment_of(opens[0]) - timedelta(minutes=5), moment_of(opens[0])),  # before the first is no gap
        (moment_of(opens[1] + MINUTES), moment_of(opens[2])),
        (moment_of(opens[3] + MINUTES), moment_of(opens[3] + 2 * MINUTES)),  # after the last neither
    ]
    columns = columns_of(bars, MINUTE, None, missing=missing, from_first=True)
    assert columns.closed_at.tolist() == [at + MINUTES for at in opens]
    assert columns.after_gap is not None and columns.after_gap.tolist() == [False, False, True, False]
    assert columns.session is not None and len(np.unique(columns.session)) == 1
    assert (columns.close[0], columns.high[0], columns.volume[0]) == (0.2, 0.3, 3.0)
    assert columns.from_first and not columns[1:].from_first
