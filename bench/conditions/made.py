"""Random conditions and candles, made of one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np

from dashtrade.market.indicators.columns import Columns
from dashtrade.market.indicators.graph import OWN, Frame
from dashtrade.market.indicators.registry import INDICATORS

OWN_TIMEFRAME, OWN_SECONDS, LONGER = "5m", 300, (("15m", 3), ("1h", 12))
MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC
HELD = ("profit%", "bars_since_entry", "position")
LONGEST = 12
PRICES = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4")


def walk(random: Random, bars: int, gaps: int) -> Columns:
    """A walk in steps of a cent, with flat candles, candles without volume, and gaps in time."""
    rng = np.random.default_rng(random.getrandbits(63))
    close = np.round(100 * np.exp(np.cumsum(rng.standard_normal(bars) * 0.004)), 2)
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(open_, close) + rng.integers(0, 60, bars) / 100, 2)
    low = np.round(np.minimum(open_, close) - rng.integers(0, 60, bars) / 100, 2)
    flat = rng.random(bars) < 0.02
    open_, high, low = (np.where(flat, close, column) for column in (open_, high, low))
    after_gap = np.zeros(bars, bool)
    after_gap[rng.integers(1, bars, gaps)] = True
    steps = np.where(after_gap, random.randint(5, 400), 1)
    return Columns(
        closed_at=MONDAY_MS + np.cumsum(steps).astype(np.int64) * OWN_SECONDS * 1000,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=rng.integers(0, 5000, bars).astype(np.float64),
        after_gap=after_gap,
        from_first=random.random() < 0.5,
    )


def longer(own: Columns, factor: int) -> Columns:
    """Longer candles of these, by the clock; the last one is left out where it has not closed."""
    span = factor * OWN_SECONDS * 1000
    group = (own.closed_at - 1) // span
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    ends = np.append(starts[1:], len(own)) - 1
    closed_at = (group[ends] + 1) * span
    made = Columns(
        closed_at=closed_at,
        open=own.open[starts],
        high=np.maximum.reduceat(own.high, starts),
        low=np.minimum.reduceat(own.low, starts),
        close=own.close[ends],
        volume=np.add.reduceat(own.volume, starts),
        from_first=own.from_first,
    )
    return made[: int(np.searchsorted(closed_at, own.closed_at[-1], side="right"))]


def candles(random: Random, bars: int) -> dict[Frame, Columns]:
    """The own candles, longer ones, and another symbol's, some of which are missing."""
    own = walk(random, bars, gaps=random.choice([0, 0, 1, 2]))
    other = replace(walk(random, bars, gaps=0), closed_at=own.closed_at)
    there = np.array([random.random() < 0.95 for _ in range(bars)])
    other = replace(
        other,
        **{
            name: getattr(other, name)[there]
            for name in ("closed_at", "open", "high", "low", "close", "volume", "after_gap")
        },
    )
    frames = {OWN: own, Frame("BTC", ""): other}
    for name, factor in LONGER:
        frames[Frame("", name)] = longer(own, factor)
        frames[Frame("BTC", name)] = longer(other, factor)
    return frames


class Maker:
    """Text of random conditions."""

    def __init__(self, random: Random, with_held: bool) -> None:
        self._random, self._with_held = random, with_held

    def condition(self, depth: int = 0, at: bool = False, now: bool = True) -> str:
        """`at`: within another frame already; `now`: earlier candles are not asked."""
        random = self._random
        kind = random.random()
        if depth > 2 or kind < 0.45:
            return self._test(at, now)
        if kind < 0.65:
            word = random.choice([" and ", " or "])
            parts = [self.condition(depth + 1, at, now) for _ in range(random.randint(2, 3))]
            return f"({word.join(parts)})"
        if kind < 0.72:
            return f"not ({self.condition(depth + 1, at, now)})"
        if kind < 0.86:
            word = random.choice(["for", "within"])
            return f"({self.condition(depth + 1, at, False)}) {word} {random.randint(1, 6)} bars"
        if kind < 0.96 and not at:
            return f"({self.condition(depth + 1, True, False)}){self._place()}"
        start, end = (f"{random.randrange(24):02}:{random.choice(['00', '30'])}" for _ in range(2))
        return f"time between {start} and {end} {random.choice(['UTC', 'New York', 'Tokyo'])}"

    def _test(self, at: bool, now: bool) -> str:
        random = self._random
        if self._with_held and now and random.random() < 0.25:
            name = random.choice(HELD)
            return f"{name} {random.choice(['>', '<', '>='])} {random.randint(-2, 3)}"
        operator = random.choice(["<", "<=", ">", ">=", "=", "!=", "crosses above", "crosses below"])
        left = self._series(0, at)
        if not left.isdigit() and random.random() < 0.3:  # so that both truths are frequent
            return f"{left} {operator} {self._near(left)}"
        return f"{left} {operator} {self._series(1, at)}"

    def _near(self, left: str) -> str:
        return f"({left})[{self._random.randint(1, 5)}]"

    def _series(self, depth: int, at: bool) -> str:
        random = self._random
        kind = random.random()
        if depth > 2 or kind < 0.2:
            return random.choice([*PRICES, str(random.randint(1, 120))])
        if kind < 0.6:
            return self._indicator(depth, at)
        if kind < 0.7:
            return f"({self._priced(depth + 1, at)})[{random.randint(0, 6)}]"
        if kind < 0.85 and not at:
            return f"({self._priced(depth + 1, True)}){self._place()}"
        operator = random.choice(["+", "-", "*", "/", "/"])
        right = "(high - low)" if random.random() < 0.3 else self._series(depth + 1, at)  # at times 0
        return f"({self._series(depth + 1, at)} {operator} {right})"

    def _priced(self, depth: int, at: bool) -> str:
        """A series that is no fixed number."""
        if self._random.random() < 0.5:
            return f"(2 * close - {self._series(depth, at)})"  # never 0 all along, which averages wait out
        return self._indicator(depth, at)

    def _indicator(self, depth: int, at: bool) -> str:
        random = self._random
        kind = random.choice(list(INDICATORS.values()))
        settings = [
            str(random.randint(max(int(setting.low), 2), LONGEST)) if setting.is_whole else "1.5"
            for setting in kind.settings
        ]
        if "slow" in [setting.name for setting in kind.settings] and settings[0] == settings[1]:
            settings[1] = str(LONGEST + 1)  # their difference would be 0
        if kind.source is not None and random.random() < 0.4:
            settings = [self._priced(depth + 1, at), *settings]
        written = f"{kind.name}({', '.join(settings)})" if settings else kind.name
        if not kind.outputs or random.random() < 0.5:
            return written
        return f"{written}.{random.choice(kind.outputs)}"

    def _place(self) -> str:
        return self._random.choice([" on 1h", " on 15m", " of BTC", " of BTC on 1h"])


def held_values(random: Random) -> Mapping[str, float]:
    return {"profit%": random.uniform(-3, 4), "bars_since_entry": float(random.randint(0, 9))}
