"""Every source of market data over the network, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from dashtrade.feeds.alpaca import SOURCE as ALPACA
from dashtrade.feeds.alpha_vantage import SOURCE as ALPHA_VANTAGE
from dashtrade.feeds.binance import SOURCE as BINANCE
from dashtrade.feeds.exchange import SOURCE as EXCHANGE
from dashtrade.feeds.finnhub import SOURCE as FINNHUB
from dashtrade.feeds.kinds import SourceKind
from dashtrade.feeds.massive import SOURCE as MASSIVE

SOURCES: Mapping[str, SourceKind] = {
    kind.name: kind for kind in (BINANCE, ALPACA, MASSIVE, FINNHUB, ALPHA_VANTAGE, EXCHANGE)
}
