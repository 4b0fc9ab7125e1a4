"""Generated prices that need no network and no key, for demo accounts, tests and first trials.

A price is a pure function of symbol and time: every process and machine sees the same market, before and
after a restart, and a candle says what the quotes said. That holds to the last digit because the path is
drawn in integers: about every 61 days a symbol has a random level; between two levels three more are set,
each off the straight line by a random amount; and so on down to one level in 5 seconds, between which the
path is straight. An octave's amounts are half those of the next slower, four times longer one, as in a random
walk. From level to price there are only additions and multiplications, so a higher level is never a lower
price, and the highest level of a candle is its high.

The market never sleeps: stocks move at night too, which lets a demo be tried on a Sunday.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import ceil, floor

from dashtrade.domain.ports import Candle, Clock, Quote
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe

NODE = 5_000  # milliseconds between two points of the path
TOP = 10  # the slowest octave: a level every 4**10 nodes, 60.7 days
UNIT = 10  # the levels of octave 0 are multiples of 2**10: ten times a quarter of the way leaves no fraction
NOISE = 15  # bits of one random amount, and its sign
_MASK = 0xFFFFFFFF
_SECOND, _WEEK, _MONDAY = 1_000, 604_800, 345_600_000  # the epoch was a Thursday: weeks begin 4 days after it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

# Price in dollars, and typical daily move in percent.
_STOCKS = {
    "AAPL": (230, 1.4),
    "MSFT": (430, 1.3),
    "NVDA": (135, 2.6),
    "GOOGL": (175, 1.6),
    "GOOG": (177, 1.6),
    "AMZN": (195, 1.7),
    "META": (560, 2.0),
    "TSLA": (260, 3.2),
    "AVGO": (175, 2.4),
    "NFLX": (720, 2.0),
    "AMD": (150, 2.8),
    "INTC": (24, 2.4),
    "ORCL": (170, 1.7),
    "CRM": (290, 1.8),
    "ADBE": (510, 1.8),
    "CSCO": (55, 1.1),
    "QCOM": (170, 2.0),
    "MU": (105, 2.7),
    "PLTR": (42, 3.6),
    "COIN": (210, 4.2),
    "MSTR": (230, 5.0),
    "SHOP": (80, 2.8),
    "UBER": (75, 2.0),
    "ABNB": (130, 2.0),
    "PYPL": (80, 2.1),
    "DIS": (97, 1.5),
    "NKE": (82, 1.6),
    "MCD": (295, 1.0),
    "SBUX": (96, 1.4),
    "KO": (69, 0.8),
    "PEP": (172, 0.9),
    "WMT": (82, 1.0),
    "COST": (900, 1.1),
    "HD": (400, 1.2),
    "BA": (155, 2.0),
    "CAT": (390, 1.5),
    "GE": (180, 1.6),
    "F": (11, 2.0),
    "GM": (50, 2.0),
    "T": (22, 1.1),
    "VZ": (42, 1.1),
    "JPM": (222, 1.2),
    "BAC": (42, 1.4),
    "GS": (520, 1.5),
    "V": (285, 1.0),
    "MA": (505, 1.1),
    "BRK.B": (455, 0.9),
    "JNJ": (162, 0.9),
    "PFE": (29, 1.3),
    "UNH": (570, 1.4),
    "LLY": (890, 1.7),
    "XOM": (118, 1.3),
    "CVX": (150, 1.3),
    "GME": (22, 4.5),
    "AMC": (4.6, 5.0),
    "SPY": (570, 0.9),
    "QQQ": (490, 1.2),
    "IWM": (220, 1.3),
    "DIA": (425, 0.8),
    "GLD": (245, 0.9),
    "TLT": (94, 0.9),
}
_COINS = {
    "BTC": (65_000, 2.6),
    "ETH": (2_600, 3.2),
    "BNB": (580, 2.6),
    "SOL": (150, 4.2),
    "XRP": (0.55, 3.6),
    "ADA": (0.36, 3.8),
    "DOGE": (0.13, 4.6),
    "AVAX": (27, 4.4),
    "DOT": (4.3, 3.8),
    "LINK": (11.5, 4.0),
    "LTC": (68, 3.2),
    "BCH": (350, 3.6),
    "UNI": (7.6, 4.4),
    "ATOM": (4.5, 3.8),
    "NEAR": (4.8, 4.6),
    "TRX": (0.16, 2.2),
    "SHIB": (18e-6, 4.6),
    "PEPE": (10e-6, 6.0),
    "USD": (1, 0.02),
    "USDT": (1, 0.02),
    "USDC": (1, 0.02),
    "DAI": (1, 0.03),
    "EUR": (1.09, 0.4),
    "GBP": (1.3, 0.4),
    "JPY": (0.0067, 0.5),
    "AUD": (0.67, 0.5),
    "CAD": (0.73, 0.4),
    "CHF": (1.16, 0.4),
    "TRY": (0.029, 0.6),
}
_CASH = frozenset(
    ["USD", "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "TRY"]
)


class DemoFeed:
    """Generated prices, marked `demo` wherever they are shown. Works with any clock, also a replayed one."""

    demo = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def quote(self, symbol: Symbol) -> Quote:
        return self.quote_at(symbol, self._clock.now())

    def quote_at(self, symbol: Symbol, moment: datetime) -> Quote:
        track = track_of(symbol)
        bid, ask = track.book(_level_at(track, (moment - _EPOCH) // _MS))
        return Quote(symbol=symbol, bid=bid * track.step, ask=ask * track.step, at=moment, demo=True)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        """Mid prices. The last candle is the one that contains `end`, cut off at `end`, or the one that `end`
        closes."""
        track, span, finish = track_of(symbol), timeframe.seconds * _SECOND, (end - _EPOCH) // _MS
        anchor = _MONDAY if timeframe.seconds % _WEEK == 0 else 0
        last = anchor + (finish - 1 - anchor) // span * span
        starts = range(last - (count - 1) * span, last + 1, span)
        return list(_drawn(track, starts, finish))


def _drawn(track: Track, starts: range, finish: int) -> Iterator[Candle]:
    opening = _level_at(track, starts[0]) if starts else 0
    for start in starts:
        stop = min(start + starts.step, finish)
        closing = _level_at(track, stop)
        first, last = -((-start - track.phase) // NODE), (stop + track.phase) // NODE
        low, high = _extremes(track, first, last, min(opening, closing), max(opening, closing))
        yield Candle(
            at=_EPOCH + timedelta(milliseconds=start),
            open=track.mid(opening),
            high=track.mid(high),
            low=track.mid(low),
            close=track.mid(closing),
            volume=track.volume(start, stop),
        )
        opening = closing


# --- one symbol's character ---------------------------------------------------------------------------------


@record(kw_only=False, eq=False)
class Track:
    """The parameters of a symbol's path. Compared by identity, which makes it a fast key of the cached
    levels."""

    seeds: tuple[int, ...]  # one per octave
    phase: int  # milliseconds, so that not every market turns at the same moment
    base: float
    gain: float  # from level to a sixteenth of the relative move
    below: float  # the bid and the ask in price steps, per unit of price
    above: float
    step: Decimal
    lot: int  # decimals of a volume
    daily: float  # daily volume

    def book(self, level: int) -> tuple[int, int]:
        """Bid and ask in price steps. Each operation increases with the level; no `exp`, whose last digit
        differs by machine."""
        growth = 1.0 + level * self.gain
        growth *= growth
        growth *= growth
        growth *= growth
        growth *= growth
        price = self.base * growth
        return floor(price * self.below), ceil(price * self.above)

    def mid(self, level: int) -> Decimal:
        return sum(self.book(level)) * self.step / 2

    def volume(self, start: int, stop: int) -> Decimal:
        share = 1.2 + _noise(self.seeds[0], start // _SECOND) / (1 << NOISE)
        traded = int(self.daily * share * (stop - start) / 86_400_000 * 10**self.lot)
        return Decimal(max(1, traded)).scaleb(-self.lot)


@lru_cache(maxsize=4096)
def track_of(symbol: Symbol) -> Track:
    for_cash = symbol.is_crypto and symbol.quote in _CASH and symbol.base not in _CASH
    # otherwise BTC/USDT and BTC/EUR would diverge from BTC/USD
    text = f"CRYPTO:{symbol.base}/USD" if for_cash else symbol.text
    chance = hashlib.shake_128(text.encode()).digest(4 * (TOP + 4))
    numbers = [int.from_bytes(chance[at : at + 4], "big") for at in range(0, len(chance), 4)]
    dollars, move, against = _character(symbol, numbers[-1], numbers[-2])
    price = dollars / against
    decimals, half_spread = 2, 0.0001 if symbol.is_crypto else 0.00002
    while symbol.is_crypto and price * 10**decimals < 10_000:
        decimals += 1
    return Track(
        seeds=tuple(numbers[: TOP + 1]),
        phase=numbers[-3] << 8,
        base=price,
        # 0.0109: the part of a day's move within 5 seconds; measured
        gain=move / 100 * 0.0109 / (1 << NOISE + UNIT) / 16,
        below=(1 - half_spread) * 10**decimals,
        above=(1 + half_spread) * 10**decimals,
        step=Decimal(1).scaleb(-decimals),
        lot=4 if symbol.is_crypto else 0,
        daily=1e9 / dollars,
    )


def _character(symbol: Symbol, first: int, second: int) -> tuple[float, float, float]:
    """The price in dollars, the daily move in percent, and the quote currency's price in dollars. For unknown
    symbols derived from two random numbers of 32 bits."""
    spread, pace = 1 + first / 2**32, second / 2**32
    if not symbol.is_crypto:
        unknown = (10 * spread * spread * spread * spread * spread, 1 + 2 * pace)
        return *(_STOCKS.get(symbol.base, unknown) if symbol.market == "NYSE" else unknown), 1
    against, _ = _COINS.get(symbol.quote, (1, 0))
    return *_COINS.get(symbol.base, (spread * spread * spread - 0.9, 3 + 3 * pace)), against


# --- the path -----------------------------------------------------------------------------------------------


def _noise(seed: int, index: int) -> int:
    """A random amount of 15 bits and a sign, always the same for the same place (Wellons' `lowbias32`)."""
    mixed = (seed + index * 0x9E3779B1) & _MASK
    mixed = ((mixed ^ mixed >> 16) * 0x7FEB352D) & _MASK
    mixed = ((mixed ^ mixed >> 15) * 0x846CA68B) & _MASK
    return (mixed >> 16) - 32_768


@lru_cache(maxsize=1 << 15)
def _level(track: Track, octave: int, index: int) -> int:
    """The path at a point of an octave's grid: that of the slower octave, or offset from the line between two
    of its points."""
    if octave == TOP:
        return _noise(track.seeds[octave], index) << octave + UNIT
    part, left = index & 3, _level(track, octave + 1, index >> 2)
    if not part:
        return left
    right = _level(track, octave + 1, (index >> 2) + 1)
    return left + ((right - left) * part >> 2) + (_noise(track.seeds[octave], index) << octave + UNIT)


def _level_at(track: Track, moment: int) -> int:
    """The path at any millisecond since the epoch."""
    node, past = divmod(moment + track.phase, NODE)
    here = _level(track, 0, node)
    return here + (_level(track, 0, node + 1) - here) * past // NODE if past else here


def _extremes(track: Track, first: int, last: int, low: int, high: int) -> tuple[int, int]:
    """The lowest and the highest level of the nodes from `first` to `last`, and of the two given.

    A day has 17,280 nodes, a month half a million: so only stretches that could hold a new extreme are
    refined."""
    if first > last:
        return low, high
    octave = 0
    while octave < TOP and (last - first) >> 2 * octave:
        octave += 1
    begin, finish = first >> 2 * octave, (last >> 2 * octave) + 1
    points = [_level(track, octave, index) for index in range(begin, finish + 1)]
    inside = [level for index, level in enumerate(points, begin) if first <= index << 2 * octave <= last]
    low, high = min([low, *inside]), max([high, *inside])
    stretches = list(zip(range(begin, finish), points, points[1:], strict=False))
    while octave and stretches:
        octave -= 1
        stretches, low, high = _closer(track, octave, stretches, first, last, low, high)
    return low, high


def _closer(
    track: Track,
    octave: int,
    stretches: list[tuple[int, int, int]],
    first: int,
    last: int,
    low: int,
    high: int,
) -> tuple[list[tuple[int, int, int]], int, int]:
    """The next faster octave of those stretches (index, left, right) that may reach beyond `low` or
    `high`."""
    shift, seed, reach, finer = 2 * octave, track.seeds[octave], 1 << octave + 1 + NOISE + UNIT, []
    for stretch, left, right in stretches:
        if max(left, right) + reach <= high and min(left, right) - reach >= low:
            continue
        before, start = left, stretch << 2
        for part in (1, 2, 3, 4):
            index = start + part
            after = right
            if part < 4:
                after = left + ((right - left) * part >> 2) + (_noise(seed, index) << octave + UNIT)
                if first <= index << shift <= last:
                    low, high = min(low, after), max(high, after)
            if index << shift > first and (index - 1) << shift < last:
                finer.append((index - 1, before, after))
            before = after
    return finer, low, high
