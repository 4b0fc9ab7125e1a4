"""The sources of market data for their contract suite: each adapter with the simulator of its wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds import binance
from tests.simulators import source_binance
from tests.support.source_contract import SourceHarness

MINUTE = Timeframe(60)


@contextmanager
def _binance() -> Iterator[SourceHarness]:
    with source_binance.BinanceServer() as sim:
        yield SourceHarness(
            kind=binance.SOURCE,
            sim=sim,
            addresses={"BINANCE_DATA_URL": sim.url},
            symbol=Symbol.parse("BTC/USDT"),
            at_source="BTCUSDT",
            timeframe=MINUTE,
            start=datetime(2025, 11, 5, 10, 0, tzinfo=UTC),
            limited=source_binance.LIMITED,
            wait=timedelta(seconds=7),
            no_plan=source_binance.RESTRICTED,
        )


HARNESSES: Mapping[str, Callable[[], AbstractContextManager[SourceHarness]]] = {"binance": _binance}
