"""The crypto exchanges, as forms, REST, the settings and the manual show them: one choice each."""

from __future__ import annotations

from dashtrade.brokers.crypto.credentials import check
from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.brokers.crypto.venues import EXCHANGES, OTHER, capabilities_of_row, exchange_of
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

_GUIDES = {
    "binance": "API Management, Create API, System generated. Allow Reading and Spot Trading, never "
    "Withdrawals, and restrict it to your machine's address. For the mode paper create the key at "
    "testnet.binance.vision.",
    "okx": "API, Create API key, with a passphrase of your choice. Permissions Read and Trade, never "
    "Withdraw. For the mode paper create the key in demo trading.",
    "kraken": "Settings, API, Create key. Allow Query funds, Query and Create & modify open orders, Cancel "
    "orders, Query closed orders; never Withdraw funds.",
    "coinbase": "Coinbase Developer Platform, API keys, Create, with the signature ECDSA. Allow View and "
    "Trade, never Transfer. The key is the name that begins with organizations and a slash, "
    "the secret the whole text from BEGIN to END.",
    "gemini": "Settings, API, Create a key of the scope Primary with the role Trader, never Fund Manager. "
    "For "
    "the mode paper create the key at exchange.sandbox.gemini.com.",
    "": "Create a key that can read and trade spot, and cannot withdraw. Start with the smallest sizes.",
}


def _make(account: Account, credentials: dict[str, str], surroundings: Surroundings) -> Broker:
    from dashtrade.brokers.crypto.adapter import CryptoBroker

    name = exchange_of(account.options.get("exchange")).id
    return CryptoBroker(
        name,
        credentials["key"],
        credentials["secret"],
        credentials.get("passphrase"),
        account.mode,
        clock=surroundings.clock,
        url=surroundings.address(f"CCXT_URL_{name.upper()}"),
        quote=account.options.get("quote"),
        quotes=account.options.get("quotes"),
        markets_cache=surroundings.home / "markets" / f"{name}-{account.mode}.json",
        nonces=surroundings.nonces(f"{name}:{credentials['key'].strip()}"),
    )


def _choice(row: Exchange) -> BrokerChoice:
    return BrokerChoice(
        title=row.name,
        exchange=row.id,
        can=capabilities_of_row(row),
        proven=row.proven,
        modes=("paper", "live") if row.sandbox else ("live",),
        guide=_GUIDES[row.id],
        credentials=tuple(_credentials(row)),
        options=(
            AccountOption(name="exchange", help=row.id or "its name in ccxt"),
            AccountOption(name="quote", help=f"the account's currency, {row.quote}"),
        ),
        settings=(f"CCXT_URL_{row.id.upper() or '<EXCHANGE>'}",),
    )


def _credentials(row: Exchange) -> list[Credential]:
    found = [
        Credential(name="key", label="API key", help=row.key_hint or "the API key"),
        Credential(name="secret", label="API secret", help=row.secret_hint or "its secret", secret=True),
    ]
    if row.passphrase or not row.proven:
        which = "the passphrase chosen when the key was created" + ("" if row.proven else ", if there is one")
        found.append(
            Credential(
                name="passphrase", label="Passphrase", help=which, secret=True, required=row.passphrase
            )
        )
    return found


BROKER = BrokerKind(
    name="Crypto exchange",
    modes=("paper", "live"),
    check=check,
    make=_make,
    addresses=(
        Address(
            setting="CCXT_URL_<EXCHANGE>",
            default="the exchange's own",
            meaning="address of a crypto exchange, such as `CCXT_URL_BINANCE`",
        ),
    ),
    choices=tuple(_choice(row) for row in (*EXCHANGES.values(), OTHER)),
)
