"""What every source of market data has to do, whatever its wire: one suite, run against each.

A `SourceHarness` starts a source's simulator and makes its adapter; `tests/feeds/test_contract_sources.py`
has a row of each. Nothing is skipped by hand: what a source does not have is read from its description, and
has to be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dashtrade.domain.ports import BrokerError
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.kinds import Around, PriceSource, SourceKind
from dashtrade.market.bars import Bars
from dashtrade.market.series import Adjustment, Series
from tests.simulators.source_market import TrueCandle
from tests.simulators.source_server import Fault, SourceServer
from tests.support.fakes import ManualClock


@dataclass(slots=True)
class CountingGate:
    """Lets everything through, and keeps what became of it."""

    entered: int = 0
    left: list[BrokerError | None] = field(default_factory=list)

    def enter(self) -> None:
        self.entered += 1

    def leave(self, error: BrokerError | None) -> None:
        self.left.append(error)


@dataclass(slots=True, kw_only=True)
class SourceHarness:
    """One source and its simulator. The two clocks are set apart by a test that means it."""

    kind: SourceKind
    sim: SourceServer
    addresses: dict[str, str]
    symbol: Symbol
    at_source: str  # the symbol's name there
    timeframe: Timeframe
    start: datetime  # of a stretch in which it trades
    limited: Fault  # too many requests, as this source says it
    wait: timedelta  # and how long it asks for
    credentials: dict[str, str] = field(default_factory=dict)
    bad_key: Fault | None = None
    no_plan: Fault | None = None
    unknown_is_refused: bool = True  # else it has no candles of an unknown symbol
    tier: str = ""
    adjustment: Adjustment = Adjustment.RAW
    source_name: str = ""
    delay: timedelta = timedelta(0)  # until it gives a candle that has ended
    rows_come_in_pages: bool = True
    shows_strange_shapes: bool = True  # else an answer of another shape is an empty one
    warm: Callable[[PriceSource], None] = lambda source: None  # what it asks for before anything else
    clock: ManualClock = field(init=False)
    gate: CountingGate = field(default_factory=CountingGate)

    def __post_init__(self) -> None:
        self.clock = ManualClock(self.sim.market.now)

    @property
    def series(self) -> Series:
        return Series(
            source=self.source_name or self.kind.name,
            symbol=self.symbol,
            timeframe=self.timeframe,
            adjustment=self.adjustment,
        )

    @property
    def end(self) -> datetime:
        """Forty candles later: of a stock's days, five make a week."""
        weeks = self.timeframe.seconds == 86_400 and not self.symbol.is_crypto
        return self.start + (56 if weeks else 40) * self.timeframe.span

    def make(self) -> PriceSource:
        tier = self.kind.tier(self.tier)
        around = Around(clock=self.clock, gate=self.gate, address=self.addresses.get)
        made = self.kind.make(self.kind, tier, self.credentials, around)
        if isinstance(self.gate, CountingGate):
            self.warm(made)
            self.sim.asked.clear()
            self.gate.entered = 0
            self.gate.left.clear()
        return made

    def opening(self, number: int) -> datetime:
        """Of that candle of the stretch."""
        return datetime.fromtimestamp(self.truth()[number].at, UTC)

    def truth(self) -> list[TrueCandle]:
        """The candles of the stretch that the source gives: those that have ended."""
        seconds, now = self.timeframe.seconds, (self.sim.market.now - self.delay).timestamp()
        found = self.sim.market.candles(self.at_source, seconds, self.start.timestamp(), self.end.timestamp())
        return [one for one in found if one.at + seconds <= now]


def rows_of(bars: Bars) -> list[tuple[object, ...]]:
    return [
        (int(bars.at[place]), one.open, one.high, one.low, one.close, one.volume)
        for place, one in enumerate(bars.candles())
    ]


MakeHarness = Callable[[], SourceHarness]
NOW = datetime(2025, 11, 5, 15, 0, 30, tzinfo=UTC)
