"""What differs between the exchanges of ccxt: how far back, how many at once, whether there is anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.domain.ports import BrokerError, NotOffered, Rejected, RetryLater, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.feeds.exchange import ExchangeSource
from dashtrade.feeds.kinds import Around
from dashtrade.feeds.registry import SOURCES
from dashtrade.market.bars import moment_of
from dashtrade.market.series import Series
from tests.simulators.source_exchange import BitstampServer, KrakenServer
from tests.simulators.source_server import Fault, SourceServer
from tests.support.fakes import ManualClock
from tests.support.source_contract import CountingGate, rows_of

KIND = SOURCES["ccxt"]


@pytest.fixture
def kraken() -> Iterator[KrakenServer]:
    with KrakenServer() as sim:
        yield sim


@pytest.fixture
def bitstamp() -> Iterator[BitstampServer]:
    with BitstampServer() as sim:
        yield sim


def source(sim: SourceServer, exchange: str) -> ExchangeSource:
    address = {f"CCXT_URL_{exchange.upper()}": sim.url}.get
    around = Around(clock=ManualClock(sim.market.now), gate=CountingGate(), address=address)
    made = KIND.make(KIND, KIND.tiers[0], {"exchange": exchange}, around)
    assert isinstance(made, ExchangeSource)
    return made


def series(exchange: str, seconds: int = 60) -> Series:
    return Series(source=f"ccxt-{exchange}", symbol=Symbol.parse("BTC/USD"), timeframe=Timeframe(seconds))


def test_kraken_has_the_newest_candles_whatever_is_asked_for(kraken: KrakenServer):
    now = kraken.market.now
    found = source(kraken, "kraken").bars(series("kraken"), now - timedelta(days=3), now)
    assert len(found) == 719  # of 720 the last has not ended
    assert moment_of(int(found.at[-1])) + timedelta(minutes=1) <= now


def test_krakens_candles_are_true_to_the_last_digit(kraken: KrakenServer):
    now = kraken.market.now
    start = now - timedelta(hours=2)
    found = source(kraken, "kraken").bars(series("kraken"), start, now)
    truth = kraken.market.candles("BTC/USD", 60, start.timestamp(), now.timestamp() - 60)
    assert rows_of(found) == [one.row for one in truth]


def test_a_stretch_that_kraken_no_longer_has_is_empty_after_few_requests(kraken: KrakenServer):
    now = kraken.market.now
    made = source(kraken, "kraken")
    assert len(made.bars(series("kraken"), now - timedelta(days=60), now - timedelta(days=59))) == 0
    assert len(kraken.asked) <= 3


def test_years_before_the_first_trade_are_skipped(bitstamp: BitstampServer):
    now = bitstamp.market.now
    bitstamp.market.begins = datetime(2025, 11, 5, tzinfo=UTC)
    found = source(bitstamp, "bitstamp").bars(series("bitstamp"), datetime(2017, 1, 1, tzinfo=UTC), now)
    assert moment_of(int(found.at[0])) == bitstamp.market.begins
    assert len(found) == 900
    assert len(bitstamp.asked) < 12


def test_an_exchange_that_lists_no_market_is_not_believed(bitstamp: BitstampServer):
    bitstamp.fault(Fault(body=[]))
    now = bitstamp.market.now
    with pytest.raises(Unavailable):
        source(bitstamp, "bitstamp").bars(series("bitstamp"), now - timedelta(hours=1), now)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=429, headers={"Retry-After": "30"}, body="<html>"), RetryLater),
        (Fault(status=451, body={"error": "restricted"}), NotOffered),
        (Fault(status=502, body="<html>"), Unavailable),
        (Fault(kind="drop"), Unavailable),
    ],
)
def test_what_befalls_the_list_of_markets_is_told_like_everything_else(
    bitstamp: BitstampServer, fault: Fault, kind: type[BrokerError]
):
    bitstamp.fault(fault)
    made = source(bitstamp, "bitstamp")
    with pytest.raises(BrokerError) as raised:
        made.quote(Symbol.parse("BTC/USD"))
    assert type(raised.value) is kind


def test_the_list_of_markets_is_asked_for_once(bitstamp: BitstampServer):
    made = source(bitstamp, "bitstamp")
    for _ in range(3):
        made.quote(Symbol.parse("BTC/USD"))
    assert [asked.path for asked in bitstamp.asked].count("/api/v2/markets/") == 1


def test_what_the_exchange_does_not_trade_is_refused(bitstamp: BitstampServer):
    with pytest.raises(Rejected):
        source(bitstamp, "bitstamp").quote(Symbol.parse("SOL/USD"))


@pytest.mark.parametrize("exchange", ["nosuchexchange", "../etc", ""])
def test_an_unknown_exchange_is_malformed(bitstamp: BitstampServer, exchange: str):
    with pytest.raises(Malformed):
        source(bitstamp, exchange)


def test_a_timeframe_that_the_exchange_lacks_is_refused(kraken: KrakenServer):
    made = source(kraken, "kraken")
    with pytest.raises(NotOffered):
        made.bars(series("kraken", 180), kraken.market.now - timedelta(hours=1), kraken.market.now)
    assert not kraken.asked
