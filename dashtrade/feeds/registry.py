"""Every source of market data over the network, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from dashtrade.feeds.binance import SOURCE as BINANCE
from dashtrade.feeds.kinds import SourceKind

SOURCES: Mapping[str, SourceKind] = {kind.name: kind for kind in (BINANCE,)}
