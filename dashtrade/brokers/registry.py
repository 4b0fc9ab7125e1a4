"""Every broker, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from dashtrade.brokers.alpaca.descriptor import BROKER as ALPACA
from dashtrade.brokers.crypto.descriptor import BROKER as CRYPTO
from dashtrade.brokers.paper.descriptor import BROKER as PAPER
from dashtrade.brokers.schwab.descriptor import BROKER as SCHWAB
from dashtrade.domain.broker_kinds import BrokerKind

BROKERS: Mapping[str, BrokerKind] = {
    # by the name stored with its accounts
    "paper": PAPER,
    "alpaca": ALPACA,
    "crypto": CRYPTO,
    "schwab": SCHWAB,
}
