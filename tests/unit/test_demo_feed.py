"""The demo market: the same everywhere, and a candle tells what the quotes told."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.demo import DemoFeed

NOON = datetime(2026, 3, 5, 12, 34, 56, 789000, tzinfo=UTC)
PINNED = {"AAPL": ("198.35", "198.37"), "BTC/USDT": ("56692.02", "56703.37"), "ZZZZ": ("170.84", "170.86")}
WELL_KNOWN = ["AAPL", "SPY", "TSLA", "F", "BTC/USDT", "ETH/USD", "XRP/USDT", "SHIB/USDT", "USDC/USD"]
ANY = [*WELL_KNOWN, "ZZZZ", "LSE:VOD", "ETH/BTC", "EUR/USD", "BINANCE:NEWCOINUSDT", "DOGE/JPY"]


class FixedClock:
    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def feed() -> DemoFeed:
    return DemoFeed(FixedClock())


symbols = st.sampled_from(ANY).map(Symbol.parse)
timeframes = st.sampled_from(["5s", "7s", "1m", "5m", "1h", "4h", "1d", "1w", "1M"]).map(Timeframe.parse)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def test_a_price_is_the_same_on_every_machine_and_after_every_restart():
    told = {name: feed().quote(Symbol.parse(name)) for name in ("AAPL", "BTC/USDT", "ZZZZ")}
    assert {name: (str(quote.bid), str(quote.ask)) for name, quote in told.items()} == PINNED


def test_another_process_with_another_hash_seed_sees_the_same_candles():
    program = (
        "from tests.unit.test_demo_feed import *\n"
        "print(feed().candles(Symbol.parse('TSLA'), Timeframe.parse('1h'), end=NOON, count=5)[-1])"
    )
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=place | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{feed().candles(Symbol.parse('TSLA'), Timeframe.parse('1h'), end=NOON, count=5)[-1]}\n"}


@given(symbols, moments)
def test_the_ask_is_above_the_bid_and_both_are_above_zero(symbol, moment):
    quote = feed().quote_at(symbol, moment)
    assert 0 < quote.bid < quote.ask < quote.bid * Decimal("1.02")
    assert quote.demo and quote.at == moment


@settings(max_examples=300, deadline=None)
@given(symbols, timeframes, moments, st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 4))
def test_every_quote_inside_a_candle_lies_between_its_low_and_its_high(symbol, timeframe, end, places, count):
    candle = feed().candles(symbol, timeframe, end=end, count=count)[0]
    stop = min(candle.at + timeframe.span, end)
    for place in places:
        moment = candle.at + (stop - candle.at) * place
        assert candle.low <= feed().quote_at(symbol, moment).mid <= candle.high


@settings(max_examples=150, deadline=None)
@given(symbols, timeframes, moments, st.integers(1, 6))
def test_candles_join_without_a_gap_and_open_where_the_quote_was(symbol, timeframe, end, count):
    candles = feed().candles(symbol, timeframe, end=end, count=count)
    assert len(candles) == count
    for candle, following in itertools.pairwise(candles):
        assert following.at - candle.at == timeframe.span
        assert following.open == candle.close
    for candle in candles:
        assert candle.open == feed().quote_at(symbol, candle.at).mid
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert candle.volume > 0
    assert candles[-1].close == feed().quote_at(symbol, min(end, candles[-1].at + timeframe.span)).mid


@pytest.mark.parametrize("name", ["AAPL", "BTC/USDT", "SHIB/USDT"])
def test_a_minutes_high_and_low_are_those_of_its_sixty_thousand_milliseconds(name):
    symbol = Symbol.parse(name)
    candle = feed().candles(symbol, Timeframe(60), end=NOON, count=2)[0]
    mids = [feed().quote_at(symbol, candle.at + timedelta(milliseconds=at)).mid for at in range(60_001)]
    assert (candle.low, candle.high) == (min(mids), max(mids))


def test_an_hour_reaches_exactly_as_far_as_its_minutes():
    end = datetime(2026, 3, 5, 13, tzinfo=UTC)
    for name in ANY:
        symbol = Symbol.parse(name)
        (hour,) = feed().candles(symbol, Timeframe(3600), end=end, count=1)
        minutes = feed().candles(symbol, Timeframe(60), end=end, count=60)
        assert (hour.open, hour.close) == (minutes[0].open, minutes[-1].close)
        assert (hour.high, hour.low) == (
            max(each.high for each in minutes),
            min(each.low for each in minutes),
        )


def test_a_month_reaches_exactly_as_far_as_its_hours():
    symbol, month = Symbol.parse("NVDA"), Timeframe.parse("1M")
    end = feed().candles(symbol, month, end=NOON, count=1)[0].at
    (whole,) = feed().candles(symbol, month, end=end, count=1)
    hours = feed().candles(symbol, Timeframe(3600), end=end, count=720)
    assert (whole.high, whole.low) == (max(each.high for each in hours), min(each.low for each in hours))


def test_candles_stand_on_the_grid_and_weeks_begin_on_monday():
    daily = feed().candles(Symbol.parse("AAPL"), Timeframe.parse("1d"), end=NOON, count=3)
    assert [candle.at for candle in daily] == [datetime(2026, 3, day, tzinfo=UTC) for day in (3, 4, 5)]
    weekly = feed().candles(Symbol.parse("AAPL"), Timeframe.parse("1w"), end=NOON, count=2)
    assert [candle.at.weekday() for candle in weekly] == [0, 0]


def test_an_end_on_the_grid_gives_the_candle_that_closed_then():
    end = datetime(2026, 3, 5, 12, tzinfo=UTC)
    (candle,) = feed().candles(Symbol.parse("AAPL"), Timeframe.parse("1h"), end=end, count=1)
    assert candle.at == end - timedelta(hours=1)


def test_no_candles_are_given_when_none_are_asked_for():
    assert feed().candles(Symbol.parse("AAPL"), Timeframe.parse("1h"), end=NOON, count=0) == []


def test_an_open_candle_tells_nothing_of_the_future():
    symbol, day = Symbol.parse("BTC/USDT"), Timeframe.parse("1d")
    (early,) = feed().candles(symbol, day, end=NOON, count=1)
    (later,) = feed().candles(symbol, day, end=NOON + timedelta(hours=6), count=1)
    assert early.open == later.open and early.high <= later.high and early.low >= later.low
    assert early.close == feed().quote_at(symbol, NOON).mid and early.volume < later.volume


def test_known_symbols_cost_about_what_they_cost():
    for name, about in {"AAPL": 230, "BTC/USDT": 65_000, "ETH/USD": 2_600, "KO": 69, "USDT/USD": 1}.items():
        mid = feed().quote(Symbol.parse(name)).mid
        assert Decimal(about) / 2 < mid < Decimal(about) * 2


def test_a_coin_costs_the_same_in_every_kind_of_dollar():
    prices = {feed().quote(Symbol.parse(f"BTC/{dollar}")).mid for dollar in ("USD", "USDT", "USDC")}
    assert len(prices) == 1


def test_symbols_do_not_move_together():
    moves = []
    for name in ("AAPL", "MSFT"):
        candles = feed().candles(Symbol.parse(name), Timeframe.parse("1h"), end=NOON, count=200)
        moves.append([candle.close > candle.open for candle in candles])
    assert 60 < sum(one == other for one, other in zip(*moves, strict=True)) < 140


def test_coins_are_wilder_than_stocks_and_both_move_as_in_life():
    def daily(name: str) -> float:
        candles = feed().candles(Symbol.parse(name), Timeframe.parse("1d"), end=NOON, count=300)
        return pstdev(float(candle.close / candle.open) - 1 for candle in candles)

    assert 0.007 < daily("SPY") < 0.012 < daily("AAPL") < 0.02 < daily("BTC/USDT") < daily("DOGE/USDT") < 0.07


def test_prices_are_written_in_the_steps_of_their_market():
    for name, decimals in {"AAPL": 2, "BTC/USDT": 2, "XRP/USDT": 5, "SHIB/USDT": 9}.items():
        assert feed().quote(Symbol.parse(name)).bid.as_tuple().exponent == -decimals
