"""The sources of market data for their contract suite: each adapter with the simulator of its wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.exchange import ExchangeSource
from dashtrade.feeds.registry import SOURCES
from dashtrade.market.series import Adjustment
from tests.simulators import (
    source_alpaca,
    source_alpha_vantage,
    source_binance,
    source_exchange,
    source_finnhub,
    source_massive,
)
from tests.simulators.source_server import SourceServer
from tests.support.source_contract import SourceHarness

MINUTE, HOUR, DAY = Timeframe(60), Timeframe(3600), Timeframe(86_400)
COIN_START = datetime(2025, 11, 5, 10, 0, tzinfo=UTC)
# Within a session of New York's, and across the end of daylight saving time (2025-11-02).
STOCK_START, DAYS_START = datetime(2025, 11, 4, 15, 0, tzinfo=UTC), datetime(2025, 9, 8, tzinfo=UTC)


@contextmanager
def _binance() -> Iterator[SourceHarness]:
    with source_binance.BinanceServer() as sim:
        yield _harness(
            "binance",
            sim,
            "BINANCE_DATA_URL",
            Symbol.parse("BTC/USDT"),
            "BTCUSDT",
            limited=source_binance.LIMITED,
            wait=timedelta(seconds=7),
            no_plan=source_binance.RESTRICTED,
        )


@contextmanager
def _bitstamp() -> Iterator[SourceHarness]:
    with source_exchange.BitstampServer() as sim:
        yield _harness(
            "ccxt",
            sim,
            "CCXT_URL_BITSTAMP",
            Symbol.parse("BTC/USD"),
            "BTC/USD",
            source_name="ccxt-bitstamp",
            credentials={"exchange": "bitstamp"},
            limited=source_exchange.LIMITED,
            wait=timedelta(seconds=7),
            shows_strange_shapes=False,
            warm=lambda source: cast(ExchangeSource, source).load(),
        )


@contextmanager
def _alpaca(symbol: str, tier: str, timeframe: Timeframe = MINUTE) -> Iterator[SourceHarness]:
    with source_alpaca.AlpacaDataServer(symbol, stocks="/" not in symbol) as sim:
        yield _harness(
            "alpaca",
            sim,
            "ALPACA_DATA_URL",
            Symbol.parse(symbol),
            symbol,
            timeframe,
            tier=tier,
            source_name="alpaca-iex" if tier == "iex" else "",
            delay=SOURCES["alpaca"].tier(tier).delay,
            credentials={"key": source_alpaca.KEY, "secret": source_alpaca.SECRET},
            limited=source_alpaca.LIMITED,
            wait=timedelta(seconds=60),
            bad_key=source_alpaca.FORBIDDEN,
            no_plan=source_alpaca.NO_SIP,
            unknown_is_refused=False,
        )


@contextmanager
def _massive(symbol: str, at_source: str, timeframe: Timeframe = MINUTE) -> Iterator[SourceHarness]:
    with source_massive.MassiveServer(at_source, stocks="/" not in symbol) as sim:
        yield _harness(
            "massive",
            sim,
            "MASSIVE_URL",
            Symbol.parse(symbol),
            at_source,
            timeframe,
            tier="real time",
            credentials={"key": source_massive.KEY},
            limited=source_massive.LIMITED,
            wait=timedelta(seconds=60),
            bad_key=source_massive.BAD_KEY,
            no_plan=source_massive.NO_PLAN,
            unknown_is_refused=False,
        )


@contextmanager
def _finnhub(symbol: str, at_source: str, timeframe: Timeframe = MINUTE) -> Iterator[SourceHarness]:
    with source_finnhub.FinnhubServer(at_source, stocks="/" not in symbol) as sim:
        yield _harness(
            "finnhub",
            sim,
            "FINNHUB_URL",
            Symbol.parse(symbol),
            at_source,
            timeframe,
            tier="paid",
            adjustment=Adjustment.SPLIT if timeframe == DAY else Adjustment.RAW,
            credentials={"key": source_finnhub.KEY},
            limited=source_finnhub.LIMITED,
            wait=timedelta(seconds=60),
            bad_key=source_finnhub.BAD_KEY,
            no_plan=source_finnhub.NO_PLAN,
            unknown_is_refused=False,
            rows_come_in_pages=False,
        )


@contextmanager
def _alpha_vantage(timeframe: Timeframe = MINUTE) -> Iterator[SourceHarness]:
    with source_alpha_vantage.AlphaVantageServer() as sim:
        made = _harness(
            "alpha_vantage",
            sim,
            "ALPHA_VANTAGE_URL",
            Symbol.parse("IBM"),
            "IBM",
            timeframe,
            credentials={"key": source_alpha_vantage.KEY},
            limited=source_alpha_vantage.DAILY_LIMIT,
            wait=timedelta(hours=1),
            bad_key=source_alpha_vantage.BAD_KEY,
            no_plan=source_alpha_vantage.PREMIUM,
            rows_come_in_pages=False,
        )
        daily = timeframe == DAY
        sim.break_at = (
            ["2025-09-08", "2025-09-09"] if daily else ["2025-11-04 10:00:00", "2025-11-04 10:01:00"]
        )
        yield made


def _harness(
    name: str,
    sim: SourceServer,
    setting: str,
    symbol: Symbol,
    at_source: str,
    timeframe: Timeframe = MINUTE,
    **more: Any,
) -> SourceHarness:
    start = COIN_START if symbol.is_crypto else DAYS_START if timeframe == DAY else STOCK_START
    return SourceHarness(
        kind=SOURCES[name],
        sim=sim,
        addresses={setting: sim.url},
        symbol=symbol,
        at_source=at_source,
        timeframe=timeframe,
        start=start,
        **more,
    )


# The name of the source first, then what of it.
HARNESSES: Mapping[str, Callable[[], AbstractContextManager[SourceHarness]]] = {
    "binance": _binance,
    "ccxt": _bitstamp,
    "alpaca delayed": partial(_alpaca, "AAPL", "delayed"),
    "alpaca iex": partial(_alpaca, "AAPL", "iex"),
    "alpaca days": partial(_alpaca, "AAPL", "sip", DAY),
    "alpaca coins": partial(_alpaca, "BTC/USD", "sip"),
    "massive": partial(_massive, "AAPL", "AAPL"),
    "massive days": partial(_massive, "AAPL", "AAPL", DAY),
    "massive coins": partial(_massive, "BTC/USD", "X:BTCUSD"),
    "finnhub": partial(_finnhub, "AAPL", "AAPL"),
    "finnhub days": partial(_finnhub, "AAPL", "AAPL", DAY),
    "finnhub coins": partial(_finnhub, "BTC/USDT", "BINANCE:BTCUSDT"),
    "alpha_vantage": _alpha_vantage,
    "alpha_vantage days": partial(_alpha_vantage, DAY),
}
