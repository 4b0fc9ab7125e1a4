"""Which source is asked, in which order, and what an answer says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dashtrade.domain.ports import (
    BadCredentials,
    BrokerError,
    NotOffered,
    Quote,
    Rejected,
    RetryLater,
    Unavailable,
)
from dashtrade.domain.reasons import Code
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.kinds import PriceSource, SourceKind, Tier
from dashtrade.feeds.registry import SOURCES
from dashtrade.feeds.router import Router
from dashtrade.market.bars import Bars, bars_of, no_bars
from dashtrade.market.series import Adjustment, Series
from tests.simulators.source_server import Fault
from tests.support.fakes import MORNING, ManualClock
from tests.support.source_contract import SourceHarness
from tests.support.source_harnesses import HARNESSES

AAPL, BTC = Symbol.parse("AAPL"), Symbol.parse("BTC/USDT")
MINUTE, DAY = Timeframe(60), Timeframe(86_400)
YESTERDAY = MORNING - timedelta(days=1)


class Fake:
    """A source that has what its description says, or fails."""

    always_open = False
    delay = timedelta(0)

    def __init__(self, kind: str, tier: str, *, name: str = "", fails: BrokerError | None = None) -> None:
        self.kind: SourceKind = SOURCES[kind]
        self.tier: Tier = self.kind.tier(tier)
        self.name, self.fails, self.asked = name or f"{kind} {tier}", fails, 0
        self.none = False

    def quote(self, symbol: Symbol) -> Quote:
        self._ask()
        return Quote(symbol=symbol, bid=Decimal(1), ask=Decimal(2), at=MORNING - timedelta(seconds=9))

    def bars(self, series: Series, start: datetime, end: datetime) -> Bars:
        assert series.source == self.name
        self._ask()
        at = int((MORNING - timedelta(minutes=5)).timestamp() * 1000)
        return no_bars() if self.none else bars_of([(at, "1", "2", "1", "2", "5")])

    def _ask(self) -> None:
        self.asked += 1
        if self.fails is not None:
            raise self.fails

    def finest(self, series: Series) -> Series:
        raise AssertionError("not asked for")

    def follow(self, series: Sequence[Series]) -> Iterator[tuple[Series, Bars] | None]:
        raise AssertionError("not asked for")

    def close(self) -> None:
        pass


ALL = [
    ("finnhub", "free"),
    ("alpha_vantage", "free"),
    ("massive", "free"),
    ("massive", "real time"),
    ("alpaca", "iex"),
    ("alpaca", "delayed"),
    ("alpaca", "sip"),
    ("binance", "public"),
    ("ccxt", "public"),
    ("finnhub", "paid"),
]


def router(*sources: PriceSource, monotonic: Callable[[], float] = lambda: 0.0) -> Router:
    return Router(sources, ManualClock(), monotonic=monotonic)


def everything() -> Router:
    return router(*(Fake(kind, tier) for kind, tier in ALL))


def candles(
    one: Router, symbol: Symbol, start: datetime = YESTERDAY, timeframe: Timeframe = MINUTE
) -> list[str]:
    return [source.name for source, _ in one.for_candles(symbol, timeframe, Adjustment.RAW, start)]


# --- the order ---


def test_bid_and_ask_come_before_a_last_price_and_the_new_before_the_old():
    assert [each.name for each in everything().for_quotes(AAPL)] == [
        "alpaca sip",
        "massive real time",
        "alpaca iex",
        "finnhub paid",
        "finnhub free",
        "alpha_vantage free",
    ]


def test_coins_are_not_asked_of_a_source_of_stocks():
    names = [each.name for each in everything().for_quotes(BTC)]
    assert names[0] == "binance public" and "alpha_vantage free" not in names
    assert names[-3:] == ["massive real time", "finnhub paid", "finnhub free"]


def test_candles_of_the_whole_market_come_before_those_of_one_exchange():
    assert candles(everything(), AAPL) == [
        "alpaca sip",
        "massive real time",
        "finnhub paid",
        "alpaca delayed",
        "massive free",
        "alpha_vantage free",
        "alpaca iex",
    ]


def test_a_source_that_reaches_far_enough_back_comes_first():
    one = router(Fake("massive", "free"), Fake("alpha_vantage", "free"))
    assert candles(one, AAPL) == ["massive free", "alpha_vantage free"]
    assert candles(one, AAPL, MORNING - timedelta(days=3000)) == ["alpha_vantage free", "massive free"]
    assert candles(one, AAPL, MORNING - timedelta(days=300), DAY) == ["massive free", "alpha_vantage free"]


def test_candles_that_are_adjusted_otherwise_are_not_the_same():
    names = [
        source.name
        for source, series in everything().for_candles(AAPL, DAY, Adjustment.SPLIT, YESTERDAY)
        if series.adjustment is Adjustment.SPLIT
    ]
    assert "finnhub paid" in names and "alpha_vantage free" not in names


def test_a_free_key_of_finnhub_has_no_candles():
    assert candles(router(Fake("finnhub", "free")), AAPL) == []


def test_without_a_source_that_has_it_nothing_is_asked():
    source = Fake("binance", "public")
    with pytest.raises(NotOffered):
        router(source).quote(AAPL)
    with pytest.raises(NotOffered):
        router(source).bars(AAPL, MINUTE, Adjustment.RAW, YESTERDAY, MORNING)
    assert source.asked == 0


# --- the answer ---


def test_an_answer_says_its_source_and_its_age():
    found = everything().quote(AAPL)
    assert (found.source, found.age, found.passed_over) == ("alpaca sip", timedelta(seconds=9), ())
    bars = everything().bars(AAPL, MINUTE, Adjustment.RAW, YESTERDAY, MORNING)
    assert (bars.source, bars.at, bars.age) == (
        "alpaca sip",
        MORNING - timedelta(minutes=4),
        timedelta(minutes=4),
    )


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("down"),
        RetryLater("later", timedelta(seconds=5)),
        NotOffered("not in this plan"),
        BadCredentials("wrong key"),
        Rejected("unknown"),
    ],
)
def test_while_the_best_does_not_answer_the_next_one_does_and_says_why(error: BrokerError):
    found = router(Fake("alpaca", "sip", fails=error), Fake("finnhub", "free")).quote(AAPL)
    assert found.source == "finnhub free"
    assert found.passed_over == (f"alpaca sip: {error.message}",)


def test_a_source_without_candles_of_the_symbol_is_passed_over():
    empty = Fake("alpaca", "sip")
    empty.none = True
    found = router(empty, Fake("massive", "free")).bars(AAPL, MINUTE, Adjustment.RAW, YESTERDAY, MORNING)
    assert found.source == "massive free" and len(found.value) == 1


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([Unavailable("a"), NotOffered("b")], Unavailable),
        ([NotOffered("a"), Rejected("b")], NotOffered),
        ([Unavailable("a"), RetryLater("b", timedelta(seconds=7))], RetryLater),
        ([RetryLater("a", timedelta(seconds=70)), RetryLater("b", timedelta(seconds=7))], RetryLater),
    ],
)
def test_when_none_answers_the_failure_calls_for_the_right_reaction(
    errors: list[BrokerError], kind: type[BrokerError]
):
    first, second = errors
    with pytest.raises(BrokerError) as raised:
        router(Fake("alpaca", "sip", fails=first), Fake("finnhub", "free", fails=second)).quote(AAPL)
    assert type(raised.value) is kind
    if isinstance(raised.value, RetryLater):
        assert raised.value.after == timedelta(seconds=7)


def test_dead_sources_hold_nobody_up_for_longer_than_one_patience():
    ticks = iter(range(0, 1000, 20))  # each look at the clock is twenty seconds later
    sources = [Fake(kind, tier, fails=Unavailable("no answer in time")) for kind, tier in ALL]
    with pytest.raises(Unavailable):
        router(*sources, monotonic=lambda: float(next(ticks))).quote(AAPL)
    assert sum(source.asked for source in sources) == 2


# --- with the sources themselves ---


def test_sources_on_the_wire_stand_in_for_each_other():
    with ExitStack() as stack:
        alpaca, finnhub = (stack.enter_context(HARNESSES[name]()) for name in ("alpaca iex", "finnhub"))
        harnesses: list[SourceHarness] = [alpaca, finnhub]
        one = Router([harness.make() for harness in harnesses], alpaca.clock)
        assert one.quote(AAPL).source == "alpaca-iex"
        alpaca.sim.fault(Fault(status=502, body="<html>"))
        found = one.quote(AAPL)
        assert found.source == "finnhub" and found.value.note.code is Code.LAST_PRICE_USED
        assert found.at <= datetime(2025, 11, 5, 15, 0, 30, tzinfo=UTC)
