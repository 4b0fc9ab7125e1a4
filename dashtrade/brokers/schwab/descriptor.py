"""Schwab, as forms, REST, the settings and the manual show it."""

from __future__ import annotations

from dashtrade.brokers.schwab.auth import authorize_url, code_in, exchange_code
from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.brokers.schwab.credentials import check
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import (
    AccountOption,
    Address,
    BrokerChoice,
    BrokerKind,
    BrokerSignIn,
    Credential,
    Surroundings,
)
from dashtrade.domain.ports import Broker


def _make(account: Account, credentials: dict[str, str], surroundings: Surroundings) -> Broker:
    from dashtrade.brokers.schwab.adapter import SchwabBroker

    return SchwabBroker(
        credentials["key"],
        credentials["secret"],
        lambda: surroundings.load_session() or credentials.get("token", ""),
        surroundings.save_session,
        clock=surroundings.clock,
        owner_of=surroundings.owner_of,
        exclusive=surroundings.exclusive,
        url=surroundings.address("SCHWAB_URL"),
        account=account.options.get("account"),
    )


BROKER = BrokerKind(
    name="Schwab",
    modes=("live",),
    check=check,
    make=_make,
    lacks=lambda credentials: (
        "" if credentials.get("token") else "this account is not signed in at Schwab yet."
    ),
    sign_in=BrokerSignIn(
        every="seven days",
        code_lives="30 seconds",
        callback="https://127.0.0.1",  # the usual registration for an app without a website
        setting="SCHWAB_URL",
        page=authorize_url,
        code_in=code_in,
        exchange=exchange_code,
    ),
    addresses=(Address(setting="SCHWAB_URL", default="Schwab's own", meaning="address of Schwab's API"),),
    choices=(
        BrokerChoice(
            title="Schwab",
            can=CAPABILITIES,
            modes=("live",),
            guide="Create an app at developer.schwab.com with the product Accounts and Trading Production, "
            "and wait until the app is Ready for use. Then sign in through the link under Setup, and "
            "again every seven days; DashTrade warns you two days before.",
            credentials=(
                Credential(name="key", label="App key", help="the app key"),
                Credential(name="secret", label="App secret", help="the app's secret", secret=True),
                Credential(
                    name="token", help="omitted: sign in through the link under Setup", required=False
                ),
            ),
            options=(
                AccountOption(name="account", help="the account's number, if the sign-in has several"),
                AccountOption(
                    name="callback", help="the callback address as registered there, https://127.0.0.1"
                ),
            ),
            settings=("SCHWAB_URL",),
        ),
    ),
)
