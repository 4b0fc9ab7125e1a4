"""Alpaca, as forms, REST, the settings and the manual show it."""

from __future__ import annotations

from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.credentials import check
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import (
    AccountOption,
    Address,
    BrokerChoice,
    BrokerKind,
    Credential,
    Surroundings,
)
from dashtrade.domain.ports import Broker


def _make(account: Account, credentials: dict[str, str], surroundings: Surroundings) -> Broker:
    from dashtrade.brokers.alpaca.adapter import AlpacaBroker

    return AlpacaBroker(
        credentials["key"],
        credentials["secret"],
        account.mode,
        clock=surroundings.clock,
        api_url=surroundings.address("ALPACA_API_URL"),
        data_url=surroundings.address("ALPACA_DATA_URL"),
        stream_url=surroundings.address("ALPACA_STREAM_URL"),
        feed=account.options.get("feed"),
    )


_DEFAULT_ADDRESS = "Alpaca's own, or that of `ALPACA_API_URL`"
BROKER = BrokerKind(
    name="Alpaca",
    modes=("paper", "live"),
    check=check,
    make=_make,
    streams=True,
    addresses=(
        Address(setting="ALPACA_API_URL", default="Alpaca's own", meaning="address of Alpaca's trading API"),
        Address(
            setting="ALPACA_DATA_URL", default=_DEFAULT_ADDRESS, meaning="address of Alpaca's market data"
        ),
        Address(
            setting="ALPACA_STREAM_URL",
            default=_DEFAULT_ADDRESS,
            meaning="address of Alpaca's stream of order updates",
        ),
    ),
    choices=(
        BrokerChoice(
            title="Alpaca",
            can=CAPABILITIES,
            modes=("paper", "live"),
            guide="In Alpaca's dashboard choose the paper or the live account, create a key in the box API "
            "Keys, and copy both parts. Paper and live have separate keys. An Alpaca key can trade, "
            "and cannot withdraw money.",
            credentials=(
                Credential(name="key", label="API key", help="the API key ID"),
                Credential(name="secret", label="API secret", help="the secret key, shown once", secret=True),
            ),
            options=(
                AccountOption(
                    name="feed",
                    help="iex (free) or sip (with Alpaca's paid plan): where stock prices come from",
                ),
            ),
            settings=("ALPACA_API_URL", "ALPACA_DATA_URL", "ALPACA_STREAM_URL"),
        ),
    ),
)
