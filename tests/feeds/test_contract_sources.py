"""Every source of market data against the simulator of its wire: a row of `HARNESSES` for each."""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, Rejected, RetryLater, Unavailable
from dashtrade.domain.reasons import Code
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds import web
from dashtrade.feeds.kinds import Prices, PriceSource
from dashtrade.feeds.registry import SOURCES
from dashtrade.market.bars import Bars
from dashtrade.market.series import Series
from tests.simulators.source_server import Fault
from tests.support.source_contract import SourceHarness, rows_of
from tests.support.source_harnesses import HARNESSES

GARBAGE = {
    "html": Fault(body="<html><body><h1>Welcome</h1></body></html>"),
    "empty": Fault(body=""),
    "half": Fault(kind="cut_off"),
    "null": Fault(body="null"),
    "a number": Fault(body="17"),
    "another shape": Fault(body={"martian": [1, 2, 3]}),
    "a list of it": Fault(body=[["a", "b"], 7]),
    "too deep": Fault(body="[" * 100_000),
}


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest) -> Iterator[SourceHarness]:
    with HARNESSES[request.param]() as made:
        yield made


@pytest.fixture
def source(harness: SourceHarness) -> Iterator[PriceSource]:
    made = harness.make()
    yield made
    made.close()


def asked(source: PriceSource, harness: SourceHarness) -> Bars:
    return source.bars(harness.series, harness.start, harness.end)


def rows(source: PriceSource, harness: SourceHarness) -> list[Any]:
    return rows_of(asked(source, harness))


def test_every_source_has_a_row_here():
    assert {name.partition(" ")[0] for name in HARNESSES} == set(SOURCES)


# --- candles ------------------------------------------------------------------------------------------------


def test_the_candles_of_a_stretch_are_those_of_the_source_to_the_last_digit(source, harness: SourceHarness):
    assert len(harness.truth()) == 40
    assert rows(source, harness) == [one.row for one in harness.truth()]


def test_many_pages_are_one_answer(source, harness: SourceHarness):
    harness.sim.page = 7
    assert rows(source, harness) == [one.row for one in harness.truth()]
    assert not harness.rows_come_in_pages or len(harness.sim.asked) > 4


def test_the_candle_that_has_not_ended_is_not_given(source, harness: SourceHarness):
    now = harness.opening(10) + harness.timeframe.span / 2 + harness.delay
    harness.sim.market.now = harness.clock.time = now
    found = rows(source, harness)
    assert found == [one.row for one in harness.truth()]
    assert len(found) == 10


def test_with_our_clock_ahead_half_a_candle_is_not_taken_for_a_whole_one(source, harness: SourceHarness):
    harness.sim.market.now = harness.opening(10) + harness.timeframe.span / 2
    harness.clock.time = harness.sim.market.now + harness.delay + 3 * harness.timeframe.span
    assert len(rows(source, harness)) == 10


def test_with_our_clock_behind_candles_that_have_ended_by_it_are_given(source, harness: SourceHarness):
    behind = harness.opening(8)
    harness.sim.market.now = harness.opening(10) + harness.timeframe.span / 2
    harness.clock.time = behind + harness.delay
    assert len(rows(source, harness)) == 8


def test_a_gap_stays_a_gap(source, harness: SourceHarness):
    lost = {one.at for one in harness.truth()[5:9]}
    harness.sim.market.holes = lost
    found = rows(source, harness)
    assert len(found) == 36
    assert not lost & {at // 1000 for at, *_ in found}


def test_candles_sent_twice_and_out_of_order_are_one_each_and_in_order(source, harness: SourceHarness):
    def spoil(page: list[Any]) -> list[Any]:
        spoilt = [*page, *page[:5]]
        random.Random(7).shuffle(spoilt)
        return spoilt

    harness.sim.spoil = spoil
    assert rows(source, harness) == [one.row for one in harness.truth()]


def test_rows_that_cannot_be_candles_are_left_out_and_counted(source, harness: SourceHarness, caplog):
    harness.sim.spoil = harness.sim.broken_rows
    with caplog.at_level(logging.WARNING):
        found = rows(source, harness)
    assert found == [one.row for one in harness.truth()[2:]]
    assert "2 candles that cannot be any" in caplog.text


def test_nothing_is_asked_for_an_empty_stretch(source, harness: SourceHarness):
    assert len(source.bars(harness.series, harness.end, harness.start)) == 0
    assert not harness.sim.asked


def test_a_stretch_in_the_future_has_no_candles(source, harness: SourceHarness):
    start = harness.sim.market.now + timedelta(days=2)
    assert len(source.bars(harness.series, start, start + timedelta(days=1))) == 0


def test_what_the_plan_does_not_have_is_refused_and_nothing_is_sent(source, harness: SourceHarness):
    odd = harness.series.with_timeframe(Timeframe(7 * 60))
    with pytest.raises(NotOffered):
        source.bars(odd, harness.start, harness.end)
    other = Symbol.parse("AAPL" if harness.symbol.is_crypto else "BTC/USDT")
    if not harness.kind.trades(other):
        with pytest.raises(NotOffered):
            source.finest(Series(source=source.name, symbol=other, timeframe=harness.timeframe))
    assert not harness.sim.asked


def test_the_shortest_candles_it_has_are_found(source, harness: SourceHarness):
    tier = source.tier
    wanted = harness.series.with_timeframe(Timeframe(7 * 86_400))
    found = source.finest(wanted)
    assert found.timeframe == min(tier.timeframes(harness.series))


def test_an_unknown_symbol_has_no_candles(source, harness: SourceHarness):
    unknown = Symbol.parse("CRYPTO:NOSUCH/USDT" if harness.symbol.is_crypto else "NOSCH")
    series = Series(
        source=source.name, symbol=unknown, timeframe=harness.timeframe, adjustment=harness.adjustment
    )
    if harness.unknown_is_refused:
        with pytest.raises((Rejected, NotOffered)):
            source.bars(series, harness.start, harness.end)
    else:
        assert len(source.bars(series, harness.start, harness.end)) == 0


# --- quotes -------------------------------------------------------------------------------------------------


def test_a_quote_says_what_stands_in_for_bid_and_ask(source, harness: SourceHarness):
    kind = source.tier.quotes_of(harness.symbol)
    if kind is Prices.NONE:
        with pytest.raises(NotOffered):
            source.quote(harness.symbol)
        assert not harness.sim.asked
        return
    price = harness.sim.market.price(harness.at_source)
    quote = source.quote(harness.symbol)
    assert quote.at <= harness.clock.time
    if kind is Prices.BID_ASK:
        assert quote.bid == price < quote.ask and not quote.note
    else:
        assert quote.bid == quote.ask == price and quote.note.code is Code.LAST_PRICE_USED


def test_a_price_of_nothing_is_none(source, harness: SourceHarness):
    if source.tier.quotes_of(harness.symbol) is not Prices.NONE:
        harness.sim.market.worthless = True
        with pytest.raises((NotOffered, Unavailable)):
            source.quote(harness.symbol)


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_no_answer_and_not_an_empty_one(source, harness: SourceHarness, garbage: str):
    if garbage in ("another shape", "a list of it") and not harness.shows_strange_shapes:
        return
    harness.sim.fault(GARBAGE[garbage])
    with pytest.raises(Unavailable) as raised:
        asked(source, harness)
    assert not isinstance(raised.value, NotOffered)
    assert harness.gate.left == [raised.value]
    assert len(asked(source, harness)) == 40


@pytest.mark.parametrize("status", [301, 400, 500, 502, 503])
def test_a_status_that_says_nothing_of_the_market_is_no_answer(source, harness: SourceHarness, status: int):
    harness.sim.fault(Fault(status=status, body="<html>status</html>", headers={"Location": "/elsewhere"}))
    with pytest.raises(Unavailable):
        asked(source, harness)


def test_a_connection_that_drops_is_no_answer(source, harness: SourceHarness):
    harness.sim.fault(Fault(kind="drop"))
    with pytest.raises(Unavailable):
        asked(source, harness)
    assert len(asked(source, harness)) == 40


def test_a_page_that_fails_makes_no_shorter_answer(source, harness: SourceHarness):
    """Half of what was asked for would be taken for all there is."""
    if harness.rows_come_in_pages:
        harness.sim.page = 7
        harness.sim.fault(*[Fault(kind="through")] * 2, Fault(status=502, body="<html>"))
        with pytest.raises(Unavailable):
            asked(source, harness)


@pytest.mark.parametrize("kind", ["silence", "drip"])
def test_a_source_that_does_not_answer_holds_nobody_up(harness: SourceHarness, kind: str, monkeypatch):
    monkeypatch.setattr(web, "WHOLE_SECONDS", 0.6)
    source = harness.make()
    harness.sim.fault(Fault(kind=kind))
    began = time.monotonic()
    with pytest.raises(Unavailable):
        asked(source, harness)
    assert time.monotonic() - began < 3
    source.close()


def test_too_many_requests_say_when_to_come_again(source, harness: SourceHarness):
    harness.sim.fault(harness.limited)
    with pytest.raises(RetryLater) as raised:
        asked(source, harness)
    assert raised.value.after == harness.wait


def test_a_time_at_which_to_come_again_is_read(source, harness: SourceHarness):
    harness.sim.fault(Fault(status=429, body={}, headers={"Retry-After": "Wed, 05 Nov 2025 15:02:30 GMT"}))
    with pytest.raises(RetryLater) as raised:
        asked(source, harness)
    assert raised.value.after == timedelta(seconds=120)


def test_a_bad_key_is_told_from_a_plan_that_lacks_it(source, harness: SourceHarness):
    assert (harness.bad_key is not None) == harness.kind.needs_key
    if harness.bad_key is not None:
        harness.sim.fault(harness.bad_key)
        with pytest.raises(BadCredentials):
            asked(source, harness)
    if harness.no_plan is not None:
        harness.sim.fault(harness.no_plan)
        with pytest.raises(NotOffered):
            asked(source, harness)


def test_no_message_and_no_traceback_holds_the_key(source, harness: SourceHarness, caplog):
    secrets = [harness.credentials[each.name] for each in harness.kind.credentials if each.secret]
    if not secrets:
        return
    faults = [harness.bad_key, harness.no_plan, harness.limited, *GARBAGE.values(), Fault(kind="drop")]
    faults += [Fault(status=500, body={"error": f"your key {secret} is odd"}) for secret in secrets]
    for fault in faults:
        if fault is not None:
            harness.sim.fault(fault)
            with caplog.at_level(logging.DEBUG, "dashtrade"), pytest.raises(BrokerError) as raised:
                asked(source, harness)
            told = "".join(traceback.format_exception(raised.value)) + raised.value.message + caplog.text
            assert not [secret for secret in secrets if secret in told]


def test_every_request_passes_the_gate(source, harness: SourceHarness):
    harness.sim.page = 7
    asked(source, harness)
    assert harness.gate.entered == len(harness.sim.asked) == len(harness.gate.left)
    assert set(harness.gate.left) == {None}


def test_a_closed_gate_sends_nothing(harness: SourceHarness):
    class Closed:
        def enter(self) -> None:
            raise RetryLater("closed", timedelta(seconds=9))

        def leave(self, error: BrokerError | None) -> None:
            raise AssertionError("nothing was sent")

    harness.gate = Closed()  # type: ignore[assignment]
    source = harness.make()
    with pytest.raises(RetryLater):
        asked(source, harness)
    assert not harness.sim.asked
    source.close()
