"""A market data source's static description, in one record, and what its adapter may use.

A source is one file: its adapter, and a `SourceKind` that `feeds.registry` lists. Forms, the manual, the
settings and the router go by the description alone, so that no adapter is loaded for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

from dashtrade.domain.broker_kinds import Address, Credential
from dashtrade.domain.ports import BrokerError, Clock, Quote
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.history import Source
from dashtrade.market.series import Adjustment, Series


class Prices(StrEnum):
    """What a source's quotes consist of."""

    BID_ASK = "bid and ask"
    LAST = "last price"
    NONE = "none"


class Gate(Protocol):
    """Admits the requests of one source under one key: its budget and its circuit, which all processes
    share."""

    def enter(self) -> None:
        """Before each request. Raises RetryLater, and nothing is sent: the budget is used up, or the source
        rests after failures."""

    def leave(self, error: BrokerError | None) -> None:
        """After each request: what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The parts of the application that a source may use."""

    clock: Clock
    gate: Gate
    address: Callable[[str], str | None]  # by its setting; None: the source's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """Timeframes that a source has with these adjustments, shortest first."""

    timeframes: tuple[Timeframe, ...]
    adjustments: frozenset[Adjustment] = frozenset({Adjustment.RAW})
    only: Literal["stocks", "coins", ""] = ""
    reach: timedelta | None = None  # how far back; None: as long as the symbol has traded


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What one plan of a source gives."""

    name: str
    candles: tuple[Candles, ...] = ()
    quotes: Prices = Prices.NONE
    coin_quotes: Prices | None = None  # where those of coins differ
    delay: timedelta = timedelta(0)  # of the newest price
    partial: bool = False  # prices of one exchange of many: highs and lows are narrower than the market's
    per_minute: int | None = None  # requests
    per_day: int | None = None

    def reaches(self, series: Series, start: datetime, now: datetime) -> bool:
        """Has it candles from then on?"""
        found = (each for each in self.candles if series.timeframe in each.timeframes)
        return any(each.reach is None or now - each.reach <= start for each in found)

    def quotes_of(self, symbol: Symbol) -> Prices:
        return self.coin_quotes if symbol.is_crypto and self.coin_quotes is not None else self.quotes

    def timeframes(self, series: Series) -> list[Timeframe]:
        """Those it has of this symbol and adjustment. Coins have no splits: every adjustment is the same."""
        coin = series.symbol.is_crypto
        fits = (
            each
            for each in self.candles
            if each.only != ("stocks" if coin else "coins")
            and (coin or series.adjustment in each.adjustments)
        )
        return sorted(one for each in fits for one in each.timeframes)


class PriceSource(Source, Protocol):
    """A source of candles and of current prices."""

    kind: SourceKind
    tier: Tier

    def quote(self, symbol: Symbol) -> Quote:
        """The current price; where the source has no bid and ask, `note` says what stands in for them. Raises
        NotOffered where its plan has none."""

    def close(self) -> None:
        """Release connections and threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    name: str  # in series and in the database
    title: str
    stocks: bool = False
    crypto: bool = False
    tiers: tuple[Tier, ...]  # the first is what every key gives at least
    streams: bool = False
    credentials: tuple[Credential, ...] = ()
    addresses: tuple[Address, ...] = ()
    notes: tuple[str, ...] = ()
    make: Callable[[SourceKind, Tier, Mapping[str, str], Around], PriceSource]

    @property
    def needs_key(self) -> bool:
        return any(each.secret and each.required for each in self.credentials)

    def tier(self, name: str) -> Tier:
        return next((tier for tier in self.tiers if tier.name == name), self.tiers[0])

    def trades(self, symbol: Symbol) -> bool:
        """May it have this symbol? Whether it does, its answer says."""
        return self.crypto if symbol.is_crypto else self.stocks and symbol.market == "NYSE"


def timeframes(text: str) -> tuple[Timeframe, ...]:
    return tuple(Timeframe.parse(each) for each in text.split())
