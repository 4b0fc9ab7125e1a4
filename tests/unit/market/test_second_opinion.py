"""Every indicator against pandas-ta-classic, a second opinion.

From the first candle on where both begin alike; else from where neither start counts any more. It is told not
to compute with TA-Lib, whose numbers differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandas_ta_classic as ta
import pytest

from dashtrade.market.indicators.columns import Columns
from dashtrade.market.indicators.registry import INDICATORS, compute
from tests.support.candles import walk

BARS, SETTLED = 4000, 2500
CANDLES = walk(BARS, seed=11, from_first=True)
FRAME = pd.DataFrame(
    {name: getattr(CANDLES, name) for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(CANDLES.closed_at - 3_600_000, unit="ms"),
)
H, L, C, V = (FRAME[name] for name in ("high", "low", "close", "volume"))
OFF = {"talib": False}


def parts(frame: Any, **columns: str) -> dict[str, Any]:
    """Outputs by the beginnings of the library's column names: `MACDs` of `MACDs_12_26_9`."""
    by_start = {name.partition("_")[0]: frame[name] for name in frame.columns}
    return {"" if output == "main" else output: by_start[start] for output, start in columns.items()}


def true_range() -> Any:
    return ta.true_range(H, L, C, **OFF)


def ichimoku() -> dict[str, Any]:
    seen = ta.ichimoku(H, L, C, 9, 26, 52, include_chikou=False, as_dataframe=True)
    return parts(seen, main="ITS", base="IKS", span_a="ISA", span_b="ISB")


def bands(n: int, width: float) -> dict[str, Any]:
    found = ta.bbands(C, n, width, ddof=0, **OFF)
    return parts(found, main="BBM", upper="BBU", lower="BBL", width="BBB", percent="BBP")


def on_balance(n: int) -> Any:
    since_the_first = ta.obv(C, V, **OFF)
    return since_the_first - since_the_first.shift(n)


Case = tuple[tuple[float, ...], Callable[[], Any], int]
CASES: dict[str, Case] = {  # settings, the other's answer, and the candle from which they agree
    "SMA": ((20,), lambda: ta.sma(C, 20, **OFF), 0),
    "EMA": ((20,), lambda: ta.ema(C, 20, **OFF), 0),
    "RMA": ((14,), lambda: ta.rma(C, 14), 0),
    "WMA": ((21,), lambda: ta.wma(C, 21, **OFF), 0),
    "DEMA": ((20,), lambda: ta.dema(C, 20, **OFF), SETTLED),
    "TEMA": ((20,), lambda: ta.tema(C, 20, **OFF), SETTLED),
    "HMA": ((21,), lambda: ta.hma(C, 21), 0),
    "VWMA": ((20,), lambda: ta.vwma(C, V, 20), 0),
    "HIGHEST": ((20,), lambda: H.rolling(20).max(), 0),
    "LOWEST": ((33,), lambda: L.rolling(33).min(), 0),
    "STDEV": ((20,), lambda: ta.stdev(C, 20, ddof=0, **OFF), 0),
    "ABS": ((), lambda: C.abs(), 0),
    "RSI": ((14,), lambda: ta.rsi(C, 14, **OFF), 0),
    "MACD": (
        (12, 26, 9),
        lambda: parts(ta.macd(C, 12, 26, 9, **OFF), main="MACD", signal="MACDs", histogram="MACDh"),
        SETTLED,
    ),
    "PPO": (
        (12, 26, 9),
        lambda: parts(ta.ppo(C, 12, 26, 9, mamode="ema", **OFF), main="PPO", signal="PPOs", histogram="PPOh"),
        SETTLED,
    ),
    "STOCH": (
        (14, 3, 3),
        lambda: parts(ta.stoch(H, L, C, 14, 3, 3, **OFF), main="STOCHk", signal="STOCHd"),
        0,
    ),
    "STOCHRSI": (
        (14, 14, 3, 3),
        lambda: parts(ta.stochrsi(C, 14, 14, 3, 3, **OFF), main="STOCHRSIk", signal="STOCHRSId"),
        SETTLED,
    ),
    "CCI": ((20,), lambda: ta.cci(H, L, C, 20, **OFF), 0),
    "ROC": ((10,), lambda: ta.roc(C, 10, **OFF), 0),
    "MOM": ((10,), lambda: ta.mom(C, 10, **OFF), 0),
    "WILLR": ((14,), lambda: ta.willr(H, L, C, 14, **OFF), 0),
    "TRIX": ((18,), lambda: ta.trix(C, 18, **OFF).iloc[:, 0], SETTLED),
    "AO": ((5, 34), lambda: ta.ao(H, L, 5, 34), 0),
    "TR": ((), true_range, 0),
    "ATR": ((14,), lambda: ta.atr(H, L, C, 14, **OFF), 0),
    "NATR": ((14,), lambda: ta.natr(H, L, C, 14, mamode="rma", **OFF), 0),
    "BB": ((20, 2), lambda: bands(20, 2.0), 0),
    "KELTNER": (
        (20, 2),
        lambda: parts(ta.kc(H, L, C, 20, 2, mamode="ema"), main="KCBe", upper="KCUe", lower="KCLe"),
        SETTLED,
    ),
    "DONCHIAN": ((20,), lambda: parts(ta.donchian(H, L, 20, 20), main="DCM", upper="DCU", lower="DCL"), 0),
    "ADX": (
        (14, 14),
        lambda: parts(ta.adx(H, L, C, 14, 14, **OFF), main="ADX", plus="DMP", minus="DMN"),
        SETTLED,
    ),
    "SUPERTREND": (
        (10, 3),
        lambda: parts(ta.supertrend(H, L, C, 10, 3.0), main="SUPERT", direction="SUPERTd"),
        SETTLED,
    ),
    "ICHIMOKU": ((9, 26, 52), ichimoku, 0),
    "AROON": (
        (14,),
        lambda: parts(ta.aroon(H, L, 14, **OFF), main="AROONOSC", up="AROONU", down="AROOND"),
        0,
    ),
    "OBV": ((200,), lambda: on_balance(200), 0),
    "VWAP": ((), lambda: ta.vwap(H, L, C, V), 24),
    "CMF": ((20,), lambda: ta.cmf(H, L, C, V, length=20), 0),
    "MFI": ((14,), lambda: ta.mfi(H, L, C, V, 14, **OFF), 0),
}


def test_every_indicator_has_a_second_opinion() -> None:
    assert set(CASES) == set(INDICATORS)


def differences(mine: Any, other: Any, first: int) -> tuple[float, int]:
    """The largest difference where both have a value, and how many have one only there: the library puts a
    tiny number in place of a range of nothing, and divides."""
    other = np.asarray(other, dtype=np.float64)
    both = ~(np.isnan(mine) | np.isnan(other))
    both[:first] = False
    only_other = np.isnan(mine[first:]) & ~np.isnan(other[first:])
    return float(np.max(np.abs(mine - other)[both])), int(only_other.sum())


@pytest.mark.parametrize("name", CASES)
def test_it_has_the_value_that_others_compute(name: str) -> None:
    settings, answer, first = CASES[name]
    other, mine = answer(), compute(name, CANDLES, settings)
    others = other if isinstance(other, dict) else {"": other}
    assert set(others) == set(mine), "every output is compared"
    for output, values in mine.items():
        apart, missing = differences(values, others[output], first)
        assert apart < 1e-9, f"{output}: {apart}"
        assert missing <= 0.02 * BARS and np.isfinite(values).sum() > 0.9 * BARS, f"{output}: {missing}"


def test_a_difference_would_be_seen() -> None:
    """A neighbouring period is not within the tolerance."""
    apart, _ = differences(compute("EMA", CANDLES, (21,))[""], ta.ema(C, 20, **OFF), SETTLED)
    assert apart > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_settled_values_are_the_same_bits_from_a_later_start(name: str) -> None:
    settings, late = CASES[name][0], 1000
    whole = compute(name, CANDLES, settings)
    part: Columns = CANDLES[late:]
    assert not part.from_first
    for output, values in compute(name, part, settings).items():
        known = ~np.isnan(values)
        assert np.array_equal(values[known], whole[output][late:][known])
        assert known[-500:].sum() >= (~np.isnan(whole[output][-500:])).sum()
